"""The parts of a verdict: plain numbers and texts, ready for JSON.

Accuracies and densities are fractions in [0, 1]; iterations count from initialization. "Accuracy"
stands for the score that the networks are judged by, whatever its name. A difference of scores is
above 0 where the left one is better, also for scores of which less is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lottery.core import OutsideMask
from lottery.score import ACCURACY, Score
from lottery.store.jobs import MAIN
from lottery.tickets import RewindMethod
from lottery.training import MaskUpdateMethod, PrunedValues

Outcome = Literal["confirmed", "open", "against", "untested"]
"""``confirmed``: a test confirms the claim; ``against``: a test confirms its opposite; ``open``: it
was tested, and neither is confirmed; ``untested``: no test could be made."""

Headline = Literal["confirmed", "indicated", "open", "contradicted", "not tested"]
"""The verdict on the whole hypothesis in a word, see `lottery.analysis.procedure.decide`."""

Measure = Literal["accuracy", "accuracy_final", "early_stop", "time_to_dense"]
"""``accuracy``: test accuracy, or whatever score networks are judged by, at early stop, or at the
end where no curve was logged; ``accuracy_final``: the same at the end of training; ``early_stop``:
iteration of lowest validation loss; ``time_to_dense``: first iteration at which the smoothed
accuracy reaches the dense network's at early stop, less the margin."""

Bound = Literal["at least", "at most"]
"""Whether a value that is not exact is a lower bound (``at least``) or an upper one (``at
most``)."""

Picked = Literal["confirmed", "wins confirmed", "means", ""]
"""How the level that a verdict is about was picked. It is the sparsest level at which, in this
order: the whole hypothesis is confirmed; it is confirmed that the ticket wins; the ticket wins on
the means. Empty: there is no such level. Where tickets keep trained weights, *matches* stands for
*wins*."""

Scale = Literal["difference", "ratio"]
"""``difference``: left minus right; ``ratio``: left over right, its mean geometric."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over replicates, or a geometric mean where values are ratios."""

    mean: float
    low: float | None
    """Lower end of the confidence interval, never nearer to the mean than the resolution of the
    measurement; None with fewer than two replicates."""
    high: float | None
    """Upper end of it."""
    values: Mapping[int, float]
    """Replicate -> value."""
    bounds: Mapping[int, Bound] = field(default_factory=dict)
    """Replicates whose value is only a bound. An early stop at the last evaluation is a lower bound
    (training might have gone on to a later one); a ratio that has one in its denominator is an
    upper bound."""


