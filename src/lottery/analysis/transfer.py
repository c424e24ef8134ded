"""Whether tickets serve another task than the one they were found on: one verdict.

Tickets are compared, replicate by replicate, in the accuracy that runs are judged by: with the
dense network there (no worse by more than the margin), with their masks on new initial weights and
with their masks shuffled (better), and with tickets that were found there (no worse by more than
the margin). The headline is of the first three together: each has to pass at the level of the
whole, which then needs no correction (an intersection-union test: Berger 1982, Technometrics 24).
Which trainings count is as in a run's verdict (`lottery.analysis.measured`); without a dense
network there that learned something, nothing is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from textwrap import fill
from typing import Final, Literal

from lottery.analysis.evidence import evidence_of
from lottery.analysis.formatting import missing_words
from lottery.analysis.measured import Measured
from lottery.analysis.procedure import FEWEST
from lottery.analysis.statistics import paired_difference
from lottery.analysis.text import WIDTH
from lottery.analysis.types import Missing, Outcome
from lottery.experiments import Run
from lottery.methods import Given
from lottery.store import MAIN, JobKey

Against = Literal["dense", "reinit", "random-mask", "found there", "where found"]
"""What transferred tickets are compared with: the dense network there, their masks with new initial
weights or shuffled, tickets found there, or their own lead on the dense network where they were
found."""

_CLAIMS: Final[Mapping[Against, str]] = {
    "dense": "they are as good as the dense network there",
    "reinit": "they are better than their masks with new initial weights",
    "random-mask": "they are better than with their masks shuffled within each layer",
    "found there": "they are as good as tickets found there",
    "where found": "their lead on the dense network is smaller than where they were found",
}
_HEADLINE: Final[tuple[Against, ...]] = ("dense", "reinit", "random-mask")


@dataclass(frozen=True, kw_only=True)
class TransferComparison:
    """Transferred tickets against one thing, in accuracy (fractions; above 0 is better)."""

    against: Against
    claim: str
    """In words."""
    outcome: Outcome
    n: int
    """Replicates that have both."""
    missing: int
    """Replicates that lack one of the two: diverged, collapsed, guessing, or not run."""
    mean: float | None
    low: float | None
    """Of the two-sided t-interval."""
    high: float | None
    p: float | None
    """One-sided, of the claim."""


@dataclass(frozen=True, kw_only=True)
class TransferVerdict:
    """Whether tickets serve another task."""

    headline: Outcome
    source: str
    """What the tickets are, in words."""
    target: str
    """What they are trained on, in words."""
    density: float | None
    """Mean over the transferred tickets."""
    density_found: float | None
    """Of the tickets found there."""
    replicates: int
    tickets: int
    """Different ones among the replicates."""
    dense_missing: Missing
    """Dense networks there that have no result, or do no better than guessing."""
    margin: float
    confidence: float
    new_layers: tuple[str, ...]
    """Parameters that were drawn anew, and left whole."""
    comparisons: tuple[TransferComparison, ...]


def judge_transfer(
    given: Run,
    found: Run | None,
    *,
    source: str,
    target: str = "",
    before: Mapping[int, float] | None = None,
    new_layers: Sequence[str] = (),
) -> TransferVerdict:
    """Judge tickets that were trained on another task.

    Args:
        given: their run: dense networks, tickets at level 1, controls.
        found: the run of tickets found there, of which the last level counts; None: none.
        source: what the tickets are, in words.
        target: what they are trained on, in words; empty: as the run says.
        before: replicate -> how far its ticket was above its dense network where it was found.
        new_layers: parameters that were drawn anew.
    """
    measured, last = Measured(evidence_of(given)), found.config.levels if found else 0
    tickets = measured.comparable(MAIN, 1, "accuracy")
    others: dict[Against, Mapping[int, float]] = {
        "dense": measured.comparable(MAIN, 0, "accuracy"),
        "reinit": measured.comparable("reinit", 1, "accuracy"),
        "random-mask": measured.comparable("random-mask", 1, "accuracy"),
    }
    if found is not None:
        others["found there"] = Measured(evidence_of(found)).comparable(MAIN, last, "accuracy")
    comparisons = [_compared(against, given, tickets, other) for against, other in others.items()]
    if before:
        lead = _less(tickets, others["dense"])
        comparisons.append(_compared("where found", given, lead, before))
    verdict = given.config.verdict
    return TransferVerdict(
        headline=_together([c.outcome for c in comparisons if c.against in _HEADLINE]),
        source=source,
        target=target or given.facts.title,
        density=_density(given, 1),
        density_found=_density(found, last) if found else None,
        replicates=given.config.replicates,
        tickets=_tickets(given),
        dense_missing=measured.missing(MAIN, 0),
        margin=verdict.margin,
        confidence=verdict.confidence,
        new_layers=tuple(new_layers),
        comparisons=tuple(comparisons),
    )


def _compared(
    against: Against, run: Run, ours: Mapping[int, float], theirs: Mapping[int, float]
) -> TransferComparison:
    """Test a claim; what is missing on either side speaks against what is confirmed."""
    verdict, examples = run.config.verdict, run.facts.test_examples
    margin = verdict.margin if against in ("dense", "found there") else 0.0
    sign = -1 if against == "where found" else 1
    pairs = list(_less(ours, theirs).values())
    missing = run.config.replicates - len(pairs)
    low = high = p = opposite = None
    if pairs:
        of = {"resolution": 1 / examples if examples else 0.0, "confidence": verdict.confidence}
        plain = paired_difference(pairs, **of)
        tested = paired_difference([sign * (one + margin) for one in pairs], **of)
        low, high, p, opposite = plain.low, plain.high, tested.p_above, tested.p_below
    return TransferComparison(
        against=against,
        claim=_CLAIMS[against],
        outcome=_outcome(p, opposite, 1 - verdict.confidence, len(pairs), missing),
        n=len(pairs),
        missing=missing,
        mean=fmean(pairs) if pairs else None,
        low=low,
        high=high,
        p=p,
    )


def _outcome(
    p: float | None, opposite: float | None, level: float, n: int, missing: int
) -> Outcome:
    if p is None or opposite is None:
        return "untested"
    if n < FEWEST:
        return "open"
    if opposite <= level:
        return "against"
    return "confirmed" if p <= level and not missing else "open"


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """What holds of several claims together: the least of them."""
    for outcome in ("against", "untested", "open"):
        if outcome in outcomes:
            return outcome
    return "confirmed"


def _tickets(run: Run) -> int:
    method, n = run.config.method, run.config.replicates
    return len(set(map(method.of, range(n)))) if isinstance(method, Given) else n


def _less(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[int, float]:
    return {number: ours[number] - theirs[number] for number in ours if number in theirs}


def _density(run: Run, level: int) -> float | None:
    keys = [JobKey(number, MAIN, level) for number in range(run.config.replicates)]
    found = [run.results[key].density for key in keys if key in run.results]
    return fmean(found) if found else None


# In words


def transfer_text(verdict: TransferVerdict) -> str:
    """A verdict as it is printed: the headline, what was compared, and every test."""
    density = "-" if verdict.density is None else f"{verdict.density:.2%}"
    about = f"{verdict.source} are trained on {verdict.target}: {density} of its weights."
    if verdict.new_layers:
        about += (
            f" With another number of classes there, {', '.join(verdict.new_layers)} are drawn "
            "anew and left whole."
        )
    n, margin = verdict.replicates, 100 * verdict.margin
    if verdict.tickets == 1 < n:
        about += (
            " It is one ticket in all replicates: intervals show how trainings differ, not tickets."
        )
    elif verdict.tickets < n:
        about += f" They are {verdict.tickets} tickets in {n} replicates, not one for each."
    if verdict.dense_missing.total:
        about += (
            f" Lost among dense networks there: {missing_words(verdict.dense_missing)}; there is "
            "nothing to compare with."
        )
    notes = (
        f"Points of test accuracy, each of {n} replicate{'s'[: n != 1]} against its own, with "
        f"{verdict.confidence:.0%} intervals; tests are one-sided. As good: no worse by more than "
        f"the margin of {margin:g} point{'s'[: margin != 1]}."
    )
    if verdict.density_found is not None:
        notes += f" Tickets found there keep {verdict.density_found:.2%} of the weights."
    notes += (
        " The headline is of the first three together: as good as the dense network, and better "
        "than with new weights or another mask."
    )
    if n < FEWEST:
        notes += f" Below {FEWEST} replicates nothing is confirmed."
    return "\n".join(
        [
            *(f"Transfer: {_SAID[verdict.headline]}{_why_untested(verdict)}", ""),
            *(fill(about, WIDTH), ""),
            *(_line(one) for one in verdict.comparisons),
            *("", fill(notes, WIDTH)),
        ]
    )


_SAID: Final[Mapping[Outcome, str]] = {
    "confirmed": "confirmed: the tickets serve there, by mask and weights",
    "open": "open: neither that the tickets serve there nor the opposite is confirmed",
    "against": "against: a test confirms the opposite of a part of it",
    "untested": "not tested",
}


def _why_untested(verdict: TransferVerdict) -> str:
    if verdict.dense_missing.total < verdict.replicates:
        return ""
    return ": no dense network there learned more than guessing"


def _line(one: TransferComparison) -> str:
    lost = f", {one.missing} missing" if one.missing else ""
    if one.mean is None:
        return f"{one.outcome:<9}  {one.claim}\n{'':11}no replicate has both{lost}"
    value = f"{100 * one.mean:+.2f}"
    if one.low is not None and one.high is not None:
        value += f" ({100 * one.low:+.2f} to {100 * one.high:+.2f})"
    return f"{one.outcome:<9}  {one.claim}\n{'':11}{value}, n = {one.n}{lost}"
