"""What the analysis of masks found, drawn: by level, layer and replicate, beside chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Final

import numpy as np

from lottery.analysis import formatting
from lottery.inside.masks_in_words import WHOLE
from lottery.report.data import ReportData, Shares
from lottery.report.figure import Figure, Gallery, Picture, Plot, figure_text
from lottery.report.inside import (
    SECTION,
    chosen_level,
    densities,
    layer_choice,
    level_choice,
    replicate_choice,
    rows_of,
)
from lottery.report.layers import MOST_LAYERS
from lottery.report.pixels import picture, scale
from lottery.report.series import density_axis, extremes, number, percent

Row = Mapping[str, Any]


def first_layers(data: ReportData) -> Gallery | None:
    """Each ticket's mask of the first layer and what it reads of each pixel."""
    if not data.first_layers:
        return None
    level = chosen_level(data, {level for level, _ in data.first_layers})
    replicate = min(number for _, number in data.first_layers)
    pictures = [
        one
        for at, layer in sorted(data.first_layers.items())
        for name, share in (("Mask", layer.mask), ("Input pixels", layer.pixels))
        if share is not None
        for one in [_picture(data, name, share, at, shown=at == (level, replicate))]
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
    data: ReportData, name: str, share: Shares, at: tuple[int, int], *, shown: bool
) -> Picture:
    level, replicate = at
    known = densities(data).get(level)
    kept = f"level {level}" if known is None else formatting.percent(known)
    return picture(
        np.asarray(share, dtype=np.float64),
        label=f"{name}, {kept}, replicate {replicate}",
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
    names = _layer_names(data, rows)
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
                "title": {"text": "Share (%)"},
                "type": "log",
                "range": _log_range(traces),
                "showgrid": True,
                "tickformat": "~g",
                "dtick": "D2",
            },
            "yaxis": {
                "range": [len(shown) - 0.5, -0.5],
                "tickvals": list(range(len(shown))),
                "ticktext": [figure_text(name) for name in shown],
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


def _layer_names(data: ReportData, rows: Sequence[Row]) -> list[str]:
    """All layers together, then each, from input to output where that is known."""
    there = dict.fromkeys(row["layer"] for row in rows)
    return [WHOLE, *([n for n in data.layers if n in there] or [n for n in there if n != WHOLE])]


def _log_range(traces: Sequence[Plot], *, of: str = "x") -> list[float]:
    values = [value for trace in traces for value in trace[of] if value]
    return [float(np.log10(min(values))) - 0.1, float(np.log10(max(values))) + 0.1]


_OVERLAP_LINES: Final = (
    ("overlap", "Tickets", "main", "solid"),
    ("chance", "By chance", "dense", "dot"),
    ("chance_by_input", "By chance, as many for each input", "random-mask", "dash"),
)


def replicate_overlaps(data: ReportData) -> Plot | None:
    """Weights in common between replicates against density, layer by layer."""
    rows = [row for row in rows_of(data, "masks", "between") if row["level"]]
    known = densities(data)
    rows = [row for row in rows if row["level"] in known and row["overlap"]]
    if not rows:
        return None
    names = _layer_names(data, rows)
    shown = names[:: -(-len(names) // MOST_LAYERS)]
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers" if what == "overlap" else "lines",
            "name": label,
            "legendgroup": what,
            "x": [percent(known[row["level"]]) for row in of],
            "y": [number(row[what], 100, digits=4) for row in of],
            "line": {"width": 2.5 if what == "overlap" else 2, "dash": dash},
            "marker": {"size": 7, "symbol": "circle"},
            "customdata": [[row["level"], row["pairs"], number(row[what]), row["z"]] for row in of],
            "text": [_overlap_text(row) for row in of],
            "hovertemplate": "%{text}<extra></extra>",
            "meta": {"tone": tone, "part": what, "layer": place, "csv": {"layer": layer}},
            "visible": place == 0,
        }
        for place, layer in enumerate(shown)
        for of in [[row for row in rows if row["layer"] == layer]]
        for what, label, tone, dash in _OVERLAP_LINES
        if of
    ]
    return {
        "data": traces,
        "layout": {
            "title": {"text": "Weights in common between two replicates (%)"},
            "xaxis": density_axis((known[row["level"]] for row in rows), apart=0.04),
            "yaxis": {
                "type": "log",
                "range": _log_range(traces, of="y"),
                "tickformat": "~g",
                "dtick": "D2",
            },
            "showlegend": True,
        },
        "columns": ("level", "pairs", "share", "z"),
        "choices": [layer_choice(shown)],
        "pairs": max(row["pairs"] for row in rows),
    }


def _overlap_text(row: Row) -> str:
    z = "" if row["z"] is None else f"<br>{row['z']:+.3g} standard deviations of chance"
    return (
        f"level {row['level']}: {formatting.percent(row['overlap'])} in common, "
        f"{formatting.percent(row['chance'])} by chance{z}"
    )


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
            "title": {"text": "Units by how many of their weights are kept"},
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


def settling(data: ReportData) -> Plot | None:
    """What masks have in common with those of earlier moments, against density."""
    known = densities(data)
    groups: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows_of(data, "masks", "settling"):
        if row["level"] in known and row["overlap"] is not None and row["chance"] is not None:
            groups[row["moment"]][row["level"]].append(row)
    traces: list[Plot] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name if what == "overlap" else f"{name}: by chance",
            "legendgroup": f"{moment} {what}",
            "x": [percent(known[level]) for level in sorted(of)],
            "y": [100 * fmean(row[what] for row in of[level]) for level in sorted(of)],
            "line": {"width": 2, "dash": "solid" if what == "overlap" else "dot"},
            "marker": {"size": 7, "symbol": symbol},
            "hovertemplate": "%{y:.4g}%<extra></extra>",
            "meta": {"tone": "main" if what == "overlap" else "dense", "part": what},
        }
        for (moment, of), symbol in zip(sorted(groups.items()), ("square", "circle"), strict=False)
        for name in [f"{moment[:1].upper()}{moment[1:]}"]
        for what in ("overlap", "chance")
    ]
    if not traces:
        return None
    low, high = extremes([y for trace in traces for y in trace["y"]]) or (0, 100)
    return {
        "data": traces,
        "layout": {
            "title": {"text": "Weights in common with the mask that came out (%)"},
            "xaxis": density_axis((known[n] for of in groups.values() for n in of), apart=0.04),
            "yaxis": {"range": [low, high], "tickformat": "~g"},
            "showlegend": True,
        },
        "height": 380,
        "names": ("percent_left", "percent_in_common"),
    }


