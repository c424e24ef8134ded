"""Benchmarks: medians, ratios, verdicts, the rows themselves, the table and the JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from benchmarks.figure import Figure, Unit
from benchmarks.layer import make_layer
from benchmarks.measure import make_parser
from benchmarks.report import Result, amount, document, quietness, table
from benchmarks.rows import ROW_NAMES, Claim, Measurement, Row, Settings, make_rows
from benchmarks.summary import Summary, judge, summarize, times_better
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

positive = st.floats(min_value=1e-6, max_value=1e6)


def figures(*values: float, unit: Unit = "s", density: float | None = None) -> list[Figure]:
    details = {} if density is None else {"density": density}
    return [Figure(value=value, unit=unit, details=details) for value in values]


def summary(value: float, unit: Unit = "s", density: float | None = None) -> Summary:
    return summarize(figures(value, unit=unit, density=density))


@given(st.lists(positive, min_size=1))
def test_a_summary_is_median_and_range(values: Sequence[float]) -> None:
    found = summarize(figures(*values))

    assert (found.lowest, found.highest) == (min(values), max(values))
    assert found.median == pytest.approx(float(np.median(values)))
    assert found.processes == len(values)


def test_one_slow_process_does_not_move_the_median() -> None:
    assert summarize(figures(1.0, 1.0, 50.0, 1.0, 1.0)).median == 1.0


def test_figures_in_different_units_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="too many values"):
        summarize([*figures(1.0), *figures(1.0, unit="MB")])


@given(positive, positive)
def test_better_is_fewer_seconds_and_more_steps(one: float, two: float) -> None:
    seconds = times_better(summary(one), summary(two))
    rates = times_better(summary(one, "steps/s"), summary(two, "steps/s"))

    assert seconds == pytest.approx(two / one)
    assert rates == pytest.approx(one / two)


@pytest.mark.parametrize(("theirs", "met"), [(2.0, True), (2.5, True), (1.99, False)])
def test_a_ratio_must_reach_its_target(theirs: float, met: bool) -> None:
    outcome = judge(
        Claim(of="ours", against="theirs", target=2.0),
        {"ours": summary(1.0), "theirs": summary(theirs)},
    )

    assert outcome.ratio == theirs
    assert outcome.met is met


@pytest.mark.parametrize(("value", "met"), [(30.0, True), (30.1, False)])
def test_a_limit_must_not_be_passed(value: float, met: bool) -> None:
    outcome = judge(Claim(of="ours", target=30.0), {"ours": summary(value)})

    assert outcome.ratio is None
    assert outcome.met is met


def test_without_a_target_there_is_no_verdict() -> None:
    both = {"ours": summary(1.0), "theirs": summary(9.0)}

    assert judge(Claim(of="ours", against="theirs"), both).met is None


@pytest.mark.parametrize(
    ("density", "met"), [(0.0352, True), (0.0281, True), (0.0695, None), (None, None)]
)
def test_a_mask_far_from_the_density_in_question_says_nothing(
    density: float | None, met: bool | None
) -> None:
    claim = Claim(of="3%", against="dense", target=10.0, density=0.03)
    outcome = judge(claim, {"dense": summary(20.0), "3%": summary(1.0, density=density)})

    assert (outcome.met, outcome.ratio) == (met, 20.0)
    assert bool(outcome.note) == (met is None)


def test_every_row_asks_for_what_measuring_processes_understand() -> None:
    parser = make_parser()
    for settings in (Settings(), Settings(quick=True, jax_python="j", sparseprop_python="s")):
        rows = make_rows(settings)
        assert set(rows) == set(ROW_NAMES)
        for row in rows.values():
            labels = [one.label for one in row.measurements]
            assert len(set(labels)) == len(labels)
            assert all(claim.of in labels for claim in row.claims)
            assert all(claim.against in (None, *labels) for claim in row.claims)
            for one in row.measurements:
                assert parser.parse_args(one.arguments).quick == settings.quick


def test_rows_that_need_another_environment_say_so() -> None:
    missing = {name for name, row in make_rows(Settings()).items() if row.missing}

    assert missing == {"two-jobs", "sparse-layer"}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0000412, "s", "41.2 µs"),
        (0.000412, "s", "412 µs"),
        (0.0153, "s", "15.3 ms"),
        (1.0, "s", "1.00 s"),
        (85.04, "s", "85.0 s"),
        (1234.4, "steps/s", "1,234 steps/s"),
        (560.1, "MB", "560 MB"),
    ],
)
def test_figures_are_written_with_three_digits(value: float, unit: Unit, text: str) -> None:
    assert amount(value, unit) == text


def results() -> list[Result]:
    row = Row(
        name="step",
        about="one step",
        measurements=(
            Measurement(label="ours", arguments=("engine-step",)),
            Measurement(label="theirs", arguments=("eager-step",)),
        ),
        claims=(Claim(of="ours", against="theirs", target=2.0),),
    )
    measured = {"ours": figures(0.0004, 0.0005, 0.0006), "theirs": figures(0.002, 0.001, 0.003)}
    skipped = Row(name="other", about="another", measurements=(), claims=(), missing="needs X")
    problem = "failed: in two\nlines"
    return [
        Result(row=row, figures=measured),
        Result(row=skipped, problem="skipped: needs X"),
        Result(row=row, figures={"ours": figures(1.0)}, problem=problem),
    ]


def test_the_table_says_everything_that_was_claimed() -> None:
    console = Console(width=150)
    with console.capture() as captured:
        console.print(table(results()))
    lines = captured.get()

    ours = next(line for line in lines.splitlines() if "ours" in line)
    for part in ("500 µs", "400 µs to 600 µs", "4.00 x theirs", "at least 2", "met"):
        assert part in ours
    assert "2.00 ms" in lines
    assert "skipped: needs X" in lines
    assert "failed: in two" in lines


def test_how_quiet_the_machine_was_is_said() -> None:
    row = results()[0].row
    busy = [Figure(value=1.0, unit="s", details={"cores_elsewhere": x}) for x in (0.0, 0.1, 1.9)]

    said = quietness([Result(row=row, figures={"ours": busy})])
    assert said == "Other work kept 0.1 cores busy in the median process, 1.9 at most."
    assert "not known" in quietness(results())


def test_the_json_holds_every_process() -> None:
    written = json.loads(json.dumps(document(results(), {"command": "python -m benchmarks"})))

    step, other, failed = written["rows"]
    assert written["command"] == "python -m benchmarks"
    assert [f["value"] for f in step["measurements"][0]["figures"]] == [0.0004, 0.0005, 0.0006]
    assert step["measurements"][1]["median"] == 0.002
    assert step["claims"] == [
        {
            "of": "ours",
            "against": "theirs",
            "target": 2.0,
            "density": None,
            "ratio": 4.0,
            "met": True,
            "note": "",
        }
    ]
    assert other["problem"] == "skipped: needs X"
    # What was measured before it failed is kept, and nothing is concluded from it.
    assert [one["label"] for one in failed["measurements"]] == ["ours"]
    assert failed["claims"] == []


def test_the_layer_tells_right_from_wrong() -> None:
    layer = make_layer(0.1, 8)
    assert int(layer.mask.sum()) == 23_520
    right = (
        layer.inputs @ layer.weights.T,
        layer.output_gradients.T @ layer.inputs * layer.mask,
        layer.output_gradients @ layer.weights,
    )

    layer.check(*right)
    for wrong in range(3):
        with pytest.raises(AssertionError):
            layer.check(*(value + (i == wrong) for i, value in enumerate(right)))
