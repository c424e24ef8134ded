"""Tables: one definition of columns gives the text on the page and the numbers of a CSV file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from lottery.analysis import formatting
from lottery.analysis.controls import CONTROLS, ticket_note
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Contrast, Estimate, Group, LevelVerdict, Outcome, Test, Verdict
from lottery.csv_text import Cell, csv_text
from lottery.methods import CONTROL_KINDS
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
    """A column: which value of a row it has, and how that is written."""

    head: str
    value: Callable[[Row], Any]
    """A number, a text, a `Test`, an `Estimate`, or None."""
    form: Callable[[Any], str] = str
    key: str = ""
    """Its name in the CSV file; empty where it is not in it."""
    ends: bool = False
    """Whether values are estimates, whose ends are in the CSV file as well."""

    def text(self, row: Row) -> str:
        """The text on the page."""
        value = self.value(row)
        return formatting.NONE if value is None else self.form(value)

    def cells(self, row: Row) -> dict[str, Cell]:
        """The cells of the CSV file: values as they are; for an estimate also both ends."""
        value = self.value(row)
        if self.ends:
            ends = (value.mean, value.low, value.high) if value else (None,) * 3
            return dict(zip((self.key, f"{self.key}_low", f"{self.key}_high"), ends, strict=True))
        if isinstance(value, Test):
            return {self.key: value.outcome}
        return {self.key: value}


def stop_text(estimate: Estimate) -> str:
    """A mean iteration, and half its interval."""
    half = formatting.half_width(estimate, scale=1, digits=0)
    return f"{formatting.count(estimate.mean)} {half}".rstrip()


def difference_text(score: ScoreFormat, estimate: Estimate) -> str:
    """A mean difference of scores, and its interval."""
    return f"{score.signed(estimate.mean)} {_ends(score.interval(estimate))}"


def ratio_text(estimate: Estimate) -> str:
    """A mean ratio and its interval."""
    return f"{formatting.ratio(estimate.mean)} {_ends(formatting.interval_of_ratio(estimate))}"


def _ends(interval: str) -> str:
    return f"({interval})" if interval else ""


_ANSWERS: Mapping[Outcome, str] = {
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
    """The rows of the CSV file, one mapping each."""
    return [
        {key: cell for c in columns if c.key for key, cell in c.cells(row).items()} for row in rows
    ]


def answer(test: Test) -> str:
    """The outcome of a test in a word, with its mark."""
    return f"{MARKS[test.outcome]} {_ANSWERS[test.outcome]}"


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


def _level_columns(s: ScoreFormat) -> Sequence[Column[LevelVerdict]]:
    return (
        Column("Density", lambda lv: lv.density, formatting.percent, "density"),
        Column("", lambda lv: lv.level, key="level"),
        Column("Winning?", _main(lambda g: g.tests.get("wins")), answer, "wins"),
        Column("p", _main(_p("wins")), formatting.probability, "p_wins"),
        Column("Matches?", _main(lambda g: g.tests.get("matches")), answer, "matches"),
        Column("No later?", _main(lambda g: g.tests.get("no_later")), answer, "no_later"),
        Column("n", _main(_n), key="n"),
        Column(
            s.head(s.title),
            _main(lambda g: g.accuracy),
            s.mean,
            s.key,
            ends=True,
        ),
        Column(
            s.head("Minus dense" if s.score.higher else "Dense minus it", difference=True),
            _main(lambda g: _contrast(g, "against_dense", "accuracy")),
            partial(difference_text, s),
            f"{s.key}_minus_dense" if s.score.higher else f"dense_minus_{s.key}",
            ends=True,
        ),
        Column(
            "Early stop",
            _main(lambda g: g.early_stop),
            stop_text,
            "early_stop",
            ends=True,
        ),
        Column(
            "Over dense",
            _main(lambda g: _contrast(g, "against_dense", "early_stop")),
            ratio_text,
            "early_stop_over_dense",
            ends=True,
        ),
        Column(
            s.head(f"{s.title} at the end"),
            _main(lambda g: g.accuracy_final),
            s.mean,
            f"{s.key}_final",
            ends=True,
        ),
        Column("", lambda lv: lv.weights_kept, key="weights_kept"),
    )


ControlRow = tuple[LevelVerdict, Group]


def _control_columns(s: ScoreFormat) -> Sequence[Column[ControlRow]]:
    return (
        Column("Density", lambda row: row[0].density, formatting.percent, "density"),
        Column("", lambda row: row[0].level, key="level"),
        Column("Fails?", lambda row: row[1].tests.get("fails"), answer, "fails"),
        Column("p", lambda row: _p("fails")(row[1]), formatting.probability, "p_fails"),
        Column("Wins?", lambda row: row[1].tests.get("wins"), answer, "wins"),
        Column("n", lambda row: _n(row[1]), key="n"),
        Column(
            s.head(s.title),
            lambda row: row[1].accuracy,
            s.mean,
            s.key,
            ends=True,
        ),
        Column(
            s.head("Ticket minus it" if s.score.higher else "It minus ticket", difference=True),
            lambda row: _contrast(row[1], "against_ticket", "accuracy"),
            partial(difference_text, s),
            "ticket_minus_control" if s.score.higher else "control_minus_ticket",
            ends=True,
        ),
        Column(
            "Early stop",
            lambda row: row[1].early_stop,
            stop_text,
            "early_stop",
            ends=True,
        ),
        Column(
            "Over ticket",
            lambda row: _contrast(row[1], "against_ticket", "early_stop"),
            ratio_text,
            "early_stop_over_ticket",
            ends=True,
        ),
        Column(
            s.head(f"{s.title} at the end"),
            lambda row: row[1].accuracy_final,
            s.mean,
            f"{s.key}_final",
            ends=True,
        ),
    )


def level_tables(verdict: Verdict) -> list[Table]:
    """Tickets against the dense network, and each kind of control."""
    score = ScoreFormat(verdict.score)
    interval = f"± and brackets: {100 * verdict.confidence:.3g}% intervals of the mean."
    found = [
        make_table(
            "Tickets against the dense network",
            f"Tickets are {ticket_note(verdict.rewind)}. {interval}",
            "levels",
            _level_columns(score),
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
                    _control_columns(score),
                    rows,
                    _marked(verdict, [level for level, _ in rows]),
                )
            )
    return found


def _marked(verdict: Verdict, levels: Sequence[LevelVerdict]) -> int | None:
    return next((i for i, level in enumerate(levels) if level.level == verdict.level), None)
