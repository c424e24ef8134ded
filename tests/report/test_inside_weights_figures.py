"""Figures of what is inside tickets, from a small run's own analyses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from small_run import SmallRun

from lottery.analysis import judge_run
from lottery.experiments import open_run
from lottery.inside import ANALYSES, analyse
from lottery.report.figure import Plot
from lottery.report.inside_weights import INSIDE_WEIGHTS
from lottery.report.palette import TONES
from lottery.report.svg import plot_svg

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
    assert layers == ["whole", "fc1.weight", "output.weight"]
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


def test_without_analyses_nothing_is_drawn(small_run: SmallRun) -> None:
    data = SimpleNamespace(verdict=judge_run(open_run(small_run.path)), inside={})
    assert [figure.draw(data) for figure in INSIDE_WEIGHTS] == [None] * len(INSIDE_WEIGHTS)
