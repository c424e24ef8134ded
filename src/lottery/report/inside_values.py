"""Histograms of weights at the start and the end of training, kept and pruned ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from lottery.report.data import ReportData
from lottery.report.figure import Figure, Plot
from lottery.report.inside import SECTION, chosen_level, layer_choice, level_choice, rows_of
from lottery.report.layers import MOST_LAYERS
from lottery.report.series import number

_PARTS: Final = {
    ("survivors", "start"): ("Kept: what they start from", "main", "dot"),
    ("survivors", "end"): ("Kept: at the end", "main", "solid"),
    ("pruned", "initialization"): ("Pruned: initial", "dense", "dot"),
    ("pruned", "end of the dense training"): ("Pruned: dense, at the end", "dense", "solid"),
}
"""Which weights, and when -> name, colour, dash."""


def values(data: ReportData) -> Plot | None:
    """Histograms of every level and layer; None where the weights were not looked at."""
    bins: dict[tuple[int, str], dict[tuple[str, str], list[Any]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows_of(data, "weights", "histograms"):
        if row["level"] and (row["weights"], row["when"]) in _PARTS:
            bins[row["level"], row["layer"]][row["weights"], row["when"]].append(row)
    if not bins:
        return None
    there = dict.fromkeys(layer for _, layer in bins)
    names = [n for n in there if n not in data.layers] + [n for n in data.layers if n in there]
    shown = names[:: -(-len(names) // MOST_LAYERS)]
    first = (chosen_level(data, {level for level, _ in bins}), shown[0])
    traces = [
        _trace(part, of[part], level, shown.index(layer), layer, visible=(level, layer) == first)
        for (level, layer), of in sorted(bins.items())
        if layer in shown
        for part in _PARTS
        if part in of
    ]
    seen = [trace for trace in traces if trace["visible"]]
    edges = [x for trace in seen for x in trace["x"]]
    return {
        "data": traces,
        "layout": {
            "title": {"text": "Share of weights (%)"},
            "xaxis": {"title": {"text": "Weight"}, "range": [min(edges), max(edges)]},
            "yaxis": {
                "range": [0, 1.05 * max(y for trace in seen for y in trace["y"])],
                "rangemode": "tozero",
                "tickformat": "~g",
            },
            "showlegend": True,
        },
        "choices": [
            level_choice(data, (level for level, _ in bins)),
            *([layer_choice(shown)] if shown[1:] else []),
        ],
        "fit": "both",
        "names": ("from_weight", "percent"),
        "left_out": len(names) - len(shown),
    }


def _trace(
    part: tuple[str, str], rows: Sequence[Any], level: int, place: int, layer: str, *, visible: bool
) -> Plot:
    label, tone, dash = _PARTS[part]
    x: list[float | None] = []
    y: list[float | None] = []
    end: float | None = None
    for row in rows:
        low = number(row["from_value"], digits=4)
        if x and end != low:
            x.append(end)
            y.append(0.0)
        x.append(low)
        y.append(number(row["share"], 100, digits=3))
        end = number(row["to_value"], digits=4)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label,
        "legendgroup": " ".join(part),
        "x": [*x, end],
        "y": [*y, y[-1]],
        "line": {"width": 2, "dash": dash, "shape": "hv"},
        "hovertemplate": f"{label}<br>from %{{x:.3g}}: %{{y:.3g}}%<extra></extra>",
        "meta": {
            "tone": tone,
            "part": part[0],
            "level": level,
            "layer": place,
            "csv": {"layer": layer, "level": level},
        },
        "visible": visible,
    }


VALUES: Final = Figure(
    name="inside-values",
    section=SECTION,
    title="Weights before and after training",
    caption=(
        "Of a level's tickets, all replicates together: kept weights as they start (dotted) and "
        "end (solid), and pruned ones as they were drawn and as the dense network trained them. "
        "Both ends of the axis hold what lies beyond. If pruning were blind, kept and pruned "
        "weights would begin alike. {% if plot.left_out %}{{ counted(plot.left_out, 'layer') }} "
        "in between can not be chosen.{% endif %}"
    ),
    draw=values,
)
