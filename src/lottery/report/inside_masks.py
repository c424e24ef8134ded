"""Figures of the analysis ``masks`` about single tickets, beside chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from lottery.analysis import formatting
from lottery.report.data import ReportData, Shares
from lottery.report.figure import Figure, Gallery, Picture, Plot
from lottery.report.inside import (
    SECTION,
    Row,
    chosen_level,
    densities,
    layer_choice,
    layer_label,
    layer_names,
    level_choice,
    replicate_choice,
    rows_of,
)
from lottery.report.inside_overlap import OVERLAPS, SETTLING
from lottery.report.layers import MOST_LAYERS
from lottery.report.pixels import mask_point, picture, scale
from lottery.report.series import log_axis, log_range, number


def first_layers(data: ReportData) -> Gallery | None:
    """Each ticket's mask of the first layer and what it reads of each pixel."""
    if not data.first_layers:
        return None
    level = chosen_level(data, {level for level, _ in data.first_layers})
    replicate = min(number for _, number in data.first_layers)
    pictures = [
        one
        for at, layer in sorted(data.first_layers.items())
        for name, point, share in (
            ("Mask", mask_point(data.masks_are, layer.block), layer.mask),
            ("Input pixels", "pixel", layer.pixels),
        )
        if share is not None
        for one in [_picture(data, name, point, share, at, shown=at == (level, replicate))]
    ]
    return Gallery(
        pictures=pictures,
        scale=scale(),
        choices=(
            level_choice(data, (level for level, _ in data.first_layers)),
            replicate_choice(number for _, number in data.first_layers),
        ),
    )


def _picture(
    data: ReportData, name: str, point: str, share: Shares, at: tuple[int, int], *, shown: bool
) -> Picture:
    level, replicate = at
    known = densities(data).get(level)
    kept = f"level {level}" if known is None else formatting.percent(known)
    return picture(
        np.asarray(share, dtype=np.float64),
        label=f"{name}, {kept}, replicate {replicate}",
        point=point,
        meta={"level": level, "replicate": replicate},
        shown=shown,
    )


_DENSITY_MARKS: Final = (
    ("density", "Kept", "main", "circle-open"),
    ("effective_density", "Kept and on a path", "main", "circle"),
    ("dead", "Units on no path", "reinit", "x"),
)


