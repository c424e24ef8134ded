"""What a method is: how the ticket of each level comes to be, and how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor

from lottery.core import Mask, find_criterion
from lottery.rng import Streams
from lottery.tasks.protocol import How, Task
from lottery.tickets import (
    Drawn,
    PruneConfig,
    RewindConfig,
    Ticket,
    looks,
    prune_mask,
    pruned_values,
)
from lottery.training import LearnedMasksConfig, PrunedValues, State


@dataclass(frozen=True)
class Bound:
    """What every job of an experiment refers to, bound once.

    Args:
        task: what is trained.
        prune: what is removed at every level.
        rewind: what the survivors go back to.
        levels: how many there are besides the dense one; for the linear schedule alone.
        seed: the experiment's.
        masks: how the controls that train nothing but a mask train it.
    """

    task: Task
    prune: PruneConfig
    rewind: RewindConfig
    levels: int
    seed: int
    masks: LearnedMasksConfig = field(default_factory=LearnedMasksConfig)

    def streams(self, replicate: int) -> Streams:
        """The random streams of a replicate."""
        return Streams(self.seed, replicate)

    @cached_property
    def rewind_iteration(self) -> int:
        """The iteration of the dense training that tickets go back to; 0 is initialization.

        When fine-tuning they go on from its end. With ``drawn`` each ticket has an iteration of its
        own, which only the dense training tells: this is the first at which a mask can have
        settled.
        """
        steps = self.task.steps()
        if self.rewind.method == "drawn":
            return self.mask_looks[self.prune.early_bird.window - 1]
        if steps is not None:
            if self.rewind.method == "fine-tune":
                return steps.total
            return self.rewind.to.iterations(steps.per_epoch)
        return self.rewind.to.amount

    @cached_property
    def mask_looks(self) -> tuple[int, ...]:
        """The iterations of the dense training at which Early-Bird masks are made."""
        steps = self.task.steps()
        assert steps is not None, "a task of unknown length is refused"
        return looks(
            self.prune.early_bird,
            total=steps.total,
            steps_per_epoch=steps.per_epoch,
            trains_on=self.rewind.method == "drawn",
        )

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


class Inputs(Protocol):
    """What there is of one replicate for a ticket to be made from."""

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

    def drawn(self, level: int) -> Drawn:
        """The mask of a level that was drawn while the dense network trained."""


class Method(Protocol):
    """How tickets are made, level by level; plain data."""

    def needs(self, level: int) -> tuple[int, ...]:
        """The levels of which trained weights, or what was kept on the way, make this level's."""

    def states(self, bound: Bound) -> tuple[int, ...]:
        """The iterations of the dense training of which its tickets need the state."""

    def draws(self, level: int) -> bool:
        """Whether the mask is drawn while the dense network trains."""

    def ticket(self, level: int, bound: Bound, inputs: Inputs) -> Ticket:
        """The ticket of a level, 1 or more, without its provenance."""

    def how(self, level: int, levels: int) -> How:
        """How the ticket of a level is trained."""

    def how_dense(self) -> How:
        """How the dense network is trained: in the task's way, to its end."""
        return How()

    def decides(self, level: int, levels: int) -> Any:
        """What of the method decides a level's ticket, besides the jobs it is made from: plain."""


def pruned_ticket(
    level: int,
    parent: Ticket,
    bound: Bound,
    inputs: Inputs,
    *,
    trained: State,
    weights: State,
    rule: PrunedValues,
) -> Ticket:
    """A ticket pruned once more.

    Args:
        level: that it is made for, 1 or more.
        parent: the ticket that is pruned.
        bound: the experiment.
        inputs: what there is of the replicate.
        trained: the state that decides what goes.
        weights: the state that survivors go back to.
        rule: what pruned weights are held at, see `lottery.tickets.pruned_values`.
    """
    held = None
    if rule != "zero":
        held = pruned_values(rule, before=parent, trained=trained, rewound=weights)
    mask = bound.pruned(
        level,
        parent.mask,
        trained=trained,
        initial=inputs.initial,
        streams=inputs.streams,
        held=held,
    )
    return Ticket(mask=mask, weights=weights, iteration=bound.rewind_iteration, pruned=held)
