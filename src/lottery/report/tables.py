"""What the page says in words and tables: the badge, the cards and the numbers of every level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lottery.analysis.types import Answer, Comparison, Group, LevelVerdict, Verdict
from lottery.report import words
from lottery.store.jobs import MAIN, JobResult

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

ANSWERS: dict[Answer, str] = {
    "yes": "✓ yes",
    "no": "✕ no",
    "unsure": "~ unsure",
    "untested": "· untested",
}


@dataclass(frozen=True)
class Card:
    """One key number."""

    label: str
    value: str
    unit: str
    note: str


@dataclass(frozen=True)
class Table:
    """Rows of text; the first cell of each names the row."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: int | None = None
    """The row to set off, if any."""


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


def levels(verdict: Verdict) -> Table:
    """Tickets against the dense network."""
    interval = f"{100 * verdict.confidence:.3g}%"
    marked = [
        i for i, lv in enumerate(verdict.levels) if lv.level == verdict.smallest_winning_level
    ]
    return Table(
        f"Tickets against the dense network. In brackets, the {interval} t-interval of the mean.",
        (
            "Level",
            "Density",
            "Weights kept",
            "n",
            "Winning?",
            "p (winning)",
            "Matching?",
            "Accuracy at early stop, %",
            "Ticket − dense, points",
            "p (matching)",
            "Early-stop iteration",
            "Ticket − dense, iterations",
            "p (no later)",
            "Accuracy at the end, %",
        ),
        [_level(level) for level in verdict.levels],
        marked[0] if marked else None,
    )


def controls(verdict: Verdict) -> list[Table]:
    """Each kind of control against the tickets it was made from."""
    found = []
    for kind, name in words.KINDS.items():
        groups = [(level, level.groups[kind]) for level in verdict.levels if kind in level.groups]
        if kind != MAIN and groups:
            note = f"{name}: {words.KIND_NOTES[kind]}. Paired with the tickets by replicate."
            found.append(_control_table(verdict, note, groups))
    return found


def _control_table(
    verdict: Verdict, caption: str, groups: Sequence[tuple[LevelVerdict, Group]]
) -> Table:
    marked = [
        i for i, (lv, _) in enumerate(groups) if lv.level == verdict.smallest_winning_level
    ]
    return Table(
        caption,
        (
            "Level",
            "Density",
            "n",
            "Accuracy at early stop, %",
            "Ticket − control, points",
            "p (ticket better)",
            "Early-stop iteration",
            "Control − ticket, iterations",
            "p (control later)",
            "Accuracy at the end, %",
        ),
        [_control(level, group) for level, group in groups],
        marked[0] if marked else None,
    )


def failures(results: Sequence[JobResult]) -> Table | None:
    """Jobs that did not come to a usable end; None if there are none."""
    failed = sorted((r for r in results if r.status != "done"), key=lambda r: r.key)
    if not failed:
        return None
    return Table(
        "Jobs that did not come to a usable end. They are left out of every mean.",
        ("Replicate", "Branch", "Level", "Density", "Status", "Reason"),
        [
            (
                str(r.replicate),
                r.branch,
                str(r.level),
                words.density(r.density),
                r.status,
                r.reason or words.NONE,
            )
            for r in failed
        ],
    )


def _level(level: LevelVerdict) -> tuple[str, ...]:
    group = level.groups.get(MAIN)
    dense = level.level == 0
    return (
        str(level.level),
        words.density(level.density),
        words.count(level.weights_kept),
        _n(group),
        "dense" if dense else ANSWERS[level.is_winning],
        words.probability(level.p_winning_holm),
        "dense" if dense else ANSWERS[level.is_matching],
        words.estimate(group and group.accuracy_at_early_stop, words.percent),
        words.difference(level.matching, words.points),
        _p(level.matching),
        words.estimate(group and group.early_stop_iteration, words.count),
        words.difference(level.no_later, words.signed_count),
        _p(level.no_later),
        words.estimate(group and group.accuracy_final, words.percent),
    )


def _control(level: LevelVerdict, group: Group) -> tuple[str, ...]:
    return (
        str(level.level),
        words.density(level.density),
        _n(group),
        words.estimate(group.accuracy_at_early_stop, words.percent),
        words.difference(group.accuracy_below_ticket, words.points),
        _p(group.accuracy_below_ticket),
        words.estimate(group.early_stop_iteration, words.count),
        words.difference(group.learns_later, words.signed_count),
        _p(group.learns_later),
        words.estimate(group.accuracy_final, words.percent),
    )


def _n(group: Group | None) -> str:
    if group is None:
        return "0"
    lost = [
        f"{number} {word}"
        for number, word in ((group.diverged, "diverged"), (group.collapsed, "collapsed"))
        if number
    ]
    return f"{group.n} ({', '.join(lost)})" if lost else str(group.n)


def _p(comparison: Comparison | None) -> str:
    return words.probability(comparison.p_holm if comparison else None)


def _smallest(
    verdict: Verdict, winning: LevelVerdict | None, by_level: dict[int, LevelVerdict]
) -> Card:
    label = "Smallest winning ticket"
    if winning is None:
        return Card(label, "None", "", "no sparse level is as accurate and as fast as dense")
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
    return Card(label, f"{verdict.speedup:.2f}×", "as fast", note)


def _reinit(verdict: Verdict) -> Card:
    label = "New initialization costs"
    matters = f"initialization matters: {ANSWERS[verdict.initialization_matters][2:]}"
    if verdict.reinit_costs is None:
        return Card(label, words.NONE, "", matters)
    return Card(
        label,
        words.points(verdict.reinit_costs).removeprefix("+"),
        "points",
        f"of that ticket's accuracy; {matters}",
    )


def _replicates(verdict: Verdict) -> Card:
    parts = [f"{verdict.jobs_done:,} of {words.plural(verdict.jobs_planned, 'job')} done"]
    if verdict.jobs_diverged:
        parts.append(f"{verdict.jobs_diverged:,} diverged")
    if verdict.jobs_collapsed:
        parts.append(f"{verdict.jobs_collapsed:,} collapsed")
    return Card("Replicates", str(verdict.replicates), "", ", ".join(parts))