def layer_densities(data: ReportData) -> Plot | None:
    """Layer by share kept, share on paths and share of dead units, of one ticket."""
    rows = [row for row in rows_of(data, "masks", "layers") if row["level"]]
    if not rows:
        return None
    names = layer_names(data, rows)
    shown = names[:: -(-len(names) // MOST_LAYERS)]
    groups: dict[tuple[int, int], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        groups[row["level"], row["replicate"]][row["layer"]] = row
    first = (chosen_level(data, {level for level, _ in groups}), min(r for _, r in groups))
    traces = [
        _density_trace(at, of, shown, mark, visible=at == first)
        for at, of in sorted(groups.items())
        for mark in _DENSITY_MARKS
    ]
    return {
        "data": [trace for trace in traces if any(x is not None for x in trace["x"])],
        "layout": {
            "title": {"text": "Share of each layer"},
            "xaxis": {
                **log_axis(log_range(traces)),
                "title": {"text": "Share (%)"},
                "showgrid": True,
            },
            "yaxis": {
                "range": [len(shown) - 0.5, -0.5],
                "tickvals": list(range(len(shown))),
                "ticktext": [layer_label(name) for name in shown],
            },
            "showlegend": True,
        },
        "height": 170 + 30 * len(shown),
        "columns": ("level", "replicate", "layer", "share"),
        "choices": [
            level_choice(data, (level for level, _ in groups)),
            replicate_choice(number for _, number in groups),
        ],
        "left_out": len(names) - len(shown),
    }


def _density_trace(
    at: tuple[int, int],
    of: Mapping[str, Row],
    names: Sequence[str],
    mark: tuple[str, str, str, str],
    *,
    visible: bool,
) -> Plot:
    what, label, tone, symbol = mark
    level, replicate = at
    values = [_share(of.get(name), what) for name in names]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "legendgroup": what,
        # Nothing has no place on a logarithmic axis.
        "x": [number(v, 100, digits=4) or None for v in values],
        "y": list(range(len(names))),
        "marker": {"size": 11 if what == "density" else 8, "symbol": symbol},
        "customdata": [
            [level, replicate, name, number(value)]
            for name, value in zip(names, values, strict=True)
        ],
        "hovertemplate": f"{label}: %{{x}}%<extra></extra>",
        "meta": {"tone": tone, "part": what, "level": level, "replicate": replicate},
        "visible": visible,
    }


def _share(row: Row | None, what: str) -> float | None:
    if row is None:
        return None
    if what == "dead":
        return None if row["dead_units"] is None else row["dead_units"] / row["units"]
    value: float | None = row[what]
    return value


def unit_degrees(data: ReportData) -> Plot | None:
    """How many units keep how many weights, of one ticket."""
    bins: dict[tuple[str, int, int], list[Row]] = defaultdict(list)
    for row in rows_of(data, "masks", "degrees"):
        if row["level"]:
            bins[f"{row['layer']} {row['side']}", row["level"], row["replicate"]].append(row)
    if not bins:
        return None
    there = {label for label, _, _ in bins}
    layers = {row["layer"] for of in bins.values() for row in of[:1]}
    ordered = [n for n in data.layers if n in layers] or sorted(layers)
    labels = [s for n in ordered for side in ("outputs", "inputs") if (s := f"{n} {side}") in there]
    levels, replicates = {level for _, level, _ in bins}, {number for _, _, number in bins}
    first = (labels[0], chosen_level(data, levels), min(replicates))
    traces = [
        trace
        for at, of in sorted(bins.items())
        if at[0] in labels
        for trace in _degree_traces(labels.index(at[0]), at, of, visible=at == first)
    ]
    top = max((y for t in traces if t["visible"] for y in t["y"]), default=1)
    right = max((x for t in traces if t["visible"] for x in t["x"]), default=1)
    return {
        "data": traces,
        "layout": {
            "title": {"text": "Units by weights kept"},
            "xaxis": {"title": {"text": "Weights kept of a unit"}, "range": [0, right]},
            "yaxis": {"range": [0, 1.05 * top], "rangemode": "tozero", "tickformat": "~g"},
            "showlegend": True,
        },
        "choices": [
            level_choice(data, levels),
            replicate_choice(replicates),
            layer_choice(labels),
        ],
        "fit": "both",
        "names": ("from", "units"),
    }


def _degree_traces(
    place: int, at: tuple[str, int, int], rows: Sequence[Row], *, visible: bool
) -> Iterator[Plot]:
    label, level, replicate = at
    for what, name, tone, dash in (
        ("units", "Ticket", "main", "solid"),
        ("chance", "By chance", "dense", "dot"),
    ):
        values = [round(row[what], 2) for row in rows]
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "legendgroup": what,
            "x": [*(row["from"] for row in rows), rows[-1]["to"] + 1],
            "y": [*values, values[-1]],
            "line": {"width": 2, "dash": dash, "shape": "hv"},
            "hovertemplate": f"{name}<br>from %{{x}}: %{{y:.3g}} units<extra></extra>",
            "meta": {
                "tone": tone,
                "part": what,
                "layer": place,
                "level": level,
                "replicate": replicate,
                "csv": {"layer": label, "level": level, "replicate": replicate},
            },
            "visible": visible,
        }


FIRST_LAYERS = Figure(
    name="inside-first-layer",
    section=SECTION,
    title="First layer",
    caption=(
        "What one ticket keeps of its first layer: {% if masks_are == 'filters' %}filter by "
        "filter, coloured by the share kept over input channels{% else %}its mask, rows being "
        "units and columns inputs, each point the mean over a block of weights where the layer is "
        "large{% endif %}; and, where "
        "it reads single pixels, the share kept of the weights that read each. Each picture has "
        "its own scale, from none to the share named below it."
    ),
    draw=first_layers,
)
DENSITIES = Figure(
    name="inside-density",
    section=SECTION,
    title="Density and effective density",
    caption=(
        "Of each layer of one ticket the share of weights that is kept (hollow), and that lies on "
        "a path of kept weights from an input to an output (filled): the rest has no effect. "
        "Crosses: units on no such path. Where there is none of these, there is no mark. "
        "{% if plot.left_out %}{{ counted(plot.left_out, 'layer') }} in between not drawn."
        "{% endif %}"
    ),
    draw=layer_densities,
)
DEGREES = Figure(
    name="inside-units",
    section=SECTION,
    title="Weights of each unit",
    caption=(
        "How many of a layer's outputs, or of its inputs, keep how many weights, in one ticket; "
        "and on average by chance, if of the layer as many weights were drawn at random. A "
        "broader distribution than by chance: whole units are cut off, and others spared."
    ),
    draw=unit_degrees,
)
INSIDE_MASKS: Final = (FIRST_LAYERS, DENSITIES, DEGREES, OVERLAPS, SETTLING)
"""In the order of the page."""
