"""The three questions of the hypothesis, answered for the level that a verdict speaks of."""

from __future__ import annotations

from collections.abc import Sequence

from lottery.analysis import formatting
from lottery.analysis.lookup import spoken_of, tests_hypothesis
from lottery.analysis.types import Answer, Contrast, Group, LevelVerdict, Test, Verdict
from lottery.store.jobs import MAIN

QUESTIONS = ("Does it match?", "Is it sooner?", "Does it need its initialization?")


def answers(verdict: Verdict) -> tuple[Answer, ...]:
    """What cards show: each question with its outcome, its number and what that rests on."""
    level = spoken_of(verdict)
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
    return _answer(
        QUESTIONS[0],
        ticket.tests.get("matches"),
        ticket.against_dense.get("accuracy"),
        verdict,
        [f"accuracy against dense at {where}", f"margin {formatting.margin(verdict.margin)}"],
    )


def _sooner(verdict: Verdict, ticket: Group) -> Answer:
    if not tests_hypothesis(verdict):
        return _nothing(QUESTIONS[1], "tickets start from trained weights, so times say nothing")
    early, no_later = ticket.against_dense.get("early_stop"), ticket.tests.get("no_later")
    time, sooner = ticket.against_dense.get("time_to_dense"), ticket.tests.get("sooner_to_dense")
    untested = {None if test is None else test.outcome for test in (no_later, sooner)}
    if time is None or time.estimate is None or untested & {None, "untested"}:
        note = "early stop over dense's; the outcome is of being no later than one evaluation"
        return _answer(QUESTIONS[1], no_later, early, verdict, [note])
    notes = ["iterations to the dense network's accuracy, less the margin, over its own"]
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
    if not tests_hypothesis(verdict):
        return _nothing(QUESTIONS[2], "tickets start from no initialization")
    notes = ["reinitialized copy against dense; it fails if it does not match or is later"]
    stop = copy.against_dense.get("early_stop")
    if stop is not None and stop.estimate is not None:
        notes.append(f"early stop at {formatting.mean_ratio(stop.estimate)} times dense's")
    return _answer(
        QUESTIONS[2], copy.tests.get("fails"), copy.against_dense.get("accuracy"), verdict, notes
    )


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
        value = f"{formatting.signed_points(found.mean)} points"
        interval = formatting.interval_in_points(found)
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
