"""The three questions of the hypothesis, answered for the level that a verdict speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lottery.analysis import formatting
from lottery.analysis.claims import NO_CURVE, NO_MARGIN
from lottery.analysis.lookup import answered_level, keeps_trained
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Answer, Contrast, Group, LevelVerdict, Test, Verdict
from lottery.store.jobs import MAIN

QUESTIONS = ("Does it match?", "Is it sooner?", "Does it need its initialization?")


def answers(verdict: Verdict) -> tuple[Answer, ...]:
    """The answers to `QUESTIONS`, each with its outcome, its estimate and what that is based on."""
    level = answered_level(verdict)
    ticket = level.groups.get(MAIN) if level else None
    if level is None or ticket is None:
        return tuple(
            _nothing(question, "needs a ticket and its dense network") for question in QUESTIONS
        )
    copy = level.groups.get("reinit")
    return (
        _match(verdict, level, ticket),
        _sooner(verdict, ticket),
        _initialization(verdict, copy),
    )


def _match(verdict: Verdict, level: LevelVerdict, ticket: Group) -> Answer:
    where = f"level {level.level}, {formatting.percent(level.density)} of the weights"
    score = ScoreFormat(verdict.score)
    margin = NO_MARGIN if verdict.margin is None else f"margin {score.margin(verdict.margin)}"
    return _answer(
        QUESTIONS[0],
        ticket.tests.get("matches"),
        ticket.against_dense.get("accuracy"),
        verdict,
        [f"{score.name} against dense at {where}", margin],
    )


def _sooner(verdict: Verdict, ticket: Group) -> Answer:
    if keeps_trained(verdict):
        return _nothing(QUESTIONS[1], "tickets start from trained weights, so times say nothing")
    if not verdict.timed:
        return _nothing(QUESTIONS[1], NO_CURVE)
    early, no_later = ticket.against_dense.get("early_stop"), ticket.tests.get("no_later")
    time, sooner = ticket.against_dense.get("time_to_dense"), ticket.tests.get("sooner_to_dense")
    untested = {None if test is None else test.outcome for test in (no_later, sooner)}
    if time is None or time.estimate is None or untested & {None, "untested"}:
        note = "early stop over dense's; the outcome is of being no later than one evaluation"
        return _answer(QUESTIONS[1], no_later, early, verdict, [note])
    name = ScoreFormat(verdict.score).name
    notes = [f"iterations to the dense network's {name}, less the margin, over its own"]
    if early is not None and early.estimate is not None and no_later is not None:
        interval = formatting.interval_of_ratio(early.estimate)
        notes.append(
            f"early stop at {formatting.mean_ratio(early.estimate)} times dense's"
            f"{f' ({interval})' if interval else ''}, no later: {no_later.outcome}"
        )
    return _answer(QUESTIONS[1], sooner, time, verdict, notes)


def _initialization(verdict: Verdict, copy: Group | None) -> Answer:
    if copy is None:
        return _nothing(QUESTIONS[2], "needs reinitialized copies (controls.reinit)")
    if keeps_trained(verdict):
        return _nothing(QUESTIONS[2], "tickets start from no initialization")
    score, fails = ScoreFormat(verdict.score), copy.tests.get("fails")
    accuracy, stop = copy.against_dense.get("accuracy"), copy.against_dense.get("early_stop")
    either = "it fails if it does not match or is later"
    notes = [f"reinitialized copy against dense; {either if stop else 'it fails to match'}"]
    if fails is not None and fails.outcome == "confirmed" and _is_by_time(copy):
        notes.append("confirmed by being later: this is its early stop over dense's")
        if accuracy is not None and accuracy.estimate is not None:
            notes.append(f"{score.name} {score.signed_with_unit(accuracy.estimate.mean)}")
        found = _answer(QUESTIONS[2], fails, stop, verdict, notes)
        return replace(found, value=f"later, {found.value}")
    if stop is not None and stop.estimate is not None:
        notes.append(f"early stop at {formatting.mean_ratio(stop.estimate)} times dense's")
    return _answer(QUESTIONS[2], fails, accuracy, verdict, notes)


def _is_by_time(copy: Group) -> bool:
    """Whether it is being later, and not the score, that shows that copies fail."""
    worse, later = copy.tests.get("worse"), copy.tests.get("later")
    stop = copy.against_dense.get("early_stop")
    if worse is None or later is None or stop is None or stop.estimate is None:
        return False
    # Where neither is confirmed by itself, the two tests together do it.
    sure = worse.outcome == "confirmed", later.outcome == "confirmed"
    return sure == (False, True) or (not any(sure) and (later.p or 1.0) < (worse.p or 1.0))


def _answer(
    question: str,
    test: Test | None,
    contrast: Contrast | None,
    verdict: Verdict,
    notes: Sequence[str],
) -> Answer:
    found = contrast.estimate if contrast else None
    missing = formatting.missing_words(contrast.missing) if contrast else ""
    told = [*notes, f"n = {contrast.n if contrast else 0}", *([missing] if missing else [])]
    if test is not None and test.why:
        told.append(test.why)
    if found is None or contrast is None:
        return _nothing(question, "; ".join(told), test)
    if contrast.scale == "ratio":
        value = f"{formatting.mean_ratio(found)} times"
        interval = formatting.interval_of_ratio(found)
    else:
        score = ScoreFormat(verdict.score)
        value = score.signed_with_unit(found.mean)
        interval = score.interval(found)
    return Answer(
        question=question,
        outcome=test.outcome if test else "untested",
        value=value,
        interval=f"{100 * verdict.confidence:g}% interval {interval}"
        if interval
        else "no interval: it takes two replicates",
        note="; ".join(told),
    )


def _nothing(question: str, why: str, test: Test | None = None) -> Answer:
    outcome = test.outcome if test else "untested"
    return Answer(question=question, outcome=outcome, value=formatting.NONE, interval="", note=why)
