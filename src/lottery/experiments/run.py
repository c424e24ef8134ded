"""Running an experiment: from a config to a finished run on disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from lottery.core import OutsideMask, prunable_weights
from lottery.data import Dataset, as_configured, as_dataset, data_notes, load_dataset
from lottery.errors import Preempted, UsageError
from lottery.experiments.checks import check_against_data
from lottery.experiments.config import ExperimentConfig, to_plain
from lottery.experiments.config_warnings import config_warnings
from lottery.experiments.experiment import Experiment
from lottery.experiments.learned import find_initialization
from lottery.experiments.lengths import planned_span
from lottery.experiments.listener import Listener
from lottery.experiments.loading import load_config
from lottery.experiments.plan import plan, training_variant
from lottery.experiments.reading import examine_job, list_runs
from lottery.experiments.record import check_same_weights, describe_data, record, run_directory
from lottery.experiments.runner import changed_needs, copy_jobs, reusable_jobs, run_all
from lottery.experiments.stopping import StopRequest
from lottery.experiments.unfinished import unfinished_trainings
from lottery.experiments.workers import Report, WorkerSettings, open_pool
from lottery.store import JobKey, JobResult, LookKey, MemoryStore, Store, lock_run
from lottery.tasks.supervised import Supervised
from lottery.training import CurvePoint, Engine, resolve_device


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run an experiment; nothing here changes its results.

    Args:
        out: the directory that runs live in.
        data_dir: where datasets lie, or None for the usual places.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        engine: an engine's name, or ``auto`` for the fastest that can train the network.
        jobs: how many jobs run at once; None: as many as there are cores (one on a GPU).
        checkpoint_seconds: time between checkpoints inside a job.
        command: the command line, for the record.
        reuse: whether finished jobs are copied from other runs in ``out``.
    """

    out: Path = Path("runs")
    data_dir: Path | None = None
    device: str = "auto"
    engine: str = "auto"
    jobs: int | None = None
    checkpoint_seconds: float = 30.0
    command: str = ""
    reuse: bool = True


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """The outcome of a run: its directory, every result, and the jobs that could not run."""

    run: Path
    results: Mapping[JobKey, JobResult]
    skipped: Mapping[JobKey, str]

    @property
    def failed(self) -> int:
        """The number of jobs that diverged, collapsed, or needed one that did."""
        ended_badly = sum(result.status != "done" for result in self.results.values())
        return ended_badly + len(self.skipped)


def bind(
    config: ExperimentConfig,
    options: RunOptions,
    *,
    data: Dataset | None = None,
    progress: bool = True,
) -> Experiment:
    """Make an experiment from a config: load its data, and choose its device and engine.

    Args:
        config: the experiment's config.
        options: where data are, and what to train on.
        data: the data; None: they are loaded.
        progress: whether loading shows its progress.
    """
    if data is None:
        data = load_dataset(config.data, data_dir=options.data_dir, progress=progress)
    device = resolve_device(options.device)
    learned = find_initialization(config.initialization, Path(options.out))
    task = Supervised(config, data, engine=options.engine, device=device, learned=learned)
    return Experiment(config, task)


