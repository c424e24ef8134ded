"""Winning tickets of a training of the user's own: from functions to an experiment, and its run."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lottery.core import outside_mask, prunable_weights
from lottery.errors import ConfigError, StoreError, UsageError, unknown_name
from lottery.experiments.config import (
    OwnConfig,
    VerdictConfig,
    to_plain,
)
from lottery.experiments.config_warnings import config_warnings
from lottery.experiments.connectivity import ConnectivityConfig
from lottery.experiments.experiment import Experiment
from lottery.experiments.listener import Listener
from lottery.experiments.loading import load_recorded_config
from lottery.experiments.own_arguments import (
    read_controls,
    read_method,
    read_pruning,
    read_score,
)
from lottery.experiments.own_checks import check_network, own_problems
from lottery.experiments.printing import PrintingListener
from lottery.experiments.reading import Run, read_run
from lottery.experiments.run import RunOptions, RunSetup, run_in_store
from lottery.methods import AnyMethod, ControlsConfig
from lottery.pieces import reinitialize as reinitialize_model
from lottery.score import Score
from lottery.store import MAIN, MemoryStore, Store
from lottery.tasks.fingerprint import difference
from lottery.tasks.own import OwnTask
from lottery.tasks.own_code import OwnCode
from lottery.tasks.sendable import imported_in_child, why_not_sendable
from lottery.tickets import PruneConfig


@dataclass(frozen=True, kw_only=True)
class OwnRun:
    """What is to be run, and how.

    Args:
        config: the experiment, as it is recorded.
        task: the user's functions.
        out: the run's directory; None to keep it in memory.
        jobs: how many trainings at once.
        checkpoint_seconds: time between checkpoints that a loop offers and that are kept.
        verbose: whether to say how it goes on.
        notes: what a user should know before it begins, one sentence each.
    """

    config: OwnConfig
    task: OwnTask
    out: Path | None
    jobs: int
    checkpoint_seconds: float
    verbose: bool
    notes: tuple[str, ...]


def find_tickets(
    make_model: Callable[[], nn.Module],
    train: Callable[..., Any],
    evaluate: Callable[[nn.Module], Any] | None = None,
    *,
    levels: int = 5,
    replicates: int = 3,
    out: str | Path | None = None,
    verbose: bool = True,
    **settings: Any,
) -> Run:
    """Find winning tickets in a training loop of your own, and test whether they win.

    The same call goes on with what is in ``out``: after an interruption, or with more levels,
    replicates or controls. Every optimizer of torch that steps in ``train`` keeps the mask.

    Args:
        make_model: gives a new network each time, its weights drawn from the global generators,
            which are seeded for each replicate.
        train: ``train(model)`` or ``train(model, session)`` (see `LoopSession`): trains the network
            in place. It may return the score, or curves.
        evaluate: gives a network's score, or a dict of numbers with it. None where ``train``
            returns it.
        levels: how many times the network is pruned, 0 or more.
        replicates: repetitions, each with its own seeds, 1 or more.
        out: the run's directory; None to keep everything in memory.
        verbose: whether to say how it goes on.
        settings: as `own_run` has them: ``score``, ``controls``, ``rewind``, ``fraction`` and more.

    Raises:
        UsageError: something cannot be run so; says what to do.
        StoreError: the run there is another's, or of other functions.
    """
    known = [*inspect.signature(own_run).parameters]
    for name in settings:
        if name not in known:
            raise UsageError(f"find_tickets: {unknown_name('setting', name, known)}")
    run = own_run(
        make_model,
        train,
        evaluate,
        levels=levels,
        replicates=replicates,
        out=out,
        verbose=verbose,
        **settings,
    )
    return run_own(run)


def run_own(run: OwnRun, *, listener: Listener | None = None) -> Run:
    """Run what `own_run` made ready.

    Args:
        run: what to run.
        listener: hears how it goes on; None for lines on the screen, if wanted.

    Raises:
        StoreError: the run there is another's, or of other functions; or cannot be written.
    """
    store = MemoryStore() if run.out is None else Store(run.out)
    try:
        recorded = store.read_experiment()
    except StoreError:  # damaged; it is set aside where the run begins
        recorded = None
    if recorded is not None and isinstance(recorded.get("config"), Mapping):
        changed = changed_code(recorded["config"].get("task", {}), run.config.task)
        if changed:
            raise StoreError(f"{store.path}: {changed}")
    experiment = Experiment(run.config, run.task)
    listener = listener or (PrintingListener(run.config.score) if run.verbose else Listener())
    model = run.task.make_model()
    outside = outside_mask(model)
    covered = sum(weight.numel() for weight in prunable_weights(model).values())

    def begin(listener: Listener) -> None:
        if outside:
            listener.outside_mask(covered, outside)
        for note in (*run.notes, *config_warnings(run.config)):
            listener.noted(note)

    setup = RunSetup(
        options=RunOptions(jobs=run.jobs, reuse=False, checkpoint_seconds=run.checkpoint_seconds),
        surroundings={"device": "cpu", "engine": "own"},
        outside=outside,
        parallel="processes",
        remake=partial(Experiment, run.config, run.task),
        begin=begin,
    )
    if recorded is not None:
        _check_replicates(run.task, read_run(store))
    run_in_store(experiment, store, setup, listener, threading.Event())
    finished = read_run(store)
    _check_replicates(run.task, finished)
    return finished


def _check_replicates(task: OwnTask, run: Run) -> None:
    """Check that dense networks ended with other weights in each replicate, wherever they trained.

    Raises:
        UsageError: two did not.
    """
    for key, result in sorted(run.results.items()):
        if key.branch == MAIN and key.level == 0 and result.status == "done":
            task.check_other_replicates(key.replicate, run.store.weights(key))


def own_run(
    make_model: Callable[[], nn.Module],
    train: Callable[..., Any],
    evaluate: Callable[[nn.Module], Any] | None = None,
    *,
    levels: int = 5,
    replicates: int = 3,
    out: str | Path | None = None,
    score: Score | str | None = None,
    lower_is_better: bool | None = None,
    margin: float | None = None,
    confidence: float = 0.95,
    controls: ControlsConfig | Mapping[str, int] | None = None,
    connectivity: ConnectivityConfig | None = None,
    prune: PruneConfig | None = None,
    fraction: float | None = None,
    criterion: str | None = None,
    scope: str | None = None,
    method: AnyMethod | None = None,
    rewind: int | str | None = None,
    starts_at_step: bool = False,
    steps: int | None = None,
    batches: Any = None,
    loss: Callable[[nn.Module, Any], Tensor] | None = None,
    reinitialize: Callable[[nn.Module], Any] | Literal[True] | None = None,
    example_input: Tensor | None = None,
    fingerprint: Any = None,
    seed: int = 0,
    jobs: int = 1,
    checkpoint_seconds: float = 30.0,
    title: str = "own loop",
    verbose: bool = True,
) -> OwnRun:
    """Everything that `find_tickets` runs, checked; nothing is trained.

    Args:
        make_model: see `find_tickets`, as for what is not described here.
        train: see `find_tickets`.
        evaluate: see `find_tickets`.
        levels: see `find_tickets`.
        replicates: see `find_tickets`.
        out: see `find_tickets`.
        score: what networks are judged by: a name, such as ``"perplexity"``, or a `Score`. None:
            accuracy, a share between 0 and 1.
        lower_is_better: the direction of a score whose name does not say it.
        margin: by how much of the score a ticket may be worse and still match the dense network.
            Without one nothing is tested, but of accuracy, which has 0.002.
        confidence: of intervals and tests, between 0.5 and 1.
        controls: what tickets are compared with: kind -> how many; None: one reinitialized copy.
        connectivity: copies with other data orders: ``ConnectivityConfig(at={"0": ()})`` is one of
            every training. They are seeded otherwise, globally and by ``session.seed``.
        prune: what is removed at every level; or, in its place:
        fraction: the share of surviving weights that goes, 0.2 if not said;
        criterion: what makes a weight superfluous, ``magnitude`` if not said;
        scope: where weights compete, ``layer`` or ``global`` and so on.
        method: how tickets are made, see `lottery.methods`; or, in its place, for the iterative
            one:
        rewind: the optimizer step that survivors go back to; 0, if not said, is the initialization.
            Or ``"learning-rate"``: they keep their trained weights, and are trained again.
        starts_at_step: whether the loop begins at ``session.start_step``; if not, it is gone
            through from its beginning after late rewinding too, and compared with the dense network
            trained the same setup.
        steps: how many optimizer steps the loop makes, if it always makes as many.
        batches: for criteria that look at data: a list or DataLoader of batches (tuples, or dicts
            as models of transformers take them), or a function that gives one.
        loss: (model, batch) -> the mean loss; not needed for dicts with labels, nor where it is the
            cross-entropy of (inputs, targets).
        reinitialize: draws new weights in a network, in place, where ``make_model`` loads its own.
            True: each layer draws them as when it is made, see `lottery.pieces.reinitialize`.
        example_input: a batch of inputs, for granularities other than single weights.
        fingerprint: plain JSON values that identify what functions cannot tell, such as a version
            of the data; ``{"train": ...}`` stands for the code of that function.
        seed: every random choice follows from it and the replicate's number.
        jobs: how many trainings at once, each in a process of its own.
        checkpoint_seconds: ``session.checkpoint`` keeps one where the last is so old.
        title: what is trained, in a few words, for headings.
        verbose: see `find_tickets`.

    Raises:
        UsageError: something cannot be run so; says what to do.
    """
    if imported_in_child():
        raise UsageError(
            "find_tickets was come to while a worker process imports this script; put the call "
            'under `if __name__ == "__main__":`'
        )
    pruning = read_pruning(prune, fraction=fraction, criterion=criterion, scope=scope)
    config = OwnConfig(
        name=title,
        title=title,
        seed=seed,
        replicates=replicates,
        levels=levels,
        prune=pruning,
        method=read_method(method, rewind),
        controls=read_controls(controls),
        connectivity=connectivity or ConnectivityConfig(),
        verdict=VerdictConfig(confidence=confidence),
        score=read_score(score, lower_is_better, margin),
    )
    # Types first: rules compare what they are given. Numbers become what they are read as.
    read = load_recorded_config(to_plain(config), source="find_tickets")
    assert isinstance(read, OwnConfig), "it has a task"
    config = read
    pruning = config.prune
    code = OwnCode(
        make_model=make_model,
        train=train,
        evaluate=evaluate,
        score=config.score,
        fingerprint=fingerprint,
        reinitialize=_draw_again if reinitialize is True else reinitialize,
        batches=batches,
        loss=loss,
        steps=steps,
        starts_at_step=starts_at_step,
        example=example_input,
        also=pruning.also,
        leave_out=pruning.leave_out,
    )
    task = OwnTask(code)
    problems = [*own_problems(config, task)]
    if problems:
        raise ConfigError(problems, source="find_tickets")
    check_network(config, task)
    workers, notes = _workers(jobs, code, in_memory=out is None)
    if task.not_covered:
        notes.append(
            "whether these change is not noticed when a run is gone on with: "
            f"{'; '.join(task.not_covered)}. fingerprint= can tell"
        )
    config = replace(config, task={**task.origin(), **task.fingerprint()})
    where = None if out is None else _path(out)
    return OwnRun(
        config=config,
        task=task,
        out=where,
        jobs=workers,
        checkpoint_seconds=checkpoint_seconds,
        verbose=verbose,
        notes=tuple(notes),
    )


def changed_code(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """How a run's functions are others than those it was begun with; None if they are not.

    Args:
        recorded: ``task`` of the run's config.
        now: that of the config at hand.
    """
    found = difference(recorded, now)
    if not found:
        return None
    return (
        f"the code changed since this run was begun: {'; '.join(found)}. Put it back, or use "
        "another out="
    )


def _path(out: object) -> Path:
    if not isinstance(out, str | Path) or "\0" in str(out):
        raise UsageError(f"out: expected the path of a directory, got {out!r}")
    return Path(out)


def _draw_again(model: nn.Module) -> None:
    # Called with the global generators seeded.
    reinitialize_model(model, seed=torch.initial_seed())


def _workers(jobs: int, code: OwnCode, *, in_memory: bool) -> tuple[int, list[str]]:
    """How many trainings at once, and why not as many as asked for."""
    if type(jobs) is not int or jobs < 1:
        raise UsageError(f"jobs: expected a whole number, 1 or more, got {jobs!r}")
    if jobs == 1:
        return 1, []
    reason = (
        "other processes do not see its memory; pass out="
        if in_memory
        else why_not_sendable([code])
    )
    if reason is None:
        return jobs, []
    return 1, [f"trainings run one after another in this process, since {reason}"]
