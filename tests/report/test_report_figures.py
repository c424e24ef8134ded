from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lottery.analysis import Evidence, judge
from lottery.analysis.controls import CONTROLS
from lottery.methods import CONTROL_KINDS
from lottery.report import ReportData
from lottery.report.curves import MOST_POINTS, learning_curves
from lottery.report.density import ACCURACY, EARLY_STOP, Quantity, against_density
from lottery.report.distributions import weight_distributions
from lottery.report.figure import short
from lottery.report.inside import SECTION
from lottery.report.layers import layer_density
from lottery.report.page import FIGURES, draw
from lottery.report.tested import accuracy_forest, copies_forest, speed_forest
from lottery.score import ACCURACY as CLASSIFICATION
from lottery.store.jobs import JobKey
from lottery.training import CurvePoint

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
    assert limit["name"] == "Dense − 0.5 percentage points"  # noqa: RUF001


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
    assert len(figure["measures"]["y"]) == len(figure["data"])
    for trace, loss in zip(figure["data"], figure["measures"]["y"], strict=True):
        assert len(trace["x"]) == len(trace["y"]) == len(loss)


def test_dense_and_the_verdict_s_level_are_shown_first(data: ReportData) -> None:
    figure = learning_curves(data)
    assert figure is not None
    level = data.verdict.level
    shown = [o["value"] for o in figure["choices"][0]["options"] if o["on"]]
    assert level
    assert shown == [0, level]
    assert {t["meta"]["level"] for t in figure["data"] if t["visible"]} == {0, level}


def test_curves_have_the_colours_of_their_kinds(data: ReportData) -> None:
    figure = learning_curves(data)
    assert figure is not None
    level = data.verdict.level
    for kind in ("main", "reinit", "random-mask"):
        assert figure["tones"][f"{kind}-{level}"].light == CONTROLS[kind].light
    means = [t for t in figure["data"] if t["meta"]["part"] == "mean" and t["visible"]]
    assert all(trace["showlegend"] for trace in means)
    assert {trace["line"]["dash"] for trace in means} == {"solid", "dash", "dot"}


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
            CurvePoint.measured(at, split, 0.5, 0.9)
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
        for trace, loss in zip(figure["data"], figure["measures"]["y"], strict=True)
    )


def test_a_loss_that_is_not_finite_is_a_gap(make_data: Make) -> None:
    data = make_data(levels=1, replicates=1, branches=())
    points = (
        CurvePoint.measured(1, "validation", math.inf, 0.1),
        CurvePoint.measured(1, "test", math.nan, 0.1),
        CurvePoint.measured(2, "validation", 0.5, 0.9),
        CurvePoint.measured(2, "test", 0.5, 0.9),
    )
    figure = learning_curves(replace(data, curves={JobKey(0, "main", 0): points}))
    assert figure is not None
    assert figure["measures"]["y"][0] == [None, 0.5]
    assert figure["data"][0]["y"] == [10.0, 90.0]


