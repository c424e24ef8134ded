"""What the runner asks of a task, and what it gives to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from lottery.core import Mask, Probe, Units
from lottery.rng import Streams
from lottery.score import Score
from lottery.tickets import PruneConfig, Ticket
from lottery.training import (
    CurvePoint,
    Length,
    MaskLearning,
    MaskUpdatesConfig,
    Monitor,
    State,
    TrainingResult,
    Watch,
)

Plain = Any
"""Plain JSON: None, bool, int, float, str, and lists and string-keyed mappings of these."""


@dataclass(frozen=True, kw_only=True)
class GradualTarget:
    """Where a mask falls while it trains: down to what a level's pruning would leave."""

    prune: PruneConfig
    level: int
    levels: int


@dataclass(frozen=True, kw_only=True)
class TrainingVariant:
    """How a ticket is trained, where that differs from the dense network; part of its identity.

    Args:
        fine_tune: trained on for so long after the end, at the last learning rate.
        same_multiplications: stretched until it makes the dense training's multiplications.
        updates: how the mask changes on the way.
        gradual: with gradual pruning, down to where.
        learns: the mask is trained, and no weight.
        reordered: the iteration from which it sees the examples in another order.
        until_drawn: it ends where every mask that is drawn on the way has settled.
    """

    fine_tune: Length | None = None
    same_multiplications: bool = False
    updates: MaskUpdatesConfig = field(default_factory=MaskUpdatesConfig)
    gradual: GradualTarget | None = None
    learns: MaskLearning | None = None
    reordered: int | None = None
    until_drawn: bool = False

    @property
    def is_standard(self) -> bool:
        """Whether nothing differs: a fixed mask, trained as the dense network is."""
        return self == TrainingVariant()


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """One training to do.

    Args:
        ticket: what is trained.
        how: how that differs from the dense network's training.
        streams: the replicate's; data order and so on are drawn from them.
        snapshots_at: iterations at which the state is kept.
        watch: what is noted on the way; None for nothing.
        measured: hears of every evaluation while it happens.
    """

    ticket: Ticket
    variant: TrainingVariant
    streams: Streams
    snapshots_at: tuple[int, ...] = ()
    watch: Watch | None = None
    measured: Callable[[Sequence[CurvePoint]], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How long the dense network trains, in iterations: in all, and in one epoch."""

    total: int
    per_epoch: int


class Task(Protocol):
    """Something to train, and a score that says how well it went."""

    score: Score

    exclusive: bool
    """Whether a training moves global random generators, so that there is one at a time in a
    process, and never in threads."""

    def origin(self) -> Mapping[str, Plain]:
        """All that initial weights, and what criteria look at, depend on besides the seed."""

    def fingerprint(self) -> Mapping[str, Plain]:
        """All that the dense network's training depends on besides its ticket and the seed."""

    def about(self) -> Mapping[str, str]:
        """What a ticket's provenance says of the task."""

    def make_model(self) -> nn.Module:
        """The network; its weights are not yet those of any replicate."""

    def initial(self, streams: Streams, *purpose: str | int) -> nn.Module:
        """The network with weights drawn from the stream of this name."""

    def steps(self) -> Steps | None:
        """How long the dense network trains; None where that is not known before it has."""

    def units(self, prune: PruneConfig) -> Units | None:
        """What is removed as one; None for single weights."""

    def passes(self, mask: Mask, pruned: Mapping[str, Tensor] | None) -> bool:
        """Whether a signal can pass the masked network; True where nobody can tell."""

    def probe(
        self,
        prune: PruneConfig,
        level: int,
        mask: Mask,
        *,
        trained: State,
        streams: Streams,
        pruned: Mapping[str, Tensor] | None = None,
    ) -> Probe:
        """The network with the weights that decide, and batches for a criterion that looks."""

    def last_iteration(self, variant: TrainingVariant, mask: Mask) -> int | None:
        """The iteration that a training ends at; None where that is not known before."""

    def engine_name(self, variant: TrainingVariant) -> str:
        """What trains it so: an engine's name, or ``own``. It decides reuse, not identity."""

    def refusal(self, variant: TrainingVariant) -> str | None:
        """Why it cannot be trained so, in words; None when it can."""

    def group_size(self, variant: TrainingVariant) -> int:
        """How many jobs that are trained so may be given to one call of `train`; 1: one alone."""

    def train(
        self, works: Sequence[TrainingRequest], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        """Train each to its end; several are of one experiment, and trained the same way.

        Raises:
            Preempted: a monitor asked to stop; what is needed to go on has been kept.
        """
