"""The interface between the runner and a task: what it asks for, and what it is given."""

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
    Observer,
    State,
    TrainingResult,
)

Plain = Any
"""Plain JSON: None, bool, int, float, str, and lists and string-keyed mappings of these."""


@dataclass(frozen=True, kw_only=True)
class GradualTarget:
    """The density that gradual pruning ends at: that of a level, when pruned level by level.

    Args:
        prune: scope, schedule and fractions.
        level: 1 or more.
        levels: how many levels there are; used by the linear schedule alone.
    """

    prune: PruneConfig
    level: int
    levels: int


@dataclass(frozen=True, kw_only=True)
class TrainingVariant:
    """How a training differs from the dense network's; part of the job's identity.

    Args:
        fine_tune: fine-tuning after the end of training, for this long, at the last learning rate.
        same_multiplications: trains longer, until it has made as many multiplications as the dense
            training, but at most twice as long.
        updates: how the mask changes during training.
        gradual: with gradual pruning, the density it ends at.
        mask_learning: trains the mask instead of the weights.
        reordered: the iteration from which the examples come in another order.
        until_drawn: training ends as soon as the Early-Bird mask of every level has settled.
    """

    fine_tune: Length | None = None
    same_multiplications: bool = False
    updates: MaskUpdatesConfig = field(default_factory=MaskUpdatesConfig)
    gradual: GradualTarget | None = None
    mask_learning: MaskLearning | None = None
    reordered: int | None = None
    until_drawn: bool = False

    @property
    def is_standard(self) -> bool:
        """Whether there is no difference: a fixed mask, trained like the dense network."""
        return self == TrainingVariant()


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """One training that a task is asked to do.

    Args:
        ticket: what is trained.
        variant: how its training differs from the dense network's.
        streams: the replicate's random streams, from which data order and dropout are drawn.
        snapshots_at: iterations whose state is to be kept.
        watch: what to note during training, such as Early-Bird masks; None: nothing.
        measured: called with the points of every evaluation, as it happens.
    """

    ticket: Ticket
    variant: TrainingVariant
    streams: Streams
    snapshots_at: tuple[int, ...] = ()
    observer: Observer | None = None
    on_evaluation: Callable[[Sequence[CurvePoint]], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The length of the dense network's training, in iterations: of the whole, and of one epoch."""

    total: int
    per_epoch: int


class Task(Protocol):
    """Something to train, and a score that says how well it went."""

    score: Score

    exclusive: bool
    """Whether a training draws from the global random generators. Then a process runs one training
    at a time, and never in threads."""

    def origin(self) -> Mapping[str, Plain]:
        """All that the initial weights and a criterion's batches depend on besides the seed.

        Plain JSON; part of the identity of every job.
        """

    def fingerprint(self) -> Mapping[str, Plain]:
        """All that the dense network's training depends on besides its ticket and the seed.

        Plain JSON; part of the identity of every training.
        """

    def about(self) -> Mapping[str, str]:
        """Fields on the task for a ticket's provenance, such as the model's name."""

    def make_model(self) -> nn.Module:
        """A new network; its weights are not yet those of any replicate."""

    def initial(self, streams: Streams, *purpose: str | int) -> nn.Module:
        """A new network whose weights are drawn from the random stream of this name.

        Args:
            streams: the replicate's.
            purpose: the stream's name: ``"init"`` for the replicate's own initialization, a
                control's branch and level for another.
        """

    def steps(self) -> Steps | None:
        """How long the dense network trains; None if only the training itself will tell."""

    def units(self, prune: PruneConfig) -> Units | None:
        """The groups of weights that are removed together; None for single weights."""

    def passes(self, mask: Mask, pruned: Mapping[str, Tensor] | None) -> bool:
        """Whether a path of kept weights leads from the input to an output; True where unknown."""

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
        """The network and the batches for a criterion that evaluates the network.

        Args:
            prune: how many examples, and in batches of what size.
            level: the level to make, 1 or more.
            mask: the mask that is to be pruned.
            trained: the weights to score.
            streams: the replicate's.
            pruned: the values that pruned weights are held at; None: zero.
        """

    def last_iteration(self, variant: TrainingVariant, mask: Mask) -> int | None:
        """The iteration that a training ends at; None if only the training itself will tell."""

    def engine_name(self, variant: TrainingVariant) -> str:
        """The name of the engine that trains this variant; ``own`` for own code.

        It is no part of a job's identity, but jobs are reused only between equal engines.
        """

    def refusal(self, variant: TrainingVariant) -> str | None:
        """Why this variant cannot be trained, in words; None if it can."""

    def group_size(self, variant: TrainingVariant) -> int:
        """How many jobs of this variant one call of `train` may be given, 1 or more."""

    def train(
        self, requests: Sequence[TrainingRequest], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        """Train each to its end; several belong to one experiment and have the same variant.

        Args:
            requests: at most `group_size` of them.
            monitors: one for each; keeps checkpoints and asks to stop.

        Raises:
            Preempted: a monitor asked to stop; the checkpoints needed to go on have been written.
        """
