"""Figures of the analysis ``connectivity``: error along lines, and how far it rises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lottery.analysis import formatting
from lottery.analysis.statistics import estimate
from lottery.inside.connectivity_sentences import STABLE
from lottery.inside.evaluation import is_share
from lottery.inside.line import barrier, instability
from lottery.report.data import ReportData
from lottery.report.figure import Figure, Plot, choice
from lottery.report.inside import SECTION, densities, rows_of
from lottery.report.palette import TONES, shaded
from lottery.report.series import (
    COLUMNS,
    Point,
    Series,
    density_axis,
    estimate_text,
    extent,
    number,
    traces,
)
from lottery.store import MAIN

_MOST_COPIES: Final = 4
"""Iterations of which copies are drawn: as many as there are colours apart from those of levels."""


@dataclass(frozen=True)
class _Lines:
    """The lines of one kind: copies from one iteration on, or levels and the next.

    Args:
        name: in legends and on buttons.
        tone: a kind's colour.
        symbol: of marks.
        rise: how a line is summed up.
        by_level: level that a line is drawn at -> replicate -> error at each point.
    """

    name: str
    tone: str
    symbol: str
    rise: Callable[[Sequence[float]], float]
    by_level: Mapping[int, Mapping[int, Sequence[float]]]


_LOOKS: Final = (
    ("main", "circle"),
    ("reinit", "square"),
    ("random-mask", "diamond"),
    ("continued", "triangle-up"),
)


def _lines(data: ReportData) -> list[_Lines]:
    """Every kind of lines on the test data that was measured."""
    found: dict[tuple[str, int], dict[int, dict[int, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for row in rows_of(data, "connectivity", "points"):
        if row["part"] == "test" and isinstance(row["error"], int | float):
            kind, at = str(row["kind"]), int(row["at"] or 0)
            # What is between a level and the next is drawn where the next is.
            level = int(row["level"]) + (kind == "levels")
            found[kind, at][level][int(row["replicate"])].append(float(row["error"]))
    copies = sorted(at for kind, at in found if kind == "copies")[:_MOST_COPIES]
    lines = [
        _Lines(f"Data orders from iteration {at:,}", *look, instability, found["copies", at])
        for at, look in zip(copies, _LOOKS, strict=False)
    ]
    if ("levels", 0) in found:
        lines.append(_Lines("A level and the next", "dense", "x", barrier, found["levels", 0]))
    return lines


def along_lines(data: ReportData) -> Plot | None:
    """Mean error along the lines, by level; None where nothing was measured."""
    lines, known = _lines(data), densities(data)
    levels = sorted({level for one in lines for level in one.by_level if level in known})
    if not levels:
        return None
    there = [level for level in levels if level in lines[0].by_level]
    shown = {there[0], there[len(there) // 2], there[-1]} if there else set()
    drawn = [
        _along(data, one, place, level, visible=place == 0 and level in shown)
        for place, one in enumerate(lines)
        for level in sorted(one.by_level)
        if level in known
    ]
    heights = [y for trace in drawn for y in trace["y"] if y is not None]
    options = [
        {
            "value": level,
            "label": formatting.percent(known[level]),
            "on": level in shown,
            "tone": _tone(level),
        }
        for level in levels
    ]
    kinds = [{"value": i, "label": one.name, "on": i == 0} for i, one in enumerate(lines)]
    return {
        "data": drawn,
        "layout": {
            "title": {"text": _error(data)},
            "xaxis": {"title": {"text": "Share of the second network"}, "range": [0, 1]},
            "yaxis": {"tickformat": "~g", "range": [0.0, 1.05 * max([*heights, 1e-9])]},
            "showlegend": True,
        },
        "choices": [
            choice("lines", "Lines to show", kinds, single=True),
            choice("line", "Levels to show, by density", options),
        ],
        "tones": {
            _tone(level): shaded(TONES[MAIN], 2 * i / max(len(levels) - 1, 1) - 1)
            for i, level in enumerate(levels)
        },
        "names": ("share", "error"),
    }


def _along(data: ReportData, one: _Lines, place: int, level: int, *, visible: bool) -> Plot:
    """The mean over replicates of one level's lines."""
    each, density = list(one.by_level[level].values()), densities(data)[level]
    last = len(each[0]) - 1
    name = f"{formatting.percent(density)} of weights"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "x": [number(i / last) for i in range(last + 1)],
        "y": [
            number(sum(values) / len(values), _scale(data)) for values in zip(*each, strict=True)
        ],
        "line": {"width": 2.5},
        "hovertemplate": f"<b>{name}</b><br>share %{{x:.2f}}: %{{y:.4g}}<br>n = {len(each)}"
        "<extra></extra>",
        "visible": visible,
        "meta": {
            "tone": _tone(level),
            "line": level,
            "lines": place,
            "csv": {"lines": one.name, "level": level, "density": number(density)},
        },
    }


