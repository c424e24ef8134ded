"""Similarity, barriers and shared weights as they are drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from alignment_samples import made_up

from lottery.report import ReportData
from lottery.report.figure import Plot
from lottery.report.inside_alignment import INSIDE_ALIGNMENT
from lottery.score import Score


def plot(data: ReportData, name: str) -> Plot | None:
    (figure,) = (one for one in INSIDE_ALIGNMENT if one.name == name)
    drawn = figure.draw(data)
    assert drawn is None or isinstance(drawn, dict)
    return drawn


@pytest.fixture
def aligned(data: ReportData) -> ReportData:
    return replace(data, inside={"alignment": made_up()})


@pytest.mark.parametrize(
    ("name", "lines", "first"),
    [
        ("inside-alignment", ["In place", "Aligned", "By chance"], (0.02, 0.525, 0.08)),
        ("inside-barriers", ["In place", "Aligned"], (17.5, 0.75)),
        ("inside-shared-masks", ["In place", "Aligned", "By chance"], (80, 82.5, 80)),
    ],
)
def test_each_quantity_is_drawn_against_density(
    aligned: ReportData, name: str, lines: list[str], first: tuple[float, ...]
) -> None:
    figure = plot(aligned, name)
    assert figure is not None
    means = [trace for trace in figure["data"] if trace["meta"]["part"] == "line"]
    assert [trace["name"] for trace in means] == lines
    # Means over four pairs, and over two layers.
    assert [trace["y"][0] for trace in means] == pytest.approx(first)
    start = 1 if name == "inside-shared-masks" else 0
    assert means[0]["x"] == pytest.approx([100 * 0.8**n for n in range(start, 12)], rel=1e-5)
    low, high = figure["layout"]["yaxis"]["range"]
    assert low <= 0 < high


def test_a_score_that_is_no_share_is_named(aligned: ReportData) -> None:
    perplexity = Score(name="perplexity", higher=False)
    other = replace(aligned, verdict=replace(aligned.verdict, score=perplexity))
    figure = plot(other, "inside-barriers")
    assert figure is not None
    assert figure["layout"]["title"]["text"] == "Rise of test perplexity"


def test_without_the_analysis_nothing_is_drawn(data: ReportData) -> None:
    for inside in ({}, {"alignment": replace(made_up(), tables=())}):
        assert all(plot(replace(data, inside=inside), f.name) is None for f in INSIDE_ALIGNMENT)