@dataclass(frozen=True, kw_only=True)
class Test:
    """A claim, and what a one-sided test says of it."""

    claim: str
    """In words."""
    p: float | None
    """One-sided p-value before any correction; None where no test could be made."""
    p_adjusted: float | None
    """The p-value after the correction over all levels that the claim was tested at."""
    outcome: Outcome
    why: str = ""
    """Why it could not be tested, or not be confirmed whatever the numbers are; often empty."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """How many trainings have no result to compare; tests count each of them against the claim."""

    diverged: int = 0
    """Ended with a loss that is not finite."""
    collapsed: int = 0
    """Not trained, since the mask keeps no weight that a signal could pass."""
    guessing: int = 0
    """Trained to the end, and right no more often than by guessing."""
    dense: int = 0
    """Replicates whose dense network has no result, so that there is nothing to compare with."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.diverged + self.collapsed + self.guessing + self.dense


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The difference, or ratio, between two kinds of training in one measure."""

    left: str
    """A kind of training: ``main`` (tickets), or a kind of control; in comparisons, a run."""
    right: str
    """``dense``, ``main``, or in comparisons the first run."""
    measure: Measure
    scale: Scale
    paired: bool
    """By replicate; else two independent samples."""
    estimate: Estimate | None
    """None where no replicate has both."""
    n: int
    """Replicates, or pairs, that the estimate rests on."""
    missing: Missing
    resolution: float
    """The smallest difference (or relative difference) that can be measured."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """All replicates of one kind of training at one level."""

    kind: str
    """``main``, or a kind of control."""
    n: int
    """Replicates that the means are of: with a result, and with a dense network to compare with."""
    trainings: int
    """All trainings that ended, also without a result; several controls of one replicate count one
    by one."""
    missing: Missing
    accuracy: Estimate | None
    accuracy_final: Estimate | None
    early_stop: Estimate | None
    at_end: int
    """Trainings whose early stop is the last evaluation, and so a lower bound."""
    against_dense: Mapping[Measure, Contrast]
    """Accuracy as a difference, the two times as ratios (below 1 is sooner); empty for dense."""
    against_ticket: Mapping[Measure, Contrast]
    """For controls: ticket minus control in accuracy, control over ticket in times."""
    tests: Mapping[str, Test]
    """For tickets: ``matches``, ``no_later``, ``wins`` (both), ``sooner_to_dense`` (by time to the
    dense network's accuracy), ``hypothesis`` (wins, and reinitialized copies fail). For controls:
    ``fails`` (``worse``: does not match, or ``later``), ``wins``. Empty for dense."""


@dataclass(frozen=True, kw_only=True)
class LevelVerdict:
    """One level: the tickets, their controls, and how they compare to the dense network."""

    level: int
    density: float
    """Mean over replicates."""
    weights_kept: float
    groups: Mapping[str, Group]
    """Kind -> group; ``main`` are the tickets."""
    wins_on_means: bool
    """Whether the tickets win by the plain means, without any test; no, where one is lost or
    late."""
    matches_on_means: bool
    """Whether they match by the plain means."""
    tickets_lost: int = 0
    """Replicates without a ticket because theirs diverged or collapsed, here or before."""
    tickets_unsettled: int = 0
    """Replicates whose Early-Bird mask never settled."""
    tickets_late: int = 0
    """Those of them whose tickets train on from the iteration at which the mask was drawn."""
    start_iteration: float = 0.0
    """Where trainings of the tickets start, mean over replicates."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One of the three questions, answered for the level the verdict speaks of."""

    question: str
    """``Does it match?``, ``Is it sooner?``, ``Does it need its initialization?``"""
    outcome: Outcome
    value: str
    """The estimate as text: ``+0.50 points``, ``0.65 times``, or ``-`` where there is none."""
    interval: str
    """``95% interval +0.36 to +0.63``, or why there is none."""
    note: str
    """What was compared, n, and what is missing."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The hypothesis, tested on one run."""

    run: str
    name: str
    replicates: int
    complete: bool
    """Whether every planned job has ended, or can never run."""
    jobs_done: int
    jobs_planned: int
    jobs_diverged: int
    jobs_collapsed: int
    margin: float | None
    """How much worse a score may be and still match; None: nothing is tested."""
    margin_wide: bool
    """Whether the margin is more than a fifth of the dense network's error."""
    confidence: float
    evaluation_interval: int
    last_evaluation: int
    test_examples: int | None
    test_error: float | None
    """Sampling error of one accuracy on so many test examples: half a 95% interval, a fraction."""
    levels: tuple[LevelVerdict, ...]
    headline: Headline
    why: str
    """What is missing or speaks against it, in words; empty where nothing does."""
    level: int | None
    """The level that the verdict speaks of: the smallest confirmed, else picked on the means."""
    level_picked: Picked
    confirmed_levels: tuple[int, ...]
    """Levels at which the whole sentence is confirmed."""
    answers: tuple[Answer, ...]
    """Does it match, is it sooner, does it need its initialization: what cards show."""
    paragraph: str
    caveats: tuple[str, ...]
    dense_missing: Missing
    score: Score = ACCURACY
    """What networks are judged by: what everything here that is called accuracy is."""
    timed: bool = True
    """Whether the dense networks have early stops; else what is called so is at the end."""
    stops_by_loss: bool = True
    """Whether an early stop is where the validation loss is lowest; else where the validation score
    is best."""
    earlier_looks: tuple[int, ...] = ()
    """Numbers of replicates at which the run was judged before it grew."""
    test_confidence: float = 0.95
    """The confidence of tests: ``confidence``, corrected for the earlier looks."""
    dense_kind: str = MAIN
    """The kind of the branch whose level 0 counts as the dense network."""
    guessing_limit: float = 0.0
    """The test accuracy below which a training is taken to guess; 0 when unknown."""
    mask_updates: MaskUpdateMethod = "none"
    rewind: RewindMethod = "weights"
    pruned_values: PrunedValues = "zero"
    weights_covered: int = 0
    """Weights of the network that masks cover; densities are shares of them."""
    outside_mask: tuple[OutsideMask, ...] = ()
    """The network's matrices that no mask covers, which are never pruned."""
