"""Finding winning tickets in the user's own training loop: from functions to a finished run."""

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
from lottery.errors import ConfigError, StoreError, UsageError, format_names, unknown_name
from lottery.experiments.config import OWN_TITLE, OwnConfig, VerdictConfig, to_plain
from lottery.experiments.config_warnings import config_warnings
from lottery.experiments.connectivity import ConnectivityConfig
from lottery.experiments.experiment import Experiment
from lottery.experiments.listener import Listener
from lottery.experiments.loading import load_recorded_config
from lottery.experiments.own_arguments import read_controls, read_method, read_pruning, read_score
from lottery.experiments.own_checks import check_network, own_problems
from lottery.experiments.printing import PrintingListener
from lottery.experiments.reading import Run, read_run
from lottery.experiments.run import RunOptions, RunSetup, run_in_store
from lottery.methods import AnyMethod, ControlsConfig
from lottery.pieces import reinitialize as reinitialize_model
from lottery.score import Score
from lottery.store import MAIN, MemoryStore, Store
from lottery.store.files import names_in
from lottery.store.store import EXPERIMENT
from lottery.tasks.fingerprint import difference
from lottery.tasks.own import OwnTask
from lottery.tasks.own_code import OwnCode
from lottery.tasks.sendable import imported_in_child, why_not_sendable
from lottery.tickets import PruneConfig


@dataclass(frozen=True, kw_only=True)
class OwnRun:
    """A checked experiment on own code, ready to run.

    Args:
        config: the experiment, as it is recorded.
        task: the user's functions.
        out: the run's directory; None to keep it in memory.
        jobs: how many trainings run at once.
        checkpoint_seconds: time between the checkpoints that are written.
        verbose: whether progress is printed.
        notes: warnings to show before it begins, one sentence each.
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
        make_model: returns a new network each time, its weights drawn from the global random
            generators, which are seeded for each replicate.
        train: ``train(model)`` or ``train(model, session)`` (see `LoopSession`): trains the network
            in place. It may return the score, or curves.
        evaluate: returns a network's score, or a dict of numbers that contains it. None:
            ``train`` returns it.
        levels: how many times the network is pruned, 0 or more.
        replicates: repetitions, each with its own seeds, 1 or more.
        out: the run's directory; None to keep everything in memory.
        verbose: whether to print progress.
        settings: further arguments of `prepare_own_run`: ``score``, ``controls``, ``rewind``,
            ``fraction`` and more.

    Returns:
        The finished run.

    Raises:
        UsageError: an argument is wrong, or arguments do not fit together, or ``out`` holds other
            files and no run; says what to do.
        StoreError: the run in ``out`` is another experiment, or was made with other code.
    """
    known = [*inspect.signature(prepare_own_run).parameters]
    for name in settings:
        if name not in known:
            raise UsageError(f"find_tickets: {unknown_name('setting', name, known)}")
    run = prepare_own_run(
        make_model,
        train,
        evaluate,
        levels=levels,
        replicates=replicates,
        out=out,
        verbose=verbose,
        **settings,
    )
    return run_prepared(run)


def run_prepared(run: OwnRun, *, listener: Listener | None = None) -> Run:
    """Run an experiment that `prepare_own_run` prepared.

    Args:
        run: the experiment.
        listener: is told about progress; None: lines are printed if ``run.verbose``.

    Raises:
        UsageError: its directory holds other files and no run.
        StoreError: the run on disk is another experiment, or was made with other code; or it
            cannot be written.
    """
    store = MemoryStore() if run.out is None else Store(run.out)
    if run.out is not None:
        _check_directory(run.out)
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


def _check_directory(out: Path) -> None:
    """Refuse to write among files that are no run's.

    Raises:
        UsageError: there are such files.
        StoreError: it is no directory, or cannot be read.
    """
    there = names_in(out)
    if there and not any(name.startswith((EXPERIMENT, "replicate-")) for name in there):
        raise UsageError(
            f"out: expected a new directory or that of a run, got {out}, which holds "
            f"{format_names(there)}; name a directory inside it, such as {out / 'run'}"
        )


