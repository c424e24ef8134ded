"""Families of paired tests: claims tried at every level, and corrected for that."""

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

    def holds(self, mean: float) -> bool:
        """Whether a mean difference is on the claim's side; rounding does not decide."""
        distance = self.sign * mean + self.margin
        return distance >= (-SMALLEST_DEVIATION if self.inclusive else SMALLEST_DEVIATION)


def compare(
    claims: Sequence[tuple[Claim, Mapping[int, Mapping[int, float]]]], confidence: float
) -> list[dict[int, Comparison]]:
    """Test each claim at every level, as one family.

    Two one-sided tests are made for each: one of the claim, one of its opposite, so that a "no"
    needs as much evidence as a "yes". Each direction is corrected (Holm) for all claims and levels
    that can be tested.

    Args:
        claims: each with its differences: level -> replicate -> difference. Levels without a
            difference are left out.
        confidence: in (0, 1).

    Returns:
        For each claim, level -> comparison.
    """
    places = [
        (number, level)
        for number, (_, families) in enumerate(claims)
        for level in sorted(families)
        if families[level]
    ]
    in_favour, against = [], []
    for number, level in places:
        claim, families = claims[number]
        signed = [claim.sign * value for value in families[level].values()]
        in_favour.append(one_sided_t(signed, claim.margin, claim.resolution))
        mirrored = [-value for value in signed]
        against.append(one_sided_t(mirrored, -claim.margin, claim.resolution))
    found: list[dict[int, Comparison]] = [{} for _ in claims]
    for (number, level), p, p_holm, q, q_holm in zip(
        places, in_favour, holm(in_favour), against, holm(against), strict=True
    ):
        claim, families = claims[number]
        difference = estimate(families[level], confidence)
        holds = claim.holds(difference.mean)
        found[number][level] = Comparison(
            difference=difference,
            claim=claim.words,
            margin=claim.margin,
            p=p,
            p_holm=p_holm,
            p_opposite=q,
            p_opposite_holm=q_holm,
            holds=holds,
            confirmed=holds and below(p_holm, 1 - confidence),
            refuted=not holds and below(q_holm, 1 - confidence),
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
