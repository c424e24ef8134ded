"""The tables: one definition gives the text of the page and the numbers of its CSV file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lottery.analysis import formatting
from lottery.analysis.controls import CONTROLS, ticket_note
from lottery.analysis.types import Contrast, Estimate, Group, LevelVerdict, Outcome, Test, Verdict
from lottery.methods import CONTROL_KINDS
from lottery.report.csv_text import Cell, csv_text
from lottery.report.forest import MARKS
from lottery.store.jobs import MAIN

Row = TypeVar("Row")


@dataclass(frozen=True)
class Table:
    """Rows of text; the first cell of each names the row."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: int | None = None
    """The row to set off, if any."""
    name: str = ""
    """Of its CSV file; empty where there is none."""
    csv: str = ""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column: what it shows of a row, and how it is written."""

    head: str
    value: Callable[[Row], Any]
    """A number, a text, a `Test`, an `Estimate`, or None."""
    form: Callable[[Any], str] = str
    key: str = ""
    """Its name in the CSV file; empty where it is not in it."""

    def text(self, row: Row) -> str:
        """What the page shows."""
        value = self.value(row)
        return formatting.NONE if value is None else self.form(value)

    def cells(self, row: Row) -> dict[str, Cell]:
        """What the CSV file holds: numbers as they are; of an estimate, its ends as well."""
        value = self.value(row)
        if self.form in _ESTIMATES:
            ends = (value.mean, value.low, value.high) if value else (None,) * 3
            return dict(zip((self.key, f"{self.key}_low", f"{self.key}_high"), ends, strict=True))
        if isinstance(value, Test):
            return {self.key: value.outcome}
        return {self.key: value}


def accuracy_text(estimate: Estimate) -> str:
    """A mean accuracy in percent, and half its interval."""
    half = formatting.half_width(estimate, scale=100, digits=2)
    return f"{formatting.accuracy(estimate.mean)} {half}".rstrip()


def stop_text(estimate: Estimate) -> str:
    """A mean iteration, and half its interval."""
    half = formatting.half_width(estimate, scale=1, digits=0)
    return f"{formatting.count(estimate.mean)} {half}".rstrip()


def points_text(estimate: Estimate) -> str:
    """A mean difference of accuracies in points, and its interval."""
    ends = _ends(formatting.interval_in_points(estimate))
    return f"{formatting.signed_points(estimate.mean)} {ends}"


def ratio_text(estimate: Estimate) -> str:
    """A mean ratio and its interval."""
    return f"{formatting.ratio(estimate.mean)} {_ends(formatting.interval_of_ratio(estimate))}"


def _ends(interval: str) -> str:
    return f"({interval})" if interval else ""


_ESTIMATES = (accuracy_text, stop_text, points_text, ratio_text)
"""What writes an estimate: its ends are in the CSV file as well."""
_WORDS: Mapping[Outcome, str] = {
    "confirmed": "yes",
    "open": "open",
    "against": "no",
    "untested": "untested",
}


def make_table(
    title: str,
    note: str,
    name: str,
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    marked: int | None = None,
) -> Table:
    """Fill in a table."""
    return Table(
        title=title,
        note=note,
        columns=[column.head for column in columns if column.head],
        rows=[[column.text(row) for column in columns if column.head] for row in rows],
        marked=marked,
        name=name,
        csv=csv_text(records(columns, rows)),
    )


def records(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[dict[str, Cell]]:
    """What the CSV file holds, one mapping a row."""
    return [
        {key: cell for c in columns if c.key for key, cell in c.cells(row).items()} for row in rows
    ]


def answer(test: Test) -> str:
    """What a test says, with its mark."""
    return f"{MARKS[test.outcome]} {_WORDS[test.outcome]}"


def _main(of: Callable[[Group], Any]) -> Callable[[LevelVerdict], Any]:
    def value(level: LevelVerdict) -> Any:
        group = level.groups.get(MAIN)
        return of(group) if group else None

    return value


def _contrast(group: Group, side: str, measure: str) -> Estimate | None:
    contrasts: Mapping[Any, Contrast] = getattr(group, side)
    found = contrasts.get(measure)
    return found.estimate if found else None


def _p(name: str) -> Callable[[Group], float | None]:
    def value(group: Group) -> float | None:
        test = group.tests.get(name)
        return test.p_adjusted if test else None

    return value


def _n(group: Group) -> str:
    parts = ("diverged", "collapsed", "guessing")
    lost = [f"{number} {part}" for part in parts if (number := getattr(group.missing, part))]
    return f"{group.n} ({', '.join(lost)})" if lost else str(group.n)


_LEVELS: Sequence[Column[LevelVerdict]] = (
    Column("Density", lambda lv: lv.density, formatting.percent, "density"),
    Column("", lambda lv: lv.level, key="level"),
    Column("Winning?", _main(lambda g: g.tests.get("wins")), answer, "wins"),
    Column("p", _main(_p("wins")), formatting.probability, "p_wins"),
    Column("Matches?", _main(lambda g: g.tests.get("matches")), answer, "matches"),
    Column("No later?", _main(lambda g: g.tests.get("no_later")), answer, "no_later"),
    Column("n", _main(_n), key="n"),
    Column(
        "Accuracy, %",
        _main(lambda g: g.accuracy),
        accuracy_text,
        "accuracy",
    ),
    Column(
        "Minus dense, points",
        _main(lambda g: _contrast(g, "against_dense", "accuracy")),
        points_text,
        "accuracy_minus_dense",
    ),
    Column(
        "Early stop",
        _main(lambda g: g.early_stop),
        stop_text,
        "early_stop",
    ),
    Column(
        "Over dense",
        _main(lambda g: _contrast(g, "against_dense", "early_stop")),
        ratio_text,
        "early_stop_over_dense",
    ),
    Column(
        "Accuracy at the end, %",
        _main(lambda g: g.accuracy_final),
        accuracy_text,
        "accuracy_final",
    ),
    Column("", lambda lv: lv.weights_kept, key="weights_kept"),
)

ControlRow = tuple[LevelVerdict, Group]
_CONTROLS: Sequence[Column[ControlRow]] = (
    Column("Density", lambda row: row[0].density, formatting.percent, "density"),
    Column("", lambda row: row[0].level, key="level"),
    Column("Fails?", lambda row: row[1].tests.get("fails"), answer, "fails"),
    Column("p", lambda row: _p("fails")(row[1]), formatting.probability, "p_fails"),
    Column("Wins?", lambda row: row[1].tests.get("wins"), answer, "wins"),
    Column("n", lambda row: _n(row[1]), key="n"),
    Column(
        "Accuracy, %",
        lambda row: row[1].accuracy,
        accuracy_text,
        "accuracy",
    ),
    Column(
        "Ticket minus it, points",
        lambda row: _contrast(row[1], "against_ticket", "accuracy"),
        points_text,
        "ticket_minus_control",
    ),
    Column(
        "Early stop",
        lambda row: row[1].early_stop,
        stop_text,
        "early_stop",
    ),
    Column(
        "Over ticket",
        lambda row: _contrast(row[1], "against_ticket", "early_stop"),
        ratio_text,
        "early_stop_over_ticket",
    ),
    Column(
        "Accuracy at the end, %",
        lambda row: row[1].accuracy_final,
        accuracy_text,
        "accuracy_final",
    ),
)


def level_tables(verdict: Verdict) -> list[Table]:
    """Tickets against the dense network, and each kind of control."""
    interval = f"± and brackets: {100 * verdict.confidence:.3g}% intervals of the mean."
    found = [
        make_table(
            "Tickets against the dense network",
            f"Tickets are {ticket_note(verdict.rewind)}. {interval}",
            "levels",
            _LEVELS,
            verdict.levels,
            _marked(verdict, verdict.levels),
        )
    ]
    for kind in CONTROL_KINDS:
        rows = [(level, level.groups[kind]) for level in verdict.levels if kind in level.groups]
        if rows:
            note = CONTROLS[kind].note
            found.append(
                make_table(
                    CONTROLS[kind].label,
                    f"{note[:1].upper()}{note[1:]}. Paired with the tickets by replicate.",
                    kind,
                    _CONTROLS,
                    rows,
                    _marked(verdict, [level for level, _ in rows]),
                )
            )
    return found


def _marked(verdict: Verdict, levels: Sequence[LevelVerdict]) -> int | None:
    return next((i for i, level in enumerate(levels) if level.level == verdict.level), None)
