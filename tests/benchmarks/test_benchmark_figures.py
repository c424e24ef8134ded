"""Benchmarks: a process's figure, how it is timed, and the order in which processes run."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from benchmarks.elsewhere import Moment, cores_elsewhere, moment
from benchmarks.figure import Figure
from benchmarks.processes import MeasurementError, in_fresh_process, take
from benchmarks.rows import Measurement
from benchmarks.timing import call_seconds, step_seconds


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", made)
    return made


def test_a_figure_survives_its_line_of_json_among_other_output() -> None:
    figure = Figure(value=0.25, unit="s", samples=(0.2, 0.3), details={"density": 0.1})

    assert Figure.from_output(f"some warning\n{figure.to_line()}\n") == figure


@pytest.mark.parametrize("output", ["", "no figure\n", '{"value": 1.0}\n', "[]\n"])
def test_what_is_not_a_figure_is_shown(output: str) -> None:
    with pytest.raises(ValueError, match="expected a figure in the last line"):
        Figure.from_output(output)


def test_set_up_takes_no_part_in_a_step(clock: Clock) -> None:
    runs: list[int] = []

    def train(steps: int) -> None:
        runs.append(steps)
        clock.now += 8.0 + steps / 64

    assert step_seconds(train, unit=64, repeats=3, at_least=4.0) == (1 / 64,) * 3
    # A warm-up, then pairs, the last of which differ by 2n steps that take the four seconds.
    assert runs == [64, *[64, 192] * 3, *[128, 384] * 3]


def test_steps_that_take_no_time_are_not_waited_for(clock: Clock) -> None:
    runs: list[int] = []

    assert step_seconds(runs.append, unit=1, repeats=1, at_least=4.0) == (0.0,)
    assert runs == [1, 1, 3, 20, 60]
    assert clock.now == 0.0


def test_calls_are_timed_in_blocks_after_one_that_is_not(clock: Clock) -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        clock.now += 100.0 if calls <= 4 else 0.5

    assert call_seconds(call, blocks=2, calls=4) == (0.5, 0.5)
    assert calls == 12


def measurements(*labels: str) -> list[Measurement]:
    return [Measurement(label=label, arguments=()) for label in labels]


def test_measurements_take_turns() -> None:
    count = iter(range(1, 100))

    def measure(_: Measurement) -> Figure:
        return Figure(value=next(count), unit="s")

    taken = take(measurements("A", "B", "C"), 2, measure=measure)

    assert [(number, one.label, figure.value) for number, one, figure in taken] == [
        (0, "A", 1),
        (0, "B", 2),
        (0, "C", 3),
        (1, "A", 4),
        (1, "B", 5),
        (1, "C", 6),
    ]


def test_a_failure_says_what_the_process_said() -> None:
    broken = Measurement(label="A", arguments=("no-such-thing",))

    with pytest.raises(MeasurementError, match=r"(?s)\AA ended with 2\n.*'no-such-thing'"):
        in_fresh_process(broken)


def test_an_interpreter_that_is_not_there_is_named() -> None:
    with pytest.raises(MeasurementError, match=r"A: .*no-such-python"):
        in_fresh_process(Measurement(label="A", arguments=("demo",), python="no-such-python"))


def test_a_process_that_prints_no_figure_is_a_failure() -> None:
    # An interpreter that does nothing with its arguments.
    silent = Measurement(label="A", arguments=("protocol",), python="true")

    with pytest.raises(MeasurementError, match="A: expected a figure"):
        in_fresh_process(silent)


def test_what_others_do_is_told_from_what_we_do(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    # In ticks: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice.
    stat.write_text("cpu  100 200 300 9999 9999 40 50 10 5 5\ncpu0 1 1\n")
    found = moment(stat)

    assert found is not None
    assert found.machine == 700 / os.sysconf("SC_CLK_TCK")
    start = Moment(wall=0.0, machine=10.0, own=1.0)
    assert cores_elsewhere(start, Moment(wall=10.0, machine=27.0, own=11.0)) == 0.7
    # Ticks are coarse, so a little less than nothing may come out.
    assert cores_elsewhere(start, Moment(wall=1.0, machine=10.9, own=2.0)) == 0.0


@pytest.mark.parametrize("content", [None, "", "cpu 1 2\n", "cpu a b c d e f g h\n"])
def test_a_system_that_does_not_say_is_not_guessed_at(tmp_path: Path, content: str | None) -> None:
    stat = tmp_path / "stat"
    if content is not None:
        stat.write_text(content)

    assert moment(stat) is None
    assert cores_elsewhere(moment(stat), Moment(wall=1.0, machine=1.0, own=1.0)) is None


def test_infinities_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        Figure(value=float("inf"), unit="s").to_line()
    assert json.loads(Figure(value=1.0, unit="MB").to_line())["unit"] == "MB"