FIRST_LAYERS = Figure(
    name="inside-first-layer",
    section=SECTION,
    title="First layer",
    caption=(
        "What one ticket keeps of its first layer: {% if masks_are == 'filters' %}filter by "
        "filter, coloured by the share kept over input channels{% else %}its mask, rows being "
        "units and columns inputs, a point the mean over a block of weights{% endif %}; and, where "
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
        "a path of kept weights from an input to an output (filled): the rest decides nothing. "
        "Crosses: units on no such path. Where there is none of these, there is no mark. "
        "{% if plot.left_out %}{{ counted(plot.left_out, 'layer') }} in between not drawn."
        "{% endif %}"
    ),
    draw=layer_densities,
)
OVERLAPS = Figure(
    name="inside-overlap",
    section=SECTION,
    title="Do replicates find the same weights?",
    caption=(
        "Of the smaller mask's weights those that two replicates' tickets both keep, mean over "
        "{{ counted(plot.pairs, 'pair') }}. By chance: if of each layer as many weights were drawn "
        "at random (exactly, not simulated); dashed: if as many were drawn for each input of the "
        "layer. A line that lies on the dashed one says that replicates agree on which inputs to "
        "read, and on nothing else."
    ),
    draw=replicate_overlaps,
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
SETTLING = Figure(
    name="inside-settling",
    section=SECTION,
    title="How early is a mask decided?",
    caption=(
        "Of each level's mask the share in common with the mask that there was, or that pruning "
        "would have given by the weights, at an earlier moment of the training that decided it: "
        "its start, or states on the way that the run keeps; mean over replicates. Dotted: by "
        "chance, from what was left to choose from."
    ),
    draw=settling,
)
INSIDE_MASKS: Final = (FIRST_LAYERS, DENSITIES, DEGREES, OVERLAPS, SETTLING)
"""In the order of the page."""
