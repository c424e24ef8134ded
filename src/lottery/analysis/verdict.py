"""The lottery ticket hypothesis, tested on the results of one run.

The hypothesis (Frankle & Carbin, arXiv:1803.03635, section 1): there is a mask with few ones such
that the subnetwork, trained from its own initialization, reaches an accuracy a' >= a in t' <= t
iterations, and does not when the initialization is replaced. Here a and t are the test accuracy
and the iteration at early stop of the dense network *of the same replicate*. What is tested, and
how, says `lottery.analysis.procedure`.

- A level at which a ticket diverged or collapsed is not winning. Nor is one with an Early-Bird
  ticket that trains on from a mask that never settled: it was the dense network almost to the end.
- Where tickets keep trained weights (learning-rate rewinding, fine-tuning) the hypothesis is not
  tested: they do not start from their initialization, and their early stops do not say how fast
  they learn. Whether they match is tested all the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from lottery.analysis.answers import answers
from lottery.analysis.claims import NO_CURVE, NO_MARGIN, REINIT, Claims, decide_claims
from lottery.analysis.evidence import Evidence, evidence_of
from lottery.analysis.levels import judge_levels
from lottery.analysis.lookup import is_confirmed, sparsity_order
from lottery.analysis.measured import Measured
from lottery.analysis.score_format import error_of
from lottery.analysis.types import Headline, LevelVerdict, Picked, Verdict
from lottery.analysis.verdict_sentences import caveats, paragraph
from lottery.experiments import Run
from lottery.score import Score
from lottery.store.jobs import MAIN, JobResult
from lottery.tickets import KEEPS_TRAINED

_WIDE: Final = 0.2
"""Share of the dense network's error above which a margin is called wide."""
_HALF_95: Final = 1.96
"""Standard deviations in half a 95% interval."""


def judge_run(run: Run, *, margin: float | None = None, confidence: float | None = None) -> Verdict:
    """Test the hypothesis on a run, finished or not.

    Args:
        run: what to judge.
        margin: how much worse a matching ticket's score may be, of accuracy a fraction in [0, 1);
            None for the config's.
        confidence: of intervals and tests; None for the config's.

    Raises:
        UsageError: an argument is out of range.
        StoreError: a file of the run is damaged.
    """
    return judge(evidence_of(run, margin=margin, confidence=confidence))


def judge(evidence: Evidence) -> Verdict:
    """Test the hypothesis on the results of a run, as far as there are any.

    The order of the results does not matter. Whatever is missing (replicates, levels, controls,
    everything) counts against the claims, and is named in the verdict.

    Raises:
        StoreError: two results are of the same job.
    """
    measured = Measured(evidence)
    claims = decide_claims(measured)
    levels = judge_levels(measured, claims)
    headline, why = _headline(measured, claims, levels)
    tests_wins = measured.timed and evidence.rewind not in KEEPS_TRAINED
    level, picked = _pick(levels, tests_wins=tests_wins)
    ended = [result.status for result in evidence.results]
    keys = {*evidence.planned, *(result.key for result in evidence.results)}
    accuracy = _dense_accuracy(levels)
    verdict = Verdict(
        run=evidence.run,
        name=evidence.name,
        replicates=len({key.replicate for key in keys}),
        complete=evidence.complete,
        jobs_done=ended.count("done"),
        jobs_planned=len(keys),
        jobs_diverged=ended.count("diverged"),
        jobs_collapsed=ended.count("collapsed"),
        margin=evidence.margin,
        margin_wide=_is_wide(evidence.score, accuracy),
        confidence=evidence.confidence,
        evaluation_interval=evidence.evaluation_interval,
        last_evaluation=measured.end,
        test_examples=evidence.test_examples,
        test_error=_test_error(accuracy, evidence.test_examples),
        levels=levels,
        headline=headline,
        why=why,
        level=level,
        level_picked=picked,
        confirmed_levels=tuple(lv.level for lv in levels if is_confirmed(lv, "hypothesis")),
        answers=(),
        paragraph="",
        caveats=(),
        dense_missing=measured.missing(MAIN, 0),
        score=evidence.score,
        timed=measured.timed,
        stops_by_loss=not measured.timed or _known_losses(measured),
        earlier_looks=evidence.earlier_looks,
        test_confidence=evidence.test_confidence,
        dense_kind=evidence.dense_kind,
        guessing_limit=measured.limit,
        mask_updates=evidence.mask_updates,
        rewind=evidence.rewind,
        pruned_values=evidence.pruned_values,
        weights_covered=max((result.weights_total for result in evidence.results), default=0),
        outside_mask=evidence.outside_mask,
    )
    verdict = replace(verdict, answers=answers(verdict))
    return replace(verdict, paragraph=paragraph(verdict), caveats=caveats(verdict))


