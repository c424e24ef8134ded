"""Running jobs: make each one's ticket, train them in one call, commit each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from lottery.errors import Preempted
from lottery.experiments.environment import versions
from lottery.experiments.experiment import Experiment
from lottery.experiments.inputs import Replicate
from lottery.experiments.looks import check_same, missing_looks, watch_dense, write_looks
from lottery.experiments.plan import needs, training_variant
from lottery.methods import CONTROLS, ControlContext, mask_search, source_replicate
from lottery.store import MAIN, JobKey, JobResult, LookKey, Store
from lottery.store.jobs import DENSE_REWOUND, SEARCH
from lottery.tasks.protocol import Task, TrainingRequest, TrainingVariant
from lottery.tickets import Ticket
from lottery.training import Checkpoint, CurvePoint, TrainingResult, final_scores


def run_jobs(
    monitors: Mapping[JobKey, JobMonitor], *, experiment: Experiment, store: Store, device: str
) -> list[JobResult]:
    """Train jobs to the end, or resume them from their checkpoints, and commit each.

    The files written depend on the keys, the experiment and the files of the jobs needed, and on
    nothing else. A finished dense network is trained again if a look at it is missing.

    Args:
        monitors: the jobs, each with its monitor; all are trained in one call.
        experiment: the jobs' experiment.
        store: reads and writes the run's files.
        device: the name of the device they are trained on, for the record.

    Returns:
        The results, in the order of ``monitors``.

    Raises:
        Preempted: the jobs were asked to stop; a checkpoint of each is on disk.
        StoreError: files cannot be read or written; or a dense network that was trained again
            ended with other weights.
    """
    results: dict[JobKey, JobResult] = {}
    requests: dict[JobKey, tuple[TrainingRequest, dict[str, Any]]] = {}
    for key, monitor in monitors.items():
        replicate = Replicate(experiment, store, key.replicate)
        began = time.perf_counter()
        ticket = make_ticket(key, experiment, replicate)
        others = sum(of for level, of in replicate.seconds.items() if level != key.level)
        seconds = time.perf_counter() - began - others
        blocked = _why_blocked(key, ticket, experiment, replicate)
        about = _about(key, experiment, store, device, seconds)
        looks = missing_looks(key, experiment, store)
        request = make_request(key, ticket, experiment, looks, measured=monitor.measured)
        if blocked:
            results[key] = _result(key, request, None, experiment.task, blocked)
            store.write_job(ticket, results[key], None, about)
        else:
            requests[key] = request, about
    trainings = _train(
        experiment.task,
        [request for request, _ in requests.values()],
        [monitors[key] for key in requests],
    )
    for (key, (request, about)), trained in zip(requests.items(), trainings, strict=True):
        results[key] = _commit(key, request, trained, experiment, store, about)
    return [results[key] for key in monitors]


def _commit(
    key: JobKey,
    request: TrainingRequest,
    trained: TrainingResult,
    experiment: Experiment,
    store: Store,
    about: dict[str, Any],
) -> JobResult:
    if store.is_finished(key):
        check_same(key, store, trained)
    write_looks(key, experiment, store, trained, about)
    if store.is_finished(key):
        store.drop_checkpoints(key)
        return store.result(key)
    result = _result(key, request, trained, experiment.task, trained.reason)
    store.write_job(request.ticket, result, trained, about)
    return result


def _train(
    task: Task, requests: Sequence[TrainingRequest], monitors: Sequence[JobMonitor]
) -> Iterator[TrainingResult]:
    """Train jobs; one from its start if its checkpoint is nothing that can be gone on from."""
    if not requests:
        return
    try:
        trained = task.train(requests, monitors)
    except torch.OutOfMemoryError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
        # A checkpoint may be somebody else's, or of a version that kept other things in it.
        if not any(monitor.restoring for monitor in monitors):
            raise
        if len(requests) > 1:  # Alone, each shows whether it is its own.
            for request, monitor in zip(requests, monitors, strict=True):
                yield from _train(task, [request], [monitor])
            return
        monitors[0].set_checkpoint_aside()
        trained = task.train(requests, monitors)
    yield from trained


def make_ticket(key: JobKey, experiment: Experiment, replicate: Replicate) -> Ticket:
    """The ticket that a job trains, made from the files of the jobs it needs."""
    # What searches is there before the ticket is that it finds.
    ticket = replicate.ticket(0 if key.kind == SEARCH else key.level)
    if key.kind == DENSE_REWOUND:
        start = experiment.context.rewind_iteration
        ticket = replace(ticket, weights=replicate.state(start), iteration=start)
    elif searches := mask_search(experiment.method) if key.kind == SEARCH else None:
        ticket = searches.first_ticket(key.level, experiment.context, replicate)
    elif key.kind in CONTROLS:
        ticket = _control(key, ticket, experiment, replicate)
    provenance: dict[str, str | int] = {
        **experiment.task.about(),
        "seed": experiment.config.seed,
        "replicate": key.replicate,
        "branch": key.branch,
        "level": key.level,
    }
    drawn_how = {n: v for n, v in ticket.provenance.items() if n in ("drawn", "drawn_at")}
    kept = drawn_how if key.of_ticket else {}
    return replace(ticket, provenance=provenance | kept)


def _control(key: JobKey, ticket: Ticket, experiment: Experiment, replicate: Replicate) -> Ticket:
    stream = (key.branch, key.level)
    breaking = ControlContext(
        level=key.level,
        ticket=ticket,
        inputs=replicate,
        source=replicate.other(source_replicate(key.replicate)),
        context=experiment.context,
        generator=replicate.streams.generator(*stream),
        initialize=lambda: experiment.task.initial(replicate.streams, *stream),
        trained=lambda: replicate.trained_weights(needs(key, experiment.config)[-1]),
    )
    return CONTROLS[key.kind].make(breaking)


def _why_blocked(key: JobKey, ticket: Ticket, experiment: Experiment, replicate: Replicate) -> str:
    """Why no signal can pass a ticket, and so nothing be learned; empty where one can.

    The control of a ticket that no signal passes is not trained either.
    """
    reason = _blocked(ticket, training_variant(key, experiment.config), experiment.task)
    if reason or key.kind not in CONTROLS:
        return reason
    main = JobKey(key.replicate, MAIN, key.level)
    its = replicate.ticket(key.level)
    learns_mask = training_variant(key, experiment.config).mask_learning is not None
    if its.mask == ticket.mask and its.pruned is None and ticket.pruned is None and not learns_mask:
        return ""  # The same question has just been answered.
    reason = _blocked(its, training_variant(main, experiment.config), experiment.task)
    return f"{main} collapsed: {reason}" if reason else ""


def _blocked(ticket: Ticket, variant: TrainingVariant, task: Task) -> str:
    empty = ticket.mask.empty_layers
    moves = variant.updates.active or variant.mask_learning is not None
    # Counts of layers stay while masks move, but a way through may open.
    if ticket.mask.kept == ticket.mask.total or (moves and not empty):
        return ""
    if task.passes(ticket.mask, ticket.pruned):
        return ""
    if empty:
        return f"the mask keeps no weight of {', '.join(empty)}, so no signal could pass"
    return "the mask leaves no way from the input to an output, so no signal could pass"


def make_request(
    key: JobKey,
    ticket: Ticket,
    experiment: Experiment,
    looks: Iterable[LookKey] = (),
    measured: Callable[[Sequence[CurvePoint]], None] | None = None,
) -> TrainingRequest:
    """The request to train a job's ticket, and to keep the looks at it that are missing.

    Args:
        key: the job.
        ticket: the ticket it trains.
        experiment: the job's experiment.
        looks: the looks to be kept during training.
        measured: called with the points of every evaluation.
    """
    looks = list(looks)
    return TrainingRequest(
        ticket=ticket,
        variant=training_variant(key, experiment.config),
        streams=experiment.context.streams(key.replicate),
        on_evaluation=measured,
        snapshots_at=tuple(look.number for look in looks if look.kind == "state"),
        observer=(
            watch_dense(ticket, experiment, key.replicate)
            if any(look.kind == "drawn" for look in looks)
            else None
        ),
    )


def _about(
    key: JobKey, experiment: Experiment, store: Store, device: str, seconds: float
) -> dict[str, Any]:
    """Who a job is, what computes it, and from what; see `Store.about`."""
    found: dict[str, str] = {}
    for need in experiment.made_from(key):
        if store.is_finished(need):
            found[str(need)] = store.contents_hash(need)
    engine = experiment.task.engine_name(training_variant(key, experiment.config))
    return {
        "identity": experiment.identity(key),
        "computed": {"engine": engine, "device": device, **versions()},
        "made_from": found,
        # The dense network is drawn, not made: of what is kept on its way there are no seconds.
        **({"ticket_seconds": seconds} if key.level else {}),
    }


class JobMonitor:
    """Writes a job's checkpoints, reports its progress, and stops it when asked.

    Args:
        store: where checkpoints are written.
        key: the job.
        engine: name of the engine that trains it, which cannot read another engine's checkpoints.
        device: name of the device it is trained on. Checkpoints of another device are not used: it
            rounds differently and has random states of its own.
        every: seconds between checkpoints.
        stop: whether the process has been asked to stop.
        report: called with the iteration and no points a few times a second, and with the points
            of every evaluation.
        group: the jobs that are trained in one call, a set that their monitors share: each writes a
            checkpoint before a stop ends them all. None: this job alone.
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
        group: set[JobKey] | None = None,
    ) -> None:
        self._store, self._key, self._engine, self._device = store, key, engine, device
        self._every, self._stop, self._report = every, stop, report
        self._saved = self._reported = time.monotonic()
        self._unsaved = {key} if group is None else group
        self.restoring = False
        """Whether a checkpoint was loaded and the training has made no step since."""

    def restore(self) -> Checkpoint | None:
        """The job's newest whole checkpoint; one of another engine or device is dropped."""
        kept = self._store.read_checkpoint(self._key)
        if kept is None:
            return None
        # Once, checkpoints said neither.
        engine = kept.values.get("engine", "torch")
        device = kept.values.get("device", "cuda" if "random-cuda" in kept.tensors else "cpu")
        if (engine, device) == (self._engine, self._device):
            self.restoring = True
            return kept
        self._store.drop_checkpoints(self._key)
        return None

    def measured(self, points: Sequence[CurvePoint]) -> None:
        """Report an evaluation."""
        self._report(points[0].iteration, points)

    def set_checkpoint_aside(self) -> None:
        """Set aside a checkpoint that the training cannot resume from."""
        self.restoring = False
        self._store.set_checkpoints_aside(self._key)

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        """Report progress and write a checkpoint when it is time to.

        Args:
            iteration: the iteration that the training has reached.
            checkpoint: makes a checkpoint of this moment.

        Raises:
            Preempted: the process was asked to stop; the group's checkpoints are on disk.
        """
        self.restoring = False
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
        if not stopping:
            return
        # Others of the group may have ended: whoever is called again waits for none of them.
        again = self._key not in self._unsaved
        self._unsaved.discard(self._key)
        if again or not self._unsaved:
            raise Preempted(f"{self._key}: stopped at iteration {iteration}, checkpoint kept")


