"""Lines and instability as they are drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from connectivity_samples import made_up

from lottery.report import ReportData
from lottery.report.inside_connectivity import against_density, along_lines
from lottery.score import Score


def test_the_error_along_each_line_is_drawn(data: ReportData) -> None:
    figure = along_lines(data)
    assert figure is not None
    shown = [trace for trace in figure["data"] if trace["visible"]]
    assert [trace["meta"]["line"] for trace in shown] == [0, 6, 11]
    assert shown[0]["x"] == [0, 0.25, 0.5, 0.75, 1]
    # Means over five replicates: ends of 2.2%, and 8.1 points above them in the middle.
    assert shown[0]["y"] == pytest.approx([2.2, 8.275, 10.3, 8.275, 2.2])
    assert len(figure["data"]) == 12 + 12 + 11
    kinds, levels = figure["choices"]
    assert [option["label"] for option in kinds["options"]] == [
        "Data orders from iteration 0",
        "Data orders from iteration 500",
        "A level and the next",
    ]
    assert len(levels["options"]) == 12


def test_levels_that_the_first_lines_have_are_shown_first(data: ReportData) -> None:
    one = made_up()
    tables = tuple(
        replace(t, rows=tuple(row for row in t.rows if row[0] == "levels" or row[2] in (0, 1, 2)))
        if t.name == "points"
        else t
        for t in one.tables
    )
    figure = along_lines(replace(data, inside={"connectivity": replace(one, tables=tables)}))
    assert figure is not None
    shown = [trace["meta"]["line"] for trace in figure["data"] if trace["visible"]]
    assert shown == [0, 1, 2]


def test_stability_is_drawn_against_density_with_its_limit(data: ReportData) -> None:
    figure = against_density(data)
    assert figure is not None
    limit, *others = figure["data"]
    assert limit["y"] == [2, 2]
    lines = [trace for trace in others if trace["meta"]["part"] == "line"]
    assert lines[0]["y"][0] == pytest.approx(8.1)
    assert lines[0]["x"] == pytest.approx([100 * 0.8**n for n in range(12)], rel=1e-5)
    # What is between a level and the next stands where the next is.
    assert lines[2]["x"] == pytest.approx([100 * 0.8**n for n in range(1, 12)], rel=1e-5)
    low, high = figure["layout"]["yaxis"]["range"]
    assert low <= 0 < 2 < high


def test_a_score_that_is_no_share_has_no_limit(data: ReportData) -> None:
    perplexity = Score(name="perplexity", higher=False)
    other = replace(data, verdict=replace(data.verdict, score=perplexity))
    figure = against_density(other)
    assert figure is not None
    assert all(trace["meta"]["part"] != "reference" for trace in figure["data"])
    assert figure["layout"]["title"]["text"] == "Rise of test perplexity"


def test_without_the_analysis_nothing_is_drawn(data: ReportData) -> None:
    for inside in ({}, {"connectivity": replace(made_up(), tables=())}):
        assert along_lines(replace(data, inside=inside)) is None
        assert against_density(replace(data, inside=inside)) is None
