"""What the page says first: the status and the key numbers."""

from __future__ import annotations

from dataclasses import dataclass

from lottery.analysis.lookup import smallest_matching, smallest_winning, tests_hypothesis
from lottery.analysis.types import Comparison, LevelVerdict, Verdict
from lottery.report import words
from lottery.store.jobs import MAIN

STATUS = {
    "supported": ("✓", "Supported", "Winning tickets were found, and the tests confirm them."),
    "observed": (
        "◐",
        "Observed",
        "Winning tickets show in the means; the tests do not confirm them.",
    ),
    "not supported": ("✕", "Not supported", "What was measured speaks against winning tickets."),
    "undecided": ("?", "Undecided", "What was measured does not settle it."),
}
"""Outcome -> mark, word, sentence."""

_NOT_TESTED = ("\N{EN DASH}", "Not tested", "Tickets keep trained weights: no hypothesis to test.")


@dataclass(frozen=True)
class Card:
    """One key number."""

    label: str
    value: str
    unit: str
    note: str


def status(verdict: Verdict) -> tuple[str, str, str]:
    """What came of the hypothesis: mark, word, sentence."""
    return STATUS[verdict.hypothesis] if tests_hypothesis(verdict) else _NOT_TESTED


def cards(verdict: Verdict) -> list[Card]:
    """The key numbers."""
    if not tests_hypothesis(verdict):
        matching = smallest_matching(verdict)
        return [_matching(matching), _accuracy(matching), _new(matching), _replicates(verdict)]
    by_level = {level.level: level for level in verdict.levels}
    winning = by_level.get(
        -1 if verdict.smallest_winning_level is None else verdict.smallest_winning_level
    )
    return [
        _smallest(verdict, winning, by_level),
        _speed(verdict, winning, by_level.get(0)),
        _reinit(verdict),
        _replicates(verdict),
    ]


def _smallest(
    verdict: Verdict, winning: LevelVerdict | None, by_level: dict[int, LevelVerdict]
) -> Card:
    label = "Smallest winning ticket"
    if winning is None:
        late = any(level.tickets_late for level in verdict.levels)
        which = "ticket that was drawn early" if late else "sparse level so far"
        return Card(label, "None", "", f"no {which} is as accurate and as fast as dense")
    confirmed = by_level.get(
        -1 if verdict.smallest_confirmed_level is None else verdict.smallest_confirmed_level
    )
    if confirmed is None:
        note = "not confirmed by the tests"
    elif confirmed.level == winning.level:
        note = "confirmed by the tests"
    else:
        note = f"confirmed down to {words.density(confirmed.density)}"
    return Card(
        label, words.density(winning.density), "of weights", f"level {winning.level}; {note}"
    )


def _matching(level: LevelVerdict | None) -> Card:
    label = "Smallest matching network"
    if level is None:
        return Card(label, "None", "", "no sparse level so far is as accurate as dense")
    sure = "confirmed by the tests" if level.is_matching == "yes" else "not confirmed by the tests"
    return Card(label, words.density(level.density), "of weights", f"level {level.level}; {sure}")


def _accuracy(level: LevelVerdict | None) -> Card:
    label = "Its accuracy"
    if level is None or level.matching is None:
        return Card(label, words.NONE, "", "needs a matching network")
    return Card(
        label, words.points(level.matching.difference.mean), "points", "against the dense network"
    )


def _new(level: LevelVerdict | None) -> Card:
    label = "New weights cost"
    reinit = level.groups.get("reinit") if level else None
    lower = reinit.accuracy_below_ticket if reinit else None
    if lower is None:
        return Card(label, words.NONE, "", "needs a matching network and its reinitialized copy")
    return _cost(label, lower, "of its accuracy")


def _speed(verdict: Verdict, winning: LevelVerdict | None, dense: LevelVerdict | None) -> Card:
    label = "Time to early stop"
    if verdict.speedup is None:
        return Card(label, words.NONE, "", "needs a winning ticket")
    stops = [
        group.early_stop_iteration.mean
        for level in (winning, dense)
        if level and (group := level.groups.get(MAIN)) and group.early_stop_iteration
    ]
    note = "as the dense network"
    if len(stops) == 2:
        note = f"iteration {words.count(stops[0])}; dense, {words.count(stops[1])}"
    return Card(label, f"{verdict.speedup:.2f}\N{MULTIPLICATION SIGN}", "as fast", note)


def _reinit(verdict: Verdict) -> Card:
    label = "New initialization costs"
    winning = smallest_winning(verdict)
    reinit = winning.groups.get("reinit") if winning else None
    lower = reinit.accuracy_below_ticket if reinit else None
    if verdict.reinit_costs is None or lower is None:
        return Card(label, words.NONE, "", "needs a winning ticket and its reinitialized copy")
    return _cost(label, lower, "of that ticket's accuracy")


def _cost(label: str, lower: Comparison, whose: str) -> Card:
    sure = "confirmed by the tests" if lower.confirmed else "not confirmed by the tests"
    if lower.p is None:
        sure = "untested"
    value = words.points(lower.difference.mean).removeprefix("+")
    return Card(label, value, "points", f"{whose}; {sure}")


def _replicates(verdict: Verdict) -> Card:
    parts = [f"{verdict.jobs_done:,} of {words.plural(verdict.jobs_planned, 'job')} done"]
    if verdict.jobs_diverged:
        parts.append(f"{verdict.jobs_diverged:,} diverged")
    if verdict.jobs_collapsed:
        parts.append(f"{verdict.jobs_collapsed:,} collapsed")
    return Card("Replicates", str(verdict.replicates), "", ", ".join(parts))
