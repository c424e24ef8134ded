from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lottery.report import ReportData, captions, words
from lottery.report.curves import MOST_POINTS, learning_curves
from lottery.report.figures import ACCURACY, EARLY_STOP, Quantity, against_density
from lottery.report.layers import layer_density
from lottery.report.palette import TONES, steps
from lottery.store.jobs import JobKey
from lottery.training.interface import CurvePoint

Make = Callable[..., ReportData]


def traces(figure: Any, **wanted: Any) -> list[Any]:
    return [t for t in figure["data"] if all(t.get(k) == v for k, v in wanted.items())]


@pytest.mark.parametrize(("quantity", "scale"), [(ACCURACY, 100), (EARLY_STOP, 1)])
def test_mean_interval_and_every_replicate(
    data: ReportData, quantity: Quantity, scale: int
) -> None:
    figure = against_density(data.verdict, quantity)
    band, dots, line = traces(figure, legendgroup="reinit")
    estimates = [quantity.of(level.groups["reinit"]) for level in data.verdict.levels[1:]]
    means = [e.mean * scale for e in estimates if e]
    assert line["y"][0] is None, "the dense network has no control"
    assert line["y"][1:] == pytest.approx(means, rel=1e-5)
    assert line["x"] == pytest.approx([100 * 0.8**n for n in range(12)], rel=1e-5)
    assert len(dots["x"]) == 11 * 5
    ends = [e.low * scale for e in estimates if e and e.low is not None]
    assert band["y"][:11] == pytest.approx(ends, rel=1e-5)
    assert band["fill"] == "toself"
    assert [t["showlegend"] for t in (band, dots, line)] == [False, False, True]


def test_dense_and_its_margin_are_drawn(data: ReportData) -> None:
    figure = against_density(data.verdict, ACCURACY)
    dense, limit = figure["data"][:2] if figure else ({}, {})
    assert dense["y"][0] - limit["y"][0] == pytest.approx(0.5, abs=1e-4)
    assert limit["name"] == "Dense − 0.5 points"  # noqa: RUF001


def test_sparser_is_to_the_right_and_ticks_are_the_densities(data: ReportData) -> None:
    figure = against_density(data.verdict, ACCURACY)
    assert figure is not None
    axis = figure["layout"]["xaxis"]
    assert axis["range"][0] > 2 > axis["range"][1]
    assert axis["ticktext"][:4] == ["100", "80", "64", "51.2"]


def test_the_range_holds_every_replicate_but_not_every_interval(make_data: Make) -> None:
    figure = against_density(make_data(replicates=2).verdict, ACCURACY)
    assert figure is not None
    low, high = figure["layout"]["yaxis"]["range"]
    drawn = [y for t in figure["data"] if not t.get("fill") for y in t["y"] if y is not None]
    assert low < min(drawn) <= max(drawn) < high
    assert high - low < 2 * (max(drawn) - min(drawn))
    assert "cut off" in captions.accuracy(make_data(replicates=2).verdict, figure)


def test_a_closer_range_is_offered_where_differences_are_small(make_data: Make) -> None:
    near = against_density(make_data(levels=15).verdict, ACCURACY)
    assert near is not None
    low, high = near["ranges"]["near"]
    assert 97 < low < 97.6 < 98.3 < high < 99
    wide = against_density(make_data(levels=2, branches=()).verdict, ACCURACY)
    assert wide is not None
    assert "ranges" not in wide


def test_one_replicate_has_no_band(make_data: Make) -> None:
    figure = against_density(make_data(replicates=1).verdict, ACCURACY)
    assert not [t for t in figure["data"] if t.get("fill")] if figure else False


def test_a_level_without_results_interrupts_line_and_band(make_data: Make) -> None:
    data = make_data(failed=[JobKey(r, "main", 3) for r in range(5)])
    band, _, line = traces(against_density(data.verdict, ACCURACY), legendgroup="main")
    assert line["y"][3] is None
    assert band["y"].count(None) == 1


def test_curves_are_thinned_evenly_with_both_ends(make_data: Make) -> None:
    figure = learning_curves(make_data(levels=2, replicates=2, evaluations=1000))
    assert figure is not None
    assert figure["thinned"]
    for trace in figure["data"]:
        if trace["meta"]["part"] == "mean":
            assert len(trace["x"]) == len(trace["y"]) == MOST_POINTS
            assert (trace["x"][0], trace["x"][-1]) == (30, 30_000)


def test_both_measures_fit_every_trace(data: ReportData) -> None:
    figure = learning_curves(data)
    assert figure is not None
    assert len(figure["loss"]) == len(figure["data"])
    for trace, loss in zip(figure["data"], figure["loss"], strict=True):
        assert len(trace["x"]) == len(trace["y"]) == len(loss)


