"""The contract of an engine: what it is given, what it returns, and what it must keep to.

An engine trains a network from given start weights under a mask. It must pass the conformance
suite in `lottery.testing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from lottery.core import Group, Mask
from lottery.data.dataset import Dataset, steps_per_epoch
from lottery.rng import Streams
from lottery.score import Score
from lottery.training.config import TrainingConfig
from lottery.training.curve import CurvePoint
from lottery.training.mask_updates import MaskUpdatesConfig

State = Mapping[str, Tensor]
"""A model's ``state_dict``: parameters and buffers, name -> CPU tensor."""

MaskMethod = Literal["edge-popup", "supermask"]
"""How a mask is learned; see `lottery.training.learned_masks`."""


@dataclass(frozen=True, kw_only=True)
class MaskLearning:
    """How a mask is trained while every weight stays frozen.

    Args:
        method: how the mask is computed from scores; see `lottery.training.learned_masks`.
        stream: name of the random stream of initial scores and random masks.
    """

    method: MaskMethod
    stream: tuple[str | int, ...]


Notes = Mapping[str, Tensor]
"""What an `Observer` has noted: name -> CPU tensor; names have no meaning to an engine."""


@dataclass(frozen=True, kw_only=True)
class Observer:
    """Looks at the network at some iterations of its training, without any effect on it.

    Args:
        at: iterations to look at.
        note: (iteration, state, notes so far) -> all notes; it changes none of its arguments.
            Checkpoints hold the notes alone, so an observer must not remember anything else.
        enough: (notes) -> whether training can end there, because the notes are all it is for.
    """

    at: tuple[int, ...]
    note: Callable[[int, State, Notes], Notes]
    enough: Callable[[Notes], bool] = lambda _: False


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """All that determines one training: the same job gives the same bytes, alone or in a group.

    Args:
        make_model: makes the network; its initial weights are not used.
        mask: which weights are kept. Pruned weights are zero, or what ``pruned`` says, from start
            to end. With ``updates``, the mask at the start.
        start: the state to start from, unmasked or masked.
        start_iteration: where in the schedule and the data order training starts (above 0 when
            rewinding to an iteration); in [0, length of the training].
        data: the examples, and how training batches are augmented.
        config: optimizer, length, evaluation.
        streams: random numbers; data order, augmentation and dropout are drawn from its streams
            ``order``, ``augmentation`` and ``dropout``.
        snapshots_at: iterations whose state is kept, for rewinding later.
        pruned: parameter name -> tensor of the weight's shape, for every layer of the mask: the
            values that pruned weights are held at; entries of kept weights are ignored. None:
            zero. An engine without `Engine.holds_values` refuses such a job.
        updates: whether, how and when the mask changes. An engine without `Engine.updates_masks`
            refuses a job whose mask changes.
        to_remove: with gradual updates, where weights compete, and how many of those that ``mask``
            keeps are removed by the end of the schedule.
        mask_learning: how to train a mask in place of the weights; ``mask`` then says only how
            many weights of each layer it keeps, or is expected to keep at the start. ``pruned`` is
            of no effect. None: the weights are trained. An engine without `Engine.learns_masks`
            refuses such a job.
        observer: notes what it sees of the network on the way; None for nothing.
        on_evaluation: called with every evaluation when it is made (validation and test, at one
            iteration). It must not raise. None: nothing is called.
        reordered_from: the iteration from which data order and augmentation are drawn from other
            streams; see `epoch_order` and `streams_at`. None: never.
    """

    make_model: Callable[[], nn.Module]
    mask: Mask
    start: State
    start_iteration: int = 0
    data: Dataset
    config: TrainingConfig
    streams: Streams
    snapshots_at: tuple[int, ...] = ()
    pruned: Mapping[str, Tensor] | None = None
    updates: MaskUpdatesConfig = field(default_factory=MaskUpdatesConfig)
    to_remove: tuple[Group, ...] = ()
    mask_learning: MaskLearning | None = None
    observer: Observer | None = None
    on_evaluation: Callable[[Sequence[CurvePoint]], None] | None = None
    reordered_from: int | None = None

    def streams_at(self, iteration: int) -> Streams:
        """The streams for data order and augmentation of the step that follows ``iteration``."""
        if self.reordered_from is None or iteration < self.reordered_from:
            return self.streams
        return self.streams.below("reordered", self.reordered_from)

    def epoch_order(self, epoch: int) -> Tensor:
        """The order of the training examples in an epoch, int64 ``[examples]``, on the CPU.

        Drawn by ``torch.randperm`` from the stream ``("order", epoch)``. The part after
        `reordered_from` is then shuffled once more within itself, so that a training whose order
        changes in the middle of an epoch still sees each example once in that epoch.
        """
        count, size = len(self.data.train), self.config.batch_size
        order = torch.randperm(count, generator=self.streams.generator("order", epoch))
        if self.reordered_from is None:
            return order
        before = max(0, self.reordered_from - epoch * steps_per_epoch(count, size)) * size
        left = order[before:]
        generator = self.streams_at(self.reordered_from).generator("order", epoch)
        return torch.cat([order[:before], left[torch.randperm(len(left), generator=generator)]])


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training returns.

    Args:
        status: ``diverged`` when a loss was not finite; training ends there.
        reason: why it diverged, in words; empty otherwise.
        curve: every evaluation, in order of iteration, validation before test.
        final: the state at the end; empty when diverged.
        early_stop: the state at `early_stop_iteration`; empty when diverged, or not kept.
        early_stop_iteration: the iteration of minimum validation loss, the first if there are
            several; None when diverged, or without a curve. With gradual pruning, among those
            where the network has its final density.
        snapshots: iteration -> state, for the states that were asked for.
        seconds: time spent training, in all its parts if it was interrupted.
        engine: the name of the engine.
        mask: the mask at the end, where training changes it; None: the job's mask. With
            ``updates`` it is there even when training diverged, and the state at early stop is
            zero where the mask of that iteration pruned. A learned mask is there unless training
            diverged.
        notes: those of the job's observer at the end.
        scores: name -> number measured on the test examples at the end, besides the curve.
    """

    status: Literal["done", "diverged"]
    reason: str = ""
    curve: tuple[CurvePoint, ...]
    final: State
    early_stop: State
    early_stop_iteration: int | None
    snapshots: Mapping[int, State]
    seconds: float
    engine: str
    mask: Mask | None = None
    notes: Notes = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


def final_scores(result: TrainingResult, score: Score) -> Mapping[str, float]:
    """Everything measured on the test examples at the end of a training; empty where nothing was.

    These are the result's ``scores``; where ``score`` is not among them, the values of the curve's
    last test point too.

    Args:
        result: what a training returned.
        score: what it is judged by.
    """
    if result.status != "done" or score.name in result.scores:
        return result.scores
    tests = [point.values for point in result.curve if point.split == "test"]
    return {**(tests[-1] if tests else {}), **result.scores}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The whole state of a training in progress.

    Args:
        iteration: steps done, counted from initialization.
        tensors: name -> tensor: weights, buffers, optimizer state, random states, kept states.
        values: everything else, as plain JSON values.
    """

    iteration: int
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any] = field(default_factory=dict)


