"""Curves of any values: where they stop, and what they end with."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from lottery.score import ACCURACY, Score
from lottery.training import (
    CurvePoint,
    TrainingResult,
    early_stop_by,
    final_scores,
    value_problem,
)

PERPLEXITY = Score(name="perplexity", higher=False)
F1 = Score(name="F1")


def trained(
    *points: CurvePoint, status: Literal["done", "diverged"] = "done", **scores: float
) -> TrainingResult:
    return TrainingResult(
        status=status,
        curve=points,
        final={"w": torch.ones(1)},
        early_stop={},
        early_stop_iteration=None,
        snapshots={},
        seconds=0.0,
        engine="own",
        scores=scores,
    )


def logged(*validation: tuple[int, dict[str, float]], tested: tuple[int, ...]) -> list[CurvePoint]:
    points = [CurvePoint(at, "validation", values) for at, values in validation]
    return [*points, *(CurvePoint(at, "test", {"perplexity": 9.0, "F1": 0.5}) for at in tested)]


def test_what_was_not_measured_is_no_number() -> None:
    point = CurvePoint(3, "training", {"perplexity": 20.0})
    assert math.isnan(point.loss)
    assert math.isnan(point.accuracy)
    assert CurvePoint.measured(3, "test", 0.5, 0.9).values == {"loss": 0.5, "accuracy": 0.9}


def test_a_loss_decides_where_there_is_one() -> None:
    curve = logged(
        (1, {"loss": 3.0, "perplexity": 1.0}), (2, {"loss": 2.0, "perplexity": 5.0}), tested=(1, 2)
    )
    assert early_stop_by(curve, PERPLEXITY) == 2


def test_without_a_loss_the_score_decides_in_its_direction() -> None:
    curve = logged(
        (1, {"perplexity": 30.0, "F1": 0.2}),
        (2, {"perplexity": 20.0, "F1": 0.7}),
        (3, {"perplexity": 20.0, "F1": 0.7}),
        (4, {"perplexity": 40.0, "F1": 0.1}),
        tested=(1, 2, 3, 4),
    )
    assert early_stop_by(curve, PERPLEXITY) == 2, "the first of equals"
    assert early_stop_by(curve, F1) == 2
    assert early_stop_by(curve, Score(name="perplexity")) == 4


def test_an_early_stop_is_where_the_score_was_tested() -> None:
    curve = logged((1, {"loss": 1.0}), (2, {"loss": 2.0}), (3, {"loss": 3.0}), tested=(2, 3))
    assert early_stop_by(curve, PERPLEXITY) == 2
    assert early_stop_by(curve, ACCURACY) is None
    assert early_stop_by(logged((1, {"loss": 1.0}), tested=()), PERPLEXITY) is None
    assert early_stop_by([], PERPLEXITY) is None


def test_the_final_scores_are_the_last_tests_or_what_training_said() -> None:
    curve = (
        CurvePoint.measured(0, "test", 2.0, 0.1),
        CurvePoint.measured(9, "test", 1.0, 0.8),
        CurvePoint.measured(10, "validation", 5.0, 0.0),
    )
    assert final_scores(trained(*curve), ACCURACY) == {"loss": 1.0, "accuracy": 0.8}
    assert final_scores(trained(*curve, F1=0.7), ACCURACY) == {
        "loss": 1.0,
        "accuracy": 0.8,
        "F1": 0.7,
    }
    assert final_scores(trained(*curve, accuracy=0.6), ACCURACY) == {"accuracy": 0.6}
    assert final_scores(trained(perplexity=12.0), PERPLEXITY) == {"perplexity": 12.0}
    assert final_scores(trained(), PERPLEXITY) == {}
    assert final_scores(trained(*curve, status="diverged"), ACCURACY) == {}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("accuracy", 97.5, "accuracy: expected a number from 0 to 1, got 97.5"),
        ("loss", math.nan, "loss: expected a number from -1e+300 to 1e+300, got nan"),
        ("loss", math.inf, "got inf"),
        ("", 1.0, "expected a name of 1 to 60 printable characters"),
        (" F1", 1.0, "' F1': expected a name"),
        ("\x1b[2J", 1.0, "'\\x1b[2J': expected a name"),
        ("F" * 61, 1.0, "expected a name"),
        ("iteration", 1.0, "expected another name"),
    ],
)
def test_a_number_that_no_curve_may_have(name: str, value: float, told: str) -> None:
    assert told in value_problem(name, value)


def test_numbers_that_curves_may_have() -> None:
    for name in ("accuracy", "F1", "BLEU-4", "Wörter pro Sekunde"):
        assert not value_problem(name, 0.5)
    assert not value_problem("BLEU", 97.5)
