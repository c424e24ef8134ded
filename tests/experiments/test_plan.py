"""The graph of jobs."""

from __future__ import annotations

import pytest
from tiny import tiny

from lottery.experiments import RECIPES, plan, smoke, worker_count
from lottery.experiments.plan import needs
from lottery.store import JobKey
from lottery.tickets import ControlsConfig, PruneConfig


def test_every_job_comes_after_those_it_needs_and_once() -> None:
    for config in (tiny(), RECIPES["lenet-300-100/mnist"](), RECIPES["demo"]()):
        seen: set[JobKey] = set()
        for job in plan(config):
            assert job not in seen
            assert seen.issuperset(needs(job, config))
            seen.add(job)


def test_replicates_are_independent_and_controls_hang_on_their_level() -> None:
    config = tiny(levels=3)
    for job in plan(config):
        assert {need.replicate for need in needs(job, config)} <= {job.replicate}
        assert all(need.branch == "main" for need in needs(job, config))
        if job.branch != "main":
            assert JobKey(job.replicate, "main", job.level) in needs(job, config)
    assert needs(JobKey(0, "main", 0), config) == ()
    assert needs(JobKey(0, "main", 3), config)[0] == JobKey(0, "main", 2)


def test_one_shot_levels_need_the_dense_network_alone() -> None:
    config = tiny(levels=3, prune=PruneConfig(schedule="one-shot"))
    for job in plan(config):
        level = 0 if job.branch == "main" else job.level
        needed = [JobKey(job.replicate, "main", level)] if job.level else []
        if job.kind == "continued":
            needed.append(JobKey(job.replicate, "main", 0))
        assert list(needs(job, config)) == needed


@pytest.mark.parametrize("levels", [0, 1, 5])
def test_the_number_of_jobs(levels: int) -> None:
    config = tiny(replicates=3, levels=levels, controls=ControlsConfig(reinit=2, random_mask=1))
    assert len(plan(config)) == 3 * (levels + 1 + levels * 3)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_smoke_run_leaves_out_no_kind_of_job(name: str) -> None:
    config = RECIPES[name]()
    small = smoke(config)
    assert {job.kind for job in plan(small)} == {job.kind for job in plan(config)}
    assert len(plan(small)) <= 20
    assert small.training.length.amount <= 40


def test_worker_counts() -> None:
    assert worker_count(3, "cpu") == 3
    assert worker_count(None, "cuda") == 1
    assert worker_count(None, "cpu") >= 1
