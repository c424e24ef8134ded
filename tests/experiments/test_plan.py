"""The graph of jobs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import job as made_up
from tiny import tiny

from lottery.core import Schedule
from lottery.experiments import RECIPES, ExperimentConfig, never_run, plan, smoke, worker_count
from lottery.experiments.plan import needs
from lottery.methods import (
    AnyMethod,
    AtStep,
    ControlsConfig,
    EarlyBird,
    GradualPruning,
    Iterative,
)
from lottery.store import JobKey
from lottery.tickets import PruneConfig
from lottery.training import Length


def test_every_job_comes_after_those_it_needs_and_once() -> None:
    moving = tiny(
        method=GradualPruning(then="rewind", every=Length(amount=2)),
        controls=ControlsConfig(moved=1, trained_signs=1),
    )
    for config in (tiny(), RECIPES["lenet-300-100/mnist"](), RECIPES["demo"](), moving):
        seen: set[JobKey] = set()
        for job in plan(config):
            assert job not in seen
            assert seen.issuperset(needs(job, config))
            seen.add(job)


def test_searches_of_a_level_come_first_then_tickets_then_the_rest() -> None:
    """A control with the mask of another replicate's ticket needs that one's search."""
    config = tiny(
        replicates=2,
        levels=1,
        method=GradualPruning(then="rewind"),
        controls=ControlsConfig(reinit=0, moved=1),
    )
    assert [(job.branch, job.replicate) for job in plan(config) if job.level] == [
        *(("search-1", 0), ("search-1", 1)),
        *(("main", 0), ("main", 1)),
        *(("moved-1", 0), ("moved-1", 1)),
    ]


def test_replicates_are_independent_and_controls_hang_on_their_level() -> None:
    config = tiny(levels=3)
    for job in plan(config):
        assert {need.replicate for need in needs(job, config)} <= {job.replicate}
        assert all(need.branch == "main" for need in needs(job, config))
        if job.branch != "main":
            ticket = JobKey(job.replicate, "main", job.level)
            assert needs(job, config) == needs(ticket, config), "and not that ticket's training"
    assert needs(JobKey(0, "main", 0), config) == ()
    assert JobKey(0, "main", 2) in needs(JobKey(0, "main", 3), config)


def test_pruned_at_initialization_everything_can_run_at_once() -> None:
    config = tiny(levels=3, method=AtStep(), prune=PruneConfig(criterion="snip"))
    assert all(needs(job, config) == () for job in plan(config))


def test_one_shot_levels_need_the_dense_network_alone() -> None:
    config = tiny(levels=3, prune=PruneConfig(schedule="one-shot"))
    for job in plan(config):
        needed = [JobKey(job.replicate, "main", 0)] if job.level else []
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
    assert len(plan(small)) <= 22
    assert small.training.length.amount <= 40


def test_worker_counts() -> None:
    assert worker_count(3, "cpu") == 3
    assert worker_count(None, "cuda") == 1
    assert worker_count(None, "cpu") >= 1


EARLY = EarlyBird(every=Length(amount=1), window=2)
CONTROLS = ControlsConfig(reinit=1, continued=True, signs_constant=True, supermask=1)


def left_over(config: ExperimentConfig, fates: dict[JobKey, str]) -> set[JobKey]:
    """Jobs run one after the other, whichever can, and end as they must: what is left then."""
    left, ended = set(plan(config)), set[JobKey]()

    def can_start(key: JobKey) -> bool:
        needed = needs(key, config)
        return ended.issuperset(needed) and all(fates[need] == "done" for need in needed)

    while ready := [key for key in sorted(left) if can_start(key)]:
        left.remove(ready[-1])
        ended.add(ready[-1])
    return left


@pytest.mark.parametrize(
    ("method", "schedule"),
    [
        (Iterative(), "geometric"),
        (Iterative(), "one-shot"),
        (AtStep(), "geometric"),
        (EARLY, "geometric"),
        (GradualPruning(then="rewind"), "geometric"),
    ],
    ids=["geometric", "one-shot", "at-step", "early-bird", "found"],
)
@given(data=st.data())
def test_what_never_runs_is_what_is_left_in_the_end(
    method: AnyMethod, schedule: Schedule, data: st.DataObject
) -> None:
    """And of what still runs on the way there, nothing is said never to run."""
    controls = CONTROLS if isinstance(method, Iterative) else ControlsConfig(reinit=1)
    prune = PruneConfig(schedule=schedule)
    config = tiny(replicates=1, levels=3, method=method, prune=prune, controls=controls)
    jobs = plan(config)
    fates = {key: data.draw(st.sampled_from(["done", "diverged", "collapsed"])) for key in jobs}
    left = left_over(config, fates)
    results = {
        key: made_up(key.replicate, key.branch, key.level, status=fates[key])
        for key in jobs
        if key not in left
    }

    assert set(never_run(config, results)) == left
    for count in range(len(results)):
        some = dict(list(results.items())[:count])
        assert left.issuperset(never_run(config, some))


def test_one_shot_levels_go_on_where_a_ticket_diverged() -> None:
    """As do the controls of that ticket, which need its mask alone."""
    config = tiny(replicates=1, levels=2, prune=PruneConfig(schedule="one-shot"))
    dense, ticket = (JobKey(0, "main", level) for level in (0, 1))
    results = {
        dense: made_up(0, "main", 0),
        ticket: made_up(0, "main", 1, status="diverged"),
    }
    assert never_run(config, results) == {}