def _check_replicates(task: OwnTask, run: Run) -> None:
    """Check that dense networks ended with other weights in each replicate, wherever they trained.

    Raises:
        UsageError: two did not.
    """
    for key, result in sorted(run.results.items()):
        if key.branch == MAIN and key.level == 0 and result.status == "done":
            task.check_other_replicates(key.replicate, run.store.weights(key))


def prepare_own_run(
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
    title: str = OWN_TITLE,
    verbose: bool = True,
) -> OwnRun:
    """Check the arguments of `find_tickets`, and prepare the experiment; nothing is trained.

    Args:
        make_model, train, evaluate, levels, replicates, out, verbose: as for `find_tickets`.
        score: what networks are judged by: a name, such as ``"perplexity"``, or a `Score`. None:
            accuracy, a share between 0 and 1.
        lower_is_better: the direction of a score whose name does not say it.
        margin: how much worse than the dense network a matching ticket's score may be. None: 0.002
            for accuracy; for other scores nothing is tested.
        confidence: of intervals and tests, between 0.5 and 1.
        controls: kind of control -> how many; None: one reinitialized copy of every ticket.
        connectivity: copies with other data orders: ``ConnectivityConfig(at={"0": ()})`` is one of
            every training. Their global generators and ``session.seed`` have other seeds.
        prune: the whole pruning config; or, instead of it:
        fraction: the share of surviving weights pruned per level, in (0, 1); None: 0.2;
        criterion: what makes a weight superfluous; None: ``magnitude``;
        scope: where weights compete, ``layer``, ``global`` and so on; None: ``layer``.
        method: how tickets are made, see `lottery.methods`; or, instead of it, for the iterative
            method:
        rewind: the optimizer step that survivors are rewound to; None: 0, the initialization. Or
            ``"learning-rate"``: survivors keep their trained weights, and training starts again.
        starts_at_step: whether the loop begins at ``session.start_step``. If not, the whole loop
            runs after late rewinding too, and the dense network is trained the same way, to
            compare.
        steps: how many optimizer steps the loop makes, if the number is always the same.
        batches: for criteria that evaluate the network on data: a list or DataLoader of batches
            (tuples, or dicts as models of transformers take them), or a function that returns one.
        loss: (model, batch) -> mean loss; not needed for dicts with labels, or if it is the
            cross-entropy of (inputs, targets).
        reinitialize: draws new weights for a network, in place; needed if ``make_model`` loads
            weights. True: by each layer's own method, see `lottery.pieces.reinitialize`.
        example_input: a batch of inputs, for granularities other than single weights.
        fingerprint: plain JSON values that identify what the code of the functions does not show,
            such as a version of the data; ``{"train": ...}`` replaces the fingerprint of that
            function.
        seed: every random choice follows from it and the replicate's number.
        jobs: how many trainings run at once, each in its own process.
        checkpoint_seconds: ``session.checkpoint`` writes one if the last is at least this old.
        title: what is trained, in a few words, for headings. Without one, the run is called by the
            name of its directory.

    Raises:
        UsageError: an argument is wrong, or arguments do not fit together; says what to do.
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
    _check_types(example_input, checkpoint_seconds)
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
    """How the code differs from that a run was begun with, in words; None if it does not.

    Args:
        recorded: the table ``task`` of the run's config.
        now: the same, of the config at hand.
    """
    found = difference(recorded, now)
    if not found:
        return None
    return (
        f"the code changed since this run was begun: {'; '.join(found)}. Put it back, or use "
        "another out="
    )


def _check_types(example_input: object, checkpoint_seconds: object) -> None:
    """Check the arguments that no config holds."""
    if not isinstance(example_input, Tensor | None):
        raise UsageError(
            f"example_input: expected a tensor of one batch, got {type(example_input).__name__}"
        )
    if not isinstance(checkpoint_seconds, int | float) or not checkpoint_seconds >= 0:
        raise UsageError(
            f"checkpoint_seconds: expected a number, 0 or more, got {checkpoint_seconds!r}"
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
