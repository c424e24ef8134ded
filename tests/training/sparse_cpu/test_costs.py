"""Which form is chosen, and that all processes choose alike; how long things take is not tested."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lottery.training.engines.sparse_cpu import costs as module
from lottery.training.engines.sparse_cpu.costs import Costs, fastest_form, machine_costs, measure
from lottery.training.engines.sparse_cpu.layers import BACKGROUND, DENSE, SPARSE

# Of the order that they are of; a sparse weight costs four times as much as a dense one.
COSTS = Costs(dense=1.0, sparse=4.0, update=0.5)


def mask(kept: int, outputs: int = 300, inputs: int = 784) -> NDArray[np.bool_]:
    """With exactly so many weights."""
    return (np.arange(outputs * inputs) < kept).reshape(outputs, inputs)


def form(
    density: float, *, entries: float | None = None, costs: Costs = COSTS, batch_size: int = 60
) -> int:
    kept = mask(round(density * 300 * 784))
    return fastest_form(costs, kept, entries=entries, batch_size=batch_size)


def test_dense_layers_are_dense_and_sparse_ones_sparse() -> None:
    assert form(1.0) == DENSE
    assert form(0.01) == SPARSE
    assert form(0.0) == SPARSE


def test_images_of_digits_start_from_their_background() -> None:
    # A fifth of MNIST's pixels are not black.
    assert form(1.0, entries=150) == BACKGROUND
    assert form(0.01, entries=150) == SPARSE
    assert form(1.0, entries=784) == DENSE


def test_outputs_beyond_a_panel_cost_a_whole_one() -> None:
    def chosen(outputs: int) -> int:
        return fastest_form(COSTS, mask(outputs * 784, outputs), entries=100, batch_size=60)

    assert chosen(64) == BACKGROUND
    assert chosen(65) == DENSE


@given(
    dense=st.floats(0.01, 10),
    sparse=st.floats(0.01, 10),
    update=st.floats(0.01, 10),
    batch_size=st.sampled_from([1, 60, 64, 65, 1000]),
)
@settings(max_examples=60, deadline=None)
def test_the_crossover_is_where_the_costs_say(
    dense: float, sparse: float, update: float, batch_size: int
) -> None:
    """Forward and backward of every block of 64 lanes, used or not, and one update."""
    costs = Costs(dense=dense, sparse=sparse, update=update)
    passes = 2 * -(-batch_size // 64)
    crossover = (passes * dense + update) / (passes * sparse + update)

    assert form(min(1.0, crossover * 0.99), costs=costs, batch_size=batch_size) == SPARSE
    if crossover < 0.99:
        assert form(crossover * 1.01, costs=costs, batch_size=batch_size) == DENSE


def test_more_entries_never_speak_for_the_background() -> None:
    chosen = [form(1.0, entries=entries) == BACKGROUND for entries in range(0, 785, 8)]

    assert chosen[0]
    assert not chosen[-1]
    assert chosen == sorted(chosen, reverse=True)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Costs]:
    """What was measured so far, in place of measuring: 1, 2, 3, ... nanoseconds."""
    found: list[Costs] = []

    def pretend() -> Costs:
        found.append(Costs(dense=len(found) + 1.0, sparse=2.0, update=3.0))
        return found[-1]

    monkeypatch.setattr(module, "measure", pretend)
    return found


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path | None], Costs]:
    """The machine's costs as a process finds them that has just started."""

    def costs_in(directory: Path | None) -> Costs:
        monkeypatch.setattr(module, "cache_directory", lambda: directory)
        return module._machine_costs.__wrapped__()

    return costs_in


def test_costs_are_measured_once_and_then_read(
    tmp_path: Path, measured: list[Costs], fresh: Callable[[Path | None], Costs]
) -> None:
    assert fresh(tmp_path) == fresh(tmp_path) == measured[0]

    assert len(measured) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["costs.json"]
    assert json.loads((tmp_path / "costs.json").read_text()) == asdict(measured[0])


def test_costs_that_are_there_hold(
    tmp_path: Path, measured: list[Costs], fresh: Callable[[Path | None], Costs]
) -> None:
    (tmp_path / "costs.json").write_text('{"dense": 1, "sparse": 0.25, "update": 7, "more": 0}')

    assert fresh(tmp_path) == Costs(dense=1.0, sparse=0.25, update=7.0)
    assert not measured


def test_where_nothing_can_be_written_costs_are_measured(
    measured: list[Costs], fresh: Callable[[Path | None], Costs]
) -> None:
    assert fresh(None) == measured[0]


def test_of_processes_that_race_one_wins_and_all_go_by_it(
    tmp_path: Path, measured: list[Costs], fresh: Callable[[Path | None], Costs]
) -> None:
    path, start = tmp_path / "costs.json", threading.Barrier(8)

    def race(number: int) -> None:
        start.wait()
        module._write_first(path, Costs(dense=float(number), sparse=2.0, update=3.0))
        read[number] = path.read_text()

    read = [""] * 8
    racers = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert len(set(read)) == 1
    assert fresh(tmp_path).dense in range(8)
    assert not measured
    assert [path.name for path in tmp_path.iterdir()] == ["costs.json"]


def refuse(*arguments: object, **options: object) -> None:
    raise PermissionError("no such thing here")


def test_a_file_system_without_links_keeps_the_costs(
    tmp_path: Path,
    measured: list[Costs],
    fresh: Callable[[Path | None], Costs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "link", refuse)

    assert fresh(tmp_path) == fresh(tmp_path) == measured[0]

    assert len(measured) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["costs.json"]


def test_a_full_disk_stops_nothing(
    tmp_path: Path,
    measured: list[Costs],
    fresh: Callable[[Path | None], Costs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)

    assert fresh(tmp_path) == measured[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"dense": "fast"}'])
def test_a_damaged_file_stops_nothing(
    tmp_path: Path,
    measured: list[Costs],
    fresh: Callable[[Path | None], Costs],
    content: str,
) -> None:
    (tmp_path / "costs.json").write_text(content)

    assert fresh(tmp_path) == measured[-1]


def test_measuring_gives_times() -> None:
    found = measure()

    for field in fields(Costs):
        assert 0 < getattr(found, field.name) < 1e6


def test_a_process_measures_once() -> None:
    assert machine_costs() is machine_costs()
