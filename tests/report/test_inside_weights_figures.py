"""Figures of what is inside tickets, from a small run's own analyses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from small_run import SmallRun

from lottery.analysis import judge_run
from lottery.experiments import open_run
from lottery.inside import ANALYSES, analyse
from lottery.inside.measurement import Measurement, Table
from lottery.inside.weights import WHOLE
from lottery.report.figure import Plot
from lottery.report.inside_weights import INSIDE_WEIGHTS, gradients
from lottery.report.palette import TONES
from lottery.report.svg import plot_svg
from lottery.store import MAIN

SETTINGS = {
    "weights": {},
    "curvature": {"examples": 40, "eigenvalues": 1},
    "cka": {"examples": 40},
    "pools": {"candidates": 1, "recalibrate": 0},
}


@pytest.fixture(scope="module")
def plots(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plot]:
    run = open_run(small_run.copied(tmp_path_factory.mktemp("figures")))
    inside = {name: analyse(run, ANALYSES[name], settings=s) for name, s in SETTINGS.items()}
    data = SimpleNamespace(verdict=judge_run(run), inside=inside)
    drawn = {figure.name: figure.draw(data) for figure in INSIDE_WEIGHTS}
    return {name: plot for name, plot in drawn.items() if isinstance(plot, dict)}


def test_every_figure_is_drawn_in_known_colours(plots: dict[str, Plot]) -> None:
    assert list(plots) == [figure.name for figure in INSIDE_WEIGHTS]
    for plot in plots.values():
        assert {trace["meta"]["tone"] for trace in plot["data"]} <= set(TONES)
        assert plot_svg(plot, TONES).startswith("<svg")


def test_tickets_stand_beside_chance_in_every_layer(plots: dict[str, Plot]) -> None:
    plot = plots["inside-signs"]
    layers = [option["label"] for option in plot["choices"][0]["options"]]
    assert layers == ["all layers", "fc1.weight", "output.weight"]
    for place in range(3):
        names = {trace["name"] for trace in plot["data"] if trace["meta"]["layer"] == place}
        assert {"Tickets", "By chance", "Pruned weights in the dense network"} <= names


@pytest.mark.parametrize("name", ["inside-signs", "inside-pools"])
def test_shares_are_drawn_in_percent_and_saved_as_fractions(
    plots: dict[str, Plot], name: str
) -> None:
    plot = plots[name]
    assert plot["layout"]["title"]["text"].endswith("(%)")
    for trace in plot["data"]:
        assert trace["y"] == pytest.approx([100 * row[2] for row in trace["customdata"]])


def test_means_stand_in_bands_of_their_spread(plots: dict[str, Plot]) -> None:
    assert not any(trace["meta"]["part"] == "band" for trace in plots["inside-signs"]["data"])
    columns = ("level", "layer", "branch", "n", "when", "norm", "norm_sd")
    rows = tuple((n, WHOLE, MAIN, 3, "start", 0.1 * n, 0.15) for n in (1, 2, 3))
    table = Table(name="gradients", title="", note="", columns=columns, rows=rows)
    measured = {"curvature": Measurement(analysis="curvature", tables=(table,))}
    levels = [SimpleNamespace(level=n, density=0.5**n) for n in range(4)]
    data: Any = SimpleNamespace(verdict=SimpleNamespace(levels=levels), inside=measured)
    plot = gradients(data)
    assert plot is not None
    around, line = plot["data"]
    assert (around["meta"]["part"], line["meta"]["part"]) == ("band", "line")
    # The axis is logarithmic: 0.1 - 0.15 is on no place of it, and level 1 has no band.
    assert around["y"] == pytest.approx([0.05, 0.15, 0.45, 0.35, 0.05])
    assert around["x"] == [*line["x"][1:], *line["x"][:0:-1], line["x"][1]]
    assert plot_svg(plot, TONES).count("<path") == 3, "band, line, and the legend's"


def test_without_analyses_nothing_is_drawn(small_run: SmallRun) -> None:
    data = SimpleNamespace(verdict=judge_run(open_run(small_run.path)), inside={})
    assert [figure.draw(data) for figure in INSIDE_WEIGHTS] == [None] * len(INSIDE_WEIGHTS)
