"""The learning curves: test score and validation loss of every level and kind of training.

Each level and kind has three traces: all its replicates in one, their mean, and its early stop. The
page's script only chooses which of them to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from lottery.analysis import formatting
from lottery.analysis.controls import CONTROLS, control_of
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import LevelVerdict
from lottery.report.data import ReportData
from lottery.report.figure import Figure, Plot, choice, figure_text
from lottery.report.palette import TONES, Tone, shaded
from lottery.report.series import extremes, hollow, number
from lottery.store.jobs import MAIN, JobKey

MOST_POINTS = 200
"""Evaluations drawn of one curve; of longer ones, an even selection."""

Values = Mapping[int, float]
"""Iteration -> value."""

_LOSSES: Mapping[object, str] = {"cross-entropy": "nats", "mse": "squared error"}


def learning_curves(data: ReportData) -> Plot | None:
    """The curves of every level, shown for dense, one ticket and its controls.

    Returns:
        The plot; None where no curve is known.
    """
    levels = {level.level: level for level in data.verdict.levels}
    groups: dict[tuple[int, str], list[JobKey]] = {}
    for key in sorted(data.curves):
        if data.curves[key] and key.level in levels:
            groups.setdefault((key.level, key.kind), []).append(key)
    if not groups:
        return None
    failed = {result.key for result in data.results if result.status != "done"}
    there = sorted({level for level, _ in groups})
    chosen = {there[0], shown_level(data, there)}
    traces: list[Plot] = []
    losses: list[list[float | None]] = []
    thinned = False
    for kind in CONTROLS:
        for level in levels.values():
            keys = groups.get((level.level, kind))
            if keys:
                grid, whole = _grid(data, keys)
                thinned |= len(grid) < whole
                for trace, loss in _group(data, level, kind, keys, failed, grid):
                    traces.append(trace | {"visible": level.level in chosen})
                    losses.append(loss)
    score = ScoreFormat(data.verdict.score)
    loss = data.config.get("training", {}).get("loss")
    titles = {
        "accuracy": _titled(f"Test {score.name}", score.unit),
        "loss": _titled("Validation loss", _LOSSES.get(loss, "")),
    }
    measures: Plot = {"y": losses, "titles": titles}
    tones = {
        _tone(kind, level): _shade(kind, there.index(level), there.index(max(chosen)), len(there))
        for level, kind in groups
    }
    return {
        "data": traces,
        "layout": {
            "title": {"text": titles["accuracy"]},
            "xaxis": {
                "title": {"text": "Training iteration"},
                "tickformat": ",~s",
                "range": [0, max(point.iteration for c in data.curves.values() for point in c)],
            },
            "yaxis": {"tickformat": "~g", "range": _first_range(traces)},
            "showlegend": True,
        },
        **({"measures": measures} if any(y is not None for of in losses for y in of) else {}),
        "choices": _choices(there, chosen, levels, traces),
        "tones": tones,
        "names": ("iteration", f"test_{score.key}{'_percent' if score.percent else ''}"),
        "thinned": thinned,
    }


def _titled(words: str, unit: str) -> str:
    return figure_text(f"{words} ({unit})" if unit else words)


def _choices(
    there: Sequence[int],
    chosen: set[int],
    levels: Mapping[int, LevelVerdict],
    traces: Sequence[Plot],
) -> list[Plot]:
    options = [
        {
            "value": level,
            "label": formatting.percent(levels[level].density),
            "on": level in chosen,
            "tone": _tone(MAIN, level),
        }
        for level in there
    ]
    found = [choice("level", "Levels to show, by density", options)]
    if any(trace["meta"]["part"] == "replicates" for trace in traces):
        singles = {"value": "replicates", "label": "Single trainings", "on": True}
        found.append(choice("part", "Parts to show", [singles]))
    return found


def shown_level(data: ReportData, there: Sequence[int]) -> int:
    """The level to show first: the verdict's own, or one in the middle of what there is."""
    level = data.verdict.level
    return level if level is not None and level in there else there[len(there) // 2]


def _tone(kind: str, level: int) -> str:
    """The name of a kind's colour at a level."""
    return "dense" if kind == MAIN and level == 0 else f"{kind}-{level}"


def _shade(kind: str, place: int, own: int, levels: int) -> Tone:
    """The kind's colour, paler at denser levels than the one shown first, stronger at sparser."""
    if kind == MAIN and place == 0:
        return TONES["dense"]
    return shaded(TONES[kind], (place - own) / max(own, levels - 1 - own, 1))


def _first_range(traces: Sequence[Plot]) -> list[float] | None:
    """The range of what is shown first, after the first fifth, where curves differ the most."""
    shown = [t for t in traces if t["visible"] and t["meta"]["part"] == "mean"]
    last = max((x for t in shown for x in t["x"]), default=0)
    return extremes(
        [y for t in shown for x, y in zip(t["x"], t["y"], strict=True) if x >= 0.2 * last]
    )


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
) -> list[tuple[Plot, list[float | None]]]:
    """Traces, each with its losses; what failed is drawn but not averaged."""
    done = [key for key in keys if key not in failed]
    control = control_of(kind, level.level)
    name = f"{formatting.percent(level.density)}, {control.label.lower()}"
    common = {"type": "scatter", "name": name, "legendgroup": name, "connectgaps": False}
    common["showlegend"] = False

    def meta(part: str) -> dict[str, Any]:
        return {
            "tone": _tone(kind, level.level),
            "level": level.level,
            "kind": kind,
            "part": part,
            "csv": {"level": level.level, "density": number(level.density), "kind": kind},
        }

    drawn = []
    if len(keys) > 1 or not done:
        trace = {
            "mode": "lines",
            "x": _places(data, keys, grid),
            "y": _joined(data, keys, grid, "accuracy"),
            "line": {"width": 1, "dash": control.dash},
            "opacity": 0.3,
            "hoverinfo": "skip",
            "meta": meta("replicates"),
        }
        drawn.append((common | trace, _joined(data, keys, grid, "loss")))
    if done:
        trace = {
            "mode": "lines",
            "showlegend": True,
            "x": grid,
            "y": _mean(data, done, grid, "accuracy"),
            "line": {"width": 2.5, "dash": control.dash},
            "hovertemplate": "<b>%{fullData.name}</b><br>iteration %{x:,}: %{y:.4g}"
            f"<br>n = {len(done)}<extra></extra>",
            "meta": meta("mean"),
        }
        drawn.append((common | trace, _mean(data, done, grid, "loss")))
    stop = _stop(data, level, kind, done)
    if stop:
        iteration, accuracy, loss = stop
        group = level.groups[kind]
        symbol = hollow(control.symbol, "at least" if group.at_end else None)
        trace = {
            "mode": "markers",
            "x": [number(iteration)],
            "y": [number(accuracy, ScoreFormat(data.verdict.score).scale)],
            "marker": {"size": 11, "symbol": symbol, "line": {"width": 2}},
            "hovertemplate": "<b>%{fullData.name}</b><br>"
            f"early stop at {'at least ' if group.at_end else ''}%{{x:,.0f}}: %{{y:.4g}}"
            "<extra></extra>",
            "meta": meta("stop"),
        }
        drawn.append((common | trace, [number(loss)]))
    return drawn