def run_experiment(
    config: ExperimentConfig,
    options: RunOptions,
    *,
    data: object = None,
    listener: Listener | None = None,
    stop: threading.Event | None = None,
) -> RunSummary:
    """Run an experiment to its end, continuing from what is on disk already.

    An existing run with the same training, method and seed grows: more replicates, levels or
    controls are added to it. Asking for less trains nothing.

    Args:
        config: the experiment's config.
        options: where and how to run it.
        data: the data, as `lottery.as_dataset` takes them; ``data.name`` of the config is then
            ``python:`` and a name for them. None: the data that the config names.
        listener: is told about progress; `Listeners` combines several.
        stop: set it to stop the run; running jobs write a checkpoint first. It is not looked at
            before the data are loaded; a `StopRequest` shows when that is.

    Returns:
        The results of all jobs.

    Raises:
        ConfigError: the config has problems.
        DataError: the data are missing or damaged; nothing was written.
        StoreError: the run is owned by another process, holds another config, or cannot be written.
        Preempted: ``stop`` was set; the same call goes on.
    """
    listener, stop = listener or Listener(), stop or threading.Event()
    # A config made in Python has not been checked yet.
    load_config(to_plain(config))
    given = _given(config, data)
    experiment = bind(config, options, data=given)
    task = experiment.task
    assert isinstance(task, Supervised), "bound just now"
    check_against_data(config, task, experiment.context)
    engines = _engines(experiment)
    covered, outside = task.coverage()
    # An exception in the middle of compiling would be lost, or leave half of it.
    if isinstance(stop, StopRequest):
        stop.under_way = True

    def begin(listener: Listener) -> None:
        if outside:
            listener.outside_mask(covered, outside)
        for note in (*config_warnings(config), *data_notes(task.data)):
            listener.noted(note)
        units, reasons = task.units(config.prune), task.left_out(config.prune)
        if units is not None and reasons and config.levels:
            listener.left_out(units.count, reasons)

    def prepare() -> None:
        for engine in engines:
            engine.prepare()

    setup = RunSetup(
        options=options,
        prepare=prepare,
        described=describe_data(task.data),
        surroundings={
            "device": resolve_device(options.device).type,
            "engine": engines[0].name,
            "engine_settings": dict(engines[0].settings()),
        },
        outside=outside,
        parallel="threads" if all(e.parallel == "threads" for e in engines) else "processes",
        remake=partial(bind, config, options, data=given, progress=False),
        begin=begin,
    )
    return run_in_store(
        experiment, Store(run_directory(Path(options.out), config)), setup, listener, stop
    )


def _given(config: ExperimentConfig, data: object) -> Dataset | None:
    """Data that a call brought along, with the config's validation examples and augmentation.

    Raises:
        UsageError: the config names other data.
        DataError: they are not what can be learned from.
    """
    if data is None:
        return None
    name = config.data.name
    if not name.startswith("python:"):
        raise UsageError(
            f"data: with data= the config's data.name must be 'python:' and a name, got '{name}'"
        )
    found = as_dataset(data, name=name, validation=config.data.validation)
    return as_configured(found, config.data)


@dataclass(frozen=True, kw_only=True)
class RunSetup:
    """How an experiment on any task is run, and what is recorded of it.

    Args:
        options: the run's options.
        prepare: called once before the first training, such as to compile.
        described: the data, for the record.
        surroundings: device and engine, for the record.
        outside: the matrices that masks do not cover.
        parallel: how several jobs are best run at once.
        remake: makes the experiment again in another process.
        begin: tells a listener the warnings that come before the first training.
    """

    options: RunOptions
    prepare: Callable[[], object] = lambda: None
    described: Mapping[str, Any] = field(default_factory=dict)
    surroundings: Mapping[str, Any]
    outside: Sequence[OutsideMask] = ()
    parallel: Literal["threads", "processes"]
    remake: Callable[[], Experiment]
    begin: Callable[[Listener], None]


