"""A plot as an SVG file, without a browser: the few kinds of marks that this package draws.

It reads what `lottery.report.figure.Plot` says: lines, marks, fillings, error bars and stacked
bars on linear or logarithmic axes, with shapes, notes and a legend. It shows the plot as the page
first does, in the colours of light pages.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lottery.report.figure import Gallery, Plot
from lottery.report.palette import TONES, Tone, channels
from lottery.report.series import log_values, round_values

WIDTH = 860
_FONT = "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
_TEXT, _SOFT, _GRID, _LINE = "#171b22", "#4b5362", "#e8ebf0", "#c3cad6"
_DASHES = {"dash": "9 5", "dot": "2 4", "dashdot": "9 4 2 4", "longdash": "15 6"}


@dataclass(frozen=True)
class Axis:
    """From values to places on the paper."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        at = math.log10(value) if self.log else value
        return self.place(at)

    def place(self, at: float) -> float:
        """The place of a value, or of its logarithm on a logarithmic axis."""
        whole = self.high - self.low or 1.0
        return self.start + (at - self.low) / whole * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values, about six of them."""
        low, high = sorted((self.low, self.high))
        return log_values(low, high) if self.log else round_values(low, high)


def plot_svg(plot: Plot, tones: Mapping[str, Tone] | None = None) -> str:
    """The text of the SVG file."""
    layout, height = plot["layout"], int(plot.get("height", 480))
    colours = {**TONES, **(tones or {}), **plot.get("tones", {})}
    shown = [trace for trace in plot["data"] if trace.get("visible", True) is True]
    legend = list(_legend(shown, colours)) if layout.get("showlegend") else []
    labels = [_plain(text) for text in layout["yaxis"].get("ticktext", [])]
    left = 24 + max([44, *(_width(text) for text in labels)])
    margin = layout.get("margin", {})
    top, right = margin.get("t", 40) + 8, margin.get("r", 16) + 8
    rows = _rows(legend)
    bottom = height - 52
    x = _axis(layout["xaxis"], left, WIDTH - right)
    y = _axis(layout["yaxis"], bottom, top)
    # Several files may stand in one page, where an id may be found in another: it says its place.
    area = f"area-{left:.0f}-{top}-{right}-{bottom}"
    body = [
        *_grid(layout, x, y),
        *(_shape(shape, x, y, colours) for shape in layout.get("shapes", [])),
        f'<g clip-path="url(#{area})">',
        *(mark for trace in shown for mark in _trace(trace, x, y, colours, shown)),
        "</g>",
        *(_note(note, x, y, colours) for note in layout.get("annotations", [])),
        _label(layout.get("title", {}).get("text", ""), 8, 20, size=15, weight=600, colour=_TEXT),
        *_placed(rows, height),
    ]
    clip = (
        f'<clipPath id="{area}"><rect x="{left}" y="{top}" width="{x.end - left:.1f}" '
        f'height="{bottom - top}"/></clipPath>'
    )
    return _file(WIDTH, height + 22 * len(rows), [clip, *body])


def gallery_svg(gallery: Gallery) -> str:
    """The pictures side by side, four a row, each with its label."""
    side, gap = 200, 15
    tallest = max(p.values.shape[0] / max(p.values.shape[1], 1) for p in gallery.shown)
    height = round(side * min(tallest, 1))
    parts = []
    for i, picture in enumerate(gallery.shown):
        x, y = gap + i % 4 * (side + gap), gap + i // 4 * (height + 76)
        parts += [
            f'<image x="{x}" y="{y}" width="{side}" height="{height}" href="{picture.data}" '
            'style="image-rendering:pixelated" preserveAspectRatio="xMidYMid"/>',
            _label(picture.label, x, y + height + 18, size=14, weight=600, colour=_TEXT),
            *(
                _label(note.strip(), x, y + height + 36 + 15 * line, size=11)
                for line, note in enumerate(picture.note.split(";"))
            ),
        ]
    rows = -(-len(gallery.shown) // 4)
    return _file(4 * (side + gap) + gap, gap + rows * (height + 76), parts)


def _file(width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{html.escape(_FONT)}" font-size="12">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _axis(axis: Plot, start: float, end: float) -> Axis:
    low, high = axis.get("range") or (0.0, 1.0)
    return Axis(low, high, start, end, log=axis.get("type") == "log")


def _grid(layout: Plot, x: Axis, y: Axis) -> Iterator[str]:
    for axis, own, across in ((layout["xaxis"], x, y), (layout["yaxis"], y, x)):
        upright = own is x
        values = axis.get("tickvals") or own.ticks()
        texts = axis.get("ticktext") or [_number(value, axis) for value in values]
        last, needs = -math.inf, max(map(_width, map(_plain, texts)), default=0) + 6
        for value, text in zip(values, texts, strict=True):
            at = own(value)
            if not min(own.start, own.end) - 1 <= at <= max(own.start, own.end) + 1:
                continue
            if axis.get("showgrid", not upright):
                ends = (at, across.start, at, across.end) if upright else (
                    across.start, at, across.end, at)  # fmt: skip
                yield _line(*ends, _GRID)
            bold = 700 if "<b>" in text else 400
            plain = _plain(text)
            if not upright:
                yield _label(plain, x.start - 7, at + 4, anchor="end", weight=bold)
            elif at - last > needs:
                yield _label(plain, at, y.start + 18, anchor="middle", weight=bold)
                last = at
        if title := axis.get("title", {}).get("text"):
            yield _label(title, (x.start + x.end) / 2, y.start + 40, anchor="middle", size=13)
    yield _line(x.start, y.start, x.end, y.start, _LINE)


def _number(value: float, axis: Plot) -> str:
    form = axis.get("tickformat", "")
    text = f"{value:,.6g}"
    if "s" in form and value >= 1000:
        text = f"{value / 1000:g}k"
    return f"+{text}" if "+" in form and value > 0 else text


def _trace(
    trace: Plot, x: Axis, y: Axis, colours: Mapping[str, Tone], shown: Sequence[Plot]
) -> Iterator[str]:
    if trace["type"] == "bar":
        yield from _bars(trace, x, y, colours, shown.index(trace))
        return
    colour = colours.get(trace["meta"]["tone"], TONES["dense"]).light
    opacity = trace.get("opacity", 1)
    points = [
        None if a is None or b is None else (x(a), y(b))
        for a, b in zip(trace["x"], trace["y"], strict=True)
    ]
    if "lines" in trace["mode"]:
        line = trace.get("line", {})
        path = _path(points, steps=line.get("shape") == "hv")
        fill = f'{colour}" fill-opacity="0.15' if trace.get("fill") else "none"
        faint = 0.4 if trace.get("fill") else opacity
        dash = _DASHES.get(line.get("dash", ""), "")
        yield (
            f'<path d="{path}" fill="{fill}" stroke="{colour}" stroke-opacity="{faint}" '
            f'stroke-width="{line.get("width", 2)}"'
            + (f' stroke-dasharray="{dash}"' if dash else "")
            + "/>"
        )
    if error := trace.get("error_x"):
        for value, point, up, down in zip(
            trace["x"], points, error["array"], error["arrayminus"], strict=True
        ):
            if point:
                low = x(value - down) if not x.log or value > down else x.start
                yield _line(low, point[1], x(value + up), point[1], colour, 2)
    if "markers" in trace["mode"]:
        marker = trace["marker"]
        symbols = marker.get("symbol", "circle")
        size = marker.get("size", 6) / 2
        for i, point in enumerate(points):
            if point:
                symbol = symbols if isinstance(symbols, str) else symbols[i]
                yield _mark(symbol, *point, size, colour, opacity)


def _bars(trace: Plot, x: Axis, y: Axis, colours: Mapping[str, Tone], before: int) -> Iterator[str]:
    for row, tone in zip(trace["y"], trace["meta"]["tones"], strict=True):
        left, right = x(before), x(before + 1)
        top, bottom = sorted((y(row - 0.47), y(row + 0.47)))
        colour = colours[tone].light
        text = trace["text"][row]
        yield (
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left - 1:.1f}" '
            f'height="{bottom - top:.1f}" fill="{colour}"/>'
        )
        if _width(text) < right - left:
            ink = "#ffffff" if sum(channels(colour)) < 420 else _TEXT
            yield _label(
                text, (left + right) / 2, (top + bottom) / 2 + 4, anchor="middle", colour=ink
            )


def _path(points: Sequence[tuple[float, float] | None], *, steps: bool) -> str:
    parts, begun = [], False
    previous = 0.0
    for point in points:
        if point is None:
            begun = False
            continue
        if steps and begun:
            parts.append(f"L{point[0]:.1f},{previous:.1f}")
        parts.append(f"{'L' if begun else 'M'}{point[0]:.1f},{point[1]:.1f}")
        begun, previous = True, point[1]
    return "".join(parts)


_SHAPES: Mapping[str, Sequence[tuple[float, float]]] = {
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "diamond": [(0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)],
    "triangle-up": [(0, -1.1), (1.1, 0.8), (-1.1, 0.8)],
    "triangle-down": [(0, 1.1), (1.1, -0.8), (-1.1, -0.8)],
    "cross": [(-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35),
              (0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35)],
    "x": [(-1, -0.6), (-0.6, -1), (0, -0.4), (0.6, -1), (1, -0.6), (0.4, 0), (1, 0.6), (0.6, 1),
          (0, 0.4), (-0.6, 1), (-1, 0.6), (-0.4, 0)],
    "hourglass": [(-1, -1), (1, -1), (-1, 1), (1, 1)],
    "bowtie": [(-1, -1), (-1, 1), (1, -1), (1, 1)],
    "diamond-tall": [(0, -1.4), (0.8, 0), (0, 1.4), (-0.8, 0)],
}  # fmt: skip


def _polygon(corners: int, inner: float = 1.0) -> list[tuple[float, float]]:
    count = corners * (2 if inner < 1 else 1)
    radii = [1.15 * (inner if inner < 1 and i % 2 else 1) for i in range(count)]
    turns = [2 * math.pi * i / count for i in range(count)]
    return [(r * math.sin(t), -r * math.cos(t)) for r, t in zip(radii, turns, strict=True)]


_ROUND: Mapping[str, Sequence[tuple[float, float]]] = {
    "pentagon": _polygon(5),
    "hexagon": _polygon(6),
    "octagon": _polygon(8),
    "star": _polygon(5, 0.45),
    "star-diamond": _polygon(4, 0.5),
}


def _mark(symbol: str, x: float, y: float, size: float, colour: str, opacity: float) -> str:
    name = symbol.removesuffix("-open")
    paint = f'fill="{colour}" stroke="#ffffff" stroke-width="0.7"'
    if name != symbol:
        paint = f'fill="#ffffff" stroke="{colour}" stroke-width="1.4"'
    paint += f' opacity="{opacity}"'
    corners = _SHAPES.get(name) or _ROUND.get(name)
    if not corners:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" {paint}/>'
    points = " ".join(f"{x + size * a:.1f},{y + size * b:.1f}" for a, b in corners)
    return f'<polygon points="{points}" {paint}/>'


def _shape(shape: Plot, x: Axis, y: Axis, colours: Mapping[str, Tone]) -> str:
    name = "main" if shape["name"] == "zone" else shape["name"]
    colour = colours[name].light
    left, right = x(shape["x0"]), x(shape["x1"])
    if shape["type"] == "rect":
        left, right = max(min(left, right), x.start), min(max(left, right), x.end)
        return (
            f'<rect x="{left:.1f}" y="{y.end:.1f}" width="{max(right - left, 0):.1f}" '
            f'height="{y.start - y.end:.1f}" fill="{colour}" fill-opacity="0.12"/>'
        )
    return _line(left, y.start, right, y.end, colour)


def _note(note: Plot, x: Axis, y: Axis, colours: Mapping[str, Tone]) -> str:
    paper = note.get("xref") == "paper"
    # Plotly takes places of notes on logarithmic axes as logarithms.
    across = x.start + note["x"] * (x.end - x.start) if paper else x.place(note["x"])
    down = y.start + note["y"] * (y.end - y.start) if note.get("yref") == "paper" else y(note["y"])
    shift = 4 if note.get("yanchor") == "middle" else -5
    anchor = {"left": "start", "right": "end"}.get(note.get("xanchor", ""), "middle")
    colour = colours[note["name"]].light
    return _label(
        _plain(note["text"]), across + note.get("xshift", 0), down + shift, anchor=anchor,
        colour=colour,
    )  # fmt: skip


def _legend(
    shown: Sequence[Plot], colours: Mapping[str, Tone]
) -> Iterator[tuple[str, Callable[[float, float], str]]]:
    """Each name, and what draws its sample at a place."""
    for trace in shown:
        if not trace.get("showlegend", True) or "tone" not in trace["meta"]:
            continue
        sample = {**trace, "opacity": 1}

        def draw(left: float, at: float, sample: Plot = sample) -> str:
            axis = Axis(0, 1, left, left + 28), Axis(0, 1, at, at - 1)
            lines = {**sample, "mode": "lines", "x": [0, 1], "y": [0, 0], "error_x": None}
            marks = {**sample, "mode": "markers", "x": [0.5], "y": [0]}
            symbol = sample.get("marker", {}).get("symbol", "")
            marks["marker"] = {
                "size": 8,
                "symbol": symbol if isinstance(symbol, str) else symbol[0],
            }
            parts = [lines] if "lines" in sample["mode"] else []
            parts += [marks | {"error_x": None}] if "markers" in sample["mode"] else []
            return "".join(m for part in parts for m in _trace(part, *axis, colours, []))

        yield _plain(trace["name"]), draw


Entry = tuple[str, Callable[[float, float], str]]


def _rows(legend: Sequence[Entry]) -> list[list[tuple[float, Entry]]]:
    """Entries with their places from the left, as many in a row as it has room for."""
    rows: list[list[tuple[float, Entry]]] = []
    left = math.inf
    for entry in legend:
        needs = 50 + _width(entry[0])
        if left + needs > WIDTH:
            rows.append([])
            left = 12
        rows[-1].append((left, entry))
        left += needs
    return rows


def _placed(rows: Sequence[Sequence[tuple[float, Entry]]], top: float) -> Iterator[str]:
    for i, row in enumerate(rows):
        for left, (name, draw) in row:
            at = top + 22 * i + 6
            yield draw(left, at)
            yield _label(name, left + 34, at + 4)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )


def _label(
    text: str,
    x: float,
    y: float,
    *,
    anchor: str = "start",
    size: float = 12,
    weight: int = 400,
    colour: str = _SOFT,
) -> str:
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{colour}">{html.escape(shown)}</text>'
    )


def _plain(text: Any) -> str:
    """A text of Plotly's without its tags and entities."""
    return html.unescape(re.sub(r"</?b>", "", str(text)))


def _width(text: str) -> float:
    return 7.1 * len(text)
