"""Figures of how masks overlap: between replicates, and with masks of earlier moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Final

from lottery.analysis import formatting
from lottery.report.data import ReportData
from lottery.report.figure import Figure, Plot
from lottery.report.inside import (
    SECTION,
    Row,
    densities,
    layer_choice,
    layer_names,
    rows_of,
)
from lottery.report.layers import MOST_LAYERS
from lottery.report.series import band, density_axis, extremes, number, percent

_OVERLAP_LINES: Final = (
    ("overlap", "Tickets", "main", "solid"),
    ("chance", "By chance", "dense", "dot"),
    ("chance_by_input", "By chance, as many for each input", "random-mask", "dash"),
)


def replicate_overlaps(data: ReportData) -> Plot | None:
    """Weights in common between replicates, over those by chance, layer by layer."""
    rows = [row for row in rows_of(data, "masks", "between") if row["level"]]
    known = densities(data)
    rows = [row for row in rows if row["level"] in known and row["overlap"] and row["chance"]]
    if not rows:
        return None
    names = layer_names(data, rows)
    shown = names[:: -(-len(names) // MOST_LAYERS)]
    by_layer = [
        (place, layer, of)
        for place, layer in enumerate(shown)
        if (of := [row for row in rows if row["layer"] == layer])
    ]
    traces = [_by_chance(data, place, of) for place, _, of in by_layer]
    traces += [
        {
            "type": "scatter",
            "mode": "lines+markers" if what == "overlap" else "lines",
            "name": label,
            "legendgroup": what,
            "x": [percent(known[row["level"]]) for row in of],
            "y": [_over_chance(row, what) for row in of],
            "line": {"width": 2.5 if what == "overlap" else 2, "dash": dash},
            "marker": {"size": 7, "symbol": "circle"},
            "customdata": [
                [row["level"], row["pairs"], number(row[what]), _over_chance(row, what), row["z"]]
                for row in of
            ],
            "text": [_overlap_text(row) for row in of],
            "hovertemplate": "%{text}<extra></extra>",
            "meta": {"tone": tone, "part": what, "layer": place, "csv": {"layer": layer}},
            "visible": place == 0,
        }
        for place, layer, of in by_layer
        for what, label, tone, dash in _OVERLAP_LINES
    ]
    return {
        "data": traces,
        "layout": {
            "title": {"text": "Weights in common (times chance)"},
            "xaxis": density_axis(known[row["level"]] for row in rows),
            "yaxis": {
                "range": extremes([y for t in traces if t["visible"] for y in t["y"]]),
                "tickformat": "~g",
            },
            "showlegend": True,
        },
        "columns": ("level", "pairs", "share", "over_chance", "z"),
        "fit": "y",
        "choices": [layer_choice(shown)],
        "pairs": max(row["pairs"] for row in rows),
    }


def _over_chance(row: Row, what: str) -> float | None:
    return None if row[what] is None else number(row[what] / row["chance"])


def _by_chance(data: ReportData, place: int, rows: Sequence[Row]) -> Plot:
    """Three standard deviations of chance each way, as a band around 1."""
    known, ends = densities(data), []
    for row in rows:
        above = row["overlap"] / row["chance"] - 1
        reach = 3 * above / row["z"] if row["z"] else None
        ends.append((percent(known[row["level"]]), reach and 1 - reach, reach and 1 + reach))
    return {
        "type": "scatter",
        "name": "By chance",
        "legendgroup": "chance",
        **(band(ends, 1) or {"x": [], "y": [], "mode": "lines", "showlegend": False}),
        "meta": {"tone": "dense", "part": "band", "layer": place},
        "visible": place == 0,
    }


def _overlap_text(row: Row) -> str:
    z = "" if row["z"] is None else f"<br>{row['z']:+.3g} standard deviations of chance"
    return (
        f"level {row['level']}: {formatting.percent(row['overlap'])} in common, "
        f"{formatting.percent(row['chance'])} by chance{z}"
    )


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
            "title": {"text": "Weights in common (%)"},
            "xaxis": density_axis(known[n] for of in groups.values() for n in of),
            "yaxis": {"range": [low, high], "tickformat": "~g"},
            "showlegend": True,
        },
        "height": 380,
        "names": ("percent_left", "percent_in_common"),
    }


OVERLAPS = Figure(
    name="inside-overlap",
    section=SECTION,
    title="Do replicates find the same weights?",
    caption=(
        "How many weights two replicates' tickets both keep, over how many it would be by chance, "
        "if of each layer as many were drawn at random (computed exactly); mean over "
        "{{ counted(plot.pairs, 'pair') }}. Shaded: three standard deviations of chance each way. "
        "Dashed: chance, if as many weights were drawn for each input of the layer as the tickets "
        "keep of it. Tickets on that line or below it agree on which inputs to read, and on "
        "nothing else."
    ),
    draw=replicate_overlaps,
)
SETTLING = Figure(
    name="inside-settling",
    section=SECTION,
    title="How early is a mask decided?",
    caption=(
        "How much of each level's mask is in an earlier one: in the mask that pruning would have "
        "given at the start of the training that decided it, or at a state on the way that the run "
        "keeps; where masks change in training, in the mask that it started with. Mean over "
        "replicates. Dotted: by chance, if as many weights were drawn at random from those that "
        "there were to choose from."
    ),
    draw=settling,
)
