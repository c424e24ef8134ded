"""Figures of the inside of tickets, against the tables that they draw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from report_samples import MakeData

from lottery.inside import Measurement, Table
from lottery.report import ReportData
from lottery.report.figure import Gallery, Plot
from lottery.report.html import drawn
from lottery.report.inside import shared_choices
from lottery.report.inside_masks import (
    DEGREES,
    FIRST_LAYERS,
    INSIDE_MASKS,
    first_layers,
    layer_densities,
    unit_degrees,
)
from lottery.report.inside_overlap import replicate_overlaps, settling
from lottery.report.inside_values import values
from lottery.report.page import render


def shown(plot: Plot | None) -> list[Any]:
    assert plot is not None
    return [trace for trace in plot["data"] if trace.get("visible", True)]


def measured(
    data: ReportData, **tables: tuple[tuple[str, ...], list[tuple[Any, ...]]]
) -> ReportData:
    made = tuple(
        Table(name=name, title="", note="", columns=columns, rows=tuple(rows))
        for name, (columns, rows) in tables.items()
    )
    return replace(data, inside={"masks": Measurement(analysis="masks", tables=made)})


def test_the_level_of_the_verdict_and_the_first_replicate_are_shown_first(
    data: ReportData,
) -> None:
    for plot in (layer_densities(data), unit_degrees(data), values(data)):
        for trace in shown(plot):
            assert trace["meta"]["level"] == data.verdict.level
            assert trace["meta"].get("replicate", 0) == 0
    gallery = first_layers(data)
    assert isinstance(gallery, Gallery)
    assert [picture.meta for picture in gallery.shown] == [
        {"level": data.verdict.level, "replicate": 0}
    ] * 2
    assert len(gallery.pictures) == 2 * 11 * 5


def test_density_effective_density_and_dead_units_are_those_of_the_table(
    data: ReportData,
) -> None:
    kept, reached, dead = shown(layer_densities(data))
    density = 0.8 ** (data.verdict.level or 0)
    assert kept["x"] == [pytest.approx(100 * density, rel=1e-3)] * 4
    assert reached["x"] == [pytest.approx(90 * density, rel=1e-3)] * 4
    assert dead["x"] == [data.verdict.level] * 4
    plot = layer_densities(data)
    assert plot is not None
    assert plot["layout"]["yaxis"]["ticktext"] == ["all layers", *data.layers]


def test_where_paths_are_not_known_densities_alone_are_drawn(data: ReportData) -> None:
    columns = data.inside["masks"]["layers"].columns
    row = (1, 0, "w", 5, 10, 0.5, None, None, 3, None)
    (trace,) = shown(layer_densities(measured(data, layers=(columns, [row]))))
    assert (trace["name"], trace["x"]) == ("Kept", [None, 50.0])


def test_overlaps_stand_beside_both_kinds_of_chance(data: ReportData) -> None:
    band, tickets, chance, by_input = shown(replicate_overlaps(data))
    assert tickets["y"] == pytest.approx([1.2] * len(tickets["x"]))
    assert chance["y"] == [1] * len(tickets["x"])
    assert by_input["y"] == tickets["y"]
    assert tickets["customdata"][0] == pytest.approx([1, 10, 0.96, 1.2, 30.0])
    assert chance["customdata"][0][2] == pytest.approx(0.8)
    # Of 30 standard deviations above chance, the band has three each way.
    assert {round(y, 4) for y in band["y"]} == {0.98, 1.02}


def test_where_chance_has_no_spread_it_has_no_band(data: ReportData) -> None:
    table = data.inside["masks"]["between"]
    z = table.columns.index("z")
    rows = [(*row[:z], None, *row[z + 1 :]) for row in table.rows]
    band, tickets, *_ = shown(replicate_overlaps(measured(data, between=(table.columns, rows))))
    assert band["y"] == []
    assert tickets["y"] == pytest.approx([1.2] * len(tickets["x"]))


def test_every_unit_is_in_some_bin(data: ReportData) -> None:
    ticket, chance = shown(unit_degrees(data))
    assert sum(ticket["y"][:-1]) == 300
    assert sum(chance["y"][:-1]) == pytest.approx(300, abs=0.2)


def test_settling_is_the_mean_over_replicates(data: ReportData) -> None:
    columns = data.inside["masks"]["settling"].columns
    rows = [(1, r, "start of training", 0, 0.3, 0.8 + r / 10, 0.7, 9.0) for r in (0, 1)]
    own, chance = shown(settling(measured(data, settling=(columns, rows))))
    assert own["y"] == [pytest.approx(85)]
    assert chance["y"] == [pytest.approx(70)]
    drawn_masks = [(1, 0, "settled", 12, 0.03, None, None, None)]
    assert settling(measured(data, settling=(columns, drawn_masks))) is None


def test_empty_bins_of_weights_are_drawn_empty(data: ReportData) -> None:
    start = shown(values(data))[0]
    assert start["x"] == pytest.approx([-0.2, -0.15, -0.1, -0.05, 0, 0.05, 0.1, 0.15, 0.2])
    assert start["y"] == pytest.approx([5, 10, 15, 20, 20, 20, 0, 10, 10])


def test_levels_and_replicates_are_chosen_once_for_the_section(data: ReportData) -> None:
    figures = [
        drawn(figure, content, masks_are="matrix")
        for figure in (FIRST_LAYERS, DEGREES)
        if (content := figure.draw(data)) is not None
    ]
    rows = shared_choices(figures)
    assert [(row["attribute"], len(row["options"]), of) for row, of in rows] == [
        ("level", 11, ["inside-first-layer", "inside-units"]),
        ("replicate", 5, ["inside-first-layer", "inside-units"]),
    ]


def test_what_was_found_is_said_and_what_was_not_looked_at_is_named(make_data: MakeData) -> None:
    html = render(make_data(levels=3, replicates=2, evaluations=5))
    assert "as much in common as is made up (z = \N{MINUS SIGN}1.5)" in html.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "<h3>What tickets keep, beside what masks drawn at random would: overlap" in html
    without = render(replace(make_data(levels=3, replicates=2, evaluations=5), inside={}))
    assert "lottery analyse masks lenet-mnist-3f7a90bc" in without


@pytest.mark.parametrize("broken", ["text", None, -1, True, 0, 1e100])
def test_measurements_of_anyone_are_drawn_or_not(make_data: MakeData, broken: Any) -> None:
    data = make_data(levels=3, replicates=2, evaluations=5)
    forged = {
        name: replace(
            one,
            tables=tuple(
                replace(
                    table, rows=tuple((*row[:at], broken, *row[at + 1 :]) for row in table.rows)
                )
                for table in one.tables
                for at in [len(table.columns) // 2]
            ),
        )
        for name, one in data.inside.items()
    }
    assert "All the numbers" in render(replace(data, inside=forged))
    other = {
        name: replace(one, tables=tuple(replace(t, columns=("a",) * 9) for t in one.tables))
        for name, one in data.inside.items()
    }
    assert "All the numbers" in render(replace(data, inside=other))


def test_nothing_is_drawn_of_what_was_not_measured(data: ReportData) -> None:
    empty = replace(data, inside={}, first_layers={})
    assert [figure.draw(empty) for figure in INSIDE_MASKS] == [None] * 5
    assert values(empty) is None


def test_buttons_stand_above_the_figures_that_follow_them_and_below_what_was_found(
    make_data: MakeData,
) -> None:
    html = render(make_data(levels=3, replicates=2, evaluations=5))
    places = [
        html.index(text)
        for text in (
            '<ul class="findings">',
            '<div class="controls chooser">',
            'id="figure-inside-first-layer"',
            'id="figure-inside-values"',
            "All levels together",
            'id="figure-inside-overlap"',
        )
    ]
    assert places == sorted(places)
    assert "Level 2, the sparsest, keeps 64% of the weights" in html.replace(
        "\N{NO-BREAK SPACE}", " "
    )
