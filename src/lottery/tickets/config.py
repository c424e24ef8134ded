"""What is pruned, and when an Early-Bird mask has settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from lottery.core import (
    CRITERIA,
    CriterionEntry,
    Reduce,
    RoundSchedule,
    Schedule,
    Scope,
    check_criterion,
    granularity_problems,
    n_of_m,
)
from lottery.training import Length, take_lengths

RewindMethod = Literal["weights", "learning-rate", "fine-tune", "drawn"]
"""What surviving weights are rewound to; see `lottery.methods`."""

KEEPS_TRAINED: Final[frozenset[RewindMethod]] = frozenset({"learning-rate", "fine-tune"})
"""The methods that keep the trained weights of survivors: no subnetwork is trained again from the
initialization or from an early iteration."""


@dataclass(frozen=True, kw_only=True)
class EarlyBirdConfig:
    """When an Early-Bird mask counts as settled, so that a ticket is drawn from it."""

    every: Length = field(default_factory=lambda: Length(amount=1, unit="epochs"))
    """How often a mask is made, 1 or more."""
    window: int = 5
    """How many masks are compared: the newest with those before it, 2 or more in all."""
    distance: float = 0.1
    """Share of the prunable weights on which the newest may disagree with each, in [0, 1]."""
    stop: bool = False
    """Whether the dense training ends where every level's mask has settled, which is what makes
    finding tickets so cheap. Then nothing in the run says how good the dense network would be, so
    that there is no verdict; compare the tickets with those of other runs."""

    def __post_init__(self) -> None:
        take_lengths(self, "every")

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        if self.every.amount < 1:
            found.append("every.amount: must be 1 or more")
        if not 2 <= self.window <= 1000:
            found.append(f"window: must be between 2 and 1000, got {self.window}")
        if not 0 <= self.distance <= 1:
            found.append(f"distance: must be between 0 and 1, got {self.distance}")
        return found


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """Settings of pruning: criterion, granularity, scope, schedule, and what belongs to them."""

    criterion: str = "magnitude"
    """What makes a weight superfluous: a name that ``lottery list criteria`` shows, or
    ``package.module:name`` of your own, whose code then runs."""
    granularity: str = "weight"
    """What is removed as one unit: ``weight``, ``kernel``, ``filter``, ``channel`` (with all that
    is coupled to it), ``neuron``, ``block-RxC``, ``N:M`` such as ``2:4``, ``layer`` or
    ``residual-block``. Fractions and densities are then shares of units."""
    reduce: Reduce = "sum"
    """How a unit's score is made from those of its weights: their ``sum`` or ``mean``. It has no
    effect if a criterion scores outputs of layers: then the mean is taken, for a channel over the
    outputs that it consists of."""
    scope: Scope = "layer"
    """Where weights compete: within their ``layer``, which loses its own fraction, or in the whole
    network (``global``; ``lamp`` after rescaling scores within each layer). ``uniform`` and ``erk``
    set each layer's density: the same for all, or higher for small layers."""
    schedule: Schedule = "geometric"
    """``geometric``: from the level before, the same fraction at every level; ``one-shot``: from
    the dense network, in one go to the same densities or to those listed; ``linear``: from the
    level before, the same number of weights at every level; ``listed``: from the level before, to
    the densities listed."""
    fraction: float = 0.2
    """Share of the surviving weights removed per level, above 0 and below 1; it has no effect if
    the schedule sets densities."""
    fractions: Mapping[str, float] = field(default_factory=dict)
    """Exceptions: parameter name pattern -> fraction in [0, 1). 0 exempts a layer; with coupled
    channels it exempts those that the layer writes, not those that it reads. A channel that several
    layers write, and a residual block, has the fraction of the first of these layers that is
    exempt, or else of the first that is named. If scope or schedule set the densities, 0 is the
    only exception."""
    also: tuple[str, ...] = ()
    """Patterns of parameter names that masks cover in addition, such as ``embedding.*``:
    embeddings, and matrices in layers of unknown kinds."""
    leave_out: tuple[str, ...] = ()
    """Patterns of parameter names that masks do not cover: such weights are never pruned, and do
    not count in any density. To exempt a layer but count it, give it a fraction of 0."""
    final_density: float = 0.0
    """With the linear schedule, the density of the last level, above 0 and below 1; else 0."""
    densities: tuple[float, ...] = ()
    """With the listed schedule, and optionally with one-shot: the density of every level from 1,
    each below the one before. There are as many levels as densities."""
    examples: int = 1_000
    """Number of training examples for a criterion that evaluates the network on examples, 1 or
    more; drawn anew at every level, or with one-shot the same at all levels. ``controls.aligned``
    uses as many."""
    batch_size: int = 100
    """Largest number of these examples in one batch, 1 or more; with ``grasp``, batch norm uses the
    statistics of such a batch."""
    batch_statistics: bool = False
    """With ``snip``, whether batch norm uses the statistics of such a batch too. By default it uses
    its running statistics, before training mean 0 and variance 1, as in the authors' code
    (arXiv:1810.02340)."""
    rounds: int = 1
    """Number of rounds in which a level is pruned, 1 or more; each round scores the weights that
    are left. With one-shot, the rounds of every level begin at the dense network."""
    round_schedule: RoundSchedule = "exponential"
    """How the number of kept weights falls over the rounds: by the same factor (``exponential``),
    or by the same number (``linear``)."""
    regrow: bool = False
    """Whether weights pruned in an earlier round of the level may come back in a later one (FORCE,
    arXiv:2006.09081)."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        unknown = check_criterion(self.criterion)
        if unknown:
            found.append(f"criterion: {unknown}")
        if not 0 < self.fraction < 1:
            found.append(f"fraction: must lie between 0 and 1, got {self.fraction}")
        found += granularity_problems(self.granularity, self.scope, self.schedule, self.fractions)
        found += [
            f"fractions.'{pattern}': must be at least 0 and below 1, got {fraction}"
            for pattern, fraction in self.fractions.items()
            if not 0 <= fraction < 1
        ]
        return found + _round_problems(self) + _density_problems(self) + _combination_problems(self)

    @property
    def says_densities(self) -> bool:
        """Whether the schedule sets the density of every level, rather than a fraction."""
        return self.schedule in ("linear", "listed") or bool(self.densities)


def _round_problems(prune: PruneConfig) -> list[str]:
    """What is wrong with the rounds, and with what is looked at in them."""
    found = [
        f"{name}: must be 1 or more, got {value}"
        for name, value in (("examples", prune.examples), ("batch_size", prune.batch_size))
        if value < 1
    ]
    if not 1 <= prune.rounds <= 1000:
        found.append(f"rounds: must be between 1 and 1000, got {prune.rounds}")
    if prune.regrow and prune.rounds == 1:
        found.append("regrow: weights come back between rounds; needs rounds = 2 or more")
    if prune.rounds > 1 and n_of_m(prune.granularity):
        found.append(f"rounds: granularity {prune.granularity} is reached in one round")
    if prune.regrow and prune.scope == "lamp":
        found.append("regrow: scope 'lamp' rescales the scores of survivors alone; use 'global'")
    return found


def _density_problems(prune: PruneConfig) -> list[str]:
    """What is wrong with the densities that a schedule says."""
    found = []
    linear = prune.schedule == "linear"
    if linear and not 0 < prune.final_density < 1:
        found.append(
            "final_density: the linear schedule needs one above 0 and below 1, "
            f"got {prune.final_density}"
        )
    if not linear and prune.final_density:
        found.append(
            f"final_density: the {prune.schedule} schedule has none; use schedule = 'linear'"
        )
    if prune.schedule == "listed" and not prune.densities:
        found.append("densities: the listed schedule needs at least one")
    if prune.schedule in ("geometric", "linear") and prune.densities:
        found.append(
            f"densities: the {prune.schedule} schedule makes its own; use schedule = 'listed', or "
            "'one-shot' to prune the dense network to each"
        )
    falling = all(after < before for before, after in pairwise((1.0, *prune.densities)))
    if prune.densities and not (falling and prune.densities[-1] > 0):
        found.append(
            "densities: each must lie between 0 and the one before it, the first below 1; got "
            f"{', '.join(map(str, prune.densities))}"
        )
    return found


def criterion_problems(prune: PruneConfig, criterion: CriterionEntry) -> list[str]:
    """The settings that cannot be combined with the criterion, one sentence each."""
    found = []
    if prune.scope == "lamp" and not criterion.rescalable:
        found.append(
            "scope: 'lamp' squares scores, so they must be finite and 0 or more, and those of the "
            f"criterion '{prune.criterion}' need not be; use 'global', or another criterion such "
            "as 'magnitude'"
        )
    if criterion.per_unit and _cuts_outputs(prune.granularity):
        found.append(
            f"granularity: the criterion '{prune.criterion}' gives all weights of an output the "
            "same score, so which of them go would be their order alone; use 'filter', 'neuron' "
            f"or 'channel', got '{prune.granularity}'"
        )
    if prune.batch_statistics and prune.criterion in CRITERIA.keys() - {"snip"}:
        found.append(
            "batch_statistics: this is for the criterion 'snip'; the mode of "
            f"'{prune.criterion}' is given, so use false"
        )
    if prune.regrow and not criterion.scores_pruned:
        found.append(
            f"regrow: the criterion '{prune.criterion}' scores survivors alone, so nothing says "
            "which pruned weights are to come back; use false, or another criterion such as 'snip'"
        )
    return found


def _cuts_outputs(granularity: str) -> bool:
    """Whether units are parts of a layer's outputs."""
    parts = granularity in ("weight", "kernel") or granularity.startswith("block-")
    return parts or n_of_m(granularity) is not None


def _combination_problems(prune: PruneConfig) -> list[str]:
    """Criterion, scope, schedule and exceptions that contradict one another."""
    # To know anything about a criterion from elsewhere, its code would have to be imported.
    known = CRITERIA.get(prune.criterion)
    found = criterion_problems(prune, known) if known else []
    if prune.scope == "layer" and prune.says_densities:
        found.append(
            f"scope: within a 'layer' each layer loses a fraction of its own, but the "
            f"{prune.schedule} schedule says densities; use 'uniform' for that density in every "
            "layer, or 'global', 'lamp' or 'erk'"
        )
    why = ""
    if prune.scope in ("uniform", "erk"):
        why = f"scope '{prune.scope}' says how dense each layer is"
    elif prune.scope != "layer" and prune.says_densities:
        why = f"the {prune.schedule} schedule says how dense the network is"
    found += [
        f"fractions.'{pattern}': {why}, so a layer can only be exempt (0), got {fraction}"
        for pattern, fraction in prune.fractions.items()
        if why and fraction
    ]
    return found
