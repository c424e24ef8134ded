"""The decision procedure: which claims the tests confirm, at which levels.

All comparisons are paired by replicate. Tickets and their reinitialized copies are both compared
with the dense network, never with each other, so that a copy which wins as well cannot be mistaken
for one that fails. Arrays have levels and replicates as their last two axes; any axes before them
are independent runs, so that thousands of simulated runs are decided at once. Nan marks a training
without a result (it diverged, collapsed or guesses); each test counts it against its claim.

- A ticket *matches* where the mean of accuracy - dense accuracy + margin lies above 0.
- It is *no later* where the mean of log((dense stop + one evaluation) / its stop) lies above 0.
- It *wins* where both hold: the larger of the two p-values (an intersection-union test, Berger
  1982, Technometrics 24).
- A copy *fails* where it does not match, or is later: Simes' test of the two (1986, Biometrika 73).

Some claims cannot be confirmed, whatever their p-value is (`Claim.reasons`). An early stop at the
last evaluation is only a lower bound, so that nobody knows who is sooner. Most replicates must
agree in direction, and so must the plain means, which differ from the means of logarithms. And
where one side scatters many times as much as the other, a handful of replicates cannot show the
rare large values that decide.

Over levels, wins are corrected by Hommel's method (1988, Biometrika 75). That copies fail is tested
from the sparsest level on, at 0.2 alpha, up to the first level where it is not confirmed. The
hypothesis is confirmed at a level where both are. Simulations show that the chance of confirming it
falsely anywhere stays below alpha: docs/verdict.md has the rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lottery.analysis.level_tests import Array, Flags, hommel, one_sided, sign_flips

FEWEST: Final = 3
"""Replicates below which nothing is confirmed."""
_FLIPS_FROM: Final = 6
_SKEWED: Final = 4.0
COPIES_SHARE: Final = 0.2
_WEAK: Final = 4.0

LOST: Final = "lost"
AT_END: Final = "at the end"
NOT_MOST: Final = "not in most"
MEANS: Final = "means"
SKEWED: Final = "skewed"
FEW: Final = "few"
UNTESTED: Final = frozenset({AT_END, SKEWED, FEW})
"""Reasons for which a claim counts as untested; with any other it was tested and not confirmed."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the tests need to know besides the results."""

    margin: float
    """How much lower an accuracy may be and still match, a fraction."""
    grid: float
    """Iterations between two evaluations."""
    end: float
    """Iteration of the last evaluation, at which early stops are lower bounds; infinity: none
    are."""
    step: float
    """The step between two possible accuracies, 1 / test examples; 0 when unknown."""
    confidence: float = 0.95
    """Of the tests, in (0, 1)."""

    @property
    def alpha(self) -> float:
        """The chance of a false confirmation that is allowed."""
        return 1 - self.confidence


