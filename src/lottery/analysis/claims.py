"""The outcome of every test of a run, level by level, from `lottery.analysis.procedure`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lottery.analysis import procedure
from lottery.analysis.level_tests import hommel
from lottery.analysis.measured import Measured
from lottery.analysis.procedure import Claim, Decision, Samples
from lottery.analysis.score_format import ScoreFormat, at_moment
from lottery.analysis.types import Headline, Outcome, Test
from lottery.store.jobs import MAIN

REINIT: Final = "reinit"

_WHY: Final = {
    procedure.FEW: f"it takes {procedure.FEWEST} replicates to confirm anything",
    procedure.AT_END: "trained too short to say who is sooner, since the validation loss was "
    "lowest at the last evaluation",
    procedure.SKEWED: "one side scatters so much more than the other that so few replicates "
    "cannot show its mean",
    procedure.LOST: "a training is lost or has not ended",
}
"""Reason -> how it is said; the other reasons can be seen from the numbers."""
_NEVER: Final = "not every ticket gets there"
NO_CURVE: Final = (
    "no curve with an early stop was logged, so that 'sooner' is untested; log validation and test "
    "scores on the way"
)
NO_MARGIN: Final = (
    "no margin was given, so nothing is tested; say how much worse still matches with `lottery "
    "verdict RUN --margin X`, or in the score, with Score(margin=X)"
)


@dataclass(frozen=True, kw_only=True)
class Claims:
    """Every claim of a run, tested."""

    tickets: Mapping[int, Mapping[str, Test]]
    """Level -> name -> test; empty where there is nothing to test."""
    controls: Mapping[str, Mapping[int, Mapping[str, Test]]]
    """Kind of control -> level -> name -> test."""
    headline: Headline


def decide_claims(measured: Measured) -> Claims:
    """Test every claim at every level; nothing without levels, replicates or a margin."""
    kinds = [kind for kind in measured.kinds if kind != MAIN]
    if not measured.levels or not measured.replicates or measured.score.margin is None:
        return Claims(tickets={}, controls={}, headline="not tested")
    settings = procedure_settings(measured, measured.score.margin)
    reinit = REINIT if REINIT in kinds else None
    main = _decide(measured, reinit, settings)
    words = _claim_texts(measured)
    tickets = {
        level: {
            name: _test(main, name, i, words[name])
            if measured.timed or name == "matches"
            else _untested(words[name], NO_CURVE)
            for name in ("matches", "no_later", "wins", "hypothesis")
            if name in main.claims
        }
        | {"sooner_to_dense": sooner}
        for i, (level, sooner) in enumerate(_sooner_to_dense(measured, settings).items())
    }
    controls = {}
    for kind in kinds:
        decision = main if kind == REINIT else _decide(measured, kind, settings)
        controls[kind] = {
            level: {
                "fails": _test(decision, "fails", i, words["fails"]),
                "worse": _test(decision, "copies_worse", i, words["worse"]),
                "later": _test(decision, "copies_later", i, words["later"]),
                "wins": _test(decision, "copies_win", i, words["wins"])
                if measured.timed
                else _untested(words["wins"], NO_CURVE),
            }
            if measured.values(kind, level, "accuracy")
            else _nothing_left(words)
            for i, level in enumerate(measured.levels)
        }
    return Claims(tickets=tickets, controls=controls, headline=_headline(main))


def procedure_settings(measured: Measured, margin: float) -> procedure.Settings:
    """The settings of the decision procedure for a run, with this margin."""
    evidence = measured.evidence
    return procedure.Settings(
        margin=margin,
        grid=evidence.evaluation_interval,
        end=measured.end or math.inf,
        step=1 / evidence.test_examples if evidence.test_examples else 0.0,
        confidence=evidence.test_confidence,
    )


def _decide(measured: Measured, kind: str | None, settings: procedure.Settings) -> Decision:
    """The decision with one kind of control for the copies."""
    accuracy, stop = (
        Samples(
            dense=measured.dense_array(measure),
            tickets=measured.array(MAIN, measure),
            copies=None if kind is None else measured.array(kind, measure),
        )
        for measure in ("accuracy", "early_stop")
    )
    return procedure.decide(accuracy, stop, settings)


def _nothing_left(words: Mapping[str, str]) -> dict[str, Test]:
    """The tests of controls of which none came to a result."""
    return {name: _untested(words[name], "none came to a result") for name in ("fails", "wins")}


def _untested(claim: str, why: str) -> Test:
    return Test(claim=claim, p=None, p_adjusted=None, outcome="untested", why=why)


def _headline(decision: Decision) -> Headline:
    word: Headline = str(decision.headline)  # type: ignore[assignment]
    return word


def _test(decision: Decision, name: str, level: int, words: str) -> Test:
    """One claim at one level, in the words of a verdict."""
    claim = decision.claims[name]
    opposite = {**procedure.OPPOSITES, "copies_win": "fails"}.get(name, "")
    against = bool(opposite in decision.confirmed and decision.confirmed[opposite][level])
    return _outcome(
        claim,
        decision.adjusted[name],
        bool(decision.confirmed[name][level]),
        against,
        level,
        words,
    )


def _outcome(
    claim: Claim,
    adjusted: NDArray[np.float64],
    confirmed: bool,
    against: bool,
    level: int,
    words: str,
) -> Test:
    reasons = {reason for reason, flags in claim.reasons.items() if flags[level]}
    outcome: Outcome = (
        "confirmed"
        if confirmed
        else "against"
        if against
        else "untested"
        if reasons & procedure.UNTESTED
        else "open"
    )
    why = [said for reason, said in _WHY.items() if reason in reasons]
    known = outcome != "untested"
    return Test(
        claim=words,
        p=float(claim.p[level]) if known else None,
        p_adjusted=float(adjusted[level]) if known else None,
        outcome=outcome,
        why=why[0] if why and outcome in ("untested", "open") else "",
    )


def _sooner_to_dense(measured: Measured, settings: procedure.Settings) -> dict[int, Test]:
    """Level -> whether tickets reach the dense network's score sooner; the claim is its own."""
    words = _claim_texts(measured)["sooner_to_dense"]
    time, dense = measured.array(MAIN, "time_to_dense"), measured.dense_array("time_to_dense")
    if not np.isfinite(dense).all() or not measured.compares_times(MAIN):
        why = f"times to the dense network's {measured.score.name} are not known"
        return dict.fromkeys(measured.levels, _untested(words, why))
    # What is never reached is taken as lost: known to speak against the claim.
    never = [bool(np.isinf(of).any()) for of in time]
    time = np.where(np.isinf(time), math.nan, time)
    claim = procedure.sooner(time, dense, replace(settings, end=math.inf), slack=0.0)
    adjusted = hommel(claim.p)
    few = len(dense) < procedure.FEWEST
    passed = (adjusted < settings.alpha) & (claim.flips < settings.alpha) & (not few)
    tests = {
        level: _outcome(claim, adjusted, bool(passed[i]), False, i, words)
        for i, level in enumerate(measured.levels)
    }
    return {
        level: replace(test, why=_NEVER) if never[i] and test.outcome == "open" else test
        for i, (level, test) in enumerate(tests.items())
    }


def _claim_texts(measured: Measured) -> dict[str, str]:
    """Claim -> what would be confirmed."""
    score = ScoreFormat(measured.score)
    one = f"{measured.evidence.evaluation_interval:,} iterations"
    side = "below" if measured.score.higher else "above"
    matches = (
        f"test {score.name} {at_moment(measured.timed)} is at most "
        f"{score.margin(measured.score.margin)} {side} the dense network's"
    )
    no_later = f"early stop comes no more than one evaluation ({one}) after the dense network's"
    fails = "does not match the dense network, or is later"
    if not measured.compares_times(MAIN):
        fails = "does not match the dense network"
    return {
        "matches": matches,
        "no_later": no_later,
        "wins": f"{matches}, and {no_later}",
        "fails": fails,
        "worse": "does not match the dense network",
        "later": f"early stop comes more than one evaluation ({one}) after the dense network's",
        "hypothesis": "the ticket wins, and its reinitialized copy fails",
        "sooner_to_dense": f"reaches the dense network's {score.name}, less the margin, in fewer "
        "iterations than the dense network",
    }
