"""A heatmap of the share of each layer that is kept, made of stacked bars of equal length."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from lottery.analysis import formatting
from lottery.report.data import ReportData
from lottery.report.figure import Figure, Plot, figure_text
from lottery.report.palette import Tone, share_tone
from lottery.report.series import number
from lottery.store.jobs import MAIN, JobResult

MOST_LAYERS = 60
"""Rows drawn; of networks with more, an even selection."""
_STEPS = 20
"""Colours between nothing and everything."""


def layer_density(data: ReportData) -> Plot | None:
    """Layer by density, in the tickets; None where nothing is known."""
    shares = layer_shares(data.results)
    names = [name for name in data.layers if name in shares] or list(shares)
    levels = [lv for lv in data.verdict.levels if any(lv.level in of for of in shares.values())]
    if not levels:
        return None
    shown = names[:: -(-len(names) // MOST_LAYERS)]
    rows = [figure_text(name) for name in shown]
    traces: list[Plot] = []
    for level in levels:
        kept = [shares[name].get(level.level) for name in shown]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": formatting.percent(level.density),
                "x": [1] * len(shown),
                "y": list(range(len(shown))),
                "customdata": [
                    [name, level.level, number(level.density), number(v)]
                    for name, v in zip(shown, kept, strict=True)
                ],
                "text": ["" if v is None else _label(v) for v in kept],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "constraintext": "inside",
                "textangle": 0,
                "hovertext": [
                    f"<b>{row}</b>, level {level.level}<br>"
                    f"{formatting.NONE if v is None else formatting.percent(v)} kept"
                    for row, v in zip(rows, kept, strict=True)
                ],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "meta": {"tones": [f"share-{_step(v or 0.0)}" for v in kept]},
            }
        )
    return {
        "data": traces,
        "columns": ("layer", "level", "density", "share"),
        "layout": {
            "title": {"text": "Weights left in each layer (%)"},
            "barmode": "stack",
            "bargap": 0.06,
            "uniformtext": {"minsize": 7, "mode": "hide"},
            "xaxis": {
                "title": {"text": "Weights left (%) → sparser"},
                "range": [0, len(levels)],
                "tickvals": [i + 0.5 for i in range(len(levels))],
                "ticktext": [formatting.percent(lv.density).removesuffix("%") for lv in levels],
            },
            "yaxis": {
                "range": [len(shown) - 0.5, -0.5],
                "tickvals": list(range(len(shown))),
                "ticktext": rows,
                "showgrid": False,
            },
            "showlegend": False,
        },
        "height": 130 + 26 * len(shown),
        "tones": {f"share-{i}": _tone(i) for i in range(_STEPS + 1)},
        "left_out": len(names) - len(shown),
    }


def layer_shares(results: Sequence[JobResult]) -> Mapping[str, Mapping[int, float]]:
    """Layer -> level -> share kept by the tickets, mean over replicates."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in sorted(results, key=lambda r: r.key):
        if result.branch == MAIN:
            for name, (kept, total) in result.layers.items():
                found[name][result.level].append(kept / total if total else 0.0)
    return {
        name: {level: sum(values) / len(values) for level, values in of.items()}
        for name, of in found.items()
    }


def _label(share: float) -> str:
    return formatting.percent(share).removesuffix("%")


def _step(share: float) -> int:
    return round(math.sqrt(share) * _STEPS)


def _tone(step: int) -> Tone:
    return share_tone(step / _STEPS)


LAYERS = Figure(
    name="layers",
    section="Where weights are left",
    title="What is left of each layer",
    caption=(
        "Rows are layers{% if known_order %}, from input to output{% endif %}; columns are levels; "
        "numbers are the share of the layer's weights that the tickets keep, in percent, mean over "
        "replicates. The colour goes by its square root, so that small shares still differ. "
        "{% if plot.left_out %}{{ counted(plot.left_out, 'layer') }} in between "
        "{{ 'is' if plot.left_out == 1 else 'are' }} not drawn. {% endif %}"
    ),
    draw=layer_density,
)
