"""The runner: runs every job of an experiment, with a store and a pool of workers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from lottery.errors import Preempted, StoreError
from lottery.experiments.environment import versions
from lottery.experiments.experiment import Experiment
from lottery.experiments.listener import Listener
from lottery.experiments.looks import missing_looks
from lottery.experiments.plan import needs, plan, training_variant, why_never_run
from lottery.experiments.workers import Pool
from lottery.store import MAIN, JobKey, JobResult, LookKey, Store


def run_all(
    experiment: Experiment,
    store: Store,
    results: dict[JobKey, JobResult],
    pool: Pool,
    listener: Listener,
    stop: threading.Event,
) -> dict[JobKey, str]:
    """Run every job whose needs are met until none is left; results are added as they come.

    Args:
        experiment: the experiment.
        store: holds finished jobs.
        results: the jobs that have ended -> their results; new ones are added.
        pool: runs jobs.
        listener: is told of each result.
        stop: set it to stop.

    Returns:
        The jobs that can never run -> why.

    Raises:
        Preempted: ``stop`` was set.
    """
    config = experiment.config
    again = dense_again(experiment, store, results)
    for key in sorted(again):
        listener.noted(f"{key} is trained again, for what tickets need of it on the way")
    # The main line first: everything else waits for it.
    waiting = sorted(
        (key for key in plan(config) if key not in results or key in again),
        key=lambda key: (key.branch != MAIN, key.level),
    )
    running: list[set[JobKey]] = []
    skipped: dict[JobKey, str] = {}
    while waiting or running:
        if stop.is_set() and not running:
            raise Preempted("between trainings")
        ready = []
        for key in list(waiting):
            reason = why_never_run(key, config, results, skipped)
            if reason:
                waiting.remove(key)
                skipped[key] = reason
                listener.skipped(key, reason)
            elif all(need in results and need not in again for need in needs(key, config)):
                ready.append(key)
        while ready and len(running) < pool.size and not stop.is_set():
            group = _together(ready, experiment)
            for key in group:
                ready.remove(key)
                waiting.remove(key)
            running.append(set(group))
            pool.submit(group)
        if not running:
            continue
        for result in pool.finished():
            running = [left for group in running if (left := group - {result.key})]
            if result.key in again:
                again.discard(result.key)
                continue
            results[result.key] = result
            listener.finished(result)
    return skipped


def _together(ready: Sequence[JobKey], experiment: Experiment) -> list[JobKey]:
    """The first job, and those of the others that may train in one call with it."""
    variant = training_variant(ready[0], experiment.config)
    alike = (key for key in ready if training_variant(key, experiment.config) == variant)
    return list(islice(alike, experiment.task.group_size(variant)))


def dense_again(
    experiment: Experiment, store: Store, results: Mapping[JobKey, JobResult]
) -> set[JobKey]:
    """The finished dense networks that are trained again, because looks at them are missing.

    A run that grew by a level may need looks that were not taken before.
    """
    config = experiment.config
    wanting = {
        need.replicate for key in plan(config) if key not in results for need in needs(key, config)
    }
    dense = (JobKey(replicate, MAIN, 0) for replicate in wanting)
    return {
        key
        for key in dense
        if key in results
        and results[key].status == "done"
        and missing_looks(key, experiment, store)
    }


# What has been computed before


def changed_needs(
    experiment: Experiment, store: Store, results: Iterable[JobKey]
) -> dict[JobKey, list[str]]:
    """Finished jobs made from jobs whose files have changed since -> the names of these."""
    found = {}
    for key in results:
        made_from = store.about(key).get("made_from", {})
        other = [
            str(need)
            for need in experiment.made_from(key)
            if str(need) in made_from
            and store.is_finished(need)
            and store.contents_hash(need) != made_from[str(need)]
        ]
        if other:
            found[key] = other
    return found


def reusable_jobs(
    experiment: Experiment, store: Store, others: Iterable[Path], device: str
) -> dict[JobKey | LookKey, Store]:
    """The missing jobs that another run has finished with the same engine, device and versions.

    Args:
        experiment: this run's experiment.
        store: this run's store.
        others: directories of other runs.
        device: the name of the device that this run trains on.

    Returns:
        Missing job or look -> the store that has it.
    """
    config = experiment.config
    wanted = {key: experiment.identity(key) for key in _everything(experiment)}
    missing = {key: one for key, one in wanted.items() if not store.is_there(key)}
    engine = {
        key: experiment.task.engine_name(training_variant(key, config))
        for key in missing
        if isinstance(key, JobKey)
    }
    found: dict[JobKey | LookKey, Store] = {}
    for other in map(Store, others):
        if other.path == store.path:
            continue
        for key, identity in missing.items():
            if key in found:
                continue
            dense = JobKey(key.replicate, MAIN, 0)
            computed = {
                "engine": engine.get(key if isinstance(key, JobKey) else dense),
                "device": device,
                **versions(),
            }
            if isinstance(key, LookKey) and dense not in engine:
                computed["engine"] = experiment.task.engine_name(training_variant(dense, config))
            try:
                said = other.about(key) if other.is_finished(key) else {}
            except StoreError:
                continue
            if said.get("identity") == identity and said.get("computed") == computed:
                found[key] = other
    return found


def copy_jobs(store: Store, found: Mapping[JobKey | LookKey, Store]) -> dict[Path, int]:
    """Copy finished jobs of other runs into this one; those that are damaged are left out.

    Args:
        store: this run's store.
        found: from `reusable_jobs`.

    Returns:
        Other run -> how many trainings were copied from it.
    """
    taken: dict[Path, int] = {}
    for key, other in found.items():
        try:
            if isinstance(key, JobKey) and other.problems(key):
                continue
            store.take_from(other, key)
        except StoreError:
            continue  # It is computed then, as if it had not been found.
        if isinstance(key, JobKey):
            taken[other.path] = taken.get(other.path, 0) + 1
    return taken


def _everything(experiment: Experiment) -> list[JobKey | LookKey]:
    looks = [
        look
        for replicate in range(experiment.config.replicates)
        for look in experiment.looks(replicate)
    ]
    return [*plan(experiment.config), *looks]
