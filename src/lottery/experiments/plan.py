"""The plan: an experiment as a graph of jobs."""

from __future__ import annotations

from collections.abc import Mapping

from lottery.experiments.config import OwnConfig, PlanConfig
from lottery.methods import CONTROLS, searching
from lottery.store import MAIN, JobKey, JobResult
from lottery.store.jobs import DENSE_REWOUND, SEARCH
from lottery.tasks.protocol import How


def branches(config: PlanConfig) -> tuple[str, ...]:
    """The control branches of every pruned level."""
    return tuple(
        f"{kind}-{number}"
        for kind, control in CONTROLS.items()
        for number in range(1, 1 + getattr(config.controls, control.setting))
    )


def plan(config: PlanConfig) -> list[JobKey]:
    """Every job of an experiment, each after those it needs.

    >>> [str(job) for job in plan(ExperimentConfig(replicates=1, levels=1))]
    ['replicate 0, main, level 0', 'replicate 0, main, level 1', 'replicate 0, reinit-1, level 1']
    """
    again = (f"{DENSE_REWOUND}-1",) if trains_dense_again(config) else ()
    pruned = (*([f"{SEARCH}-1"] if searching(config.method) else []), MAIN, *branches(config))
    return [
        JobKey(replicate, branch, level)
        for level in range(config.levels + 1)
        for replicate in range(config.replicates)
        for branch in (pruned if level else (MAIN, *again))
    ]


def trains_dense_again(config: PlanConfig) -> bool:
    """Whether the dense network is trained again, as its late-rewound tickets are.

    A loop that starts over gives them the steps before as well; they are to be compared with a
    dense network that has these too.
    """
    late = config.method.rewinding == "weights" and config.method.start.amount > 0
    if not isinstance(config, OwnConfig) or not late or not config.levels:
        return False
    return not config.task.get("starts_at_step", False)


def how_trained(job: JobKey, config: PlanConfig) -> How:
    """How a job is trained, where that differs from the dense network."""
    if not job.level:
        return How()
    asked, searches = (job.level, config.prune, config.levels), searching(config.method)
    if searches and job.kind == SEARCH:
        return searches.changing_how(*asked)
    how = config.method.how(*asked)
    return how if job.branch == MAIN else CONTROLS[job.kind].how(how, job.branch, job.level)


def needs(job: JobKey, config: PlanConfig) -> tuple[JobKey, ...]:
    """The trainings that must have ended as ``done`` before this job can start.

    A control needs what the ticket of its level is made from, and not that ticket's training. What
    decided the mask comes last.
    """
    if not job.level:
        return () if job.branch == MAIN else (JobKey(job.replicate, MAIN, 0),)
    levels, searches = config.method.needs(job.level, config.prune), searching(config.method)
    if searches and job.kind == SEARCH:
        levels, searches = (0,) if searches.step.amount else (), None
    found = tuple(JobKey(job.replicate, MAIN, level) for level in levels)
    return (*found, JobKey(job.replicate, f"{SEARCH}-1", job.level)) if searches else found


def hopeless(
    job: JobKey,
    config: PlanConfig,
    results: Mapping[JobKey, JobResult],
    skipped: Mapping[JobKey, str],
) -> str | None:
    """Why a job can never run, or None where it still may.

    Args:
        job: one that has not run.
        config: the experiment.
        results: the jobs that have ended.
        skipped: the jobs before it that can never run -> why.
    """
    for need in needs(job, config):
        if need in skipped:
            return skipped[need]
        if need in results and results[need].status != "done":
            return f"{need} {results[need].status}: {results[need].reason}"
    return None


def never_run(config: PlanConfig, results: Mapping[JobKey, JobResult]) -> dict[JobKey, str]:
    """The jobs of a plan that can never run, whatever becomes of the others -> why."""
    found: dict[JobKey, str] = {}
    for job in plan(config):
        if job not in results and (reason := hopeless(job, config, results, found)):
            found[job] = reason
    return found
