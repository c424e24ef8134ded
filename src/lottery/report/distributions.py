"""How initial and trained weights are distributed, of those a level keeps and those it prunes."""

from __future__ import annotations

from typing import Final

import numpy as np

from lottery.analysis import formatting
from lottery.report.data import ReportData
from lottery.report.figure import Figure, Plot
from lottery.report.inside import layer_choice
from lottery.report.series import number

MOST_LAYERS = 12
"""Layers that can be chosen; of networks with more, an even selection."""
PARTS: Final = {
    "initial-kept": ("Initial weights, kept", "main", "dot"),
    "initial-pruned": ("Initial weights, pruned", "dense", "dot"),
    "trained-kept": ("Trained weights, kept", "main", "solid"),
    "trained-pruned": ("Trained weights, pruned", "dense", "solid"),
}
"""Which weights -> name, colour, dash."""


def weight_distributions(data: ReportData) -> Plot | None:
    """Histograms of every layer, shown for the first; None where no weights are known."""
    names = list(data.weights)[:: -(-len(data.weights) // MOST_LAYERS) or 1]
    if not names:
        return None
    traces: list[Plot] = []
    ranges: dict[str, list[float]] = {}
    for place, name in enumerate(names):
        counts = data.weights[name]
        ranges[str(place)] = [float(counts.edges[0]), float(counts.edges[-1])]
        for part, (label, tone, dash) in PARTS.items():
            values = counts.counts.get(part)
            if values is None or not values.sum():
                continue
            share = values / values.sum() / np.diff(counts.edges)
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": label,
                    "legendgroup": part,
                    "x": [number(edge, digits=4) for edge in counts.edges],
                    "y": [number(value, digits=4) for value in (*share, share[-1])],
                    "line": {"width": 2, "dash": dash, "shape": "hv"},
                    "hovertemplate": f"{label}<br>from %{{x:.3g}}: %{{y:.3g}}<extra></extra>",
                    "meta": {"tone": tone, "layer": place, "part": part, "csv": {"layer": name}},
                    "visible": place == 0,
                }
            )
    first = [t for t in traces if t["visible"]]
    top = max((y for t in first for y in t["y"] if y is not None), default=1.0)
    return {
        "data": traces,
        "layout": {
            "title": {
                "text": f"Probability density; {formatting.percent(data.weights_density)} kept"
            },
            "xaxis": {"title": {"text": "Weight"}, "range": ranges["0"]},
            "yaxis": {"range": [0, 1.05 * top], "rangemode": "tozero", "tickformat": "~g"},
            "showlegend": True,
        },
        "choices": [layer_choice(names)] if names[1:] else [],
        "fit": "both",
        "names": ("from_weight", "density"),
        "left_out": len(data.weights) - len(names),
    }


DISTRIBUTIONS = Figure(
    name="weights",
    section="Which weights are left",
    title="Initial and trained weights",
    caption=(
        "Weights of one layer, all replicates together, by whether the level that keeps "
        "{{ percent(density) }} keeps them: as they were drawn (dotted), and as the dense network "
        "trained them (solid). The area under each line is 1. {% if plot.left_out %}"
        "{{ counted(plot.left_out, 'layer') }} in between can not be chosen here. {% endif %}"
    ),
    draw=weight_distributions,
)
