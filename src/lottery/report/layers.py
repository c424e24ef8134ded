"""The figure of what is left of each layer, as a plain Plotly dictionary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from lottery.analysis.types import Verdict
from lottery.report import words
from lottery.report.series import Figure, number
from lottery.store.jobs import MAIN, JobResult


def layer_density(verdict: Verdict, results: Sequence[JobResult]) -> Figure | None:
    """What is left of each layer at each level of the main line; None where nothing is known."""
    shares: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in sorted(results, key=lambda r: r.key):
        if result.branch == MAIN:
            for name, (kept, total) in result.layers.items():
                shares[name][result.level].append(kept / total if total else 0.0)
    levels = sorted({level for of in shares.values() for level in of})
    if not levels:
        return None
    whole = {level.level: level.density for level in verdict.levels}
    few = len(shares) <= 4
    traces = [
        _layer_trace(name, of, levels, index=i, size=(15, 10, 7, 5)[i] if few else 7)
        for i, (name, of) in enumerate(shares.items())
    ]
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "All prunable weights",
            "x": levels,
            "y": [number(whole.get(level), 100) for level in levels],
            "line": {"width": 1.5, "dash": "dash"},
            "hovertemplate": "all layers, level %{x}: %{y:.3g}%<extra></extra>",
            "meta": {"tone": "ink"},
        }
    )
    layout = {
        "title": {"text": "Weights left in the layer (%)"},
        "xaxis": {
            "title": {"text": "Level (number of prunings)"},
            "tickvals": levels,
            "ticktext": [str(level) for level in levels],
            "range": [levels[0] - 0.3, levels[-1] + 0.3],
        },
        "yaxis": {"type": "log", "tickformat": "~g", "dtick": "D2"},
        "showlegend": len(shares) <= 12,
    }
    return {"data": traces, "layout": layout, "layers": len(shares)}


def _layer_trace(
    name: str, of: Mapping[int, list[float]], levels: list[int], *, index: int, size: int
) -> Figure:
    """One layer. Marks of different sizes stay visible where layers lie on each other."""
    means = {level: sum(values) / len(values) for level, values in of.items()}
    shown = words.figure_text(name)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": shown,
        "x": levels,
        "y": [number(means[at], 100) if means.get(at) else None for at in levels],
        "line": {"width": 2},
        "marker": {
            "size": size,
            "symbol": ("circle", "square", "diamond", "triangle-up")[index % 4],
            "line": {"width": 1},
        },
        "hovertemplate": "%{fullData.name}, level %{x}: %{y:.3g}%<extra></extra>",
        "meta": {"tone": f"layer-{index}"},
    }
