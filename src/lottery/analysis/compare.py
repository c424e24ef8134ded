"""Families of paired tests: one claim, tried at every level and corrected for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lottery.analysis.statistics import SMALLEST_DEVIATION, estimate, holm, one_sided_t
from lottery.analysis.types import Answer, Comparison


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What one family of tests would establish.

    Args:
        words: the claim.
        sign: +1 when large differences speak for it, -1 when small ones do.
        margin: what is added in its favour, 0 or more.
        resolution: the step of the grid the differences lie on; 0 when unknown.
        inclusive: whether a mean exactly at the margin still holds.
    """

    words: str
    sign: int
    margin: float
    resolution: float
    inclusive: bool


def compare(
    families: Mapping[int, Mapping[int, float]], claim: Claim, confidence: float
) -> dict[int, Comparison]:
    """Test one claim at every level.

    Two one-sided tests are made at each level: one of the claim, one of its opposite, so that a
    "no" needs as much evidence as a "yes". Each direction is a Holm family of its own over the
    levels that can be tested.

    Args:
        families: level -> replicate -> difference; levels without a difference are left out.
        claim: what is tested.
        confidence: in (0, 1).
    """
    levels = [level for level, values in sorted(families.items()) if values]
    signed = [[claim.sign * value for value in families[level].values()] for level in levels]
    p_values = [one_sided_t(values, claim.margin, claim.resolution) for values in signed]
    opposite = [
        one_sided_t([-value for value in values], -claim.margin, claim.resolution)
        for values in signed
    ]
    found = {}
    for level, p, p_holm, against, against_holm in zip(
        levels, p_values, holm(p_values), opposite, holm(opposite), strict=True
    ):
        difference = estimate(families[level], confidence)
        distance = claim.sign * difference.mean + claim.margin
        threshold = SMALLEST_DEVIATION  # rounding must not decide
        holds = distance >= -threshold if claim.inclusive else distance > threshold
        found[level] = Comparison(
            difference=difference,
            claim=claim.words,
            margin=claim.margin,
            p=p,
            p_holm=p_holm,
            p_opposite=against,
            p_opposite_holm=against_holm,
            holds=holds,
            confirmed=holds and below(p_holm, 1 - confidence),
            refuted=not holds and below(against_holm, 1 - confidence),
        )
    return found


def all_true(p_values: Sequence[float | None]) -> float | None:
    """The p-value that every one of several claims is true: the largest.

    An intersection-union test (Berger 1982, Technometrics 24): no correction for how many claims
    there are. None if one could not be tested.
    """
    made = [p for p in p_values if p is not None]
    return max(made) if made and len(made) == len(p_values) else None


def any_true(p_values: Sequence[float | None]) -> float | None:
    """The p-value that at least one of several claims is true: the smallest times their number.

    Bonferroni's bound, at most 1. None if one could not be tested.
    """
    made = [p for p in p_values if p is not None]
    if not made or len(made) < len(p_values):
        return None
    return min(1.0, len(made) * min(made))


def over_levels(p_values: Mapping[int, float | None]) -> dict[int, float | None]:
    """Level -> p-value, Holm-corrected over the levels."""
    levels = sorted(p_values)
    corrected = holm([p_values[level] for level in levels])
    return dict(zip(levels, corrected, strict=True))


def below(p: float | None, alpha: float) -> bool:
    """Whether a test was made and its p-value is below alpha."""
    return p is not None and p < alpha


def answer(*, yes: bool, no: bool, tested: bool) -> Answer:
    """The word for what was observed and tested; ``yes`` and ``no`` are confirmed ones."""
    if not tested:
        return "untested"
    return "yes" if yes else "no" if no else "unsure"
