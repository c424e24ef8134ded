"""Lines of figures against density: means, their intervals and every replicate.

Traces carry no colours: ``meta.tone`` names one, and the page's script paints it for light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lottery.analysis import formatting
from lottery.analysis.types import Bound, Estimate
from lottery.report.figure import Plot

COLUMNS = ("level", "density", "replicate", "value", "low", "high")
"""What a mark's ``customdata`` holds: of a replicate its value, of a mean its interval as well."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a line, at one density."""

    level: int
    density: float
    """In (0, 1]."""
    value: Estimate | None
    name: str
    """What was measured here, for readers."""
    hover: str
    """The text that is shown when the mean is pointed at."""
    bounds: Mapping[int, Bound] = field(default_factory=dict)
    """Replicates whose value is only a bound, and which."""

    @property
    def x(self) -> float:
        """The density in percent, six digits."""
        return percent(self.density)


@dataclass(frozen=True, kw_only=True)
class Series:
    """A line and how it is drawn."""

    name: str
    group: str
    """What is hidden and shown together by a click in the legend."""
    tone: str
    symbol: str
    dash: str
    points: Sequence[Point]
    aside: float = 0.0
    """How far single replicates stand beside their density, in decades, so that those of several
    lines do not cover each other."""


def number(value: float | None, scale: float = 1, *, digits: int = 6) -> float | None:
    """A value for a figure: scaled and rounded; None for what JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value * scale:.{digits}g}")


def percent(density: float) -> float:
    """A density's place on the axis."""
    return float(f"{100 * max(density, 1e-9):.6g}")


def traces(series: Series, scale: float, form: Callable[[float], str]) -> list[Plot]:
    """Band, points and line; one entry in the legend for all three."""
    common: Plot = {
        "type": "scatter",
        "name": series.name,
        "legendgroup": series.group,
    }
    drawn: list[Plot] = [
        common | _replicates(series, scale, form) | _meta(series, "replicates"),
        common | line(series, scale) | _meta(series, "line"),
    ]
    if around := band([_ends(point) for point in series.points], scale):
        drawn.insert(0, common | around | _meta(series, "band"))
    return drawn


def density_axis(densities: Iterable[float]) -> Plot:
    """A log axis that runs from dense to sparse, with the densities that there are as ticks.

    Args:
        densities: in (0, 1].
    """
    ticks = sorted({percent(density) for density in densities}, reverse=True)
    first, last = math.log10(ticks[0]), math.log10(ticks[-1])
    edge = 0.03 * (first - last) or 0.1
    return {
        "title": {"text": "Weights left (%) → sparser"},
        "type": "log",
        "range": [first + edge, last - edge],
        "tickvals": ticks,
        "ticktext": [formatting.percent(value / 100).removesuffix("%") for value in ticks],
    }


def log_axis(ends: Sequence[float], *, unit: str = "") -> Plot:
    """A logarithmic axis with round values as ticks.

    Args:
        ends: logarithms of both.
        unit: written behind each tick.
    """
    ticks = log_values(*ends)
    return {
        "type": "log",
        "range": [*ends],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}{unit}" for tick in ticks],
    }


def log_range(traces: Sequence[Plot], *, of: str = "x") -> list[float]:
    """A range of a logarithmic axis that holds all that traces have on it, at least one value."""
    values = [value for trace in traces for value in trace[of] if value]
    return [math.log10(min(values)) - 0.1, math.log10(max(values)) + 0.1]


def extent(estimates: Sequence[Estimate], others: Sequence[float], scale: float) -> list[float]:
    """A range that holds every replicate, and of wide intervals as much as stays readable.

    Args:
        estimates: what is drawn, at least one.
        others: values that must be in the range as well.
        scale: from their unit to the axis's.
    """
    values = [v for estimate in estimates for v in (estimate.mean, *estimate.values.values())]
    values += others
    low, high = min(values), max(values)
    room = 0.25 * (high - low)
    low = max(low - room, min([low, *(e.low for e in estimates if e.low is not None)]))
    high = min(high + room, max([high, *(e.high for e in estimates if e.high is not None)]))
    edge = 0.05 * (high - low) or abs(0.01 * high) or 1
    return [(low - edge) * scale, (high + edge) * scale]


def record(
    level: int,
    density: float,
    replicate: int | None,
    value: float,
    low: float | None = None,
    high: float | None = None,
) -> list[float | None]:
    """What `COLUMNS` name, with eight digits."""
    shown = [number(each, digits=8) for each in (density, value, low, high)]
    return [level, shown[0], replicate, *shown[1:]]


