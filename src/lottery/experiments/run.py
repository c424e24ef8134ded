"""Running an experiment: from a config to a finished run on disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lottery.core import (
    Mask,
    check_coverage,
    check_patterns,
    find_criterion,
    prunable_weights,
    weight_uses,
)
from lottery.data import Dataset, data_notes, load_dataset, steps_per_epoch
from lottery.errors import Preempted, UsageError
from lottery.experiments.cautions import cautions
from lottery.experiments.config import (
    ExperimentConfig,
    learns_masks,
    run_name,
    scoring_problems,
    to_plain,
)
from lottery.experiments.lengths import (
    iterations,
    mask_looks,
    planned_span,
    rewind_iteration,
)
from lottery.experiments.listener import Listener
from lottery.experiments.loading import load_config
from lottery.experiments.mask_updates import check_updates_happen
from lottery.experiments.network import coverage, experiment_units, left_out, make_model
from lottery.experiments.plan import hopeless, needs, plan
from lottery.experiments.reading import examine_job
from lottery.experiments.record import check_same_weights, record
from lottery.experiments.standing import begun
from lottery.experiments.stopping import StopRequest
from lottery.experiments.trial import (
    check_batches_of_one,
    check_forward,
    check_gradients,
    check_scoring,
    check_types,
)
from lottery.experiments.workers import Pool, Report, WorkerSettings, open_pool
from lottery.store import MAIN, JobKey, JobResult, Store, own
from lottery.tickets import check_examples, criterion_problems, level_densities
from lottery.training import CurvePoint, make_engine, resolve_device


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run; nothing here changes what comes out.

    Args:
        out: the directory that runs live in.
        data_dir: where datasets lie, or None for the usual places.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        engine: an engine's name, or ``auto`` for the fastest that can train the network.
        jobs: how many jobs at once; None for as many as there are cores (one on a GPU).
        checkpoint_seconds: time between checkpoints inside a job.
        command: the command line, for the record.
    """

    out: Path = Path("runs")
    data_dir: Path | None = None
    device: str = "auto"
    engine: str = "auto"
    jobs: int | None = None
    checkpoint_seconds: float = 30.0
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What came of a run: its directory, every result, and the jobs that could not be run."""

    run: Path
    results: Mapping[JobKey, JobResult]
    skipped: Mapping[JobKey, str]

    @property
    def failed(self) -> int:
        """Jobs that diverged, collapsed, or needed one that did."""
        ended_badly = sum(result.status != "done" for result in self.results.values())
        return ended_badly + len(self.skipped)


def check_against_data(config: ExperimentConfig, data: Dataset) -> None:
    """Check what can only be known with the data and the model at hand.

    Raises:
        UsageError: the network has nothing to prune, weights of several types, or weights that
            masks cannot hold or no example reaches; it cannot take the examples, or learn from a
            batch of one; the rewind point lies after the end, a mask that is to change would not, a
            pattern fits no layer, a density cannot be reached, multiplications cannot be counted, a
            criterion cannot be imported, does not go with the config or cannot score the network,
            or there are fewer examples than it is to look at.
        MaskError: the scores of a criterion of your own are not what selection can use.
    """
    model = make_model(config, data)
    check_forward(config.model, lambda: make_model(config, data), data)
    check_types(config.model, model)
    check_coverage(config.model, model)
    check_gradients(config, lambda: make_model(config, data), data)
    check_batches_of_one(config, lambda: make_model(config, data), data)
    weights = prunable_weights(model)
    check_patterns(weights, config.prune.fractions)
    units = experiment_units(config, data)
    level_densities(config.prune, Mask.dense(weights), config.levels, units)
    criterion = find_criterion(config.prune.criterion)
    found = [f"prune.{problem}" for problem in criterion_problems(config.prune, criterion)]
    for problem in found + scoring_problems(config, criterion):
        raise UsageError(problem)
    if criterion.needs_probe:
        check_examples(config.prune, data)
    if config.controls.scratch_flops:
        weight_uses(model, data.input_shape)
    check_looks(config, data)
    rewind, total = rewind_iteration(config, data), iterations(config, data)
    epoch = steps_per_epoch(len(data.train), config.training.batch_size)
    check_updates_happen(config.training.mask_updates, start=rewind, total=total, epoch=epoch)
    if rewind >= total and config.rewind.method != "fine-tune":
        raise UsageError(
            f"rewind.to: {config.rewind.to} is iteration {rewind}, not before the end of "
            f"training, {total}"
        )
    if criterion.needs_probe:  # last, for it takes longest
        check_scoring(config, data, units)


def check_looks(config: ExperimentConfig, data: Dataset) -> None:
    """Check that masks are made often enough to see them settle.

    Raises:
        UsageError: fewer are made than are compared.
    """
    early = config.prune.early_bird
    found = len(mask_looks(config, data))
    if config.prune.by == "early-bird" and found < early.window:
        where = "before the end of" if config.rewind.method == "drawn" else "in"
        raise UsageError(
            f"prune.early_bird: expected {early.window} masks or more {where} a training of "
            f"{iterations(config, data):,} iterations, and one every {early.every} gives {found}; "
            "make them more often, or compare fewer"
        )


def run_experiment(
    config: ExperimentConfig,
    options: RunOptions,
    *,
    listener: Listener | None = None,
    stop: threading.Event | None = None,
) -> RunSummary:
    """Run an experiment to its end, going on with whatever is on disk already.

    Args:
        config: what to run.
        options: where and how.
        listener: hears how it goes on, for several `Listeners`.
        stop: set it to stop: running jobs keep a checkpoint first. A `StopRequest` is also told
            when the data are loaded; nothing looks at it before.

    Raises:
        ConfigError: the config has problems.
        DataError: the data are missing or damaged; nothing was written.
        StoreError: the run is owned by another process, holds another config, or cannot be written.
        Preempted: ``stop`` was set; the same call goes on.
    """
    listener, stop = listener or Listener(), stop or threading.Event()
    # A config made in Python has not been checked yet.
    load_config(to_plain(config))
    data = load_dataset(config.data, data_dir=options.data_dir)
    check_against_data(config, data)
    device = resolve_device(options.device)
    model = make_model(config, data)
    engine = make_engine(
        options.engine,
        device,
        model=model,
        config=config.training,
        augmented=data.augmentation.active,
        learns_masks=learns_masks(config),
    )
    store = Store(Path(options.out) / run_name(config))
    # An exception in the middle of compiling would be lost, or leave half of it.
    if isinstance(stop, StopRequest):
        stop.under_way = True
    with own(store.path), closing(listener):
        jobs = plan(config)
        if not all(store.is_finished(key) for key in jobs):
            engine.prepare()
        covered, outside = coverage(config, data)
        record(
            store,
            config,
            data,
            device=device.type,
            engine=engine,
            command=options.command,
            listener=listener,
            outside=outside,
        )
        results = _finished_before(store, config, len(data.train), listener)
        check_same_weights(store, results, prunable_weights(model))
        left = len(jobs) - len(results)
        workers = min(worker_count(options.jobs, device.type), left or 1)
        listener.started(store.path, len(jobs), len(results), workers)
        if outside:
            listener.outside_mask(covered, outside)
        if not left:
            return RunSummary(run=store.path, results=results, skipped={})
        _tell_first(config, data, listener)
        listener.to_train(
            {
                key: (store.checkpoint_iteration(key) or first, last)
                for key in jobs
                if key not in results
                for first, last in [planned_span(key, config, data)]
            }
        )
        settings = WorkerSettings(
            config=config,
            run=store.path,
            data_dir=options.data_dir,
            device=device.type,
            engine=engine.name,
            checkpoint_seconds=options.checkpoint_seconds,
        )
        try:
            with open_pool(settings, engine, data, workers, stop, _told(listener)) as pool:
                skipped = _run_all(jobs, config, results, pool, listener, stop)
        except Preempted as error:
            # Only now that the pool is closed has every training kept its checkpoint.
            raise Preempted(_what_is_kept(store, config, data)) from error
    return RunSummary(run=store.path, results=results, skipped=skipped)


def _told(listener: Listener) -> Report:
    def tell(key: JobKey, iteration: int, points: Sequence[CurvePoint]) -> None:
        for point in points:
            listener.measured(key, point)
        listener.progressed(key, iteration)

    return tell


def _what_is_kept(store: Store, config: ExperimentConfig, data: Dataset) -> str:
    jobs = plan(config)
    done = f"{sum(map(store.is_finished, jobs)):,} of {len(jobs):,} trainings are done"
    kept = begun(store, config, len(data.train))
    if not kept:
        return f"{done}, and none was under way"
    return f"{done}, and of those begun a checkpoint is kept:" + "".join(
        f"\n  {one}" for one in kept
    )


def _tell_first(config: ExperimentConfig, data: Dataset, listener: Listener) -> None:
    for note in (*cautions(config), *data_notes(data)):
        listener.noted(note)
    units, reasons = experiment_units(config, data), left_out(config, data)
    if units is not None and reasons and config.levels:
        listener.left_out(units.count, reasons)


def worker_count(jobs: int | None, device: str) -> int:
    """How many jobs to run at once: ``jobs``, or one per usable core (one on a GPU)."""
    if jobs is not None:
        if jobs < 1:
            raise UsageError(f"jobs: expected 1 or more, got {jobs}")
        return jobs
    if device != "cpu":
        return 1
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def _run_all(
    jobs: list[JobKey],
    config: ExperimentConfig,
    results: dict[JobKey, JobResult],
    pool: Pool,
    listener: Listener,
    stop: threading.Event,
) -> dict[JobKey, str]:
    """Run every job whose needs are met until none is left; results are added as they come."""
    # The main line first: everything else waits for it.
    waiting = sorted(
        (key for key in jobs if key not in results), key=lambda key: (key.branch != MAIN, key.level)
    )
    running: set[JobKey] = set()
    skipped: dict[JobKey, str] = {}
    while waiting or running:
        if stop.is_set() and not running:
            raise Preempted("between trainings")
        for key in list(waiting):
            reason = hopeless(key, config, results, skipped)
            if reason:
                waiting.remove(key)
                skipped[key] = reason
                listener.skipped(key, reason)
            elif (
                len(running) < pool.size
                and not stop.is_set()
                and all(need in results for need in needs(key, config))
            ):
                waiting.remove(key)
                running.add(key)
                pool.submit(key)
        if not running:
            continue
        for key, result in pool.finished():
            running.discard(key)
            results[key] = result
            listener.finished(result)
    return skipped


def _finished_before(
    store: Store, config: ExperimentConfig, training_examples: int, listener: Listener
) -> dict[JobKey, JobResult]:
    """The results on disk; what is there but not whole is set aside."""
    results = {}
    for key in plan(config):
        if not store.is_there(key):
            continue
        result, found = examine_job(store, key, config, training_examples)
        if result is None:
            listener.set_aside(key, store.set_aside(key), "; ".join(found))
        else:
            results[key] = result
            store.drop_checkpoints(key)
    return results
