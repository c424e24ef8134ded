"""What tickets lose on test images made worse, beyond what their dense networks lose, drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lottery.analysis import formatting
from lottery.inside.corruptions import STRENGTHS
from lottery.report.data import ReportData
from lottery.report.figure import Figure, Plot
from lottery.report.inside import SECTION, Row, chosen_level, densities, level_choice, rows_of
from lottery.report.series import band, extremes, number

_LOOKS: Final = {
    "noise": ("Noise", "main", "circle"),
    "blur": ("Blur", "reinit", "square"),
    "contrast": ("Low contrast", "random-mask", "diamond"),
}
"""Corruption -> its name, and the colour and mark of its line."""
_ENDS: Final = [STRENGTHS[0] - 0.15, STRENGTHS[-1] + 0.15]


def losses(data: ReportData) -> Plot | None:
    """Accuracy lost beyond the dense network's loss by strength, of the tickets of one level."""
    known = densities(data)
    rows = [
        row
        for row in rows_of(data, "shifts", "shifts")
        if row["level"] in known and row["corruption"] in _LOOKS and row["lost_more"] is not None
    ]
    if not rows:
        return None
    levels = sorted({row["level"] for row in rows})
    shown = chosen_level(data, levels)
    values = [row[which] for row in rows for which in ("lost_more", "low", "high")]
    range_ = extremes([0.0, *(number(value, 100) for value in values)])
    strengths = list(STRENGTHS)
    return {
        "data": [
            _as_dense(),
            *(
                trace | {"visible": level == shown}
                for level in levels
                for kind in _LOOKS
                if (of := [r for r in rows if (r["level"], r["corruption"]) == (level, kind)])
                for trace in _line(kind, of, known[level])
            ),
        ],
        "layout": {
            "title": {"text": "Lost beyond the dense network (points)"},
            "xaxis": {
                "title": {"text": "Strength"},
                "range": _ENDS,
                "tickvals": strengths,
                "ticktext": [str(strength) for strength in strengths],
            },
            "yaxis": {"range": range_, "tickformat": "~g"},
            "showlegend": True,
        },
        "columns": ("level", "density", "strength", "n", "lost_more", "low", "high"),
        # Not all levels are looked at, so that this is not the choice of the whole section.
        "choices": [level_choice(data, levels) | {"attribute": "shifted"}] if levels[1:] else [],
    }


def _as_dense() -> Plot:
    name = "As much as the dense network"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "x": _ENDS,
        "y": [0, 0],
        "line": {"width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
        "meta": {"tone": "dense", "part": "reference"},
    }


def _line(kind: str, rows: Sequence[Row], density: float) -> Iterator[Plot]:
    """The interval, where there is one, and the mean of one corruption at each strength."""
    name, tone, symbol = _LOOKS[kind]
    rows = sorted(rows, key=lambda row: int(row["strength"]))
    common = {"type": "scatter", "name": name, "legendgroup": kind}
    meta = {"tone": tone, "shifted": rows[0]["level"]}
    if around := band([(row["strength"], row["low"], row["high"]) for row in rows], 100):
        yield common | around | {"meta": meta | {"part": "band"}}
    yield common | {
        "mode": "lines+markers",
        "x": [row["strength"] for row in rows],
        "y": [number(row["lost_more"], 100) for row in rows],
        "line": {"width": 2.5},
        "marker": {"size": 8, "symbol": symbol},
        "customdata": [
            [row["level"], number(density), row["strength"], row["n"]]
            + [number(row[which]) for which in ("lost_more", "low", "high")]
            for row in rows
        ],
        "text": [
            f"<b>{name}, strength {row['strength']}</b><br>{formatting.percent(density)} of "
            f"weights: {formatting.signed_points(row['lost_more'])} points (n = {row['n']})"
            for row in rows
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "meta": meta | {"part": "line"},
    }


SHIFTS: Final = Figure(
    name="inside-shifts",
    section=SECTION,
    title="Do tickets lose more on worse images?",
    caption=(
        "What tickets of one density lose in test accuracy where the images are made worse, less "
        "what their own dense network loses: above 0 they lose more. Lines are means over "
        "replicates, bands 95% intervals, of which one in 20 leaves out 0 by chance."
    ),
    draw=losses,
)
"""Drawn where `lottery analyse shifts` was run."""
