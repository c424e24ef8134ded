"""Runs of the user's own training on disk: judged, reported, compared by what is known of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lottery.analysis import compare_runs, comparison_text, judge_run, verdict_text
from lottery.core import Mask
from lottery.errors import StoreError
from lottery.experiments import Run
from lottery.experiments.config import OwnConfig
from lottery.methods import ControlsConfig
from lottery.report import latex_table, render, replicates_csv, report_data
from lottery.score import Score
from lottery.store import JobResult, Store
from lottery.tickets import Ticket
from lottery.training import CurvePoint, TrainingResult

PERPLEXITY = Score(name="perplexity", higher=False, margin=0.5)


def write(store: Store, replicate: int, branch: str, level: int, *, curve: bool) -> JobResult:
    """One training of a made-up loop that logs every 50 steps and is best at its 100th."""
    random = torch.Generator().manual_seed(100 * replicate + 10 * level + len(branch))
    score = 42 - level + (4 if branch != "main" else 0) + float(torch.rand(1, generator=random))
    mask = Mask({"w": torch.arange(8) >= 4 * level})
    points = tuple(
        CurvePoint(at, split, {"perplexity": score + abs(at - 100) / 10})
        for at in (0, 50, 100, 150)
        for split in ("validation", "test")
        if curve
    )
    result = JobResult(
        replicate=replicate,
        branch=branch,
        level=level,
        status="done",
        reason="",
        density=mask.density,
        weights_kept=mask.kept,
        weights_total=8,
        layers=mask.layers,
        iterations=160,
        start_iteration=0,
        early_stop_iteration=100 if curve else None,
        validation_loss_at_early_stop=None,
        score_at_early_stop=score if curve else None,
        score_final=score + 5,
        seconds=1.0,
        engine="own",
        scores={"perplexity": score + 5},
    )
    trained = TrainingResult(
        status="done",
        curve=points,
        final={"w": torch.ones(8)},
        early_stop={},
        early_stop_iteration=result.early_stop_iteration,
        snapshots={},
        seconds=1.0,
        engine="own",
        scores=result.scores,
    )
    start = {"w": torch.randn(8, generator=random)}
    store.write_job(Ticket(mask=mask, weights=start), result, trained)
    return result


def own_run(path: Path, *, curve: bool = True, **experiment: Any) -> Run:
    config: Any = OwnConfig(
        name="letters",
        title="LSTM on letters",
        score=PERPLEXITY,
        replicates=4,
        levels=1,
        controls=ControlsConfig(reinit=1),
    )
    store = Store(path)
    results = [
        write(store, replicate, branch, level, curve=curve)
        for replicate in range(4)
        for branch, level in (("main", 0), ("main", 1), ("reinit-1", 1))
    ]
    about = {
        "schema": 3,
        "config_sha256": "0" * 64,
        "environment": {"device": "cpu"},
        "command": "",
        "begun": "2026-01-02T03:04:05+00:00",
    }
    return Run(
        store=store,
        config=config,
        experiment={**about, **experiment},
        results={result.key: result for result in results},
    )


def test_an_own_run_is_judged_by_its_score(tmp_path: Path) -> None:
    run = own_run(tmp_path / "letters")
    verdict = judge_run(run)
    assert verdict.score == PERPLEXITY
    assert verdict.evaluation_interval == 50, "as often as it was logged"
    assert verdict.last_evaluation == 150
    assert verdict.levels[1].groups["main"].tests["matches"].outcome == "confirmed"
    assert not verdict.stops_by_loss
    assert "Its validation perplexity is best after" in verdict.paragraph
    assert judge_run(run, margin=0.1).margin == 0.1


def test_an_own_run_without_a_curve(tmp_path: Path) -> None:
    verdict = judge_run(own_run(tmp_path / "letters", curve=False))
    assert not verdict.timed
    assert verdict.levels[1].groups["main"].tests["matches"].outcome == "confirmed"
    assert "'sooner' is untested" in verdict_text(verdict).replace("\n", " ")


@pytest.mark.parametrize("curve", [True, False])
def test_an_own_run_has_a_report(tmp_path: Path, curve: bool) -> None:
    run = own_run(tmp_path / "letters", curve=curve)
    data = report_data(run)
    page = render(data)
    assert "LSTM on letters" in page
    assert "perplexity" in page
    assert data.hashes == {"config": "0" * 64}
    assert replicates_csv(run).count("\n") == 1 + 12


@pytest.mark.parametrize(
    ("curve", "moment"), [(True, "early stop"), (False, "the end of training")]
)
def test_the_latex_table_has_the_runs_own_score(tmp_path: Path, curve: bool, moment: str) -> None:
    table = latex_table(own_run(tmp_path / "letters", curve=curve))
    assert f"letters: test perplexity at {moment} as it is," in table
    cells = [float(mean) for mean in re.findall(r"\$([\d.]+) ", table)]
    added = 0 if curve else 5
    assert len(cells) == 3
    assert all(41 + added < cell < 47 + added for cell in cells), "no percentages"


def test_own_runs_are_compared(tmp_path: Path) -> None:
    runs = [own_run(tmp_path / "one"), own_run(tmp_path / "other")]
    found = compare_runs(runs)
    assert found.methods[1].paired
    assert "Test perplexity at early stop" in comparison_text(found)


def test_earlier_looks_are_read_from_the_record(tmp_path: Path) -> None:
    run = own_run(tmp_path / "letters", earlier_looks=[2, 3])
    assert judge_run(run).earlier_looks == (2, 3)
    for wrong in (5, [0], ["two"], [True], {"a": 1}):
        with pytest.raises(StoreError, match="earlier_looks"):
            judge_run(replace(run, experiment={**run.experiment, "earlier_looks": wrong}))
