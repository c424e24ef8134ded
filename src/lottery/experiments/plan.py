"""The plan: an experiment as a graph of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lottery.experiments.config import OwnConfig, PlanConfig
from lottery.experiments.connectivity import reordered_branch
from lottery.methods import CONTROLS, mask_search, source_replicate
from lottery.store import MAIN, JobKey, JobResult
from lottery.store.jobs import DENSE_REWOUND, REORDERED, SEARCH
from lottery.tasks.protocol import TrainingVariant


def branches(config: PlanConfig, level: int) -> tuple[str, ...]:
    """The branches of a level besides the tickets' own: controls, and other data orders."""
    controls = [
        f"{kind}-{number}"
        for kind, control in CONTROLS.items()
        for number in range(1, 1 + getattr(config.controls, control.setting))
    ]
    if not level:
        controls = [f"{DENSE_REWOUND}-1"] if trains_dense_again(config) else []
    return (*controls, *map(reordered_branch, config.connectivity.iterations(level)))


def searches(config: PlanConfig, level: int) -> tuple[str, ...]:
    """The branch of the training that searches a level's mask, if there is one."""
    return (f"{SEARCH}-1",) if level and mask_search(config.method) else ()


def plan(config: PlanConfig) -> list[JobKey]:
    """Every job of an experiment, each after the jobs it needs.

    In each level, searches of masks come first, then the tickets, then controls.

    >>> from lottery.experiments import ExperimentConfig
    >>> [str(job) for job in plan(ExperimentConfig(replicates=1, levels=1))]
    ['replicate 0, main, level 0', 'replicate 0, main, level 1', 'replicate 0, reinit-1, level 1']
    """
    return [
        JobKey(replicate, branch, level)
        for level in range(config.levels + 1)
        for kinds in (searches(config, level), (MAIN,), branches(config, level))
        for replicate in range(config.replicates)
        for branch in kinds
    ]


def trains_dense_again(config: PlanConfig) -> bool:
    """Whether the dense network is trained again in the way of late-rewound tickets.

    A loop that starts over trains rewound tickets for its whole length, so they have had more steps
    than the dense network; they are compared with one that has been trained the same way.
    """
    late = config.method.rewinding == "weights" and config.method.start.amount > 0
    if not isinstance(config, OwnConfig) or not late or not config.levels:
        return False
    return not config.task.get("starts_at_step", False)


def training_variant(job: JobKey, config: PlanConfig) -> TrainingVariant:
    """How a job's training differs from the dense network's."""
    if not job.level and job.branch == MAIN:
        return config.method.dense_variant()
    asked, changing = (job.level, config.prune, config.levels), mask_search(config.method)
    if changing and job.kind == SEARCH:
        return changing.changing_variant(*asked)
    variant = config.method.variant(*asked) if job.level else TrainingVariant()
    if job.kind == REORDERED:
        return replace(variant, reordered=int(job.branch.removeprefix(f"{REORDERED}-")))
    if job.kind in CONTROLS:
        return CONTROLS[job.kind].variant(variant, job.branch, job.level)
    return variant


def needs(job: JobKey, config: PlanConfig) -> tuple[JobKey, ...]:
    """The trainings that must have ended as ``done`` before this job can start.

    A control needs the jobs that its level's ticket is made from, and not that ticket's training. A
    control with another replicate's mask also needs the jobs that mask is made from.
    """
    if not job.level:
        return () if job.of_ticket else (JobKey(job.replicate, MAIN, 0),)
    levels, replicates = config.method.needs(job.level, config.prune), [job.replicate]
    moves_mask = job.kind in CONTROLS and CONTROLS[job.kind].moves_mask
    if moves_mask:
        replicates.append(source_replicate(job.replicate))
    if moves_mask == "aligned":
        levels = tuple(sorted({0, *levels}))
    changing = mask_search(config.method)
    if changing and job.kind == SEARCH:
        levels, changing = (0,) if changing.step.amount else (), None
    found = [JobKey(number, MAIN, level) for number in replicates for level in levels]
    if changing:
        found += [JobKey(number, f"{SEARCH}-1", job.level) for number in replicates]
    return tuple(found)


def why_never_run(
    job: JobKey,
    config: PlanConfig,
    results: Mapping[JobKey, JobResult],
    skipped: Mapping[JobKey, str],
) -> str | None:
    """Why a job can never run, in words, or None if it still can.

    Args:
        job: a job that has not run.
        config: the experiment.
        results: the jobs that have ended -> their results.
        skipped: the jobs before it that can never run -> why.
    """
    for need in needs(job, config):
        if need in skipped:
            return skipped[need]
        if need in results and results[need].status != "done":
            return f"{need} {results[need].status}: {results[need].reason}"
    return None


def never_run(config: PlanConfig, results: Mapping[JobKey, JobResult]) -> dict[JobKey, str]:
    """The jobs of a plan that can never run, since a job they need has failed -> why."""
    found: dict[JobKey, str] = {}
    for job in plan(config):
        if job not in results and (reason := why_never_run(job, config, results, found)):
            found[job] = reason
    return found
