"""The files of trainings that are measured by other numbers than accuracy."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lottery.core import Mask
from lottery.errors import StoreError
from lottery.store import JobKey, JobResult, Store
from lottery.store.curves import pack_curve, unpack_curve
from lottery.tickets import Ticket
from lottery.training import CurvePoint, TrainingResult, value_problem

HERE = Path("curves.csv")
KEPT = torch.tensor([True, False])
RESULT = JobResult(
    replicate=0,
    branch="main",
    level=0,
    status="done",
    reason="",
    density=0.5,
    weights_kept=1,
    weights_total=2,
    layers={"w": (1, 2)},
    iterations=10,
    start_iteration=0,
    early_stop_iteration=None,
    validation_loss_at_early_stop=None,
    score_at_early_stop=None,
    score_final=41.5,
    seconds=0.1,
    engine="own",
    scores={"perplexity": 41.5, "loss": 3.7},
)

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda name: not value_problem(name, 0.5)
)
points = st.builds(
    CurvePoint,
    st.integers(0, 10**9),
    st.sampled_from(["training", "validation", "test"]),
    st.dictionaries(names, st.floats(0, 1), min_size=1, max_size=4),
)


def test_the_built_in_training_has_the_files_it_always_had() -> None:
    curve = [
        CurvePoint.measured(0, "validation", 2.302585092994046, 0.1),
        CurvePoint.measured(0, "test", 0.1 + 0.2, 1 / 3),
    ]
    assert pack_curve(curve) == (
        b"iteration,split,loss,accuracy\n"
        b"0,validation,2.302585092994046,0.1\n"
        b"0,test,0.30000000000000004,0.3333333333333333\n"
    )
    assert pack_curve([]) == b"iteration,split,loss,accuracy\n"


def test_columns_are_in_the_order_in_which_they_came() -> None:
    curve = [
        CurvePoint(0, "training", {"perplexity": 20.0}),
        CurvePoint(0, "test", {"perplexity": 21.0, "loss": 3}),
        CurvePoint(5, "validation", {"loss": 2.5}),
    ]
    content = pack_curve(curve)
    assert content == (
        b"iteration,split,perplexity,loss\n0,training,20.0,\n0,test,21.0,3.0\n5,validation,,2.5\n"
    )
    assert unpack_curve(content, source=HERE) == curve


@given(st.lists(points, max_size=8))
def test_curves_of_any_names_come_back(curve: list[CurvePoint]) -> None:
    assert unpack_curve(pack_curve(curve), source=HERE) == curve


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "expected the columns iteration and split"),
        ("split,iteration,loss\n", "expected the columns"),
        ("iteration,split\n", "names of values"),
        ("iteration,split,loss,loss\n", "each once"),
        ("iteration,split," + ",".join(f"n{i}" for i in range(49)), "48 names of values at most"),
        ("iteration,split,loss\n0,test,\n", "line 2: has no number"),
        ("iteration,split,F1\n0,test,1e301\n", "line 2: F1: expected a number"),
        ("iteration,split,\x07\n0,test,1\n", "printable"),
        ("iteration,split,loss\n0,test,1,2\n", "line 2: expected 3 cells, got 4"),
    ],
)
def test_a_curve_from_anyone_is_read_strictly(content: str, told: str) -> None:
    with pytest.raises(StoreError, match=told) as error:
        unpack_curve(content.encode(), source=HERE)
    assert str(error.value).startswith("curves.csv is not a learning curve: ")


def own_training(**changes: Any) -> TrainingResult:
    whole: dict[str, Any] = {
        "status": "done",
        "curve": (),
        "final": {"w": torch.zeros(2)},
        "early_stop": {},
        "early_stop_iteration": None,
        "snapshots": {},
        "seconds": 0.1,
        "engine": "own",
    }
    return TrainingResult(**{**whole, **changes})


def test_a_job_without_a_curve_is_whole(tmp_path: Path) -> None:
    store, key = Store(tmp_path), JobKey(0, "main", 0)
    ticket = Ticket(mask=Mask({"w": KEPT}), weights={"w": torch.ones(2)})
    store.write_job(ticket, RESULT, own_training())
    assert store.examine(key) == (RESULT, [])
    assert store.curve(key) == []
    assert store.weights(key, "early-stop") == {}
    assert RESULT.score == 41.5


def test_the_dense_network_trained_again_has_a_place_of_its_own(tmp_path: Path) -> None:
    store, key = Store(tmp_path), JobKey(1, "dense-rewound-1", 0)
    ticket = Ticket(mask=Mask({"w": KEPT}), weights={"w": torch.ones(2)})
    store.write_job(ticket, replace(RESULT, replicate=1, branch="dense-rewound-1"), own_training())
    assert (tmp_path / "replicate-1" / "dense-rewound-1" / "level-00").is_dir()
    assert store.problems(key) == []


def test_the_score_is_that_of_early_stop_where_there_is_one() -> None:
    stopped = replace(RESULT, early_stop_iteration=5, score_at_early_stop=40.0)
    assert stopped.score == 40.0
    assert JobResult.from_json(stopped.to_json(), source=HERE) == stopped


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"early_stop_iteration": 5}, "score_at_early_stop: expected a number where there is"),
        ({"score_at_early_stop": 5.0}, "score_at_early_stop: expected a number where there is"),
        (
            {"early_stop_iteration": 5, "score_at_early_stop": 5.0, "score_final": None},
            "score_final: expected a number",
        ),
        ({"validation_loss_at_early_stop": 0.5}, "expected null without an early stop"),
        ({"score_final": 3.0}, "score_final: expected one of the scores"),
        ({"scores": {"accuracy": 97.0}}, "scores: expected a table"),
        ({"scores": {"F1": True}}, "scores: expected a table"),
        ({"scores": {f"n{i}": 0.5 for i in range(49)}}, "scores: expected a table of at most 48"),
        ({"status": "diverged", "reason": "why"}, "score_final: expected null of one that"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(change: dict[str, Any], told: str) -> None:
    text = json.dumps({**asdict(RESULT), **change})
    with pytest.raises(StoreError, match=told):
        JobResult.from_json(text, source=HERE)


def test_results_from_before_there_were_other_scores_are_read() -> None:
    values = asdict(replace(RESULT, engine="torch"))
    for name in ("score_at_early_stop", "score_final", "scores"):
        del values[name]
    old = {
        **values,
        "early_stop_iteration": 5,
        "validation_loss_at_early_stop": 0.3,
        "test_accuracy_at_early_stop": 0.9,
        "test_accuracy_final": 0.8,
    }
    read = JobResult.from_json(json.dumps(old), source=HERE)
    assert (read.score_at_early_stop, read.score_final) == (0.9, 0.8)
    assert read.scores == {"accuracy": 0.8}
    for wrong in ({"test_accuracy_final": 1.5}, {"test_accuracy_at_early_stop": "0.9"}):
        with pytest.raises(StoreError, match=f"{next(iter(wrong))}: expected a number from 0 to 1"):
            JobResult.from_json(json.dumps({**old, **wrong}), source=HERE)
