"""The verdict on what was learned from tickets: a smaller dense network, and an initialization.

All claims are paired by replicate, and tested like those of a verdict at one level
(`lottery.analysis.procedure`). Holm's method corrects all of them together, and all their opposites
together. Trainings count as in a verdict (`lottery.analysis.measured`); without a dense network of
the run that learned something, nothing is tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Final, Literal

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lottery.analysis.evidence import evidence_of
from lottery.analysis.formatting import NONE, missing_words, pair_count, probability
from lottery.analysis.measured import Measured
from lottery.analysis.procedure import FEWEST, OPPOSITES, Claim, Samples, Settings, decide, sooner
from lottery.analysis.statistics import holm
from lottery.analysis.text import WIDTH, bare_table, plain_text
from lottery.analysis.types import Missing, Outcome
from lottery.experiments import Run
from lottery.store import MAIN

Part = Literal["small", "learned"]

CLAIMS: Final[Mapping[str, tuple[Part, str]]] = {
    "small-ticket": ("small", "the small dense network matches the ticket"),
    "small-dense": ("small", "the small dense network matches the dense network"),
    "learned-matches": ("learned", "the learned initialization matches the usual one"),
    "learned-better": ("learned", "the learned initialization is better than the usual one"),
    "learned-sooner": (
        "learned",
        "the learned initialization reaches its early stop in fewer iterations",
    ),
}
"""Claim -> whose it is, and what it says."""
_HEADLINE: Final[Mapping[Part, str]] = {"small": "small-ticket", "learned": "learned-matches"}


@dataclass(frozen=True, kw_only=True)
class TaughtClaim:
    """One claim and its test."""

    name: str
    """A key of `CLAIMS`."""
    claim: str
    """In words."""
    outcome: Outcome
    n: int
    """Replicates that have both trainings to compare."""
    missing: int
    """Replicates that lack one of the two: diverged, collapsed, guessing, or not run."""
    mean: float | None
    """For accuracies the mean difference (fraction), above 0 where it is better; for early stops
    the geometric mean of ratios, below 1 where it is sooner. None where no replicate has both."""
    p: float | None
    """One-sided, of the claim, after Holm's correction; None where it is untested."""


@dataclass(frozen=True, kw_only=True)
class TeachVerdict:
    """What was learned from the tickets of a level, judged."""

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
    """How much lower an accuracy may be and still match, a fraction."""
    confidence: float
    """Of the tests, corrected if the run has grown and was looked at before."""
    claims: tuple[TaughtClaim, ...]


def judge_teaching(run: Run, level: int, taught: Mapping[Part, Run]) -> TeachVerdict:
    """Judge what was learned from the tickets of a level.

    Args:
        run: the run with the tickets and their dense networks.
        level: the level of the tickets, 1 or more.
        taught: ``learned`` -> the run with the learned initialization, and, if there is one,
            ``small`` -> the run of the smaller network.

    Raises:
        StoreError: a file of a run is damaged.
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
        confidence=evidence.test_confidence,
    )


# As text

_ANSWERS: Final[Mapping[Part, tuple[str, str]]] = {
    "small": (
        "a smaller dense network does as well as the tickets",
        "a smaller dense network does worse than the tickets",
    ),
    "learned": (
        "an initialization learned from the tickets does as well as the usual one",
        "an initialization learned from the tickets does worse than the usual one",
    ),
}
"""Part -> what is confirmed if its first claim is, and if the opposite is."""


def teaching_text(verdict: TeachVerdict, no_small: str = "") -> str:
    """A verdict as it is printed, in 80 columns: the answers, a table, and how to read it.

    Args:
        verdict: what to say.
        no_small: why there is no small network, in words.
    """
    answers = [f"No smaller dense network: {no_small}."]
    if verdict.small is not None:
        answers = [_answer("small", verdict.small)]
    answers.append(_answer("learned", verdict.learned))
    lost = verdict.dense_missing
    if lost.total:
        answers.append(f"Lost among the run's dense networks: {missing_words(lost)}.")
    if lost.total == verdict.replicates:
        answers.append(
            "None of them learned more than guessing, so there is nothing to compare with."
        )
    view = Group(*map(Text, answers), Text(), _table(verdict), Text(), *map(Text, _notes(verdict)))
    return plain_text(view, width=WIDTH).rstrip("\n")


def _answer(part: Part, outcome: Outcome) -> str:
    yes, no = _ANSWERS[part]
    match outcome:
        case "confirmed":
            return f"Yes: {yes}."
        case "against":
            return f"No: {no}."
        case "open":
            return f"Open: that {yes} is neither confirmed nor refuted."
        case "untested":
            return f"Not tested: whether {yes}."


def _table(verdict: TeachVerdict) -> Table:
    table = bare_table(2)
    table.add_column("Claim")
    for title in ("Difference", "p", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Test says", no_wrap=True)
    for one in verdict.claims:
        value = NONE
        if one.mean is not None:
            ratio = one.name == "learned-sooner"
            value = f"{one.mean:.2f} times" if ratio else f"{100 * one.mean:+.2f} points"
        table.add_row(
            one.claim, value, probability(one.p), pair_count(one.n, one.missing), one.outcome
        )
    return table


def _notes(verdict: TeachVerdict) -> Iterator[str]:
    """How to read the table."""
    margin = 100 * verdict.margin
    yield (
        "Difference: of test accuracy in percentage points, above 0 is better; or how many times "
        "as many iterations, below 1 is sooner. Means over n replicates, each against its own."
    )
    yield (
        f"To match: no worse by more than the margin of {margin:g} point{'s'[: margin != 1]}. "
        f"Confirmed: a one-sided test at {100 * verdict.confidence:.3g}% confirms the claim, after "
        "Holm's correction over all of them (p). Against: one confirms the opposite. Open: "
        f"neither. Untested: there is too little to test, such as fewer than {FEWEST} replicates."
    )
    if any(one.missing for one in verdict.claims):
        yield "n: a/b where only a of b replicates have both."
