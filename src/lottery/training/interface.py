"""What an engine is given, what it gives back, and what it must keep to on the way.

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
    """A training of the mask, with every weight frozen.

    Args:
        method: how the mask follows from scores; see `lottery.training.learned_masks`.
        stream: name of the stream that first scores and random masks are drawn from.
    """

    method: MaskMethod
    stream: tuple[str | int, ...]


Notes = Mapping[str, Tensor]
"""What a watch has noted: name -> CPU tensor; names have no meaning to an engine."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is noted of the network while it trains, of which it learns nothing.

    Args:
        at: iterations to look at.
        note: (iteration, state, notes so far) -> all notes; it changes none of them. Checkpoints
            hold the notes, so that nothing else may be remembered.
        enough: whether the notes are all that the training is for, so that it ends there.
    """

    at: tuple[int, ...]
    note: Callable[[int, State, Notes], Notes]
    enough: Callable[[Notes], bool] = lambda _: False


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One training, complete: the same job gives the same bytes, alone or in a group.

    Args:
        make_model: makes the network; its initial weights are not used.
        mask: what is kept. Pruned weights are zero, or what ``pruned`` says, from the start to the
            end. With ``updates``, what is kept at the start.
        start: the state to start from, unmasked or masked.
        start_iteration: where in the schedule and the data order training starts (above 0 when
            rewinding to an iteration); in [0, length of the training].
        data: the examples, and how training batches are augmented.
        config: optimizer, length, evaluation.
        streams: data order, augmentation and dropout come from its streams ``order``,
            ``augmentation`` and ``dropout``.
        snapshots_at: iterations at which to keep the state, for rewinding later.
        pruned: parameter name -> tensor of the weight's shape, for every layer of the mask: what
            pruned weights are held at. Entries where the mask keeps a weight mean nothing. None:
            zero. An engine that `Engine.holds_values` says cannot do it refuses the job.
        updates: whether, how and when the mask changes. An engine that `Engine.updates_masks` says
            cannot do it refuses the job.
        to_remove: with gradual updates, where weights compete and how many of those that the mask
            keeps go in all, until the schedule ends.
        mask_learning: how to train a mask in place of the weights; ``mask`` then says only how
            many weights of each layer it keeps, or is expected to keep at the start. ``pruned`` is
            of no effect. None: the weights are trained. An engine that `Engine.learns_masks` says
            cannot do it refuses the job.
        watch: what to note on the way; None for nothing.
        measured: hears every evaluation when it is made: validation and test, at one iteration. It
            must not raise. None: nobody does.
        reordered_from: the iteration from which data order and augmentation are other ones; see
            `epoch_order` and `drawing`. None: never.
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
    watch: Watch | None = None
    measured: Callable[[Sequence[CurvePoint]], None] | None = None
    reordered_from: int | None = None

    def drawing(self, iteration: int) -> Streams:
        """The streams that data order and augmentation of the step from ``iteration`` on are of."""
        if self.reordered_from is None or iteration < self.reordered_from:
            return self.streams
        return self.streams.below("reordered", self.reordered_from)

    def epoch_order(self, epoch: int) -> Tensor:
        """The order of the training examples in an epoch, int64 ``[examples]``, on the CPU.

        Drawn by ``torch.randperm`` from the stream ``("order", epoch)``. What of it comes after
        `reordered_from` is then shuffled among itself, so that a copy that is reordered in the
        middle of an epoch sees each example once in it as well.
        """
        count, size = len(self.data.train), self.config.batch_size
        order = torch.randperm(count, generator=self.streams.generator("order", epoch))
        if self.reordered_from is None:
            return order
        before = max(0, self.reordered_from - epoch * steps_per_epoch(count, size)) * size
        left = order[before:]
        generator = self.drawing(self.reordered_from).generator("order", epoch)
        return torch.cat([order[:before], left[torch.randperm(len(left), generator=generator)]])


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training gives back.

    Args:
        status: ``diverged`` when a loss stopped being finite; training ends there.
        reason: why, in words, when it diverged.
        curve: every evaluation, in order of iteration, validation before test.
        final: the state at the end; empty when diverged.
        early_stop: the state at `early_stop_iteration`; empty when diverged, or not kept.
        early_stop_iteration: the iteration of minimum validation loss, the first if there are
            several; None when diverged, or where no curve tells. With gradual pruning, of those
            where the network has the density that it ends with.
        snapshots: the states asked for, by iteration.
        seconds: time spent, over all interruptions.
        engine: the name of the engine.
        mask: what is kept at the end, where training changes it; None: the job's mask. With
            updates also where training diverged, and the state at early stop is zero where
            the mask pruned then. A mask that is learned is given once it is done.
        notes: of the job's watch, as they were at the end.
        scores: name -> what was measured on the test examples at the end, besides the curve.
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

    That is what the training gave besides the curve; without the score among it, also what the
    curve's last test point has.

    Args:
        result: what a training gave back.
        score: what it is judged by.
    """
    if result.status != "done" or score.name in result.scores:
        return result.scores
    tests = [point.values for point in result.curve if point.split == "test"]
    return {**(tests[-1] if tests else {}), **result.scores}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """All there is to a training in progress.

    Args:
        iteration: steps done.
        tensors: name -> tensor: weights, buffers, optimizer state, random states, kept states.
        values: everything else, as plain JSON values.
    """

    iteration: int
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any] = field(default_factory=dict)


class Monitor(Protocol):
    """Watches one training: keeps its checkpoints and may ask it to stop."""

    steps_at_once: int
    """How many steps an engine may take from one call of ``step`` to the next, 1 or more."""

    def restore(self) -> Checkpoint | None:
        """The latest checkpoint of this training, or None to start from the beginning."""

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        """Called between steps, ``steps_at_once`` or fewer after the call before, and at the end.

        How often an engine calls changes no result. Calls ``checkpoint`` if it wants to keep one.

        Args:
            iteration: steps done, counted from initialization.
            checkpoint: makes a checkpoint of this iteration.

        Raises:
            Preempted: the training should stop here; it has kept what it needs to go on.
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
    threads at a time: it keeps nothing of a job outside of the call, and gives Python free."""

    group_size: int
    """How many jobs it is best given in one call of `train`; 1: one alone. An engine whose bytes
    for a job are not those that the job has alone is another engine, with a name of its own."""

    augments: bool
    """Whether it trains on what `Dataset.training_batch` gives; otherwise it takes the examples as
    they are, and is not chosen where the data are to be augmented."""

    learns_masks: bool
    """Whether it takes a job with ``mask_learning``; otherwise it is not chosen for one."""

    holds_values: bool
    """Whether it takes a job whose ``pruned`` weights are not zero; otherwise it is not chosen."""

    updates_masks: bool
    """Whether it takes a job with ``updates`` of its mask; otherwise it is not chosen."""

    def prepare(self) -> None:
        """Do what is needed once before the first training, such as compiling a loop.

        What takes more than a moment is logged first, as a warning of the logger ``lottery``, which
        Python prints unless told otherwise. Training without it gives the same results; the first
        one then takes longer.
        """

    def settings(self) -> Mapping[str, float]:
        """What the engine measured on this machine and chooses its kernels by.

        It decides how results are rounded, so it is recorded with a run. Empty if there is nothing.
        """

    def refusal(self, model: nn.Module, config: TrainingConfig) -> str | None:
        """Why this engine cannot train the network on its device, in words; None when it can.

        Args:
            model: a network like those to train, on any device.
            config: how to train it.
        """

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        """Train every job to its end; results in the order of the jobs."""