def _headline(
    measured: Measured, claims: Claims, levels: Sequence[LevelVerdict]
) -> tuple[Headline, str]:
    """The word for the run, and what is missing."""
    missing = _missing(measured)
    if missing:
        return "not tested", missing
    tests = [level.groups[MAIN].tests for level in levels if level.level and MAIN in level.groups]
    if claims.headline == "open" and all(
        test["no_later"].outcome == "untested"
        and test["matches"].outcome != "against"
        and test["no_later"].why.startswith("trained too short")
        for test in tests
    ):
        return "not tested", tests[0]["no_later"].why
    if claims.headline == "contradicted" and not measured.evidence.complete:
        return "open", "the run is not complete, and levels that are missing may still show it"
    if claims.headline == "open" and len(measured.replicates) < 3:
        return "open", "two replicates can confirm nothing"
    return claims.headline, _short_of(levels) if claims.headline in ("open", "indicated") else ""


def _short_of(levels: Sequence[LevelVerdict]) -> str:
    """Which part of the hypothesis is not confirmed."""
    winning = [level for level in levels if is_confirmed(level, "wins")]
    if not winning:
        return "at no level is it confirmed that the ticket wins"
    return "where tickets are confirmed to win, it is not that their reinitialized copies fail"


def _missing(measured: Measured) -> str:
    """Why the hypothesis cannot be tested on the run; empty where it can."""
    evidence = measured.evidence
    if evidence.results and evidence.margin is None:
        return NO_MARGIN
    if evidence.rewind in KEEPS_TRAINED:
        return f"tickets keep trained weights (method.rewind.kind = '{evidence.rewind}')"
    if not evidence.results:
        return "there are no results yet"
    dense = [job for job in measured.jobs.get((MAIN, 0), ()) if job.status == "done"]
    if not dense:
        return "no dense network has come to its end, so there is nothing to compare with"
    if not measured.dense:
        return "the dense network learned no more than guessing, so there is nothing to match"
    if not measured.levels:
        return f"there is only the dense network{'' if evidence.complete else ' so far'}"
    n = len(measured.replicates)
    if not any(
        j.replicate in measured.dense for lv in measured.levels for j in _main(measured, lv)
    ):
        return "no replicate has both a dense network and a ticket"
    if all(
        {job.replicate for job in _main(measured, level)} <= measured.tickets_late(level)
        for level in measured.levels
    ):
        return "no mask settled, so that every ticket was the dense network almost to the end"
    if not any(
        key.kind == REINIT for key in (*evidence.planned, *(j.key for j in evidence.results))
    ):
        return "it has no reinitialization control"
    if not any(measured.values(REINIT, level, "accuracy") for level in measured.levels):
        still = "" if evidence.complete else " so far"
        return f"no reinitialized copy came to a result to compare with{still}"
    if n == 1:
        return "one replicate is no test"
    return "" if measured.timed else NO_CURVE


def _main(measured: Measured, level: int) -> Sequence[JobResult]:
    return measured.jobs.get((MAIN, level), ())


def _pick(levels: Sequence[LevelVerdict], *, tests_wins: bool) -> tuple[int | None, Picked]:
    """The level that the verdict speaks of, and how it was found."""
    claim = "wins" if tests_wins else "matches"
    ways: tuple[tuple[Picked, list[LevelVerdict]], ...] = (
        ("confirmed", [lv for lv in levels if tests_wins and is_confirmed(lv, "hypothesis")]),
        ("wins confirmed", [lv for lv in levels if is_confirmed(lv, claim)]),
        (
            "means",
            [lv for lv in levels if (lv.wins_on_means if tests_wins else lv.matches_on_means)],
        ),
    )
    for picked, found in ways:
        if found:
            return min(found, key=sparsity_order).level, picked
    return None, ""


def _dense_accuracy(levels: Sequence[LevelVerdict]) -> float | None:
    dense = next((lv.groups.get(MAIN) for lv in levels if lv.level == 0), None)
    return dense.accuracy.mean if dense and dense.accuracy else None


def _known_losses(measured: Measured) -> bool:
    dense = measured.dense.values()
    return all(job.validation_loss_at_early_stop is not None for job in dense)


def _is_wide(score: Score, dense: float | None) -> bool:
    """Whether a margin is a large part of the dense network's error; of fractions alone."""
    if score.margin is None or score.unit != "%" or dense is None:
        return False
    return score.margin > _WIDE * error_of(score, dense)


def _test_error(accuracy: float | None, examples: int | None) -> float | None:
    """Half a 95% interval of an accuracy on so many examples, of which each is right or wrong."""
    if accuracy is None or not examples:
        return None
    return _HALF_95 * math.sqrt(max(accuracy * (1 - accuracy), 0.0) / examples)