def test_dense_winning_and_sparsest_are_shown_first(data: ReportData) -> None:
    figure = learning_curves(data)
    assert figure is not None
    assert [entry["level"] for entry in figure["levels"] if entry["on"]] == [0, 9, 11]
    assert {t["meta"]["level"] for t in figure["data"] if t["visible"]} == {0, 9, 11}


def test_the_mean_curve_is_the_mean_of_what_ended(make_data: Make) -> None:
    failed = JobKey(0, "main", 1)
    data = make_data(levels=2, replicates=3, branches=(), failed=[failed])
    figure = learning_curves(data)
    mean = next(
        t for t in traces(figure) if t["meta"]["level"] == 1 and t["meta"]["part"] == "mean"
    )
    ended = [data.curves[JobKey(r, "main", 1)] for r in (1, 2)]
    first = [next(p.accuracy for p in c if p.split == "test") for c in ended]
    assert mean["y"][0] == pytest.approx(50 * sum(first), rel=1e-3)
    assert None not in mean["y"]
    single = next(
        t for t in traces(figure) if t["meta"]["level"] == 1 and t["meta"]["part"] == "replicates"
    )
    assert single["y"][:6].count(None) < 6, "what diverged is still drawn"


def test_trainings_that_start_at_iterations_of_their_own_are_not_torn(make_data: Make) -> None:
    """Of two tickets one starts at 40, the other at 70; all are measured at hundreds as well."""
    data = make_data(levels=2, replicates=2, branches=())
    starts = {JobKey(0, "main", 1): 40, JobKey(1, "main", 1): 70}
    curves = {
        key: tuple(
            CurvePoint(at, split, 0.5, 0.9)
            for at in (start, 100, 200)
            for split in ("validation", "test")
        )
        for key, start in starts.items()
    }
    figure = learning_curves(replace(data, curves=curves))
    assert figure is not None
    parts = {trace["meta"]["part"]: trace for trace in traces(figure)}
    assert parts["replicates"]["x"] == [40, 100, 200, None, 70, 100, 200]
    assert parts["replicates"]["y"] == [90.0, 90.0, 90.0, None, 90.0, 90.0, 90.0]
    assert parts["mean"]["x"] == [40, 70, 100, 200]
    assert parts["mean"]["y"] == [None, None, 90.0, 90.0]
    assert all(
        len(trace["x"]) == len(loss)
        for trace, loss in zip(figure["data"], figure["loss"], strict=True)
    )


def test_a_loss_that_is_not_finite_is_a_gap(make_data: Make) -> None:
    data = make_data(levels=1, replicates=1, branches=())
    points = (
        CurvePoint(1, "validation", math.inf, 0.1),
        CurvePoint(1, "test", math.nan, 0.1),
        CurvePoint(2, "validation", 0.5, 0.9),
        CurvePoint(2, "test", 0.5, 0.9),
    )
    figure = learning_curves(replace(data, curves={JobKey(0, "main", 0): points}))
    assert figure is not None
    assert figure["loss"][0] == [None, 0.5]
    assert figure["data"][0]["y"] == [10.0, 90.0]


def test_layers_show_what_is_kept_and_leave_out_what_is_gone(make_data: Make) -> None:
    data = make_data(levels=3, replicates=2)
    results = [
        replace(r, layers={"a": (10 - r.level * 5, 10), "b": (8 // 2**r.level, 8)})
        for r in data.results
    ]
    figure = layer_density(data.verdict, results)
    first, second, whole = figure["data"] if figure else ({}, {}, {})
    assert first["y"] == [100, 50, None]
    assert second["y"] == [100, 50, 25]
    assert whole["y"] == pytest.approx([100, 80, 64])


def test_level_zero_is_called_dense(data: ReportData) -> None:
    figure = against_density(data.verdict, ACCURACY)
    _, dots, line = traces(figure, legendgroup="main")
    assert line["text"][0].startswith("<b>Dense</b>, level 0<br>100% of weights<br>")
    assert line["text"][1].startswith("<b>Tickets</b>, level 1<br>80% of weights<br>")
    assert dots["text"][0].startswith("Dense, replicate 0")
    curves = learning_curves(data)
    assert curves is not None
    assert curves["data"][0]["name"] == "100%, dense"


def test_many_layers_are_named_on_hover_alone(make_data: Make) -> None:
    data = make_data(levels=2, replicates=1, layers=[f"layer{i}" for i in range(60)])
    figure = layer_density(data.verdict, data.results)
    assert figure is not None
    assert not figure["layout"]["showlegend"]
    assert len({tone.light for tone in steps(60)}) == 60


def test_a_long_name_keeps_its_ends() -> None:
    shown = words.short("a" * 500 + ".weight")
    assert len(shown) <= 40
    assert shown.endswith(".weight")


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (byte / 255 for byte in bytes.fromhex(colour[1:]))
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("tone", [*TONES.values(), *steps(15)])
def test_colours_stand_out_on_both_pages(tone: Any) -> None:
    assert contrast(tone.light, "#ffffff") >= 3
    assert contrast(tone.dark, "#161a21") >= 3