def round_values(low: float, high: float) -> list[float]:
    """About six round values between two ends, for ticks.

    >>> round_values(-1.3, 1.1)
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    step = 10.0 ** math.floor(math.log10((high - low) / 5))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 7)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{n * step:.6g}") for n in range(first, last + 1)]


def log_values(low: float, high: float) -> list[float]:
    """At most eight round values between two ends given by their logarithms, for ticks.

    >>> log_values(-0.8, 0.6), log_values(-5.2, 3.1), log_values(0.31, 0.38)
    ([0.2, 0.5, 1.0, 2.0], [0.0001, 0.01, 1.0, 100.0], [2.1, 2.2, 2.3])
    """
    decades = range(math.floor(low), math.ceil(high) + 1)
    every = math.ceil((high - low) / 7)
    marks = next(m for m in ((1, 2, 5), (1, 3), (1,)) if len(m) * (high - low) <= 7 or len(m) == 1)
    exact = [m * 10.0**decade for decade in decades if decade % every == 0 for m in marks]
    values = [v for v in (float(f"{v:.6g}") for v in exact) if low <= math.log10(v) <= high]
    return values if len(values) > 2 else round_values(10.0**low, 10.0**high)


def extremes(values: Sequence[float | None]) -> list[float] | None:
    """A range that holds all values, with a little room; None where there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = min(known), max(known)
    edge = 0.06 * (high - low) or abs(0.01 * high) or 1
    return [low - edge, high + edge]


def near_dense(
    dense: float, means: Sequence[float], margin: float, shown: Sequence[float]
) -> list[float] | None:
    """A closer range around the dense accuracy, where the whole one hides small differences.

    Args:
        dense: mean accuracy of the dense network, a fraction.
        means: every mean that is drawn, fractions.
        margin: how far below dense still matches, a fraction.
        shown: the whole range, in percent.
    """
    reach = max(margin, 1.5 * (max(means) - dense), 0.001)
    near = [(dense - 2 * reach) * 100, (dense + reach) * 100]
    return near if near[1] - near[0] < 0.6 * (shown[1] - shown[0]) else None


def line(series: Series, scale: float) -> Plot:
    """The means alone."""
    points = series.points
    return {
        "mode": "lines+markers",
        "x": [point.x for point in points],
        "y": [number(point.value.mean, scale) if point.value else None for point in points],
        "line": {"width": 2.5, "dash": series.dash},
        "marker": {"size": 8, "symbol": series.symbol},
        "text": [point.hover for point in points],
        "customdata": [
            record(point.level, point.density, None, value.mean, value.low, value.high)
            for point in points
            if (value := point.value)
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": True,
    }


def estimate_text(value: Estimate | None, form: Callable[[float], str]) -> str:
    """A mean and, where there is one, its interval."""
    if value is None:
        return formatting.NONE
    text = form(value.mean)
    if value.low is not None and value.high is not None:
        text += f" [{form(value.low)}, {form(value.high)}]"
    return text


def hollow(symbol: str, bound: Bound | None) -> str:
    """The mark of a value that is a bound has no filling."""
    return f"{symbol}-open" if bound else symbol


def _meta(series: Series, part: str) -> Plot:
    return {"meta": {"tone": series.tone, "part": part}}


def _replicates(series: Series, scale: float, form: Callable[[float], str]) -> Plot:
    dots = [
        (point, replicate, value)
        for point in series.points
        if point.value
        for replicate, value in sorted(point.value.values.items())
    ]
    return {
        "mode": "markers",
        "x": [number(point.x, 10**series.aside) for point, _, _ in dots],
        "y": [number(value, scale) for _, _, value in dots],
        "marker": {
            "size": 6,
            "symbol": [hollow(series.symbol, point.bounds.get(r)) for point, r, _ in dots],
        },
        "opacity": 0.5,
        "customdata": [
            record(point.level, point.density, replicate, value) for point, replicate, value in dots
        ],
        "text": [
            f"{point.name}, replicate {replicate}<br>{formatting.percent(point.density)} of "
            f"weights: {point.bounds.get(replicate, '')} {form(value)}".replace(":  ", ": ")
            for point, replicate, value in dots
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }


def _ends(point: Point) -> tuple[float, float | None, float | None]:
    value = point.value
    return (point.x, value.low, value.high) if value else (point.x, None, None)


def band(ends: Iterable[tuple[float, float | None, float | None]], scale: float) -> Plot | None:
    """Closed outlines around intervals, one for each stretch of neighbours that have one.

    Args:
        ends: place, low and high end; None where there is no interval.
        scale: what both ends are multiplied by.

    Returns:
        A trace without name and tone; None without any interval.
    """
    stretches: list[list[tuple[float, float, float]]] = [[]]
    for place, lowest, highest in ends:
        if lowest is not None and highest is not None:
            stretches[-1].append((place, lowest * scale, highest * scale))
        else:
            stretches.append([])
    x: list[float | None] = []
    y: list[float | None] = []
    for stretch in filter(None, stretches):
        outline = [(at, low) for at, low, _ in stretch]
        outline += [(at, high) for at, _, high in reversed(stretch)] + outline[:1]
        if x:
            x.append(None)
            y.append(None)
        x += [at for at, _ in outline]
        y += [number(value) for _, value in outline]
    return (
        {
            "mode": "lines",
            "x": x,
            "y": y,
            "fill": "toself",
            "line": {"width": 1},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        if x
        else None
    )