@dataclass(frozen=True, kw_only=True)
class Samples:
    """One measure of a run, float64. Several copies of one ticket are averaged before."""

    dense: Array
    """(..., replicates), finite: replicates without a dense network to compare with are left
    out."""
    tickets: Array
    """(..., levels, replicates), nan for a training without a result."""
    copies: Array | None
    """The same for the reinitialized copies; None without such a control."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim, tested at every level; all arrays are (..., levels)."""

    p: Array
    """One-sided p-value of a t-test; 1 where the claim cannot be confirmed."""
    flips: Array
    """p-value of the sign-flip test, which must be below alpha as well; 0 with fewer than 6
    replicates, where it is not made."""
    reasons: Mapping[str, Flags] = field(default_factory=dict)
    """Reason -> at which levels it keeps the claim from being confirmed, whatever the p-value
    is."""

    @property
    def untested(self) -> Flags:
        """Where nothing could be tested, for a reason in `UNTESTED`."""
        found = [flags for reason, flags in self.reasons.items() if reason in UNTESTED]
        return reduce(np.logical_or, found, np.zeros(self.p.shape, bool))


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Every claim of a run; all arrays are (..., levels), but for ``headline``."""

    claims: Mapping[str, Claim]
    """``matches``, ``no_later``, ``wins``, ``fails`` (the copies: ``copies_worse`` or
    ``copies_later``) and ``hypothesis`` (wins, and the copies fail); their opposites ``worse``,
    ``later``, ``loses``, ``copies_win`` and ``refuted``. What speaks of copies is missing where
    there are none."""
    adjusted: Mapping[str, Array]
    """Claim -> p after the correction over levels: Hommel's, and for ``fails`` the largest p from
    the sparsest level to this one."""
    confirmed: Mapping[str, Flags]
    headline: NDArray[np.str_]
    """One word a run, see `lottery.analysis.types.Headline`."""

    def against(self, claim: str) -> Flags:
        """Where the opposite of a claim is confirmed."""
        return self.confirmed[OPPOSITES[claim]]


OPPOSITES: Final[Mapping[str, str]] = {
    "matches": "worse",
    "no_later": "later",
    "wins": "loses",
    "fails": "copies_win",
    "hypothesis": "refuted",
}


def decide(accuracy: Samples, stop: Samples, settings: Settings) -> Decision:
    """Test every claim at every level, and give the whole run a headline.

    Args:
        accuracy: test accuracies, or other scores of which more is better.
        stop: iterations of lowest validation loss.
        settings: margin, grids, end and confidence.

    The headline is *confirmed* where a level has confirmed wins and confirmed failure of the
    copies; *contradicted* where at every level a test says, at alpha, that the ticket does not
    match, is later, or its copies win as well; *indicated* where the smallest corrected p of the
    whole claim is below 4 alpha; *not tested* with one replicate or without copies; else *open*.
    """
    few = accuracy.dense.shape[-1] < FEWEST
    claims = _claims(accuracy, stop, settings)
    adjusted = {name: hommel(claim.p) for name, claim in claims.items()}
    confirmed = {
        name: (adjusted[name] < settings.alpha) & (claim.flips < settings.alpha) & (not few)
        for name, claim in claims.items()
    }
    if accuracy.copies is not None:
        lost = np.isnan(accuracy.copies).mean(-1) > 0.5
        adjusted["fails"], confirmed["fails"] = _from_sparsest(claims["fails"], lost, settings)
        confirmed["fails"] &= not few
        confirmed["hypothesis"] = confirmed["wins"] & confirmed["fails"]
    decision = Decision(
        claims=claims, adjusted=adjusted, confirmed=confirmed, headline=np.array("not tested")
    )
    return replace(decision, headline=_headline(decision, few, settings, accuracy.dense))


def _claims(accuracy: Samples, stop: Samples, settings: Settings) -> dict[str, Claim]:
    matches = _matches(accuracy.tickets, accuracy.dense, settings)
    no_later = sooner(stop.tickets, stop.dense, settings, slack=settings.grid)
    worse = _worse(accuracy.tickets, accuracy.dense, settings)
    later = _later(stop.tickets, stop.dense, settings)
    claims = {
        "matches": matches,
        "no_later": no_later,
        "wins": both(matches, no_later),
        "worse": worse,
        "later": later,
        "loses": either(worse, later),
    }
    if accuracy.copies is not None and stop.copies is not None:
        copies_worse = _worse(accuracy.copies, accuracy.dense, settings)
        copies_later = _later(stop.copies, stop.dense, settings)
        fails = either(copies_worse, copies_later)
        copies_win = both(
            _matches(accuracy.copies, accuracy.dense, settings),
            sooner(stop.copies, stop.dense, settings, slack=settings.grid),
        )
        claims |= {
            "copies_worse": copies_worse,
            "copies_later": copies_later,
            "fails": fails,
            "copies_win": copies_win,
            "hypothesis": both(matches, no_later, fails),
            "refuted": either(worse, later, copies_win),
        }
    return claims


def _headline(decision: Decision, few: bool, settings: Settings, dense: Array) -> NDArray[np.str_]:
    runs, replicates = dense.shape[:-1], dense.shape[-1]
    levels = decision.claims["matches"].p.shape[-1]
    if replicates < 2 or not levels or "hypothesis" not in decision.claims:
        return np.full(runs, "not tested")
    if few:
        return np.full(runs, "open")
    refuted = decision.claims["refuted"]
    everywhere = ((refuted.p < settings.alpha) & (refuted.flips < settings.alpha)).all(-1)
    weak = (decision.adjusted["hypothesis"] < _WEAK * settings.alpha).any(-1)
    return np.select(
        [decision.confirmed["hypothesis"].any(-1), everywhere, weak],
        ["confirmed", "contradicted", "indicated"],
        "open",
    )


def _matches(accuracy: Array, dense: Array, settings: Settings) -> Claim:
    """Not lower by more than the margin; a level that lost a training cannot be confirmed."""
    lost = np.isnan(accuracy)
    y = np.where(lost, 0, accuracy - dense[..., None, :] + settings.margin)
    whole = np.logical_not(lost.any(-1))
    return _tested(y, settings.step, {LOST: ~whole}, used=whole)


def _worse(accuracy: Array, dense: Array, settings: Settings) -> Claim:
    """Lower by more than the margin; what is lost counts as exactly at it."""
    y = dense[..., None, :] - accuracy - settings.margin
    return _tested(np.where(np.isnan(y), 0, y), settings.step, {})


def sooner(time: Array, dense: Array, settings: Settings, *, slack: float) -> Claim:
    """The claim that a time is, in the geometric mean, below the dense network's plus ``slack``.

    Args:
        time: iterations (..., levels, replicates), nan without a result; a value of
            ``settings.end`` or more, infinity included, is a lower bound.
        dense: iterations (..., replicates).
        settings: ``grid`` is the resolution of times.
        slack: iterations by which it may be later and still pass, 0 or more.
    """
    lost, dense = np.isnan(time), dense[..., None, :]
    step = settings.grid / dense.mean(-1)
    cut = (time >= settings.end).any(-1)
    known = np.logical_not(cut | lost.any(-1))
    x = np.where(np.isfinite(time), time, np.broadcast_to(dense, time.shape))
    reasons = {
        LOST: lost.any(-1),
        AT_END: cut,
        NOT_MOST: (x < dense).sum(-1) <= dense.shape[-1] / 2,
        MEANS: x.mean(-1) >= dense.mean(-1) + slack,
        SKEWED: known & (_scatter(x, step) > _SKEWED * _scatter(dense, step)),
    }
    return _tested(np.log((dense + slack) / x), step, reasons, used=known)


def _later(stop: Array, dense: Array, settings: Settings) -> Claim:
    """The typical ratio of stops is above ``1 + grid / dense``; what is lost counts as just there.

    A stop at the end counts as the end, which can only be too early. Copies are averages of several
    trainings, and so calmer than the dense network: twice the difference in scatter is let pass.
    """
    grid, dense = settings.grid, dense[..., None, :]
    x = np.where(np.isnan(stop), dense + grid, stop)
    step = grid / dense.mean(-1)
    reasons = {
        AT_END: np.broadcast_to((dense >= settings.end).any(-1), x.shape[:-1]),
        NOT_MOST: (x > dense + grid).sum(-1) <= dense.shape[-1] / 2,
        MEANS: x.mean(-1) <= dense.mean(-1) + grid,
        SKEWED: _scatter(dense, step) > 2 * _SKEWED * _scatter(x, step),
    }
    return _tested(np.log(x / (dense + grid)), step, reasons)


def both(*claims: Claim) -> Claim:
    """The claim that all of them are true: the largest p-values (Berger 1982, Technometrics 24)."""
    return Claim(
        p=np.max([claim.p for claim in claims], 0),
        flips=np.max([claim.flips for claim in claims], 0),
        reasons=_merged(claims, np.logical_or),
    )


def either(*claims: Claim) -> Claim:
    """The claim that at least one is true: Simes' p-value (1986), and the smallest sign-flip p."""
    p = np.sort([claim.p for claim in claims], 0)
    ranks = np.arange(1, len(claims) + 1).reshape(-1, *[1] * (p.ndim - 1))
    return Claim(
        p=(len(claims) * p / ranks).min(0),
        flips=np.min([claim.flips for claim in claims], 0),
        reasons=_merged(claims, np.logical_and),
    )