def test_layers_are_rows_from_input_to_output_with_the_share_of_each(make_data: Make) -> None:
    data = make_data(levels=3, replicates=2)
    results = [
        replace(r, layers={"a": (10 - r.level * 5, 10), "b": (8 // 2**r.level, 8)})
        for r in data.results
    ]
    figure = layer_density(replace(data, results=results, layers=("b", "a")))
    assert figure is not None
    assert figure["layout"]["yaxis"]["ticktext"] == ["b", "a"]
    low, high = figure["layout"]["yaxis"]["range"]
    assert low > high, "the first row is at the top"
    assert [trace["text"] for trace in figure["data"]] == [
        ["100", "100"],
        ["50", "50"],
        ["25", "0"],
    ]
    assert [trace["name"] for trace in figure["data"]] == ["100%", "80%", "64%"]


def test_level_zero_is_called_dense(data: ReportData) -> None:
    figure = against_density(data.verdict, ACCURACY)
    _, dots, line = traces(figure, legendgroup="main")
    assert line["text"][0].startswith("<b>Dense</b>, level 0<br>100% of weights<br>")
    assert line["text"][1].startswith("<b>Tickets</b>, level 1<br>80% of weights<br>")
    assert dots["text"][0].startswith("Dense, replicate 0")
    curves = learning_curves(data)
    assert curves is not None
    assert curves["data"][0]["name"] == "100%, dense"


def test_of_many_layers_an_even_selection_is_drawn(make_data: Make) -> None:
    names = [f"layer{i}" for i in range(150)]
    figure = layer_density(make_data(levels=2, replicates=1, layers=names))
    assert figure is not None
    rows = figure["layout"]["yaxis"]["ticktext"]
    assert rows == names[::3]
    assert figure["left_out"] == 100


def test_a_long_name_keeps_its_ends() -> None:
    shown = short("a" * 500 + ".weight")
    assert len(shown) <= 40
    assert shown.endswith(".weight")


# Forest plots


def test_a_forest_has_a_row_a_level_and_a_mark_a_replicate(data: ReportData) -> None:
    figure = accuracy_forest(data.verdict)
    assert figure is not None
    singles, means = figure["data"]
    levels = data.verdict.levels[1:]
    contrasts = [level.groups["main"].against_dense["accuracy"].estimate for level in levels]
    assert means["x"] == pytest.approx([100 * e.mean for e in contrasts if e], abs=1e-4)
    assert len(singles["x"]) == 5 * len(levels)
    assert figure["layout"]["yaxis"]["ticktext"][0] == "80%"
    assert means["y"] == sorted(means["y"], reverse=True), "from dense to sparse"
    for x, up, down, e in zip(
        means["x"],
        means["error_x"]["array"],
        means["error_x"]["arrayminus"],
        contrasts,
        strict=True,
    ):
        assert e is not None
        assert e.low is not None
        assert e.high is not None
        assert (x - down, x + up) == pytest.approx((100 * e.low, 100 * e.high), abs=1e-3)


def test_the_margin_is_a_zone(data: ReportData) -> None:
    figure = accuracy_forest(data.verdict)
    assert figure is not None
    zone, line = figure["layout"]["shapes"]
    assert (zone["type"], zone["x0"], zone["x1"]) == ("rect", -0.5, 0)
    assert (line["type"], line["x0"]) == ("line", 0)
    low, high = figure["layout"]["xaxis"]["range"]
    assert low < -0.5 < 0 < high


def test_a_row_says_what_its_test_says(data: ReportData) -> None:
    figure = accuracy_forest(data.verdict)
    assert figure is not None
    notes = [note["text"] for note in figure["layout"]["annotations"][2:]]
    tests = [level.groups["main"].tests["matches"] for level in data.verdict.levels[1:]]
    marks = {"confirmed": "✓", "open": "~", "against": "✕", "untested": "·"}
    assert [note[0] for note in notes] == [marks[test.outcome] for test in tests]


def test_speed_is_a_ratio_on_a_logarithmic_axis_with_bounds_hollow(make_data: Make) -> None:
    data = make_data(levels=3, replicates=3, branches=())
    results = [
        replace(r, early_stop_iteration=30_000) if (r.level, r.replicate) == (2, 1) else r
        for r in data.results
    ]
    verdict = rejudged(data, results)
    figure = speed_forest(verdict)
    assert figure is not None
    assert figure["layout"]["xaxis"]["type"] == "log"
    singles = figure["data"][0]
    assert singles["marker"]["symbol"] == ["circle"] * 4 + ["circle-open"] + ["circle"]
    assert "at least" in singles["text"][4]
    stops = against_density(verdict, EARLY_STOP)
    dots = next(t for t in traces(stops, legendgroup="main") if t["meta"]["part"] == "replicates")
    assert dots["marker"]["symbol"].count("circle-open") == 1
    assert "at least 30,000" in dots["text"][dots["marker"]["symbol"].index("circle-open")]
    assert [t["y"][0] for t in traces(stops, name="End of training")] == [30_000]


def test_copies_are_lines_of_their_own_kind(data: ReportData) -> None:
    figure = copies_forest(data.verdict)
    assert figure is not None
    assert [t["meta"]["tone"] for t in figure["data"]] == ["reinit"] * 2 + ["random-mask"] * 2
    contrast = data.verdict.levels[3].groups["reinit"].against_ticket["accuracy"].estimate
    assert contrast is not None
    assert figure["data"][1]["x"][2] == pytest.approx(100 * contrast.mean, abs=1e-4)


def rejudged(data: ReportData, results: Any) -> Any:
    return judge(
        Evidence(
            results=results,
            planned=[result.key for result in results],
            curves=data.curves,
            score=replace(CLASSIFICATION, margin=0.005),
            confidence=0.95,
            evaluation_interval=100,
            test_examples=10_000,
        )
    )


def test_every_figure_has_a_caption_and_all_its_axes_say_their_range(data: ReportData) -> None:
    drawn = list(draw(data))
    figures = [one.figure for one in drawn]
    assert figures == [figure for figure in FIGURES if figure in figures]
    # Those of analyses that train or need data are tested beside them.
    assert {figure.section for figure in FIGURES if figure not in figures} <= {SECTION}
    for one in drawn:
        assert len(one.caption) > 40
        assert "{" not in one.caption
        if isinstance(one.content, dict):
            for axis in ("xaxis", "yaxis"):
                low, high = one.content["layout"][axis]["range"]
                assert low != high


def test_replicates_of_different_kinds_do_not_cover_each_other(make_data: Make) -> None:
    branches = [f"{kind}-1" for kind in CONTROL_KINDS]
    figure = against_density(make_data(levels=4, branches=branches).verdict, ACCURACY)
    dots = [t for t in (figure or {})["data"] if t["meta"]["part"] == "replicates"]
    places = [{t["legendgroup"]: t["x"][-1]} for t in dots]
    assert len({x for place in places for x in place.values()}) == len(CONTROL_KINDS) + 1


def test_weights_of_a_layer_are_shown_by_what_became_of_them(data: ReportData) -> None:
    figure = weight_distributions(data)
    assert figure is not None
    first = [t for t in figure["data"] if t["visible"]]
    assert [t["name"] for t in first] == [
        "Initial weights, kept",
        "Initial weights, pruned",
        "Trained weights, kept",
        "Trained weights, pruned",
    ]
    for trace in first:
        width = trace["x"][1] - trace["x"][0]
        assert sum(trace["y"][:-1]) * width == pytest.approx(1, rel=1e-2)
    assert [o["label"] for o in figure["choices"][0]["options"]] == list(data.weights)