class Monitor(Protocol):
    """Called by one training: keeps its checkpoints and may ask it to stop."""

    steps_at_once: int
    """How many steps an engine may take from one call of `step` to the next, 1 or more."""

    def restore(self) -> Checkpoint | None:
        """The latest checkpoint of this training, or None to start from the beginning."""

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        """Called between steps, at most ``steps_at_once`` steps apart, and after the last step.

        How often an engine calls it has no effect on results. It calls ``checkpoint`` if it wants
        to keep one.

        Args:
            iteration: steps done, counted from initialization.
            checkpoint: makes a checkpoint of this iteration.

        Raises:
            Preempted: the training should stop here; a checkpoint to resume from has been kept.
        """


class NullMonitor:
    """A monitor that keeps nothing and never asks to stop."""

    steps_at_once = 1_000

    def restore(self) -> Checkpoint | None:
        """Always from the beginning."""
        return None

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        """Do nothing."""


class Engine(Protocol):
    """Trains groups of jobs that share model, data and config."""

    name: str

    parallel: Literal["threads", "processes"]
    """How several jobs are best run at once. With ``threads``, `train` may be called from several
    threads at the same time: it is stateless between calls, and releases the GIL."""

    group_size: int
    """How many jobs to give it in one call of `train` for best speed; 1: one at a time. A job must
    give the same bytes in a group as alone; an engine where it does not needs another name."""

    augments: bool
    """Whether it supports augmentation, that is, trains on `Dataset.training_batch`. An engine that
    does not takes the examples as they are, and is not chosen where data are to be augmented."""

    learns_masks: bool
    """Whether it supports jobs with ``mask_learning``; if not, it is not chosen for them."""

    holds_values: bool
    """Whether it supports ``pruned`` weights that are not zero; if not, it is not chosen then."""

    updates_masks: bool
    """Whether it supports ``updates`` of the mask in training; if not, it is not chosen then."""

    def prepare(self) -> None:
        """Do what is needed once before the first training, such as compiling a loop.

        If that takes more than a moment, it first logs a warning to the logger ``lottery``, which
        Python prints by default. Without this call results are the same, but the first training
        takes longer.
        """

    def settings(self) -> Mapping[str, float]:
        """What the engine measured on this machine in order to choose its kernels; may be empty.

        The choice decides how results are rounded, so this is recorded with a run.
        """

    def refusal(self, model: nn.Module, config: TrainingConfig) -> str | None:
        """Why this engine cannot train the network on its device, in words; None if it can.

        Args:
            model: a network like those to train, on any device.
            config: how to train it.
        """

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        """Train every job to its end; results in the order of the jobs."""