def _from_sparsest(claim: Claim, lost: Flags, settings: Settings) -> tuple[Array, Flags]:
    """A fixed sequence from the last level to the first: adjusted p, and where it is confirmed.

    It stops at the first level that is not confirmed, but passes by one that lost most of its
    trainings, since that decides nothing. One level needs no sequence and has all of alpha.
    """
    levels = claim.p.shape[-1]
    limit = settings.alpha if levels == 1 else COPIES_SHARE * settings.alpha
    passes = (claim.p < limit) & (claim.flips < settings.alpha)
    backwards = np.logical_and.accumulate((passes | lost)[..., ::-1], -1)[..., ::-1]
    counted = np.where(lost, 0, claim.p)
    adjusted = np.maximum.accumulate(counted[..., ::-1], -1)[..., ::-1]
    return np.maximum(adjusted, claim.p), passes & backwards


def _tested(y: Array, step: Any, reasons: Mapping[str, Flags], used: Flags | None = None) -> Claim:
    """That the mean of each level lies above 0."""
    replicates = y.shape[-1]
    if replicates < FEWEST:
        reasons = {**reasons, FEW: np.ones(y.shape[:-1], bool)}
    if replicates < 2:
        return Claim(p=np.ones(y.shape[:-1]), flips=np.ones(y.shape[:-1]), reasons=reasons)
    used = np.ones(y.shape[:-1], bool) if used is None else used
    flips = sign_flips(y) if replicates >= _FLIPS_FROM else np.zeros(y.shape[:-1])
    barred = [flags for reason, flags in reasons.items() if reason != FEW]
    possible = ~reduce(np.logical_or, barred, np.zeros(y.shape[:-1], bool))
    p = np.where(possible, one_sided(y, step, used), 1.0)
    return Claim(p=p, flips=np.where(possible, flips, 1.0), reasons=reasons)


def _scatter(x: Array, step: Array) -> Array:
    """Standard deviation of logarithms, never below what a grid of this relative step hides."""
    if x.shape[-1] < 2:
        return np.broadcast_to(step / np.sqrt(12), x.shape[:-1])
    found: Array = np.maximum(np.log(x).std(-1, ddof=1), step / np.sqrt(12))
    return found


def _merged(claims: tuple[Claim, ...], how: Any) -> dict[str, Flags]:
    """Reasons of several claims: of any for claims that must all hold, of all for one of them."""
    none = np.zeros(claims[0].p.shape, bool)
    names = dict.fromkeys(reason for claim in claims for reason in claim.reasons)
    return {name: reduce(how, [c.reasons.get(name, none) for c in claims]) for name in names}
