"""Looking things up in a verdict: levels, and what is missing."""

from __future__ import annotations

from lottery.analysis.types import LevelVerdict, Missing, Verdict
from lottery.methods import CONTROL_KINDS
from lottery.store.jobs import MAIN
from lottery.tickets import KEEPS_TRAINED


def tests_hypothesis(verdict: Verdict) -> bool:
    """Whether the run can test the whole hypothesis.

    It cannot where tickets keep trained weights, or where no early stops are known.
    """
    return verdict.timed and not keeps_trained(verdict)


def keeps_trained(verdict: Verdict) -> bool:
    """Whether tickets go on from trained weights, and so start from no initialization."""
    return verdict.rewind in KEEPS_TRAINED


def find_level(verdict: Verdict, number: int | None) -> LevelVerdict | None:
    """The level with that number, if it has results."""
    return next((level for level in verdict.levels if level.level == number), None)


def pruned(verdict: Verdict) -> list[LevelVerdict]:
    """Every level but the dense one."""
    return [level for level in verdict.levels if level.level > 0]


def is_confirmed(level: LevelVerdict, claim: str) -> bool:
    """Whether the tests confirm a claim about the tickets of a level, such as ``matches``."""
    test = level.groups[MAIN].tests.get(claim) if MAIN in level.groups else None
    return test is not None and test.outcome == "confirmed"


def answered_level(verdict: Verdict) -> LevelVerdict | None:
    """The level that the answers are about; None where nothing can be compared.

    It is the one that the verdict picked; else the sparsest that matches on the means; else the
    most accurate one.
    """
    if verdict.level is not None:
        return find_level(verdict, verdict.level)
    levels = [level for level in pruned(verdict) if _difference(level) is not None]
    matching = [level for level in levels if level.matches_on_means]
    if matching:
        return min(matching, key=sparsity_order)
    return max(levels, key=lambda level: _difference(level) or 0.0, default=None)


def sparsity_order(level: LevelVerdict) -> tuple[float, int]:
    """Sort key for levels, from the sparsest on; of equal densities the earlier level first."""
    return level.density, level.level


def count_missing(verdict: Verdict) -> Missing:
    """How many trainings of a run have no result; ``dense`` counts all lost dense networks."""
    groups = [
        level.groups[kind]
        for level in pruned(verdict)
        for kind in (MAIN, *CONTROL_KINDS)
        if kind in level.groups
    ]
    return Missing(
        diverged=sum(group.missing.diverged for group in groups),
        collapsed=sum(group.missing.collapsed for group in groups),
        guessing=sum(group.missing.guessing for group in groups),
        dense=verdict.dense_missing.total,
    )


def _difference(level: LevelVerdict) -> float | None:
    contrast = level.groups[MAIN].against_dense.get("accuracy") if MAIN in level.groups else None
    return contrast.estimate.mean if contrast and contrast.estimate else None
