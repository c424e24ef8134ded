"""The tables: every number of the verdict, and the jobs that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lottery.analysis.types import Comparison, Group, LevelVerdict, Verdict
from lottery.report import words
from lottery.store.jobs import MAIN, JobResult

_NOBODY = Group(
    kind=MAIN,
    n=0,
    diverged=0,
    collapsed=0,
    accuracy_at_early_stop=None,
    accuracy_final=None,
    early_stop_iteration=None,
    accuracy_below_ticket=None,
    learns_later=None,
)


@dataclass(frozen=True)
class Table:
    """Rows of text; the first cell of each names the row."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: int | None = None
    """The row to set off, if any."""


def levels(verdict: Verdict) -> Table:
    """Tickets against the dense network."""
    interval = f"{100 * verdict.confidence:.3g}%"
    marked = [
        i for i, lv in enumerate(verdict.levels) if lv.level == verdict.smallest_winning_level
    ]
    return Table(
        "Tickets against the dense network",
        f"In brackets, the {interval} t-interval of the mean.",
        (
            "Level",
            "Density",
            "Weights kept",
            "n",
            "Winning?",
            "p (winning)",
            "Matching?",
            "Accuracy at early stop, %",
            "Ticket minus dense, points",
            "p (matching)",
            "Early-stop iteration",
            "Ticket minus dense, iterations",
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
            about = words.KIND_NOTES[kind]
            note = f"{about[:1].upper()}{about[1:]}. Paired with the tickets by replicate."
            found.append(_control_table(verdict, name, note, groups))
    return found


def _control_table(
    verdict: Verdict, title: str, note: str, groups: Sequence[tuple[LevelVerdict, Group]]
) -> Table:
    marked = [i for i, (lv, _) in enumerate(groups) if lv.level == verdict.smallest_winning_level]
    return Table(
        title,
        note,
        (
            "Level",
            "Density",
            "n",
            "Accuracy at early stop, %",
            "Ticket minus control, points",
            "p (ticket better)",
            "Early-stop iteration",
            "Control minus ticket, iterations",
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
        "Jobs that did not come to a usable end",
        "They are left out of every mean.",
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
    group = level.groups.get(MAIN) or _NOBODY
    dense = level.level == 0
    return (
        str(level.level),
        words.density(level.density),
        words.count(level.weights_kept),
        _n(group),
        "dense" if dense else words.ANSWERS[level.is_winning],
        words.probability(level.p_winning_holm),
        "dense" if dense else words.ANSWERS[level.is_matching],
        words.estimate(group.accuracy_at_early_stop, words.percent),
        words.difference(level.matching, words.points),
        _p(level.matching),
        words.estimate(group.early_stop_iteration, words.count),
        words.difference(level.no_later, words.signed_count),
        _p(level.no_later),
        words.estimate(group.accuracy_final, words.percent),
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


def _n(group: Group) -> str:
    lost = [
        f"{number} {word}"
        for number, word in ((group.diverged, "diverged"), (group.collapsed, "collapsed"))
        if number
    ]
    return f"{group.n} ({', '.join(lost)})" if lost else str(group.n)


def _p(comparison: Comparison | None) -> str:
    return words.probability(comparison.p_holm if comparison else None)