def _tone(level: int) -> str:
    return f"line-{level}"


def _scale(data: ReportData) -> float:
    return 100 if is_share(data.verdict.score) else 1


def _error(data: ReportData) -> str:
    return "Test error (%)" if is_share(data.verdict.score) else f"Test {data.verdict.score.name}"


def against_density(data: ReportData) -> Plot | None:
    """How far the error rises on lines, against density; None where nothing was measured."""
    known, scale = densities(data), _scale(data)
    kinds = [
        (one, points)
        for one in _lines(data)
        if (points := [p for level in sorted(one.by_level) if (p := _point(data, one, level))])
    ]
    if not kinds:
        return None
    drawn = [
        trace
        for place, (one, points) in enumerate(kinds)
        for trace in traces(
            Series(
                name=one.name,
                group=one.name,
                tone=one.tone,
                symbol=one.symbol,
                dash="solid" if one.rise is instability else "dash",
                points=points,
                aside=0.008 * (place - (len(kinds) - 1) / 2),
            ),
            scale,
            _form(data),
        )
    ]
    axis = density_axis(known[point.level] for _, points in kinds for point in points)
    limit = [STABLE] if is_share(data.verdict.score) else []
    drawn[:0] = [_limit(axis, value * scale) for value in limit]
    estimates = [point.value for _, points in kinds for point in points if point.value]
    low, high = extent(estimates, [0.0, *limit], scale)
    return {
        "data": drawn,
        "layout": {
            "title": {"text": f"Rise of {_error(data).lower()}"},
            "xaxis": axis,
            "yaxis": {"range": [max(low, -0.05 * high), high], "tickformat": "~g"},
            "showlegend": True,
        },
        "columns": COLUMNS,
    }


def _form(data: ReportData) -> Callable[[float], str]:
    if is_share(data.verdict.score):
        return lambda value: f"{100 * value:.3g} points"
    return lambda value: f"{value:.3g}"


def _point(data: ReportData, one: _Lines, level: int) -> Point | None:
    density = densities(data).get(level)
    if density is None:
        return None
    values = {replicate: one.rise(errors) for replicate, errors in one.by_level[level].items()}
    value = estimate(values, data.verdict.confidence)
    return Point(
        level=level,
        density=density,
        value=value,
        name=one.name,
        hover=f"<b>{one.name}</b>, level {level}<br>{formatting.percent(density)} of weights<br>"
        f"{estimate_text(value, _form(data))}<br>n = {len(values)}",
    )


def _limit(axis: Plot, value: float) -> Plot:
    name = f"Stable: below {value:g} points"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "x": [float(f"{10**edge:.6g}") for edge in axis["range"]],
        "y": [value] * 2,
        "line": {"width": 1.5, "dash": "dot"},
        "text": [name] * 2,
        "hovertemplate": "%{text}<extra></extra>",
        "meta": {"tone": "dense", "part": "reference"},
    }


INSIDE_CONNECTIVITY: Final = (
    Figure(
        name="connectivity",
        section=SECTION,
        title="Error along the line between two networks",
        caption=(
            "At the left is a trained network, at the right another, and in between what lies on "
            "the straight line between their weights; means over replicates. The two are copies "
            "that saw their examples in different orders, or a level and the next, under whose "
            "density they stand. Sparser levels are darker on a light page, paler on a dark one."
        ),
        draw=along_lines,
    ),
    Figure(
        name="stability",
        section=SECTION,
        title="Stability against density",
        caption=(
            "How far the error on the line rises: between two data orders above the mean of the "
            "two ends (instability, arXiv:1912.05671), between a level and the next above the "
            "straight line between them. Below the dotted line networks are stable, and two levels "
            "connected. Lines are means over replicates, bands {{ interval }} intervals, faint "
            "marks single replicates."
        ),
        draw=against_density,
    ),
)
"""Drawn where `lottery analyse connectivity` was run."""