def _stop(
    data: ReportData, level: LevelVerdict, kind: str, done: Sequence[JobKey]
) -> tuple[float, float, float | None] | None:
    """Mean iteration, score and loss at early stop."""
    group = level.groups.get(kind)
    if group is None or not (group.early_stop and group.accuracy):
        return None
    losses = [
        result.validation_loss_at_early_stop
        for result in data.results
        if result.key in done and result.validation_loss_at_early_stop is not None
    ]
    loss = sum(losses) / len(losses) if losses else None
    return group.early_stop.mean, group.accuracy.mean, loss


def _joined(
    data: ReportData, keys: Sequence[JobKey], grid: list[int], measure: Literal["accuracy", "loss"]
) -> list[float | None]:
    """The curves one after the other, with a gap between them."""
    joined: list[float | None] = []
    for key in keys:
        own = _own_places(data, key, grid)
        values = _values(data, key, measure)
        joined += [*_drawn(data, values, own, measure, digits=4), None]
    return joined[:-1]


def _places(data: ReportData, keys: Sequence[JobKey], grid: list[int]) -> list[int | None]:
    """The iterations of what `_joined` gives.

    Each curve has its own, as trainings may start at different ones: an empty place where only
    another was measured would tear its line.
    """
    places: list[int | None] = []
    for key in keys:
        places += [*_own_places(data, key, grid), None]
    return places[:-1]


def _own_places(data: ReportData, key: JobKey, grid: list[int]) -> list[int]:
    """Those iterations at which anything that is drawn of a curve was measured."""
    there = _values(data, key, "accuracy").keys() | _values(data, key, "loss").keys()
    return [at for at in grid if at in there]


def _mean(
    data: ReportData, keys: Sequence[JobKey], grid: list[int], measure: Literal["accuracy", "loss"]
) -> list[float | None]:
    """The mean at those iterations where every job was evaluated."""
    curves = [_values(data, key, measure) for key in keys]
    means = {
        at: sum(curve[at] for curve in curves) / len(curves)
        for at in grid
        if all(at in curve for curve in curves)
    }
    return _drawn(data, means, grid, measure, digits=5)


def _values(data: ReportData, key: JobKey, measure: Literal["accuracy", "loss"]) -> Values:
    score = data.verdict.score.name
    split, name = ("test", score) if measure == "accuracy" else ("validation", "loss")
    return {
        point.iteration: point.values[name]
        for point in data.curves[key]
        if point.split == split and name in point.values
    }


def _drawn(
    data: ReportData,
    values: Values,
    grid: list[int],
    measure: Literal["accuracy", "loss"],
    *,
    digits: int,
) -> list[float | None]:
    scale = ScoreFormat(data.verdict.score).scale if measure == "accuracy" else 1
    found = (number(values.get(at), scale) for at in grid)
    return [None if value is None else float(f"{value:.{digits}g}") for value in found]


CURVES = Figure(
    name="curves",
    section="Learning curves",
    title="{{ s.title }} and loss in training",
    caption=(
        "Thick lines are means of the trainings that came to their end, thin ones single "
        "trainings; the large mark is the mean early stop, hollow where one of them lies at the "
        "end of training. The buttons choose levels by the share of weights they keep. Each kind "
        "of training has its own colour and dash. Where several levels are shown, the sparser a "
        "level, the further its colour is from the background. The vertical axis fits what is "
        "shown after the first fifth of training. {% if plot.thinned %}Of each curve, 200 "
        "evaluations are drawn.{% endif %}"
    ),
    draw=learning_curves,
)
