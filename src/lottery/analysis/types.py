"""What a verdict is made of. All of it is plain numbers and words, ready for JSON.

Accuracies and densities are fractions in [0, 1]; iterations count from initialization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lottery.tickets import RewindMethod
from lottery.training import MaskUpdateMethod, PrunedValues

Answer = Literal["yes", "no", "unsure", "untested"]
"""``yes``/``no``: what was observed holds/fails and a test confirms it; ``unsure``: the test
confirms neither; ``untested``: there are too few replicates or no control to test with, or it is
the dense network itself."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over replicates."""

    mean: float
    low: float | None
    """Lower end of the t-interval; None with fewer than two replicates."""
    high: float | None
    values: Mapping[int, float]
    """Replicate -> value."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Paired differences, replicate by replicate, and one one-sided test on their mean."""

    difference: Estimate
    claim: str
    """What the test would establish, in words."""
    margin: float
    """What was added to the difference in favour of the claim."""
    p: float | None
    """One-sided p-value; None when it cannot be computed (fewer than two pairs)."""
    p_holm: float | None
    """The same after Holm's correction over the levels tested; for what a control does worse, over
    both ways of doing so."""
    p_opposite: float | None = None
    """One-sided p-value of the claim's opposite; None where ``p`` is."""
    p_opposite_holm: float | None = None
    """The same, corrected as ``p`` is."""
    holds: bool
    """Whether the mean difference, with the margin, is on the claim's side."""
    confirmed: bool
    """Whether the claim holds and ``p_holm`` is below 1 - confidence."""
    refuted: bool = False
    """Whether the claim does not hold and ``p_opposite_holm`` is below 1 - confidence."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """All replicates of one kind of branch at one level."""

    kind: str
    """``main``, or a kind of control."""
    n: int
    """Replicates that came to their end, and are averaged."""
    diverged: int
    collapsed: int
    accuracy_at_early_stop: Estimate | None
    accuracy_final: Estimate | None
    early_stop_iteration: Estimate | None
    accuracy_below_ticket: Comparison | None
    """For controls: ticket minus control (mean over the controls of a replicate), at early stop."""
    learns_later: Comparison | None
    """For controls: early-stop iteration of the control minus that of the ticket."""
    matching: Comparison | None = None
    """For controls: accuracy at early stop, control minus dense (the ticket's is the level's)."""
    no_later: Comparison | None = None
    """For controls: early-stop iteration, control minus dense (the ticket's is the level's)."""
    wins: bool | None = None
    """For controls: whether it is winning itself, on the means; None when nothing says."""
    p_winning_holm: float | None = None
    """For controls: the p-value of winning itself, after Holm's correction over the levels."""
    still_improving: int = 0
    """Jobs whose last evaluation had the lowest validation loss: more training might lower it."""


@dataclass(frozen=True, kw_only=True)
class LevelVerdict:
    """One level: the tickets, their controls, and how they compare to the dense network."""

    level: int
    density: float
    """Mean over replicates."""
    weights_kept: float
    groups: Mapping[str, Group]
    """Kind -> group; ``main`` are the tickets."""
    matching: Comparison | None
    """Accuracy at early stop, ticket minus dense, not below minus the margin."""
    no_later: Comparison | None
    """Early-stop iteration, ticket minus dense, less than one evaluation interval."""
    wins: bool = False
    """Whether the tickets are winning on the means, and none was lost or late."""
    is_matching: Answer
    is_winning: Answer
    p_winning_holm: float | None
    """The larger of the p-values of ``matching`` and ``no_later``, Holm-corrected."""
    p_not_winning_holm: float | None = None
    """Twice the smaller of their opposites' p-values, Holm-corrected."""
    p_hypothesis_holm: float | None = None
    """That the ticket wins and a new initialization does worse, Holm-corrected."""
    tickets_lost: int = 0
    """Replicates without a ticket here because theirs diverged or collapsed, here or before."""
    tickets_unsettled: int = 0
    """Replicates whose Early-Bird mask never settled."""
    tickets_late: int = 0
    """Those of them whose tickets train on from where the mask was drawn, and so were the dense
    network almost to the end."""
    start_iteration: float = 0.0
    """Where trainings of the tickets start, mean over replicates; above 0 where they are rewound to
    a later point than initialization, or go on from trained weights."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The hypothesis, tested on one run."""

    run: str
    name: str
    replicates: int
    complete: bool
    """Whether every planned job has ended."""
    jobs_done: int
    jobs_planned: int
    jobs_diverged: int
    jobs_collapsed: int
    margin: float
    confidence: float
    evaluation_interval: int
    levels: tuple[LevelVerdict, ...]
    smallest_winning_level: int | None
    """The smallest density whose tickets are winning as observed (on the means)."""
    smallest_confirmed_level: int | None
    """The smallest density whose tickets are winning as tested."""
    speedup: float | None
    """Dense early-stop iteration / that of the smallest winning ticket."""
    reinit_costs: float | None
    """Accuracy lost at the smallest winning ticket by reinitializing it."""
    initialization_matters: Answer
    """Whether reinitializing a winning ticket undoes it: ``yes`` where it is confirmed to do worse
    and does not win, ``no`` where it is confirmed to win as well."""
    hypothesis: Literal["supported", "observed", "not supported", "undecided"]
    """``supported``: tested; ``observed``: on the means; ``undecided``: something is missing."""
    paragraph: str
    """The verdict in plain words."""
    caveats: tuple[str, ...]
    dense_guessing: int = 0
    """Replicates whose dense network is no better than guessing: nothing is compared with them."""
    guessing_limit: float = 0.0
    """The test accuracy below which that is said; 0 when the number of classes is unknown."""
    mask_updates: MaskUpdateMethod = "none"
    """How masks changed while tickets trained."""
    rewind: RewindMethod = "weights"
    """What tickets went back to."""
    pruned_values: PrunedValues = "zero"
    """What pruned weights were held at."""
