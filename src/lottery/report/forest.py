"""Forest plots: differences or ratios level by level, one mark a replicate.

A row is a level, from dense at the top to sparse. The shaded zone is what the margin allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lottery.analysis import formatting
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Contrast, Group, LevelVerdict, Outcome, Scale, Verdict
from lottery.report.figure import Plot, figure_text
from lottery.report.series import COLUMNS, hollow, log_axis, number, record, round_values

MARKS: Final[dict[Outcome, str]] = {
    "confirmed": "✓",
    "open": "~",
    "against": "✕",
    "untested": "·",
}
"""Outcome of a test -> its mark on the page."""
_ROW, _MORE, _AROUND, _LEGEND = 34, 13, 106, 48
"""Pixels of a row, of each further line in it, of what is around the rows, and of a legend."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line in every row: a contrast at each level."""

    kind: str
    name: str
    symbol: str
    of: Callable[[LevelVerdict], Contrast | None]
    test: Callable[[LevelVerdict], tuple[str, Group] | None] = lambda _: None
    """Name of the test to write beside it, and the group it is in."""


@dataclass(frozen=True, kw_only=True)
class Forest:
    """One forest plot."""

    title: str
    scale: Scale
    lines: Sequence[Line]
    zone: tuple[float, float]
    """Both ends of the shaded zone, in the contrast's unit."""
    sides: tuple[str, str]
    """The words at the left and at the right of no difference."""
    score: ScoreFormat
    """How differences are written."""


def forest(verdict: Verdict, plan: Forest) -> Plot | None:
    """Draw a forest plot; None where no level has anything to draw."""

    def drawn(line: Line, level: LevelVerdict) -> bool:
        found = line.of(level)
        return found is not None and found.estimate is not None

    levels = [lv for lv in verdict.levels if any(drawn(line, lv) for line in plan.lines)]
    lines = [line for line in plan.lines if any(drawn(line, lv) for lv in levels)]
    if not levels:
        return None
    rows = {level.level: float(-i) for i, level in enumerate(levels)}
    nothing = 1.0 if plan.scale == "ratio" else 0.0
    shown = _range(plan, levels, lines)
    traces = [t for i, line in enumerate(lines) for t in _line(plan, line, i, len(lines), levels)]
    bold = "<b>{}</b>" if len(levels) > 1 else "{}"
    return {
        "data": traces,
        "columns": COLUMNS,
        "layout": {
            "title": {"text": plan.title},
            "xaxis": _axis(plan, shown),
            "yaxis": {
                "range": [-len(levels) + 0.4, 0.6],
                "tickvals": list(rows.values()),
                "ticktext": [
                    (bold if level.level == verdict.level else "{}").format(
                        formatting.percent(level.density)
                    )
                    for level in levels
                ],
                "showgrid": False,
            },
            "shapes": _shapes(plan, nothing, shown),
            "annotations": [*_sides(plan), *_outcomes(levels, rows, lines)],
            "showlegend": len(lines) > 1,
            "margin": {"r": 76 if any(line.test(levels[-1]) for line in lines) else 16, "t": 62},
        },
        "height": _AROUND
        + (_LEGEND if lines[1:] else 0)
        + len(levels) * (_ROW + _MORE * (len(lines) - 1)),
    }


