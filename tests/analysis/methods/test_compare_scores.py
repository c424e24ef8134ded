"""Comparing runs that are judged by other scores than accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from made_up_results import judged
from methods_samples import compared, results_of

from lottery.analysis import comparison_text, to_json
from lottery.analysis.methods.types import MethodRun, RunComparison
from lottery.errors import UsageError
from lottery.experiments import to_plain
from lottery.experiments.config import OwnConfig
from lottery.report import render_comparison
from lottery.score import ACCURACY, Score
from lottery.store.jobs import JobResult

PERPLEXITY = Score(name="perplexity", higher=False, margin=0.5)


def own_run(results: Sequence[JobResult], score: Score, name: str) -> MethodRun:
    sign = 1 if score.higher else -1
    scored = [
        replace(r, score_at_early_stop=v and sign * v, score_final=f and sign * f)
        for r in results
        for v, f in [(r.score_at_early_stop, r.score_final)]
    ]
    config = OwnConfig(name=name, score=score, title="LSTM on letters", task={"source": "sha"})
    return MethodRun(
        verdict=judged(
            scored, run=name, name=name, score=score, margin=score.margin, test_examples=None
        ),
        results=scored,
        config=to_plain(config),
        data={},
        environment={"device": "cpu"},
        schema=3,
        starts={r.replicate: f"start {r.replicate}" for r in results},
    )


def comparison_of(score: Score) -> RunComparison:
    size: dict[str, Any] = {"levels": 3, "replicates": 5}
    return compared(
        own_run(results_of(**size), score, "first"),
        own_run(results_of(**size, worse=0.004), score, "second"),
    )


def test_ahead_is_better_in_either_direction() -> None:
    lower, higher = comparison_of(PERPLEXITY), comparison_of(replace(PERPLEXITY, higher=True))
    outcomes = []
    for one, other in zip(lower.rows, higher.rows, strict=True):
        a, b = one.cells[1], other.cells[1]
        assert a is not None
        assert b is not None
        assert a.against_first == b.against_first
        assert one.best == other.best
        outcomes.append(a.against_first["accuracy"].outcome)
    assert "behind" in outcomes
    assert "second is confirmed to be worse in perplexity than first" in lower.paragraph


def test_everything_said_is_of_the_score() -> None:
    comparison = comparison_of(PERPLEXITY)
    text = comparison_text(comparison)
    assert "Against the first run, in perplexity at early stop" in text
    assert "Test perplexity at early stop" in text
    assert "higher (95% interval" in " ".join(comparison.findings)
    told = " ".join([comparison.paragraph, *comparison.findings, *comparison.warnings, text])
    assert "accura" not in told
    assert "percentage" not in told
    assert to_json(comparison)["score"]["name"] == "perplexity"
    page = render_comparison(comparison)
    assert "Test perplexity against density" in page
    assert ">Accuracy<" not in page


def test_a_run_of_own_tasks_is_paired_by_task_and_start() -> None:
    comparison = comparison_of(PERPLEXITY)
    assert comparison.methods[1].paired
    one, other = (
        own_run(results_of(levels=2, replicates=3), PERPLEXITY, name) for name in ("a", "b")
    )
    other = replace(other, config={**other.config, "task": {"source": "another"}})
    assert compared(one, other).methods[1].pairing == "other tasks"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(PERPLEXITY, higher=True), "perplexity (higher is better)"),
        (Score(name="F1"), "F1 (higher is better)"),
        (replace(PERPLEXITY, unit="bits"), "perplexity in bits (lower is better)"),
        (ACCURACY, "accuracy in % (higher is better)"),
    ],
)
def test_other_scores_are_not_compared(other: Score, told: str) -> None:
    results = results_of(levels=2, replicates=3)
    runs = own_run(results, PERPLEXITY, "a"), own_run(results, other, "b")
    with pytest.raises(UsageError) as error:
        compared(*runs)
    assert told in str(error.value)
    assert "a by perplexity (lower is better)" in str(error.value)


def test_another_margin_is_no_other_score() -> None:
    results = results_of(levels=2, replicates=3)
    found = compared(
        own_run(results, PERPLEXITY, "a"), own_run(results, replace(PERPLEXITY, margin=0.1), "b")
    )
    assert any("a margin of 0.5 and" in warning for warning in found.warnings)


def test_without_a_margin_runs_are_still_compared() -> None:
    results = results_of(levels=2, replicates=3)
    score = replace(PERPLEXITY, margin=None)
    found = compared(own_run(results, score, "a"), own_run(results, score, "b"))
    assert "(no margin was given)" in found.paragraph
    assert comparison_text(found)


def test_of_a_run_without_early_stops_the_score_is_said_to_be_that_at_the_end() -> None:
    results = results_of(levels=2, replicates=3)
    untimed = [replace(r, early_stop_iteration=None, score_at_early_stop=None) for r in results]
    runs = own_run(results, ACCURACY, "timed"), own_run(untimed, ACCURACY, "untimed")
    mixed, alone = (
        " ".join(comparison_text(compared(*asked)).split()) for asked in (runs, runs[1:] * 2)
    )
    moment = "accuracy at early stop (untimed: at the end of training)"
    assert f"Against the first run, in {moment}" in mixed
    assert f"Test {moment}, %" in mixed
    assert "Test accuracy at the end, %" in mixed
    assert "Test accuracy at the end of training, %" in alone
    assert "Test accuracy at the end, %" not in alone
    page = render_comparison(compared(runs[1], runs[1]))
    assert "Test accuracy at the end," not in page
    assert "Test accuracy at the end:" not in page
