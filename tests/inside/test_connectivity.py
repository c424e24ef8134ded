"""Stability and connectivity of whole runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import own_loops
import pytest
import torch
import torch.nn.functional as F
from command import Cli
from made_up_results import job as made_up
from made_up_results import judged
from small_run import SmallRun
from torch import Tensor, nn

from lottery.errors import UsageError
from lottery.experiments import ConnectivityConfig, Run, find_tickets, open_run
from lottery.inside import ANALYSES, Measurement, analyse
from lottery.inside.connectivity import _agreement, _matches, connectivity
from lottery.inside.line import walk
from lottery.inside.measurement import Cell
from lottery.inside.probing import compared
from lottery.inside.reordered import train_copies
from lottery.inside.subject import subject
from lottery.store import MAIN, JobKey, JobResult

SEPARATED = torch.cat([own_loops.INPUTS, torch.ones(len(own_loops.INPUTS), 1)], dim=1)


def make_linear() -> nn.Module:
    return nn.Sequential(nn.Linear(7, 2, bias=False))


def convex(model: nn.Module) -> Tensor:
    """Logistic regression with a penalty, which has one minimum."""
    weights = next(model.parameters())
    return F.cross_entropy(model(SEPARATED), own_loops.TARGETS) + 0.1 * weights.square().sum()


def to_the_end(model: nn.Module) -> None:
    """Batches in an order of chance, then all examples until nothing moves."""
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in torch.randperm(len(SEPARATED)).split(12):
        sgd.zero_grad()
        F.cross_entropy(model(SEPARATED[batch]), own_loops.TARGETS[batch]).backward()
        sgd.step()
    slow = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(300):
        slow.zero_grad()
        convex(model).backward()
        slow.step()


def judge(model: nn.Module) -> dict[str, float]:
    with torch.no_grad():
        right = (model(SEPARATED).argmax(1) == own_loops.TARGETS).float().mean()
        return {"accuracy": float(right), "loss": float(convex(model))}


AT = ConnectivityConfig(at={"0": ()})
KEPT = "analyses/connectivity-lines.json"


def test_a_convex_model_that_is_trained_to_the_end_is_stable() -> None:
    how = {"levels": 1, "replicates": 2, "verbose": False, "connectivity": AT}
    run = find_tickets(make_linear, to_the_end, judge, **how)  # type: ignore[arg-type]
    task = own_loops.own_task(make_model=make_linear, train=to_the_end, evaluate=judge)
    found = analyse(run, ANALYSES["connectivity"], task=task)
    for row in found["stability"].records():
        assert row["n"] == 2
        assert row["instability"] == 0.0
        assert row["loss_barrier"] == pytest.approx(0, abs=1e-5)
        assert row["train_instability"] is None, "of a loop of one's own one part is known"
        assert row["stable"] is True
    (reference,) = found["initializations"].records()
    assert reference["instability"] == 0.0, "there is one minimum, wherever one starts"
    assert found.found[0].startswith("Reordered from iteration 0 on, 2 of 2 levels are stable")


def test_a_loop_without_chance_is_told_that_nothing_is_known() -> None:
    def always_the_same(model: nn.Module) -> None:
        convex(model).backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()

    how = {"levels": 0, "replicates": 1, "verbose": False, "connectivity": AT}
    run = find_tickets(make_linear, always_the_same, judge, **how)  # type: ignore[arg-type]
    task = own_loops.own_task(make_model=make_linear, train=always_the_same, evaluate=judge)
    (said,) = analyse(run, ANALYSES["connectivity"], task=task).found
    assert "1 of 1 copies ended with the same weights, to the bit" in said
    with pytest.raises(UsageError, match=r"find_tickets\(..., connectivity="):
        train_copies(run, [0, 3], None, subject(run, None, None).options)


@pytest.fixture(scope="module")
def with_copies(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("copies")
    small_run.copied(out)
    config = replace(small_run.config, connectivity=AT)
    return replace(small_run, config=config).again(out).run


def found_in(run: Run, levels: Iterable[int] | None = None) -> Measurement:
    return connectivity(subject(run, None if levels is None else list(levels), None), points=5)


def test_every_line_begins_and_ends_with_what_was_trained(with_copies: Path) -> None:
    run = open_run(with_copies)
    found = found_in(run)
    ends = {
        (row["kind"], row["level"], row["part"], row["share"]): row
        for row in found["points"].records()
    }
    assert len(ends) == len(found["points"].rows) == (2 + 1) * 2 * 5
    for key, at in (
        (JobKey(0, MAIN, 0), ("copies", 0, "test", 0.0)),
        (JobKey(0, MAIN, 1), ("copies", 1, "test", 0.0)),
        (JobKey(0, "reordered-0", 1), ("copies", 1, "test", 1.0)),
        (JobKey(0, MAIN, 0), ("levels", 0, "test", 0.0)),
        (JobKey(0, MAIN, 1), ("levels", 0, "test", 1.0)),
    ):
        point = run.store.curve(key)[-1]
        assert point.split == "test"
        assert ends[at]["error"] == pytest.approx(1 - point.values["accuracy"])
        assert ends[at]["loss"] == pytest.approx(point.values["loss"], rel=1e-5)
    assert found["stability"].column("level") == [0, 1]
    assert found["stability"].column("n") == [1, 1]
    (between,) = found["levels"].records()
    assert (between["level"], between["next"], between["n"]) == (0, 1, 1)
    assert "no more than guessing" in run.verdict.why
    assert between["matches"] is None
    assert not found["initializations"].rows, "one replicate"


def test_copies_are_no_controls(with_copies: Path) -> None:
    """What looks at controls finds the same with them and without."""
    run = open_run(with_copies)
    fewer = replace(run, results={k: v for k, v in run.results.items() if k.kind != "reordered"})
    assert len(fewer.results) < len(run.results)
    for name, settings in (("weights", {}), ("masks", {}), ("cka", {"examples": 40})):
        found, without = (
            analyse(one, ANALYSES[name], settings=settings, again=True) for one in (run, fewer)
        )
        assert found.tables == without.tables
    assert {key.kind for key in compared(subject(run, None, None), 1)} == {
        MAIN,
        "random-mask",
        "reinit",
    }


@pytest.mark.parametrize(
    ("dense", "known"),
    [
        ([made_up(0, MAIN, 0)], {1: True, 2: False}),
        ([made_up(0, MAIN, 0, status="diverged")], {}),
        ([made_up(0, MAIN, 0, 0.1)], {}),
        ([], {}),
        ([made_up(0, MAIN, 0, status="diverged"), made_up(1, MAIN, 0)], {}),
    ],
    ids=["learned", "diverged", "guesses", "stopped", "of another replicate"],
)
def test_matching_is_known_only_where_a_dense_network_tells(
    dense: list[JobResult], known: dict[int, bool]
) -> None:
    tickets = [made_up(0, MAIN, 1), made_up(0, MAIN, 2, 0.9)]
    assert _matches(judged([*dense, *tickets], classes=10)) == known
    assert _matches(judged([*dense, *tickets], classes=10, margin=None)) == {}


def test_levels_of_which_matching_is_unknown_are_not_counted() -> None:
    rows: list[dict[str, Cell]] = [
        {"connected": True, "matches": True},
        {"connected": False, "matches": True},
        {"connected": True, "matches": None},
    ]
    said = _agreement(rows)
    assert "no barrier at 2 of 3; at 1 of 2 there is none exactly where" in said
    assert said.endswith("by chance at 1.0")
    assert "is not known" in _agreement(rows[2:])


def test_what_is_added_is_looked_at_anew(with_copies: Path, tmp_path: Path) -> None:
    """What was found before copies were trained holds no longer."""
    run = open_run(with_copies)
    fewer = replace(run, results={k: v for k, v in run.results.items() if k.kind != "reordered"})
    settings = {"at": [0], "points": 3}
    before = analyse(fewer, ANALYSES["connectivity"], settings=settings)
    assert not before["stability"].rows
    now = analyse(run, ANALYSES["connectivity"], settings=settings)
    assert now["stability"].rows


def test_lines_that_were_measured_are_not_measured_again(
    with_copies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copytree(with_copies, tmp_path / with_copies.name))
    shutil.rmtree(path / "analyses", ignore_errors=True)
    run, walked = open_run(path), []

    def counted(*arguments: Any) -> Any:
        walked.append(arguments[2])
        return walk(*arguments)

    monkeypatch.setattr("lottery.inside.connectivity.walk", counted)
    first = found_in(run, [0])
    assert len(walked) == 1
    whole = found_in(run)
    assert len(walked) == 3, "the copy of level 1, and what is between the levels"
    assert {*first["points"].rows} < {*whole["points"].rows}
    assert found_in(run).tables == whole.tables
    assert len(walked) == 3
    connectivity(subject(run, [0], None), points=3)
    assert walked[3:] == [3]
    for broken in ("[]", '{"a": 1}', (path / KEPT).read_text().replace("[[", "[[[")):
        (path / KEPT).write_text(broken)
        assert found_in(run).tables == whole.tables


@pytest.mark.parametrize("wrong", [{"points": 2}, {"examples": -1}, {"recalibrate": -1}])
def test_numbers_out_of_range_are_told(with_copies: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected points of 3 or more"):
        connectivity(subject(open_run(with_copies), None, None), **wrong)


def test_the_command_trains_what_is_missing_and_looks(
    cli: Cli, small_run: SmallRun, tmp_path: Path
) -> None:
    small_run.copied(tmp_path / "runs")
    asked = ("analyse", "connectivity", "small", "--points", "3", "--jobs", "1")
    code, said, _ = cli(*asked, "--no-train", "--json")
    assert code == 0
    tables = {table["name"]: table["rows"] for table in json.loads(said)["tables"]}
    assert (len(tables["stability"]), len(tables["levels"])) == (0, 1)
    code, _, told = cli("analyse", "connectivity", "small", "--points", "2")
    assert (code, "reordered" in told) == (2, False), "nothing is trained for what is refused"
    assert "expected points of 3 or more" in told
    code, said, told = cli(*asked, "--levels", "1", "--csv", "tables")
    assert code == 0
    assert "reordered-0, level 1" in told
    assert "reordered-0, level 0" not in told
    assert "Reordered from iteration 0 on" in said
    assert Path("tables/connectivity-points.csv").read_text().count("\n") == 1 + 3 * 2
    code, said, told = cli(*asked, "--levels", "1", "--json")
    assert (code, "trainings" in told) == (0, False), "nothing is trained twice"
    code, _, told = cli(*asked, "--at", "0-500")
    assert (code, "expected at most 100 iterations, got 501" in told) == (2, True)
    code, _, told = cli(*asked, "--at", "400")
    assert (code, "iteration 400 is not before the end of training, 20" in told) == (2, True)


def test_a_run_under_another_name_is_not_grown(
    cli: Cli, small_run: SmallRun, tmp_path: Path
) -> None:
    small_run.copied(tmp_path).rename(tmp_path / "mine")
    code, _, told = cli("analyse", "connectivity", "mine", "--out", tmp_path)
    assert (code, "grows in a directory small-" in told) == (2, True)
