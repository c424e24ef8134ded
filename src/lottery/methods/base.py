"""The interface of a method: how the ticket of each level is made, and how it is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor

from lottery.core import CriterionEntry, Mask, find_criterion
from lottery.rng import Streams
from lottery.tasks.protocol import Task, TrainingVariant
from lottery.tickets import (
    EarlyBirdMask,
    PruneConfig,
    RewindMethod,
    Ticket,
    prune_mask,
    pruned_values,
)
from lottery.training import LearnedMasksConfig, Length, MaskUpdatesConfig, PrunedValues, State


@dataclass(frozen=True)
class MethodContext:
    """The parts of an experiment that methods and controls need to make tickets.

    Args:
        task: what is trained.
        prune: what is pruned at every level.
        method: how tickets are made.
        levels: the number of levels besides the dense one; used by the linear schedule alone.
        seed: the experiment's.
        masks: how the controls that train a mask instead of weights train it.
    """

    task: Task
    prune: PruneConfig
    method: Method
    levels: int
    seed: int
    masks: LearnedMasksConfig = field(default_factory=LearnedMasksConfig)

    def streams(self, replicate: int) -> Streams:
        """The random streams of a replicate."""
        return Streams(self.seed, replicate)

    @cached_property
    def rewind_iteration(self) -> int:
        """The iteration of the dense training that tickets are rewound to; 0 is initialization.

        With fine-tuning it is the end of that training. With Early-Bird tickets that each train on
        from an iteration of their own, it is the first at which a mask can have settled.
        """
        return self.method.start_iteration(self)

    def iterations(self, length: Length) -> int:
        """A length in iterations; for a task whose epochs are of unknown length, its amount."""
        steps = self.task.steps()
        return length.amount if steps is None else length.iterations(steps.per_epoch)

    def pruned(
        self,
        level: int,
        parent: Mask,
        *,
        trained: State,
        initial: State,
        streams: Streams,
        held: Mapping[str, Tensor] | None = None,
    ) -> Mask:
        """A level's mask by the experiment's criterion, granularity, scope and schedule.

        Args:
            level: 1 or more.
            parent: the mask that is pruned: that of the level before, or of level 0 with the
                one-shot schedule.
            trained: the state whose weights are scored.
            initial: the state at initialization.
            streams: the replicate's.
            held: the values that pruned weights are held at in that network; None: zero.
        """
        probe = None
        if find_criterion(self.prune.criterion).needs_probe:
            probe = self.task.probe(
                self.prune, level, parent, trained=trained, streams=streams, pruned=held
            )
        return prune_mask(
            self.prune,
            level,
            parent,
            trained=trained,
            initial=initial,
            streams=streams,
            probe=probe,
            levels=self.levels,
            units=self.task.units(self.prune),
        )


class ReplicateInputs(Protocol):
    """What a ticket is made from: the states, masks and tickets of one replicate."""

    number: int
    """The replicate's number, from 0."""
    streams: Streams

    @property
    def initial(self) -> State:
        """The dense network's state at initialization."""

    def ticket(self, level: int) -> Ticket:
        """The ticket of a level; 0 is the dense network."""

    def trained(self, level: int) -> State:
        """The state that a level's training ended with."""

    def state(self, iteration: int) -> State:
        """The dense network's state at an iteration of its training; 0 is its initialization."""

    def drawn(self, level: int) -> EarlyBirdMask:
        """The Early-Bird mask of a level, drawn while the dense network trained."""

    def given(self, name: str) -> Ticket:
        """A ticket that the run was given, by its SHA-256."""

    def found(self, level: int) -> Mask:
        """The mask that the search for a level's mask ended with."""


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """How tickets are made, level by level: the settings of one kind of method."""

    kind: str
    """The kind of method, as in a config."""

    # What is known from the settings alone

    @property
    @abstractmethod
    def start(self) -> Length:
        """The point of the dense training at which tickets start, as far as the settings tell."""

    @property
    def rewinding(self) -> RewindMethod:
        """What survivors are rewound to."""
        return "weights"

    @property
    def pruned(self) -> PrunedValues:
        """What pruned weights are held at."""
        return "zero"

    @property
    def updates(self) -> MaskUpdatesConfig:
        """How masks change while they are trained."""
        return MaskUpdatesConfig()

    @property
    def no_trained_weights(self) -> str:
        """Why no trained weights decided a ticket's mask; empty if they did."""
        return ""

    def refusals(self, prune: PruneConfig) -> list[str]:
        """The pruning settings that this method cannot be combined with, one sentence each."""
        del prune
        return []

    def criterion_refusals(
        self, prune: PruneConfig, criterion: CriterionEntry, levels: int
    ) -> list[str]:
        """Why the criterion cannot score this method's networks, one sentence each."""
        del prune, criterion, levels
        return []

    # What jobs need, and are

    @abstractmethod
    def needs(self, level: int, prune: PruneConfig) -> tuple[int, ...]:
        """The levels whose trainings must have ended before this level's ticket can be made."""

    def states(self, context: MethodContext) -> tuple[int, ...]:
        """The iterations of the dense training whose states its tickets need."""
        at = context.rewind_iteration
        return (at,) if self.rewinding == "weights" and at else ()

    def start_iteration(self, context: MethodContext) -> int:
        """The iteration that tickets start at; see `MethodContext.rewind_iteration`."""
        return context.iterations(self.start)

    @abstractmethod
    def ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        """The ticket of a level, 1 or more, without its provenance."""

    def variant(self, level: int, prune: PruneConfig, levels: int) -> TrainingVariant:
        """How the training of a level's ticket differs from the dense network's."""
        del level, prune, levels
        return TrainingVariant()

    def dense_variant(self) -> TrainingVariant:
        """How the dense network is trained: by default as the task does, to the end."""
        return TrainingVariant()

    @abstractmethod
    def decides(self, level: int, prune: PruneConfig, levels: int) -> Any:
        """The settings that decide a level's ticket, besides the jobs that it is made from.

        Plain JSON; part of the identity of the level's jobs.
        """


def pruned_ticket(
    level: int,
    parent: Ticket,
    context: MethodContext,
    inputs: ReplicateInputs,
    *,
    trained: State,
    weights: State,
    rule: PrunedValues,
    iteration: int,
) -> Ticket:
    """A ticket pruned once more.

    Args:
        level: the level to make, 1 or more.
        parent: the ticket that is pruned.
        context: the experiment.
        inputs: the replicate's states and tickets.
        trained: the state whose weights are scored.
        weights: the state that survivors are rewound to.
        rule: the values of pruned weights, see `lottery.tickets.pruned_values`.
        iteration: the iteration at which the ticket's training starts.
    """
    held = None
    if rule != "zero":
        held = pruned_values(rule, before=parent, trained=trained, rewound=weights)
    mask = context.pruned(
        level,
        parent.mask,
        trained=trained,
        initial=inputs.initial,
        streams=inputs.streams,
        held=held,
    )
    return Ticket(mask=mask, weights=weights, iteration=iteration, pruned=held)
