"""One job: make its ticket from what it needs, train it, commit what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from lottery.core import Mask, prunable_weights, signal_passes
from lottery.data import Dataset, steps_per_epoch
from lottery.errors import Preempted
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.controls import make_control, mask_learning
from lottery.experiments.lengths import job_training, rewind_iteration, rewinds_to_snapshot
from lottery.experiments.mask_updates import starts_dense
from lottery.experiments.masks import early_watch, level_mask
from lottery.experiments.network import experiment_units, initialized, make_model
from lottery.experiments.plan import needs_ticket_of, needs_weights_of
from lottery.rng import Streams
from lottery.store import MAIN, JobKey, JobResult, Store
from lottery.tickets import (
    Drawn,
    Ticket,
    drawn,
    drawn_state,
    going_by_level,
    last_trained,
    pruned_values,
)
from lottery.training import (
    Checkpoint,
    CurvePoint,
    Engine,
    Notes,
    TrainingConfig,
    TrainingJob,
    TrainingResult,
)


def run_job(
    key: JobKey,
    *,
    config: ExperimentConfig,
    store: Store,
    data: Dataset,
    engine: Engine,
    monitor: JobMonitor,
) -> JobResult:
    """Run one job to its end, or go on from its last checkpoint, and commit it.

    A pure function of the key, the config, the data and the files of the jobs it needs: run
    again, anywhere, it gives the same files.

    Raises:
        Preempted: it was asked to stop; a checkpoint is on disk.
        StoreError: files it needs or writes cannot be read or written.
    """
    streams = Streams(config.seed, key.replicate)
    ticket = make_ticket(key, config=config, store=store, data=data, streams=streams)
    blocked = _why_blocked(key, ticket, config, data)
    if blocked:
        result = _result(key, ticket, None, config.training, data, engine.name, blocked)
        store.write_job(ticket, result, None)
        return result
    job = training_job(key, ticket, config=config, data=data, streams=streams)
    job = replace(job, measured=monitor.measured)
    trained = _train(job, engine, monitor)
    result = _result(key, ticket, trained, job.config, data, engine.name, trained.reason)
    store.write_job(ticket, result, trained)
    return result


def _train(job: TrainingJob, engine: Engine, monitor: JobMonitor) -> TrainingResult:
    """Train a job; from its start if its checkpoint is nothing that the engine can go on from."""
    try:
        (trained,) = engine.train([job], [monitor])
    except torch.OutOfMemoryError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
        # A checkpoint may be somebody else's, or of a version that kept other things in it.
        if not monitor.set_checkpoint_aside():
            raise
        (trained,) = engine.train([job], [monitor])
    return trained


def _why_blocked(key: JobKey, ticket: Ticket, config: ExperimentConfig, data: Dataset) -> str:
    """Why no signal can pass a ticket, and so nothing be learned; empty where one can."""
    empty = ticket.mask.empty_layers
    moves = config.training.mask_updates.method != "none" or mask_learning(key)
    # Counts of layers stay while masks move, but a way through may open.
    if ticket.mask.kept == ticket.mask.total or (moves and not empty):
        return ""
    held = ticket.pruned or {}
    carrying = {
        name: kept | (held[name] != 0) if held else kept for name, kept in ticket.mask.items()
    }
    if signal_passes(make_model(config, data), Mask(carrying), data.input_shape):
        return ""
    if empty:
        return f"the mask keeps no weight of {', '.join(empty)}, so no signal could pass"
    return "the mask leaves no way from the input to an output, so no signal could pass"


def training_job(
    key: JobKey, ticket: Ticket, *, config: ExperimentConfig, data: Dataset, streams: Streams
) -> TrainingJob:
    """How a ticket is trained in this experiment."""
    training = job_training(
        key, ticket.mask, lambda: make_model(config, data), config=config, data=data
    )
    keeps = rewinds_to_snapshot(key, config, data)
    watch = None
    if config.prune.by == "early-bird" and key == JobKey(key.replicate, MAIN, 0) and config.levels:
        watch = early_watch(
            ticket.mask,
            ticket.weights,
            config=config,
            data=data,
            streams=streams,
            make_model=lambda: make_model(config, data),
        )
    return TrainingJob(
        make_model=lambda: make_model(config, data),
        mask=ticket.mask,
        start=ticket.weights,
        start_iteration=ticket.iteration,
        data=data,
        config=training,
        streams=streams,
        snapshots_at=(rewind_iteration(config, data),) if keeps else (),
        pruned=ticket.pruned,
        going=(
            going_by_level(config.prune, key.level, ticket.mask, levels=config.levels)
            if starts_dense(key, config.training)
            else ()
        ),
        learns=mask_learning(key),
        watch=watch,
    )


def make_ticket(
    key: JobKey, *, config: ExperimentConfig, store: Store, data: Dataset, streams: Streams
) -> Ticket:
    """The ticket that a job trains, made from the files of the jobs it needs."""
    provenance: dict[str, str | int] = {
        "experiment": config.name,
        "model": config.model,
        "seed": config.seed,
        "replicate": key.replicate,
        "branch": key.branch,
        "level": key.level,
    }
    below = needs_ticket_of(key, config)
    if below is None:
        model = initialized(config, data, streams, "init")
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        return Ticket(
            mask=Mask.dense(prunable_weights(model)), weights=weights, provenance=provenance
        )
    ticket = store.ticket(below)
    ticket.check_fits(make_model(config, data))
    if key.branch == MAIN and config.rewind.method == "drawn":
        return _trained_on(key, config, store, data, provenance)
    if key.branch == MAIN:
        return _pruned(key, ticket, config, store, data, streams, provenance)
    stream = (key.branch, key.level)
    control = make_control(
        key,
        ticket,
        config,
        units=experiment_units(config, data),
        generator=streams.generator(*stream),
        initialize=lambda: initialized(config, data, streams, *stream),
        initial=lambda: store.ticket(JobKey(key.replicate, MAIN, 0)).weights,
        trained=lambda: store.weights(needs_weights_of(key, config)[-1]),
    )
    return replace(control, provenance=provenance)


def _pruned(
    key: JobKey,
    parent: Ticket,
    config: ExperimentConfig,
    store: Store,
    data: Dataset,
    streams: Streams,
    provenance: dict[str, str | int],
) -> Ticket:
    dense = JobKey(key.replicate, MAIN, 0)
    initial = store.ticket(dense).weights
    iteration = rewind_iteration(config, data)
    # With other methods the survivors stay as they were trained, and no snapshot was kept.
    rewinds = config.rewind.method == "weights"
    rewound = store.rewind_weights(dense) if rewinds and iteration else initial
    if starts_dense(key, config.training):
        return Ticket(mask=parent.mask, weights=rewound, iteration=iteration, provenance=provenance)
    deciding = needs_weights_of(key, config)[-1]
    trained = rewound if config.prune.by == "rewound" else store.weights(deciding)
    weights = rewound if rewinds else last_trained(store.ticket(deciding), trained)
    held = None
    if config.training.pruned != "zero":
        held = pruned_values(
            config.training.pruned, before=parent, trained=trained, rewound=weights
        )
    if config.prune.by == "early-bird":
        mask = _early_bird(key, config, store.notes(dense), provenance).mask
        mask.check({name: initial[name] for name in parent.mask})
    else:
        mask = level_mask(
            key.level,
            parent.mask,
            trained=trained,
            initial=initial,
            units=experiment_units(config, data),
            config=config,
            data=data,
            streams=streams,
            make_model=lambda: make_model(config, data),
            pruned=held,
        )
    return Ticket(
        mask=mask, weights=weights, iteration=iteration, provenance=provenance, pruned=held
    )


def _trained_on(
    key: JobKey,
    config: ExperimentConfig,
    store: Store,
    data: Dataset,
    provenance: dict[str, str | int],
) -> Ticket:
    """An Early-Bird ticket that goes on from the weights it was drawn by."""
    notes = store.notes(JobKey(key.replicate, MAIN, 0))
    early = _early_bird(key, config, notes, provenance)
    ticket = Ticket(
        mask=early.mask,
        weights=drawn_state(early, notes),
        iteration=early.iteration,
        provenance=provenance,
    )
    ticket.check_fits(make_model(config, data))
    return ticket


def _early_bird(
    key: JobKey, config: ExperimentConfig, notes: Notes, provenance: dict[str, str | int]
) -> Drawn:
    """The level's mask, from the dense network's notes; the provenance says how it was drawn."""
    early = drawn(config.prune.early_bird, key.level, notes)
    how = early.words(config.prune.early_bird)
    provenance |= {"drawn_at": early.iteration, "drawn": how}
    return early


class JobMonitor:
    """Keeps a job's checkpoints, tells how far it is, and stops it when asked.

    Args:
        store: where checkpoints go.
        key: the job.
        engine: name of the engine that trains it; another's checkpoint means nothing to it.
        device: name of the device it is trained on; no checkpoint is carried to another, which
            rounds differently and has random states of its own.
        every: seconds between checkpoints.
        stop: whether the process has been asked to stop.
        report: called with the iteration and no points a few times a second, and with what was
            measured at every evaluation.
    """

    steps_at_once = 100

    _REPORT_SECONDS = 0.2

    def __init__(
        self,
        store: Store,
        key: JobKey,
        *,
        engine: str,
        device: str,
        every: float,
        stop: Callable[[], bool],
        report: Callable[[int, Sequence[CurvePoint]], None],
    ) -> None:
        self._store, self._key, self._engine, self._device = store, key, engine, device
        self._every, self._stop, self._report = every, stop, report
        self._saved = self._reported = time.monotonic()
        self._restoring = False

    def restore(self) -> Checkpoint | None:
        """The job's newest whole checkpoint; one of another engine or device is dropped."""
        kept = self._store.read_checkpoint(self._key)
        if kept is None:
            return None
        # Once, checkpoints said neither.
        engine = kept.values.get("engine", "torch")
        device = kept.values.get("device", "cuda" if "random-cuda" in kept.tensors else "cpu")
        if (engine, device) == (self._engine, self._device):
            self._restoring = True
            return kept
        self._store.drop_checkpoints(self._key)
        return None

    def measured(self, points: Sequence[CurvePoint]) -> None:
        """Report an evaluation."""
        self._report(points[0].iteration, points)

    def set_checkpoint_aside(self) -> bool:
        """Set aside a checkpoint from which the training has not come any further.

        Returns:
            False if there is none, so that it is not to blame.
        """
        if not self._restoring:
            return False
        self._restoring = False
        self._store.set_checkpoints_aside(self._key)
        return True

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        """Report and save when due.

        Raises:
            Preempted: the process was asked to stop; the checkpoint is on disk.
        """
        self._restoring = False
        now = time.monotonic()
        if now - self._reported >= self._REPORT_SECONDS:
            self._reported = now
            self._report(iteration, ())
        stopping = self._stop()
        if stopping or now - self._saved >= self._every:
            kept = checkpoint()
            values = {**kept.values, "engine": self._engine, "device": self._device}
            self._store.write_checkpoint(self._key, replace(kept, values=values))
            self._saved = time.monotonic()
        if stopping:
            raise Preempted(f"{self._key}: stopped at iteration {iteration}, checkpoint kept")


