"""The lottery ticket hypothesis, tested on the results of one run.

The hypothesis (Frankle & Carbin, arXiv:1803.03635, section 1): there is a mask with few ones such
that the subnetwork, trained from its own initialization, reaches an accuracy a' >= a in t' <= t
iterations, and does not when the initialization is replaced. Here a and t are the test accuracy
and the iteration at early stop of the dense network *of the same replicate*: every comparison is
paired within a replicate.

- Matching: a non-inferiority test of accuracy with the experiment's margin.
- No later: a non-inferiority test of the early-stop iteration with one evaluation interval as its
  margin, because a smaller difference cannot be measured.
- Winning: both (the larger p-value), corrected over the levels (Holm).
- A ticket that diverged or collapsed has no accuracy to average, but it did not match: a level that
  lost one is not winning. Nor is one of Early-Bird tickets that train on from their masks where a
  mask never settled: such a ticket was the dense network almost to the end.
- Where tickets keep trained weights (learning-rate rewinding, fine-tuning) the hypothesis is not
  tested: they start from no initialization, and their early stops say nothing of how fast they
  learn. Matching, and what controls do to accuracy, are tested all the same.
- What reinitializing does: two one-sided tests against the ticket, lower accuracy and later early
  stop. Either counts, so both are corrected together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from lottery.analysis.caveats import caveats
from lottery.analysis.chance import guessing_limit
from lottery.analysis.conclusion import conclude
from lottery.analysis.families import Settings
from lottery.analysis.gather import by_place, is_guessing
from lottery.analysis.levels import judge_levels
from lottery.analysis.types import Verdict
from lottery.analysis.words import paragraph
from lottery.errors import UsageError
from lottery.store.jobs import MAIN, JobKey, JobResult
from lottery.tickets import KEEPS_TRAINED, RewindMethod
from lottery.training import MaskUpdateMethod, PrunedValues


def judge(
    results: Sequence[JobResult],
    *,
    run: str,
    name: str,
    planned: Sequence[JobKey],
    never_run: Collection[JobKey] = (),
    margin: float,
    confidence: float,
    evaluation_interval: int,
    test_examples: int | None = None,
    classes: int | None = None,
    mask_updates: MaskUpdateMethod = "none",
    rewind: RewindMethod = "weights",
    pruned_values: PrunedValues = "zero",
) -> Verdict:
    """Test the hypothesis on what a run has found so far.

    The order of the results does not matter. Whatever is missing (replicates, levels, controls,
    everything) is left out of the tests and named in the caveats.

    Args:
        results: what the jobs that ended report, one each.
        run: the run's name on disk.
        name: the experiment's name.
        planned: every job of the run.
        never_run: those of them that are not waited for, since a job that they need failed.
        margin: how much lower an accuracy may be and still match, a fraction in [0, 1).
        confidence: of the intervals and tests, in [0.5, 1).
        evaluation_interval: iterations between two evaluations, 1 or more.
        test_examples: size of the test set, which accuracies are multiples of; None when unknown:
            then accuracy differences that do not vary at all cannot be tested.
        classes: how many the data has: a dense network that is right no more often than by
            guessing is not compared with; None when unknown, then every one is.
        mask_updates: how masks changed while tickets trained; a caveat says what that means.
        rewind: what tickets went back to: it decides what can be tested.
        pruned_values: what pruned weights were held at; a caveat says what that means.

    Raises:
        UsageError: an argument is out of range.
        StoreError: two results are of the same job.
    """
    _check(margin, confidence, evaluation_interval, test_examples)
    jobs = by_place(results)
    settings = Settings(
        margin=margin,
        confidence=confidence,
        interval=evaluation_interval,
        grid=1 / test_examples if test_examples else 0.0,
        guessing=guessing_limit(classes, test_examples),
        stops=rewind not in KEEPS_TRAINED,
    )
    levels = judge_levels(jobs, settings, rewind)
    ended = {result.key for result in results}
    complete = bool(planned) and all(key in ended or key in never_run for key in planned)
    guessing = sum(is_guessing(job, settings.guessing) for job in jobs.get((MAIN, 0), ()))
    conclusion = conclude(
        levels, complete=complete, alpha=settings.alpha, dense_guessing=guessing, rewind=rewind
    )
    keys = {*planned, *(result.key for result in results)}
    verdict = Verdict(
        run=run,
        name=name,
        replicates=len({key.replicate for key in keys}),
        complete=complete,
        jobs_done=sum(result.status == "done" for result in results),
        jobs_planned=len(keys),
        jobs_diverged=sum(result.status == "diverged" for result in results),
        jobs_collapsed=sum(result.status == "collapsed" for result in results),
        margin=margin,
        confidence=confidence,
        evaluation_interval=evaluation_interval,
        levels=levels,
        smallest_winning_level=conclusion.smallest_winning_level,
        smallest_confirmed_level=conclusion.smallest_confirmed_level,
        speedup=conclusion.speedup,
        reinit_costs=conclusion.reinit_costs,
        initialization_matters=conclusion.initialization_matters,
        hypothesis=conclusion.hypothesis,
        paragraph="",
        caveats=(),
        dense_guessing=guessing,
        guessing_limit=settings.guessing,
        mask_updates=mask_updates,
        rewind=rewind,
        pruned_values=pruned_values,
    )
    return replace(verdict, paragraph=paragraph(verdict), caveats=caveats(verdict))


def _check(margin: float, confidence: float, interval: int, test_examples: int | None) -> None:
    problems = []
    if not 0 <= margin < 1:
        problems.append(f"a margin in [0, 1), got {margin} (0.01 is one percentage point)")
    if not 0.5 <= confidence < 1:
        problems.append(f"a confidence in [0.5, 1), got {confidence}")
    if interval < 1:
        problems.append(f"an evaluation interval of 1 or more, got {interval}")
    if test_examples is not None and test_examples < 1:
        problems.append(f"1 or more test examples, got {test_examples}")
    if problems:
        raise UsageError("a verdict needs " + "; ".join(problems))
