"""The learning curves, as a plain Plotly dictionary with two measures of every trace.

Each level and kind has three traces: all its replicates in one, their mean, and where it stopped
early. The page's script shows some of them; nothing is computed there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from lottery.analysis.types import Estimate, LevelVerdict
from lottery.report import words
from lottery.report.data import ReportData
from lottery.report.palette import DASHES, SYMBOLS
from lottery.report.series import Figure, number
from lottery.store.jobs import JobKey
from lottery.training.config import LossName
from lottery.training.interface import CurvePoint

MOST_POINTS = 200
"""Evaluations drawn of one curve; of longer ones, an even selection."""

Values = Mapping[int, float]
"""Iteration -> value."""

_LOSSES: Mapping[LossName, str] = {"cross-entropy": "nats", "mse": "squared error"}


def learning_curves(data: ReportData) -> Figure | None:
    """The curves of every level, shown for a few; None where no curve is known."""
    levels = {level.level: level for level in data.verdict.levels}
    groups: dict[tuple[int, str], list[JobKey]] = {}
    for key in sorted(data.curves):
        if data.curves[key] and key.level in levels:
            groups.setdefault((key.level, key.kind), []).append(key)
    if not groups:
        return None
    failed = {result.key for result in data.results if result.status != "done"}
    chosen = _chosen(sorted({level for level, _ in groups}), data.verdict.smallest_winning_level)
    traces: list[Figure] = []
    losses: list[list[float | None]] = []
    thinned = False
    titles = {
        "accuracy": "Test accuracy (%)",
        "loss": f"Validation loss ({_LOSSES[data.config['training']['loss']]})",
    }
    for kind in words.KINDS:
        for level in levels.values():
            keys = groups.get((level.level, kind))
            if keys:
                grid, whole = _grid(data, keys)
                thinned |= len(grid) < whole
                for trace, loss in _group(data, level, kind, keys, failed, grid):
                    traces.append(trace | {"visible": level.level in chosen})
                    losses.append(loss)
    return {
        "data": traces,
        "layout": {
            "title": {"text": titles["accuracy"]},
            "xaxis": {"title": {"text": "Training iteration"}, "tickformat": ",~s"},
            "yaxis": {"tickformat": "~g"},
            "showlegend": False,
        },
        "loss": losses,
        "titles": titles,
        "levels": [
            {
                "level": level.level,
                "label": words.density(level.density),
                "on": level.level in chosen,
            }
            for level in levels.values()
            if any(level.level == other for other, _ in groups)
        ],
        "kinds": [kind for kind in words.KINDS if any(kind == other for _, other in groups)],
        "thinned": thinned,
        "singles": any(trace["meta"]["part"] == "replicates" for trace in traces),
    }


def _chosen(levels: list[int], winning: int | None) -> set[int]:
    """The dense network, the smallest winning ticket and the sparsest one."""
    middle = winning if winning in levels else levels[len(levels) // 2]
    return {levels[0], middle, levels[-1]}


def _grid(data: ReportData, keys: Sequence[JobKey]) -> tuple[list[int], int]:
    """The iterations to draw for these jobs, and how many there are in all."""
    every = sorted({point.iteration for key in keys for point in data.curves[key]})
    at = np.linspace(0, len(every) - 1, min(len(every), MOST_POINTS)).round().astype(int)
    return [every[i] for i in at], len(every)


def _group(
    data: ReportData,
    level: LevelVerdict,
    kind: str,
    keys: Sequence[JobKey],
    failed: set[JobKey],
    grid: list[int],
) -> list[tuple[Figure, list[float | None]]]:
    """Traces, each with its losses; what failed is drawn but not averaged."""
    done = [key for key in keys if key not in failed]
    name = f"{words.density(level.density)}, {words.kind(kind, level.level).lower()}"
    tone = f"level-{level.level}"
    common = {
        "type": "scatter",
        "name": name,
        "connectgaps": False,
    }

    def meta(part: str) -> dict[str, Any]:
        return {"tone": tone, "level": level.level, "kind": kind, "part": part}

    drawn = []
    if len(keys) > 1 or not done:
        trace = {
            "mode": "lines",
            "x": _places(data, keys, grid),
            "y": _joined(data, keys, grid, "accuracy"),
            "line": {"width": 1, "dash": DASHES[kind]},
            "opacity": 0.3,
            "hoverinfo": "skip",
            "meta": meta("replicates"),
        }
        drawn.append((common | trace, _joined(data, keys, grid, "loss")))
    if done:
        trace = {
            "mode": "lines",
            "x": grid,
            "y": _mean(data, done, grid, "accuracy"),
            "line": {"width": 2.5, "dash": DASHES[kind]},
            "hovertemplate": "<b>%{fullData.name}</b><br>iteration %{x:,}: %{y:.4g}"
            f"<br>n = {len(done)}<extra></extra>",
            "meta": meta("mean"),
        }
        drawn.append((common | trace, _mean(data, done, grid, "loss")))
    stop = _stop(data, level, kind, done)
    if stop:
        iteration, accuracy, loss = stop
        trace = {
            "mode": "markers",
            "x": [number(iteration)],
            "y": [number(accuracy, 100)],
            "marker": {"size": 11, "symbol": SYMBOLS[kind], "line": {"width": 2}},
            "hovertemplate": "<b>%{fullData.name}</b><br>early stop at %{x:,.0f}: %{y:.4g}"
            "<extra></extra>",
            "meta": meta("stop"),
        }
        drawn.append((common | trace, [number(loss)]))
    return drawn


def _stop(
    data: ReportData, level: LevelVerdict, kind: str, done: Sequence[JobKey]
) -> tuple[float, float, float | None] | None:
    """Mean iteration, accuracy and loss at early stop."""
    group = level.groups.get(kind)
    if group is None or not (group.early_stop_iteration and group.accuracy_at_early_stop):
        return None
    stops: tuple[Estimate, Estimate] = (group.early_stop_iteration, group.accuracy_at_early_stop)
    losses = [
        result.validation_loss_at_early_stop
        for result in data.results
        if result.key in done and result.validation_loss_at_early_stop is not None
    ]
    loss = sum(losses) / len(losses) if losses else None
    return stops[0].mean, stops[1].mean, loss


def _joined(
    data: ReportData, keys: Sequence[JobKey], grid: list[int], measure: Literal["accuracy", "loss"]
) -> list[float | None]:
    """The curves one after the other, with a gap between them."""
    joined: list[float | None] = []
    for key in keys:
        values = _values(data.curves[key], measure)
        own = [at for at in grid if at in values]
        joined += [*_drawn(values, own, measure, digits=4), None]
    return joined[:-1]


def _places(data: ReportData, keys: Sequence[JobKey], grid: list[int]) -> list[int | None]:
    """The iterations of what `_joined` gives.

    Each curve has its own, as trainings may start at different ones: an empty place where only
    another was measured would tear its line.
    """
    places: list[int | None] = []
    for key in keys:
        values = _values(data.curves[key], "loss")
        places += [*(at for at in grid if at in values), None]
    return places[:-1]


def _mean(
    data: ReportData, keys: Sequence[JobKey], grid: list[int], measure: Literal["accuracy", "loss"]
) -> list[float | None]:
    """The mean at those iterations where every job was evaluated."""
    curves = [_values(data.curves[key], measure) for key in keys]
    means = {
        at: sum(curve[at] for curve in curves) / len(curves)
        for at in grid
        if all(at in curve for curve in curves)
    }
    return _drawn(means, grid, measure, digits=5)


def _values(curve: Sequence[CurvePoint], measure: Literal["accuracy", "loss"]) -> Values:
    if measure == "accuracy":
        return {point.iteration: point.accuracy for point in curve if point.split == "test"}
    return {point.iteration: point.loss for point in curve if point.split == "validation"}


def _drawn(
    values: Values, grid: list[int], measure: Literal["accuracy", "loss"], *, digits: int
) -> list[float | None]:
    scale = 100 if measure == "accuracy" else 1
    found = (number(values.get(at), scale) for at in grid)
    return [None if value is None else float(f"{value:.{digits}g}") for value in found]