def _result(
    key: JobKey,
    ticket: Ticket,
    trained: TrainingResult | None,
    training: TrainingConfig,
    data: Dataset,
    engine: str,
    reason: str,
) -> JobResult:
    stop = trained.early_stop_iteration if trained else None
    done = trained is not None and trained.status == "done"
    at = {(p.iteration, p.split): p for p in trained.curve} if trained else {}
    mask = ticket.mask if trained is None or trained.mask is None else trained.mask
    early_test = at[stop, "test"] if stop is not None else None
    return JobResult(
        replicate=key.replicate,
        branch=key.branch,
        level=key.level,
        status=trained.status if trained else "collapsed",
        reason=reason,
        density=mask.density,
        weights_kept=mask.kept,
        weights_total=mask.total,
        layers=mask.layers,
        iterations=training.length.iterations(
            steps_per_epoch(len(data.train), training.batch_size)
        ),
        start_iteration=ticket.iteration,
        early_stop_iteration=stop,
        validation_loss_at_early_stop=at[stop, "validation"].loss if stop is not None else None,
        test_accuracy_at_early_stop=early_test.accuracy if early_test else None,
        test_accuracy_final=trained.curve[-1].accuracy if trained and done else None,
        seconds=trained.seconds if trained else 0.0,
        engine=engine,
        provenance=dict(ticket.provenance),
    )
