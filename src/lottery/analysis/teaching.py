"""Whether what tickets teach holds: a smaller dense network, and a learned initialization.

All claims are paired by replicate, and tested as those of a verdict on one level are
(`lottery.analysis.procedure`); Holm's method corrects them together, and their opposites together.
Which trainings count is as there too (`lottery.analysis.measured`); without a dense network of the
run that learned something, nothing is tested.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Final, Literal

import numpy as np

from lottery.analysis.evidence import evidence_of
from lottery.analysis.formatting import missing_words, probability
from lottery.analysis.measured import Measured
from lottery.analysis.procedure import FEWEST, OPPOSITES, Claim, Samples, Settings, decide, sooner
from lottery.analysis.statistics import holm
from lottery.analysis.types import Missing, Outcome
from lottery.experiments import Run
from lottery.store import MAIN

Part = Literal["small", "learned"]

CLAIMS: Final[Mapping[str, tuple[Part, str]]] = {
    "small-ticket": ("small", "the small dense network matches the ticket"),
    "small-dense": ("small", "the small dense network matches the dense network"),
    "learned-matches": ("learned", "the learned initialization matches the usual one"),
    "learned-better": ("learned", "the learned initialization is better than the usual one"),
    "learned-sooner": ("learned", "it reaches its early stop in fewer iterations"),
}
"""Claim -> whose it is, and what it says."""
_HEADLINE: Final[Mapping[Part, str]] = {"small": "small-ticket", "learned": "learned-matches"}


@dataclass(frozen=True, kw_only=True)
class TaughtClaim:
    """One claim, tested."""

    name: str
    claim: str
    """In words."""
    outcome: Outcome
    n: int
    """Replicates that have both."""
    missing: int
    """Replicates that lack one of the two: diverged, collapsed, guessing, or not run."""
    mean: float | None
    """Of accuracies the mean difference, above 0 where it is better; of early stops the geometric
    mean of ratios, below 1 where it is sooner."""
    p: float | None
    """One-sided, of the claim, after Holm's correction; None where it is untested."""


@dataclass(frozen=True, kw_only=True)
class TeachVerdict:
    """What tickets of a level taught."""

    level: int
    small: Outcome | None
    """Whether the small dense network matches the ticket; None: there is none."""
    learned: Outcome
    """Whether the learned initialization matches the usual one."""
    replicates: int
    """Dense networks of the run that were trained."""
    dense_missing: Missing
    """Dense networks of the run that have no result, or do no better than guessing."""
    margin: float
    confidence: float
    claims: tuple[TaughtClaim, ...]


def judge_teaching(run: Run, level: int, taught: Mapping[Part, Run]) -> TeachVerdict:
    """Judge what the tickets of a level taught.

    Args:
        run: where the tickets are.
        level: theirs.
        taught: the run of the small network, if there is one, and that of the initialization.
    """
    measured = _measured(run, run)
    others = {name: _measured(other, run) for name, other in taught.items()}
    settings = _settings(measured)
    made = {
        name: _claim(name, level, measured, others[of], settings)
        for name, (of, _) in CLAIMS.items()
        if of in others
    }
    claims = _decided(made, settings.alpha)
    outcomes = {one.name: one.outcome for one in claims}
    return TeachVerdict(
        level=level,
        small=outcomes.get(_HEADLINE["small"]),
        learned=outcomes[_HEADLINE["learned"]],
        replicates=len(measured.jobs.get((MAIN, 0), ())),
        dense_missing=measured.missing(MAIN, 0),
        margin=settings.margin,
        confidence=settings.confidence,
        claims=claims,
    )


@dataclass(frozen=True, kw_only=True)
class _Tested:
    claim: Claim | None
    """None where no replicate has both."""
    opposite: Claim | None
    n: int
    missing: int
    whole: bool
    """Whether every replicate with a dense network has both; else nothing is confirmed."""
    mean: float | None


def _claim(
    name: str, level: int, run: Measured, other: Measured, settings: Settings
) -> _Tested | None:
    """A claim and its opposite; None where it is not asked."""
    stops = name == "learned-sooner"
    measure: Literal["early_stop", "accuracy"] = "early_stop" if stops else "accuracy"
    if stops and not (run.timed and other.timed):
        return None
    place = (MAIN, level if name == "small-ticket" else 0)
    reference, given = run.comparable(*place, measure), other.comparable(MAIN, 0, measure)
    pairs = [(given[r], reference[r]) for r in reference if r in given]
    missing = len({job.replicate for job in run.jobs.get((MAIN, 0), ())}) - len(pairs)
    of_both = _Tested(
        claim=None,
        opposite=None,
        n=len(pairs),
        missing=missing,
        whole=len(pairs) == len(run.dense),
        mean=None,
    )
    if not pairs:
        return of_both
    dense = np.array(list(reference.values()))
    ours = np.array([[given.get(r, math.nan) for r in reference]])
    if stops:
        claim, opposite = sooner(ours, dense, settings, slack=0), _flipped(ours, dense, settings)
        mean = math.exp(fmean(math.log(a / b) for a, b in pairs))
    else:
        of = replace(settings, margin=0.0) if name == "learned-better" else settings
        alike = np.ones(dense.shape)
        decision = decide(
            Samples(dense=dense, tickets=ours, copies=None),
            Samples(dense=alike, tickets=alike[None], copies=None),
            of,
        )
        claim, opposite = (decision.claims[n] for n in ("matches", OPPOSITES["matches"]))
        mean = fmean(a - b for a, b in pairs)
    return replace(of_both, claim=claim, opposite=opposite, mean=mean)


