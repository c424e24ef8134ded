"""The criteria that look at weights alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from scipy import stats

from lottery.core import CRITERIA, Group, Mask, ScoreContext, select
from lottery.errors import MaskError


def context(seed: int = 0, *, scale: float = 1.0) -> ScoreContext:
    weights = {"a": torch.tensor([[-3.0, 2.0], [0.0, -0.5]]) * scale, "b": torch.tensor([1.0])}
    return ScoreContext(
        weights=weights,
        initial={name: torch.full_like(w, 9.0) for name, w in weights.items()},
        mask=Mask.dense(weights),
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.mark.parametrize("name", ["magnitude", "l1"])
def test_magnitude_is_the_absolute_trained_weight(name: str) -> None:
    scores = CRITERIA[name].score(context())

    assert scores["a"].tolist() == [[3.0, 2.0], [0.0, 0.5]]
    assert scores["b"].tolist() == [1.0]


def test_negative_weights_are_as_good_as_positive_ones() -> None:
    one = context()

    kept = select(CRITERIA["magnitude"].score(one), one.mask, [Group(("a",), 2)])

    assert kept["a"].tolist() == [[True, True], [False, False]]


def test_sums_over_a_unit_are_its_norms() -> None:
    one = context()

    l1, l2 = (CRITERIA[name].score(one)["a"].sum(1) for name in ("l1", "l2"))

    torch.testing.assert_close(l1, torch.linalg.vector_norm(one.weights["a"], ord=1, dim=1))
    torch.testing.assert_close(l2.sqrt(), torch.linalg.vector_norm(one.weights["a"], dim=1))


# (initial, trained): grown, shrunk, moved through zero, unchanged
PAIRS = [(1.0, 3.0), (-2.0, -0.5), (0.25, -1.0), (-1.5, -1.5)]


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("small-final", lambda wi, wf: -abs(wf)),
        ("large-init", lambda wi, wf: abs(wi)),
        ("small-init", lambda wi, wf: -abs(wi)),
        ("magnitude-increase", lambda wi, wf: abs(wf) - abs(wi)),
        ("movement", lambda wi, wf: abs(wf - wi)),
    ],
)
def test_initial_and_trained_weights(name: str, formula: Callable[[float, float], float]) -> None:
    initial, trained = (torch.tensor([values]) for values in zip(*PAIRS, strict=True))
    one = ScoreContext(
        weights={"w": trained},
        initial={"w": initial},
        mask=Mask.dense({"w": trained}),
        generator=torch.Generator(),
    )

    scores = CRITERIA[name].score(one)

    assert scores["w"].tolist() == [[formula(wi, wf) for wi, wf in PAIRS]]


def both_ends(
    initial: torch.Tensor, trained: torch.Tensor, mask: Mask | None = None
) -> ScoreContext:
    return ScoreContext(
        weights={"w": trained},
        initial={"w": initial},
        mask=mask or Mask.dense({"w": trained}),
        generator=torch.Generator(),
    )


@pytest.mark.parametrize(
    ("name", "sign"), [("large-init-large-final", 1.0), ("small-init-small-final", -1.0)]
)
@pytest.mark.parametrize("density", [1.0, 0.6])
def test_both_ends_are_cut_at_the_same_percentile(name: str, sign: float, density: float) -> None:
    """What stays are those above one percentile with both, for every percentile there is."""
    generator = torch.Generator().manual_seed(0)
    # Training made weights larger: at one absolute value the initial ones alone would decide.
    initial = torch.randn(8, 10, generator=generator)
    trained = initial + 5 * torch.randn(8, 10, generator=generator)
    mask = Mask({"w": torch.rand(8, 10, generator=generator) < density})
    one = both_ends(initial, trained, mask)
    scores = CRITERIA[name].score(one)
    first, last = sign * initial.abs(), sign * trained.abs()

    counts = set()
    for cut in range(mask.kept):
        above = [v >= v[mask["w"]].sort().values[cut] for v in (first, last)]
        expected = Mask({"w": above[0] & above[1] & mask["w"]})
        found = select(scores, mask, [Group(("w",), mask.kept - expected.kept)])
        assert found == expected
        counts.add(expected.kept)
    assert len(counts) > mask.kept // 2
    for removed in range(mask.kept + 1):
        assert select(scores, mask, [Group(("w",), removed)]).kept == mask.kept - removed


def test_equal_magnitudes_have_equal_percentiles_and_ties_go_to_the_lower_index() -> None:
    one = both_ends(torch.tensor([1.0, -1.0, 2.0, 2.0]), torch.tensor([3.0, 3.0, -3.0, 5.0]))
    scores = CRITERIA["large-init-large-final"].score(one)
    assert scores["w"].tolist() == [0.0, 0.0, 0.0, 0.5]
    assert select(scores, one.mask, [Group(("w",), 2)])["w"].tolist() == [True, False, False, True]


@pytest.mark.parametrize("name", ["large-init-large-final", "small-init-small-final"])
def test_a_weight_that_is_no_number_has_no_percentile(name: str) -> None:
    one = both_ends(torch.tensor([1.0, 2.0]), torch.tensor([math.nan, 2.0]))
    with pytest.raises(MaskError, match="are NaN"):
        select(CRITERIA[name].score(one), one.mask, [Group(("w",), 1)])


def test_random_depends_on_its_generator_alone() -> None:
    score = CRITERIA["random"].score
    first = score(context())
    same = score(replace(context(scale=-7.0)))
    other = score(context(seed=1))

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
        kept = select(CRITERIA["random"].score(one), mask, [Group(("a", "b"), 8)])
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

    scores = CRITERIA["random"].score(one)["w"]

    assert scores.unique().numel() == 100_000
    assert 0 <= float(scores.min()) < float(scores.max()) < 1
    assert math.isclose(float(scores.mean()), 0.5, abs_tol=0.01)
