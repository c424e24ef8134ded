"""Figures of weights against density: signs, distances, curvature, similarity, pools."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lottery.analysis.controls import CONTROLS, control_of
from lottery.inside.cka import OTHERS, RANDOM
from lottery.inside.evaluation import is_share
from lottery.inside.weights import IN_DENSE, TRAINED, WHOLE
from lottery.report.data import ReportData
from lottery.report.distributions import MOST_LAYERS
from lottery.report.figure import Figure, Plot
from lottery.report.inside import SECTION, Row, layer_choice, rows_of
from lottery.report.series import band, density_axis, log_axis, number, percent
from lottery.store.jobs import MAIN


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One line against density."""

    label: str
    tone: str
    rows: Sequence[Row]
    value: str
    spread: str | None = None
    symbol: str = "circle"
    """Of its marks; empty for none."""
    dash: str = "solid"
    layer: str = WHOLE


def _plot(
    data: ReportData, title: str, lines: Sequence[_Line], *, log: bool = False, scale: float = 1
) -> Plot | None:
    """Lines against density, those of one layer at a time; None where there is nothing to draw."""
    known = {level.level: level.density for level in data.verdict.levels}
    lines = [line for line in lines if _points(line, known)]
    layers = [*dict.fromkeys(line.layer for line in lines)]
    shown = layers[:: -(-len(layers) // MOST_LAYERS) or 1]
    traces = [
        trace
        for line in lines
        if line.layer in shown
        for trace in _traces(line, known, shown.index(line.layer), scale, log=log)
    ]
    if not traces:
        return None
    levels = {point["level"] for line in lines for point in _points(line, known)}
    shown_range = _range(
        [y for t in traces if t["visible"] for y in t["y"] if y is not None], log=log
    )
    return {
        "data": traces,
        "layout": {
            "title": {"text": title},
            "xaxis": density_axis(known[level] for level in levels),
            "yaxis": log_axis(shown_range) if log else {"range": shown_range, "tickformat": "~g"},
            "showlegend": True,
        },
        "columns": ("level", "n", "value", "deviation"),
        "choices": [layer_choice(shown)] if shown[1:] else [],
        **({"fit": "y"} if shown[1:] else {}),
        "left_out": len(layers) - len(shown),
    }


def _range(values: Sequence[float], *, log: bool) -> list[float]:
    """From below the lowest to above the highest; powers of ten on a logarithmic axis."""
    placed = [math.log10(value) for value in values if value > 0] if log else [*values]
    low, high = min(placed, default=0.0), max(placed, default=1.0)
    edge = 0.06 * (high - low) or 0.1
    return [low - edge, high + edge]


def _points(line: _Line, known: Mapping[int, float]) -> list[Row]:
    return [
        row for row in line.rows if row["level"] in known and number(row[line.value]) is not None
    ]


def _traces(
    line: _Line, known: Mapping[int, float], place: int, scale: float, *, log: bool
) -> Iterator[Plot]:
    """Means, and around them one standard deviation each way, where the axis can show it."""
    rows = _points(line, known)
    spreads = [number(row[line.spread]) if line.spread else None for row in rows]
    common = {
        "type": "scatter",
        "name": line.label,
        "legendgroup": line.label,
        "visible": place == 0,
    }
    meta = {"tone": line.tone, "layer": place}
    ends = []
    for row, by in zip(rows, spreads, strict=True):
        low, high = (None, None) if by is None else (row[line.value] - by, row[line.value] + by)
        fits = low is not None and (low > 0 or not log)
        ends.append((percent(known[row["level"]]), *((low, high) if fits else (None, None))))
    if around := band(ends, scale):
        yield common | around | {"meta": meta | {"part": "band"}}
    yield common | {
        "mode": "lines+markers" if line.symbol else "lines",
        "x": [percent(known[row["level"]]) for row in rows],
        "y": [number(row[line.value], scale) for row in rows],
        "line": {"width": 2, "dash": line.dash},
        "marker": {"size": 7, "symbol": line.symbol or "circle"},
        "customdata": [
            [row["level"], row["n"], number(row[line.value]), deviation]
            for row, deviation in zip(rows, spreads, strict=True)
        ],
        "hovertemplate": f"{line.label}: %{{y:.4g}} (n = %{{customdata[1]}})<extra></extra>",
        "meta": meta | {"part": "line", "csv": {"layer": line.layer}},
    }


def _branches(rows: Sequence[Row], value: str, spread: str | None, layer: str) -> Iterator[_Line]:
    """Tickets and each kind of control; dense networks are where the tickets' line begins."""
    there = {row["branch"] for row in rows}
    for kind in CONTROLS:
        if kind in there:
            look = control_of(kind, 1)
            yield _Line(
                label=look.label,
                tone=kind,
                rows=[row for row in rows if row["branch"] == kind],
                value=value,
                spread=spread,
                symbol=look.symbol,
                dash=look.dash,
                layer=layer,
            )


def _moves(data: ReportData, value: str, spread: str | None, chance: str) -> Iterator[_Line]:
    rows = [*rows_of(data, "weights", "moves")]
    for layer in dict.fromkeys(row["layer"] for row in rows):
        of = [row for row in rows if row["layer"] == layer]
        trained = [row for row in of if row["between"] == TRAINED]
        yield from _branches(trained, value, spread, layer)
        dense = {
            whose: [row for row in of if (row["weights"], row["between"]) == (whose, IN_DENSE)]
            for whose in ("survivors", "pruned")
        }
        for label, whose, one, dash, symbol in (
            ("The same weights in the dense network", "survivors", value, "dash", "circle-open"),
            ("Pruned weights in the dense network", "pruned", value, "dot", "x"),
            ("By chance", "survivors", chance, "longdash", ""),
        ):
            looks = {"tone": "dense", "dash": dash, "symbol": symbol}
            yield _Line(label=label, rows=dense[whose], value=one, layer=layer, **looks)


def signs_kept(data: ReportData) -> Plot | None:
    """Share of signs that training keeps against density."""
    lines = [*_moves(data, "signs_kept", "signs_kept_sd", "signs_by_chance")]
    return _plot(data, "Weights that keep their sign (%)", lines, scale=100)


def distances(data: ReportData) -> Plot | None:
    """Distance that weights move against density."""
    lines = [*_moves(data, "distance", "distance_sd", "distance_by_chance")]
    return _plot(data, "Distance moved (L2)", lines)


def sharpness(data: ReportData) -> Plot | None:
    """The Hessian's largest eigenvalue against density."""
    rows = [*rows_of(data, "curvature", "sharpness")]
    lines = [*_branches(rows, "eigenvalue_1", "eigenvalue_1_sd", WHOLE)]
    return _plot(data, "Largest eigenvalue of the Hessian", lines, log=True)


def gradients(data: ReportData) -> Plot | None:
    """Norm of the gradient at the start against density."""
    rows = [row for row in rows_of(data, "curvature", "gradients") if row["when"] == "start"]
    lines = [*_branches(rows, "norm", "norm_sd", WHOLE)]
    return _plot(data, "Norm of the gradient at the start", lines, log=True)


def similarity(data: ReportData) -> Plot | None:
    """CKA with the dense network, and between replicates, against density."""
    rows, lines = [*rows_of(data, "cka", "layers")], list[_Line]()
    levels = sorted({row["level"] for row in rows})
    for layer in dict.fromkeys(row["layer"] for row in rows):
        of = [row for row in rows if row["layer"] == layer]
        compared = [
            {**row, "branch": MAIN if kind == "ticket" else kind}
            for row in of
            for before, _, kind in [row["compared"].partition("dense network, ")]
            if kind and not before
        ]
        lines += _branches(compared, "cka", "cka_sd", layer)
        others = [row for row in of if row["compared"] == OTHERS]
        random = [row for row in of if row["compared"] == RANDOM]
        everywhere = [{**row, "level": level} for row in random for level in levels]
        looks = {"tone": "dense", "value": "cka", "layer": layer}
        lines += [
            _Line(
                label="Tickets of two replicates",
                rows=others,
                spread="cka_sd",
                dash="dash",
                **looks,
            ),
            _Line(label="Two random networks", rows=everywhere, symbol="x", dash="dot", **looks),
        ]
    return _plot(data, "Linear CKA with the dense network", lines)


def pool_errors(data: ReportData) -> Plot | None:
    """Error of tickets and of pools against density."""
    rows = [*rows_of(data, "pools", "levels")]
    looks = (("Tickets", "ticket", "main", "solid"), ("Pools", "pool", "continued", "dash"))
    lines = [
        _Line(label=label, tone=tone, rows=rows, value=value, dash=dash)
        for label, value, tone, dash in looks
    ]
    share = is_share(data.verdict.score)
    title = "Test error (%)" if share else f"Test {data.verdict.score.name}"
    return _plot(data, title, lines, scale=100 if share else 1)


_SPREAD = " Bands are one standard deviation over replicates each way."
_LEFT_OUT = "{% if plot.left_out %} {{ counted(plot.left_out, 'layer') }} not drawn.{% endif %}"

INSIDE_WEIGHTS: Final = (
    Figure(
        name="inside-signs",
        section=SECTION,
        title="Signs that weights keep",
        caption="The share of weights whose sign at the end of a training is that at its start, of "
        "tickets and controls; and of the weights that a level keeps and prunes, in the dense "
        "network's training. By chance: if the signs at the end were dealt out at random."
        + _SPREAD
        + _LEFT_OUT,
        draw=signs_kept,
    ),
    Figure(
        name="inside-distance",
        section=SECTION,
        title="How far weights move",
        caption="The L2 distance between the weights at the start and at the end of a training: of "
        "tickets and controls; and of the weights that a level keeps and prunes, in the dense "
        "network's training. By chance: of as many weights of each layer, drawn at random, in the "
        "dense network's training." + _SPREAD + _LEFT_OUT,
        draw=distances,
    ),
    Figure(
        name="inside-sharpness",
        section=SECTION,
        title="Sharpness",
        caption="The largest eigenvalue of the Hessian of the training loss where trainings end, "
        "by the weights that are kept. Fewer weights alone make it no larger; controls have as "
        "many. Where the loss has become next to nothing, so has this." + _SPREAD,
        draw=sharpness,
    ),
    Figure(
        name="inside-gradient",
        section=SECTION,
        title="Gradient at the start",
        caption="The L2 norm of the gradient of the training loss by the weights that are kept, "
        "where trainings start." + _SPREAD,
        draw=gradients,
    ),
    Figure(
        name="inside-cka",
        section=SECTION,
        title="Are representations alike?",
        caption="Linear CKA of the outputs of a layer with those of the same replicate's dense "
        "network, for the same examples: 1 is alike up to rotation and scale. Dashed: tickets of "
        "two replicates. Dotted: two networks as they are drawn." + _SPREAD + _LEFT_OUT,
        draw=similarity,
    ),
    Figure(
        name="inside-pools",
        section=SECTION,
        title="Tickets averaged with their neighbours",
        caption="Error of tickets, and of their averages with the levels around them, on test "
        "data; chosen on validation data, without any training.",
        draw=pool_errors,
    ),
)
"""Figures of the inside of tickets that look at weights."""
