"""The three questions of the hypothesis, answered for the level that a verdict speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
    notes = ["early stop against dense, tested for no later than one evaluation after it"]
    time, test = ticket.against_dense.get("time_to_dense"), ticket.tests.get("sooner_to_dense")
    if time is not None and time.estimate is not None:
        interval = formatting.interval_of_ratio(time.estimate)
        notes.append(
            f"to the dense network's accuracy in {formatting.mean_ratio(time.estimate)} "
            f"times its iterations{f' ({interval})' if interval else ''}, sooner: "
            f"{test.outcome if test else 'untested'}"
        )
    answer = _answer(
        QUESTIONS[1],
        ticket.tests.get("no_later"),
        ticket.against_dense.get("early_stop"),
        verdict,
        notes,
    )
    # That it is sooner is not what is tested, so that the outcome must not stand without this.
    after = "; the outcome is of being no later"
    return replace(answer, interval=f"{answer.interval}{after}" if answer.interval else "")


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
