"""The same trainings with another data order: jobs like all others, that no verdict looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import own_loops
import pytest
import torch
from bound import bound
from own_loops import evaluate, make_model, train
from small_run import SmallRun
from tiny import tiny

from lottery.analysis import judge_run
from lottery.data import load_dataset
from lottery.errors import ConfigError, UsageError
from lottery.experiments import (
    ConnectivityConfig,
    Listener,
    Run,
    find_tickets,
    load_config,
    open_run,
    plan,
    run_name,
    smoke,
    to_plain,
)
from lottery.experiments.loading import load_recorded_config
from lottery.report import run_frame
from lottery.store import MAIN, JobKey
from lottery.tasks.protocol import TrainingVariant
from lottery.testing.samples import tiny_job
from lottery.training import State

AT = ConnectivityConfig(at={"0": (), "10": (0,)})
BRANCHES = [("reordered-0", 0), ("reordered-0", 1), ("reordered-10", 0)]


class Trained(Listener):
    def __init__(self) -> None:
        self.keys: list[JobKey] = []

    def finished(self, result: Any) -> None:
        self.keys.append(result.key)


def grown(small_run: SmallRun, out: Path, engine: str = "torch") -> tuple[Run, Trained]:
    small_run.copied(out)
    heard = Trained()
    asked = replace(small_run, config=replace(small_run.config, connectivity=AT))
    return open_run(asked.again(out, heard, engine=engine).run), heard


def same(one: State, other: State) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_run_grows_by_them_and_by_nothing_else(small_run: SmallRun, tmp_path: Path) -> None:
    run, heard = grown(small_run, tmp_path)
    assert [(key.branch, key.level) for key in sorted(heard.keys)] == BRANCHES
    assert run.name == small_run.path.name
    before = judge_run(open_run(small_run.path))
    now = judge_run(run)
    assert replace(now, run=before.run) == before, "no verdict looks at them"
    assert {*run_frame(run)["branch"]} >= {"reordered-0", "reordered-10"}
    asked = replace(small_run.config, connectivity=AT)
    again = replace(small_run, config=asked).again(tmp_path, heard := Trained())
    assert not heard.keys
    assert again.results.keys() == run.results.keys()
    # Asking for less leaves what is there.
    assert small_run.again(tmp_path, heard := Trained()).results.keys() == run.results.keys()
    assert not heard.keys


def test_up_to_their_iteration_they_are_what_was_trained(
    small_run: SmallRun, tmp_path: Path
) -> None:
    store = grown(small_run, tmp_path)[0].store
    main, late = store.curve(JobKey(0, MAIN, 0)), store.curve(JobKey(0, "reordered-10", 0))
    by = [point.iteration for point in main]
    assert by == [0, 0, 10, 10, 20, 20]
    assert main[:4] == late[:4]
    assert main[4] != late[4]
    early = store.curve(JobKey(0, "reordered-0", 0))
    assert main[:2] == early[:2]
    assert main[2] != early[2]
    for level in (0, 1):
        one, other = JobKey(0, MAIN, level), JobKey(0, "reordered-0", level)
        ticket, copy = store.ticket(one), store.ticket(other)
        assert ticket.mask == copy.mask
        assert ticket.iteration == copy.iteration
        assert same(ticket.weights, copy.weights)
        assert not same(store.weights(one), store.weights(other))


def test_both_engines_reorder_alike(small_run: SmallRun, tmp_path: Path) -> None:
    one = grown(small_run, tmp_path / "torch")[0].store
    other = grown(small_run, tmp_path / "sparse", engine="sparse_cpu")[0].store
    for branch, level in BRANCHES[:1] + BRANCHES[2:]:
        key = JobKey(0, branch, level)
        assert other.result(key).engine == "sparse_cpu"
        theirs = other.weights(key)
        for name, value in one.weights(key).items():
            torch.testing.assert_close(theirs[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("since", [0, 1, 5, 6, 7, 11])
def test_each_example_is_seen_once_an_epoch(since: int) -> None:
    job = tiny_job()
    count, size = len(job.data.train), job.config.batch_size
    steps = -(-count // size)
    copy = replace(job, reordered_from=since)
    for epoch in range(3):
        usual, other = job.epoch_order(epoch), copy.epoch_order(epoch)
        assert sorted(other.tolist()) == list(range(count))
        before = min(count, max(0, since - epoch * steps) * size)
        assert torch.equal(usual[:before], other[:before])
        assert before >= count - 1 or not torch.equal(usual, other)
    assert copy.streams_at(since - 1) == job.streams
    assert copy.streams_at(since) != job.streams


def test_identities_of_all_other_jobs_are_what_they_were() -> None:
    config = tiny(replicates=1)
    data = load_dataset(config.data, data_dir=None, progress=False)
    before, with_them = bound(config, data), bound(replace(config, connectivity=AT), data)
    jobs = plan(with_them.config)
    others = [key for key in jobs if key.kind != "reordered"]
    assert others == plan(before.config)
    assert all(before.identity(key) == with_them.identity(key) for key in others)
    assert len({with_them.identity(key) for key in jobs}) == len(jobs)
    assert run_name(config) == run_name(with_them.config)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({}, {"0": ()}, {"0": ()}),
        ({"500": (0,)}, {"0": (), "500": (2, 0)}, {"0": (), "500": (0, 2)}),
        ({"10": (3,)}, {"9": (), "10": ()}, {"9": (), "10": ()}),
    ],
)
def test_what_is_wanted_adds_up(
    one: Mapping[str, tuple[int, ...]],
    other: Mapping[str, tuple[int, ...]],
    both: Mapping[str, tuple[int, ...]],
) -> None:
    first, second = ConnectivityConfig(at=one), ConnectivityConfig(at=other)
    for found in (first.joined(second), second.joined(first)):
        assert [*found.at.items()] == [*both.items()]


def test_a_config_says_them_in_toml() -> None:
    config = load_config({"connectivity": {"at": {"0": [], "500": [0, 3]}}})
    assert config.connectivity.iterations(0) == config.connectivity.iterations(3) == [0, 500]
    assert config.connectivity.iterations(1) == [0]
    assert load_config(to_plain(config)) == config
    for wrong, said in (
        ({"start": []}, "expected the number of an iteration"),
        ({"007": []}, "expected the number of an iteration"),
        ({"9" * 30: []}, "expected the number of an iteration"),
        ({"5": [100]}, "expected levels from 0 to 99, got 100"),
        ([0, 500], "expected a table"),
    ):
        with pytest.raises(ConfigError, match=said):
            load_config({"connectivity": {"at": wrong}})


STOPPED = {"kind": "early-bird", "stop": True}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"levels": 4, "connectivity": {"at": {"0": [4, 7]}}}, "0 to 4, got 7"),
        ({"connectivity": {"at": {"0": []}}, "method": STOPPED}, r"got \[\], which is all levels"),
        (
            {"connectivity": {"at": {"3": [1, 0]}}, "method": STOPPED},
            r"3: with method\.stop .* \[1, 0\]",
        ),
        (
            {"connectivity": {"at": {"30": [1]}}, "training": {"length": 30}},
            "iteration 30 is not before the end of training, 30 iterations",
        ),
    ],
    ids=["beyond", "stopped-all", "stopped-some", "late"],
)
def test_copies_that_do_not_fit_the_plan_are_refused(config: dict[str, Any], said: str) -> None:
    """But a run that was recorded so is read."""
    with pytest.raises(ConfigError, match=f"connectivity.at.*{said}"):
        load_config(config)
    assert load_recorded_config(config, source="a run").connectivity.at


def test_copies_of_tickets_go_with_dense_networks_that_stop() -> None:
    config = load_config({"connectivity": {"at": {"0": [1, 2]}}, "method": STOPPED})
    assert config.connectivity.iterations(0) == []
    assert config.connectivity.iterations(1) == [0]


def test_a_smoke_run_has_the_copies_of_levels_that_it_has_not() -> None:
    small = smoke(load_config({"levels": 12, "connectivity": {"at": {"500": [0, 3, 9]}}}))
    assert small.connectivity.at == {"4": (0, 2)}


def test_an_iteration_after_the_end_is_refused(small_run: SmallRun, tmp_path: Path) -> None:
    late = replace(small_run.config, connectivity=ConnectivityConfig(at={"20": ()}))
    with pytest.raises(UsageError, match="iteration 20 is not before the end of training, 20"):
        replace(small_run, config=late).again(tmp_path)


def test_a_loop_of_ones_own_is_seeded_otherwise() -> None:
    at = ConnectivityConfig(at={"0": ()})
    how: Any = {"levels": 1, "replicates": 1, "verbose": False}
    run = find_tickets(make_model, train, evaluate, connectivity=at, **how)
    plain = find_tickets(make_model, train, evaluate, **how)
    for level in (0, 1):
        one, other = JobKey(0, MAIN, level), JobKey(0, "reordered-0", level)
        assert same(run.store.ticket(one).weights, run.store.ticket(other).weights)
        assert not same(run.store.weights(one), run.store.weights(other))
        assert same(run.store.weights(one), plain.store.weights(one))
    with pytest.raises(ConfigError, match="from iteration 5 on another data order needs"):
        find_tickets(
            make_model, train, evaluate, connectivity=ConnectivityConfig(at={"5": ()}), **how
        )
    assert "from an iteration above 0 on" in str(
        own_loops.own_task().refusal(TrainingVariant(reordered=3))
    )