def _line(
    plan: Forest, line: Line, place: int, of: int, levels: Sequence[LevelVerdict]
) -> list[Plot]:
    """Replicates and, below them, their mean with its interval."""
    middle = -((place + 0.5) / of - 0.5) * 0.8
    dots, means = [], []
    for row, level in enumerate(levels):
        found = line.of(level)
        if found and found.estimate:
            means.append((middle - row - 0.1 / of, level, found, found.estimate))
            dots += [
                (middle - row + 0.22 / of, level, replicate, value, found.estimate)
                for replicate, value in found.estimate.values.items()
                if math.isfinite(value)
            ]
    common = {"type": "scatter", "mode": "markers", "name": line.name, "legendgroup": line.name}
    singles: Plot = common | {
        "x": [_at(plan, value) for _, _, _, value, _ in dots],
        "y": [number(y) for y, *_ in dots],
        "marker": {
            "size": 7,
            "symbol": [hollow(line.symbol, e.bounds.get(r)) for _, _, r, _, e in dots],
        },
        "opacity": 0.6,
        "text": [
            f"replicate {r}, {formatting.percent(level.density)}: {e.bounds.get(r, '')} "
            f"{_written(plan, value)}".replace(":  ", ": ")
            for _, level, r, value, e in dots
        ],
        "customdata": [
            record(level.level, level.density, r, value) for _, level, r, value, _ in dots
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
        "meta": {"tone": line.kind, "part": "replicates"},
    }
    mean: Plot = common | {
        "x": [_at(plan, e.mean) for *_, e in means],
        "y": [number(y) for y, *_ in means],
        "marker": {
            "size": 10,
            "symbol": [hollow(line.symbol, next(iter(e.bounds.values()), None)) for *_, e in means],
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(plan, e.mean, e.high) for *_, e in means],
            "arrayminus": [_reach(plan, e.low, e.mean) for *_, e in means],
            "thickness": 2,
            "width": 4,
        },
        "text": [
            f"<b>{line.name}</b>, level {level.level}, {formatting.percent(level.density)}<br>"
            f"{_interval(plan, found)}<br>n = {found.n}"
            for _, level, found, _ in means
        ],
        "customdata": [
            record(level.level, level.density, None, e.mean, e.low, e.high)
            for _, level, _, e in means
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": True,
        "meta": {"tone": line.kind, "part": "mean"},
    }
    return [singles, mean]


def _at(plan: Forest, value: float) -> float | None:
    return number(value, 1 if plan.scale == "ratio" else plan.score.scale)


def _reach(plan: Forest, low: float | None, high: float | None) -> float:
    return 0.0 if low is None or high is None else (_at(plan, high - low) or 0.0)


def _written(plan: Forest, value: float) -> str:
    if plan.scale == "ratio":
        return f"{formatting.ratio(value)} times"
    return figure_text(plan.score.signed_with_unit(value))


def _interval(plan: Forest, found: Contrast) -> str:
    if found.estimate is None:
        return formatting.NONE
    form = formatting.interval_of_ratio if plan.scale == "ratio" else plan.score.interval
    ends = form(found.estimate)
    return _written(plan, found.estimate.mean) + (f" [{ends}]" if ends else "")


def _range(plan: Forest, levels: Sequence[LevelVerdict], lines: Sequence[Line]) -> list[float]:
    """Every replicate and the whole zone, and of intervals as much as stays readable."""
    ratio = plan.scale == "ratio"

    def place(value: float) -> float:
        return math.log10(max(value, 1e-6)) if ratio else plan.score.scale * value

    found = [e for level in levels for line in lines if (c := line.of(level)) and (e := c.estimate)]
    values = [
        place(v) for e in found for v in (e.mean, *e.values.values()) if math.isfinite(place(v))
    ]
    values += [place(end) for end in plan.zone if end or not ratio]
    low, high = min(values), max(values)
    room = 0.5 * (high - low) or 0.1
    low = max(low - room, min([low, *(place(e.low) for e in found if e.low is not None)]))
    high = min(high + room, max([high, *(place(e.high) for e in found if e.high is not None)]))
    edge = 0.04 * (high - low) or 0.1
    return [float(f"{low - edge:.6g}"), float(f"{high + edge:.6g}")]


def _axis(plan: Forest, shown: list[float]) -> Plot:
    if plan.scale == "difference":
        ticks = round_values(*shown)
        signed = (f"{tick:+g}".replace("-", "\N{MINUS SIGN}") for tick in ticks)
        texts = [text if tick else "0" for tick, text in zip(ticks, signed, strict=True)]
        return {"range": shown, "tickvals": ticks, "ticktext": texts, "showgrid": True}
    return {**log_axis(shown, unit="×"), "showgrid": True}  # noqa: RUF001


def _shapes(plan: Forest, nothing: float, shown: list[float]) -> list[Plot]:
    ratio = plan.scale == "ratio"
    ends = [_at(plan, end) if end else (10 ** shown[0] if ratio else 0.0) for end in plan.zone]
    across = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    return [
        across
        | {"type": "rect", "x0": ends[0], "x1": ends[1], "name": "zone", "line": {"width": 0}},
        across
        | {"type": "line", "x0": nothing, "x1": nothing, "name": "dense", "line": {"width": 1}},
    ]


def _sides(plan: Forest) -> list[Plot]:
    above = {"yref": "paper", "y": 1, "yanchor": "bottom", "showarrow": False, "name": "dense"}
    left, right = plan.sides
    return [
        above | {"text": f"← {left}", "xref": "paper", "x": 0, "xanchor": "left"},
        above | {"text": f"{right} →", "xref": "paper", "x": 1, "xanchor": "right"},
    ]


def _outcomes(
    levels: Sequence[LevelVerdict], rows: dict[int, float], lines: Sequence[Line]
) -> list[Plot]:
    """What the first line's test says, at the right end of each row."""
    drawn: list[Plot] = []
    for level in levels:
        found = lines[0].test(level)
        test = found[1].tests.get(found[0]) if found else None
        if test:
            p = "" if test.p_adjusted is None else f" {formatting.probability(test.p_adjusted)}"
            drawn.append(
                {
                    "text": f"{MARKS[test.outcome]}{p}".replace("< ", "<"),
                    "xref": "paper",
                    "x": 1,
                    "xanchor": "left",
                    "xshift": 6,
                    "y": rows[level.level],
                    "yanchor": "middle",
                    "showarrow": False,
                    "name": "dense",
                }
            )
    return drawn