def run_in_store(
    experiment: Experiment,
    store: Store,
    setup: RunSetup,
    listener: Listener,
    stop: threading.Event,
) -> RunSummary:
    """Run an experiment on any task, in a store on disk or in memory.

    Args:
        experiment: the experiment.
        store: holds finished jobs, and takes new ones.
        setup: how to run it, and what to record.
        listener: is told about progress.
        stop: set it to stop.

    Raises:
        StoreError, Preempted: as `run_experiment`.
    """
    options, device = setup.options, setup.surroundings["device"]
    examples = setup.described.get("training_examples")
    ours = nullcontext() if isinstance(store, MemoryStore) else lock_run(store.path)
    with ours, closing(listener):
        if not all(store.is_finished(key) for key in plan(experiment.config)):
            setup.prepare()
        config = record(
            store,
            experiment.config,
            setup.described,
            surroundings=setup.surroundings,
            command=options.command,
            listener=listener,
            outside=setup.outside,
        )
        experiment, jobs = Experiment(config, experiment.task), plan(config)
        if options.reuse:
            others = reusable_jobs(experiment, store, list_runs(store.path.parent), device)
            for run, number in copy_jobs(store, others).items():
                listener.reused(run, number, len(jobs))
        results = _finished_before(store, experiment, examples, listener)
        check_same_weights(store, results, prunable_weights(experiment.task.make_model()))
        for key, needs in changed_needs(experiment, store, results).items():
            listener.noted(
                f"{key} was made from other files than there are now of {', '.join(needs)}"
            )
        left = len(jobs) - len(results)
        workers = min(worker_count(options.jobs, device), left or 1)
        listener.started(store.path, len(jobs), len(results), workers)
        if not left:
            return RunSummary(run=store.path, results=results, skipped={})
        setup.begin(listener)
        listener.to_train(
            {
                key: (store.checkpoint_iteration(key) or span[0], span[1])
                for key in jobs
                if key not in results and (span := planned_span(key, experiment)) is not None
            }
        )
        settings = WorkerSettings(
            remake=setup.remake,
            store=store,
            device=device,
            checkpoint_seconds=options.checkpoint_seconds,
        )
        try:
            with open_pool(
                settings, experiment, workers, setup.parallel, stop, _telling(listener)
            ) as pool:
                skipped = run_all(experiment, store, results, pool, listener, stop)
        except Preempted as error:
            # Only now that the pool is closed has every training kept its checkpoint.
            raise Preempted(_what_is_kept(store, experiment, examples)) from error
    return RunSummary(run=store.path, results=results, skipped=skipped)


def _engines(experiment: Experiment) -> list[Engine]:
    """What trains the jobs; the dense network's first.

    Raises:
        UsageError: some job cannot be trained.
    """
    task = experiment.task
    assert isinstance(task, Supervised), "own code has no engine"
    found = [
        task.engine(training_variant(key, experiment.config)) for key in plan(experiment.config)
    ]
    return list({engine.name: engine for engine in found}.values())


def _telling(listener: Listener) -> Report:
    def tell(key: JobKey, iteration: int, points: Sequence[CurvePoint]) -> None:
        for point in points:
            listener.measured(key, point)
        listener.progressed(key, iteration)

    return tell


def _what_is_kept(store: Store, experiment: Experiment, examples: int | None) -> str:
    jobs = plan(experiment.config)
    done = f"{sum(map(store.is_finished, jobs)):,} of {len(jobs):,} trainings are done"
    kept = unfinished_trainings(store, experiment.config, examples)
    if not kept:
        return f"{done}, and none was under way"
    return f"{done}, and of those begun a checkpoint is kept:" + "".join(
        f"\n  {one}" for one in kept
    )


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


def _finished_before(
    store: Store, experiment: Experiment, examples: int | None, listener: Listener
) -> dict[JobKey, JobResult]:
    """The results on disk; what is there but not whole is set aside."""
    results = {}
    for key in plan(experiment.config):
        if not store.is_there(key):
            continue
        result, found = examine_job(store, key, experiment.config, examples)
        if result is not None and (found := _another(key, experiment, store)):
            result = None
        if result is None:
            listener.set_aside(key, store.set_aside(key), "; ".join(found))
        else:
            results[key] = result
            store.drop_checkpoints(key)
    for replicate in range(experiment.config.replicates):
        ours = experiment.looks(replicate)
        # Of those that nothing needs any more nobody knows whose they are.
        for look in dict.fromkeys((*ours, *store.looks(replicate))):
            if not store.is_there(look):
                continue
            found = store.look_problems(look)
            if found or (look in ours and (found := _another(look, experiment, store))):
                listener.set_aside(look, store.set_aside(look), "; ".join(found))
    return results


def _another(key: JobKey | LookKey, experiment: Experiment, store: Store) -> list[str]:
    """Why files that are whole are not this job's; empty where they are."""
    said = store.about(key).get("identity")
    if said in (None, experiment.identity(key)):
        return []
    return [f"{store.directory(key)} holds another job, by its manifest's identity"]
