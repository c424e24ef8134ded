"""The plan: an experiment as a graph of jobs."""

from __future__ import annotations

from collections.abc import Mapping

from lottery.core import scored_level
from lottery.experiments.config import ExperimentConfig, PlanConfig
from lottery.store import CONTROL_KINDS, MAIN, JobKey, JobResult


def branches(config: PlanConfig) -> tuple[str, ...]:
    """The control branches of every pruned level."""
    return tuple(
        f"{kind}-{number}"
        for kind in CONTROL_KINDS
        for number in range(1, 1 + getattr(config.controls, kind.replace("-", "_")))
    )


def plan(config: PlanConfig) -> list[JobKey]:
    """Every job of an experiment, each after those it needs.

    >>> [str(job) for job in plan(ExperimentConfig(replicates=1, levels=1))]
    ['replicate 0, main, level 0', 'replicate 0, main, level 1', 'replicate 0, reinit-1, level 1']
    """
    return [
        JobKey(replicate, branch, level)
        for level in range(config.levels + 1)
        for replicate in range(config.replicates)
        for branch in (MAIN, *(branches(config) if level else ()))
    ]


def needs_ticket_of(job: JobKey, config: ExperimentConfig) -> JobKey | None:
    """The job whose ticket this job's ticket is made from; None for the dense network.

    A control is made from the ticket of its level; a ticket from that of the level before or, with
    the one-shot schedule, from the dense network's.

    It is enough that the job has its files: a ticket exists even if its training diverged.
    """
    if job.branch != MAIN:
        return JobKey(job.replicate, MAIN, job.level)
    if not job.level:
        return None
    return JobKey(job.replicate, MAIN, scored_level(config.prune.schedule, job.level))


def needs_weights_of(job: JobKey, config: ExperimentConfig) -> tuple[JobKey, ...]:
    """The jobs whose trained weights this job starts or prunes from; each must end as ``done``."""
    if job.level == 0 or job.kind not in (MAIN, "continued"):
        return ()
    deciding = 0
    if config.prune.by == "trained":
        deciding = scored_level(config.prune.schedule, job.level)
    levels = {deciding, 0} if job.branch == MAIN else {deciding}
    return tuple(JobKey(job.replicate, MAIN, level) for level in sorted(levels))


def needs(job: JobKey, config: ExperimentConfig) -> tuple[JobKey, ...]:
    """Every job that must have ended before this one can start."""
    tickets = [ticket] if (ticket := needs_ticket_of(job, config)) else []
    if job.kind in ("signs-constant", "edge-popup", "supermask"):
        # They take initial weights, or their spread, which the dense network's ticket holds.
        tickets.append(JobKey(job.replicate, MAIN, 0))
    return tuple(dict.fromkeys((*tickets, *needs_weights_of(job, config))))


def hopeless(
    job: JobKey,
    config: ExperimentConfig,
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
    ticket = needs_ticket_of(job, config)
    if ticket is not None and ticket in skipped:
        return skipped[ticket]
    if ticket is not None and ticket in results and results[ticket].status == "collapsed":
        return f"{ticket} collapsed: {results[ticket].reason}"
    for need in needs_weights_of(job, config):
        if need in results and results[need].status != "done":
            return f"{need} {results[need].status}: {results[need].reason}"
    return None


def never_run(config: ExperimentConfig, results: Mapping[JobKey, JobResult]) -> dict[JobKey, str]:
    """The jobs of a plan that can never run, whatever becomes of the others -> why."""
    found: dict[JobKey, str] = {}
    for job in plan(config):
        if job not in results and (reason := hopeless(job, config, results, found)):
            found[job] = reason
    return found