def _flipped(ours: Any, dense: Any, settings: Settings) -> Claim:
    """That the other one is the sooner."""
    known = ~np.isnan(ours[0])
    return sooner(dense[known][None], ours[0][known], settings, slack=0)


def _decided(made: Mapping[str, _Tested | None], alpha: float) -> tuple[TaughtClaim, ...]:
    tested = {name: one for name, one in made.items() if one and _is_tested(one)}
    p, opposite = (
        dict(
            zip(
                tested, holm([float(getattr(one, of).p[0]) for one in tested.values()]), strict=True
            )
        )
        for of in ("claim", "opposite")
    )

    def outcome(name: str) -> Outcome:
        if name not in tested:
            return "untested"
        one = tested[name]
        for claim, adjusted, word in (
            (one.opposite, opposite[name], "against"),
            (one.claim if one.whole else None, p[name], "confirmed"),
        ):
            if claim and adjusted is not None and adjusted < alpha and claim.flips[0] < alpha:
                return word  # type: ignore[return-value]
        return "open"

    return tuple(
        TaughtClaim(
            name=name,
            claim=CLAIMS[name][1],
            outcome=outcome(name),
            n=one.n if one else 0,
            missing=one.missing if one else 0,
            mean=one.mean if one else None,
            p=p.get(name),
        )
        for name, one in made.items()
    )


def _is_tested(one: _Tested) -> bool:
    return one.claim is not None and one.n >= FEWEST and not one.claim.untested.any()


def _measured(run: Run, judged: Run) -> Measured:
    verdict = judged.config.verdict
    return Measured(evidence_of(run, margin=verdict.margin, confidence=verdict.confidence))


def _settings(measured: Measured) -> Settings:
    evidence = measured.evidence
    examples = evidence.test_examples
    return Settings(
        margin=evidence.margin or 0.0,
        grid=float(evidence.evaluation_interval),
        end=float(measured.end) or math.inf,
        step=1 / examples if examples else 0.0,
        confidence=evidence.confidence,
    )


# In words

_SAID: Final[Mapping[Outcome, str]] = {
    "confirmed": "confirmed",
    "open": "open; neither it nor its opposite is confirmed",
    "against": "not so; a test confirms the opposite",
    "untested": "untested",
}


def teaching_text(verdict: TeachVerdict, no_small: str = "") -> str:
    """A verdict as it is printed: one line a part, then every claim.

    Args:
        verdict: what to say.
        no_small: why there is no small network, in words.
    """
    lost = verdict.dense_missing
    lines = [f"No small network: {no_small}."]
    if verdict.small is not None:
        lines = [f"The small dense network matches the ticket: {_SAID[verdict.small]}."]
    lines += [f"The learned initialization matches the usual one: {_SAID[verdict.learned]}."]
    if lost.total:
        lines.append(f"Lost among the run's dense networks: {missing_words(lost)}.")
    if lost.total == verdict.replicates:
        lines.append(
            "None of them learned more than guessing, so there is nothing to compare with."
        )
    lines.append("")
    lines += [_line(one) for one in verdict.claims]
    tail = (
        f"Points of test accuracy or ratios of iterations, paired by replicate; to match is to be "
        f"worse by no more than {100 * verdict.margin:g} points. p after Holm's correction over "
        f"these claims, at {verdict.confidence:.0%} confidence."
    )
    return "\n".join([*lines, "", tail])


def _line(one: TaughtClaim) -> str:
    lost = f", {one.missing} lost" if one.missing else ""
    if one.mean is None:
        return f"{one.outcome:<9}  {one.claim}: no replicate has both{lost}"
    ratio = one.name == "learned-sooner"
    value = f"{one.mean:.2f} times as many" if ratio else f"{100 * one.mean:+.2f}"
    p = "" if one.p is None else f", p {probability(one.p)}"
    return f"{one.outcome:<9}  {one.claim}: {value}{p}, n = {one.n}{lost}"
