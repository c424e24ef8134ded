"""What a method is: how the ticket of each level comes to be, and how it is trained."""

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
    """What every job of an experiment refers to, bound once.

    Args:
        task: what is trained.
        prune: what is removed at every level.
        method: how tickets are made.
        levels: how many there are besides the dense one; for the linear schedule alone.
        seed: the experiment's.
        masks: how the controls that train nothing but a mask train it.
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
        """The iteration of the dense training that tickets go back to; 0 is initialization.

        When fine-tuning they go on from its end. Where each ticket is drawn at an iteration of its
        own, this is the first at which a mask can have settled.
        """
        return self.method.start_iteration(self)

    def iterations(self, length: Length) -> int:
        """A length of the dense training in iterations; of a task of unknown length, its amount."""
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
            trained: the state that decides.
            initial: the state at initialization.
            streams: the replicate's.
            held: what weights are in that network while they are pruned; None: zero.
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
    """What there is of one replicate for a ticket to be made from."""

    number: int
    """Of the replicate."""
    streams: Streams

    @property
    def initial(self) -> State:
        """The dense network's state at initialization."""

    def ticket(self, level: int) -> Ticket:
        """The ticket of a level; 0 is the dense network."""

    def trained(self, level: int) -> State:
        """The state that a level's training ended with."""

    def state(self, iteration: int) -> State:
        """The dense network's state on the way; 0 is its initialization."""

    def drawn(self, level: int) -> EarlyBirdMask:
        """The mask of a level that was drawn while the dense network trained."""

    def given(self, name: str) -> Ticket:
        """A ticket that the run was given, by its hash."""

    def found(self, level: int) -> Mask:
        """The mask that the training which looked for a level's mask ended with."""


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """How tickets are made, level by level: the settings of a kind, and what follows from them."""

    kind: str
    """Which method it is."""

    # What is known from the settings alone

    @property
    @abstractmethod
    def start(self) -> Length:
        """How far into the dense training tickets start, where the settings say it."""

    @property
    def rewinding(self) -> RewindMethod:
        """What survivors go back to."""
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
        """Why there are no trained weights behind a ticket's mask to go on from; empty: some."""
        return ""

    def refusals(self, prune: PruneConfig) -> list[str]:
        """What of the pruning does not go with it, one sentence each."""
        del prune
        return []

    def criterion_refusals(
        self, prune: PruneConfig, criterion: CriterionEntry, levels: int
    ) -> list[str]:
        """Why the criterion cannot score the networks that it is asked to, one sentence each."""
        del prune, criterion, levels
        return []

    # What jobs need, and are

    @abstractmethod
    def needs(self, level: int, prune: PruneConfig) -> tuple[int, ...]:
        """The levels of which trained weights, or what was kept on the way, make this level's."""

    def states(self, context: MethodContext) -> tuple[int, ...]:
        """The iterations of the dense training of which its tickets need the state."""
        at = context.rewind_iteration
        return (at,) if self.rewinding == "weights" and at else ()

    def start_iteration(self, context: MethodContext) -> int:
        """The iteration that tickets start at; see `MethodContext.rewind_iteration`."""
        return context.iterations(self.start)

    @abstractmethod
    def ticket(self, level: int, context: MethodContext, inputs: ReplicateInputs) -> Ticket:
        """The ticket of a level, 1 or more, without its provenance."""

    def variant(self, level: int, prune: PruneConfig, levels: int) -> TrainingVariant:
        """How the ticket of a level is trained."""
        del level, prune, levels
        return TrainingVariant()

    def dense_variant(self) -> TrainingVariant:
        """How the dense network is trained: in the task's way, to its end."""
        return TrainingVariant()

    @abstractmethod
    def decides(self, level: int, prune: PruneConfig, levels: int) -> Any:
        """What of the method decides a level's ticket, besides the jobs it is made from: plain."""


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
        level: that it is made for, 1 or more.
        parent: the ticket that is pruned.
        context: the experiment.
        inputs: what there is of the replicate.
        trained: the state that decides what goes.
        weights: the state that survivors go back to.
        rule: what pruned weights are held at, see `lottery.tickets.pruned_values`.
        iteration: where survivors start.
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