def _result(
    key: JobKey, request: TrainingRequest, trained: TrainingResult | None, task: Task, reason: str
) -> JobResult:
    ticket = request.ticket
    stop = trained.early_stop_iteration if trained else None
    at = {(p.iteration, p.split): p for p in trained.curve} if trained else {}
    mask = ticket.mask if trained is None or trained.mask is None else trained.mask
    done = trained is not None and trained.status == "done"
    scores = final_scores(trained, task.score) if trained else {}
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
        iterations=_last_iteration(request, trained, task),
        start_iteration=ticket.iteration,
        early_stop_iteration=stop,
        validation_loss_at_early_stop=(
            at[stop, "validation"].values.get("loss") if stop is not None else None
        ),
        score_at_early_stop=(
            at[stop, "test"].values.get(task.score.name) if stop is not None else None
        ),
        score_final=scores.get(task.score.name) if done else None,
        scores=scores if done else {},
        seconds=trained.seconds if trained else 0.0,
        engine=task.engine_name(request.variant),
        provenance=dict(ticket.provenance),
    )


def _last_iteration(request: TrainingRequest, trained: TrainingResult | None, task: Task) -> int:
    """The iteration that a training ended at, or would have."""
    planned = task.last_iteration(request.variant, request.ticket.mask)
    if planned is not None:
        return planned
    ends = [point.iteration for point in trained.curve] if trained else []
    return max([request.ticket.iteration, *ends])
