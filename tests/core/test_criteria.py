"""The criteria, and the level whose weights they look at."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy import stats

from lottery.core import CRITERIA, Criterion, Group, Mask, ScoreContext, scored_level, select
from lottery.testing import CRITERION_CHECKS, CriterionCheck


def context(seed: int = 0, *, scale: float = 1.0) -> ScoreContext:
    weights = {"a": torch.tensor([[-3.0, 2.0], [0.0, -0.5]]) * scale, "b": torch.tensor([1.0])}
    return ScoreContext(
        weights=weights,
        initial={name: torch.full_like(w, 9.0) for name, w in weights.items()},
        mask=Mask.dense(weights),
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.mark.parametrize("criterion", CRITERIA.values(), ids=list(CRITERIA))
@pytest.mark.parametrize("check", CRITERION_CHECKS, ids=lambda check: check.__name__)
def test_conformance(criterion: Criterion, check: CriterionCheck) -> None:
    check(criterion)


def test_magnitude_is_the_absolute_trained_weight() -> None:
    scores = CRITERIA["magnitude"](context())

    assert scores["a"].tolist() == [[3.0, 2.0], [0.0, 0.5]]
    assert scores["b"].tolist() == [1.0]


def test_negative_weights_are_as_good_as_positive_ones() -> None:
    one = context()

    kept = select(CRITERIA["magnitude"](one), one.mask, [Group(("a",), 2)])

    assert kept["a"].tolist() == [[True, True], [False, False]]


def test_random_depends_on_its_generator_alone() -> None:
    first = CRITERIA["random"](context())
    same = CRITERIA["random"](replace(context(scale=-7.0)))
    other = CRITERIA["random"](context(seed=1))

    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["a"], other["a"])


def test_random_chooses_every_weight_equally_often() -> None:
    """Chi-square over who survives when 2 of 10 in two layers stay, at a fixed seed."""
    weights = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}
    mask = Mask.dense(weights)
    one = ScoreContext(
        weights=weights, initial=weights, mask=mask, generator=torch.Generator().manual_seed(3)
    )
    counts = torch.zeros(10)
    for _ in range(1_000):
        kept = select(CRITERIA["random"](one), mask, [Group(("a", "b"), 8)])
        counts += torch.cat([kept["a"].flatten(), kept["b"]])

    assert counts.sum() == 2_000
    assert stats.chisquare(counts.numpy()).pvalue > 0.01


def test_random_scores_rarely_tie() -> None:
    """In single precision a large layer would have many ties, which go to the lower index."""
    weights = {"w": torch.zeros(100_000)}
    one = ScoreContext(
        weights=weights,
        initial=weights,
        mask=Mask.dense(weights),
        generator=torch.Generator().manual_seed(0),
    )

    assert CRITERIA["random"](one)["w"].unique().numel() == 100_000


@pytest.mark.parametrize("level", [1, 2, 7])
def test_which_level_decides(level: int) -> None:
    assert scored_level("geometric", level) == level - 1
    assert scored_level("one-shot", level) == 0
