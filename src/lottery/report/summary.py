"""What the page says first: the status and the key numbers."""

from __future__ import annotations

from dataclasses import dataclass

from lottery.analysis.lookup import smallest_winning
from lottery.analysis.types import LevelVerdict, Verdict
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


@dataclass(frozen=True)
class Card:
    """One key number."""

    label: str
    value: str
    unit: str
    note: str


def cards(verdict: Verdict) -> list[Card]:
    """The key numbers."""
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
    sure = "confirmed by the tests" if lower.confirmed else "not confirmed by the tests"
    if lower.p is None:
        sure = "untested"
    return Card(
        label,
        words.points(verdict.reinit_costs).removeprefix("+"),
        "points",
        f"of that ticket's accuracy; {sure}",
    )


def _replicates(verdict: Verdict) -> Card:
    parts = [f"{verdict.jobs_done:,} of {words.plural(verdict.jobs_planned, 'job')} done"]
    if verdict.jobs_diverged:
        parts.append(f"{verdict.jobs_diverged:,} diverged")
    if verdict.jobs_collapsed:
        parts.append(f"{verdict.jobs_collapsed:,} collapsed")
    return Card("Replicates", str(verdict.replicates), "", ", ".join(parts))
