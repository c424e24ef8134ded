"""Layer-adaptive scores against the definition, written as loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lottery.core import Group, Mask, lamp_scores, select
from lottery.errors import MaskError

quick = settings(max_examples=80, deadline=None)

VALUES = [0.0, 1e-30, 0.25, 0.5, 1.0, 3.0, 1e30]


@st.composite
def layers(draw: st.DrawFn) -> tuple[dict[str, Tensor], Mask]:
    """Scores with ties of layers of different sizes, and a mask with a survivor at least."""
    scores, kept = {}, {}
    for name in ("a", "b", "c"):
        size = draw(st.integers(1, 7))
        values = draw(st.lists(st.sampled_from(VALUES), min_size=size, max_size=size))
        flags = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        scores[name] = torch.tensor(values, dtype=torch.float64)
        kept[name] = torch.tensor([*flags[:-1], True])
    return scores, Mask(kept)


def by_loop(score: Tensor, kept: Tensor) -> list[float]:
    """Square of each survivor over the sum of squares of those that are kept at least as long."""
    alive = [i for i in range(len(score)) if kept[i]]
    found = [0.0] * len(score)
    for i in alive:
        before = [
            j
            for j in alive
            if float(score[j]) > float(score[i]) or (score[j] == score[i] and j <= i)
        ]
        whole = math.fsum(float(score[j]) ** 2 for j in before)
        found[i] = float(score[i]) ** 2 / whole if whole else float(before == [i])
    return found


@given(layers())
@quick
def test_agrees_with_the_definition(case: tuple[dict[str, Tensor], Mask]) -> None:
    scores, mask = case

    found = lamp_scores(scores, mask)

    for name in mask:
        expected = torch.tensor(by_loop(scores[name], mask[name]), dtype=torch.float64)
        torch.testing.assert_close(found[name], expected, rtol=1e-12, atol=1e-200)


@given(layers())
@quick
def test_within_a_layer_nothing_changes(case: tuple[dict[str, Tensor], Mask]) -> None:
    scores, mask = case
    rescaled = lamp_scores(scores, mask)

    for name, (kept, _) in mask.layers.items():
        for remove in range(kept + 1):
            groups = [Group((name,), remove)]
            assert select(rescaled, mask, groups) == select(scores, mask, groups)


@given(layers(), st.integers(0, 21))
@quick
def test_no_layer_loses_its_last_weight_before_all_are_down_to_one(
    case: tuple[dict[str, Tensor], Mask], remove: int
) -> None:
    scores, mask = case
    rescaled = lamp_scores(scores, mask)

    assert all(float(rescaled[name].max()) == 1.0 for name in mask)
    assert all(int((rescaled[name] == 1.0).sum()) == 1 for name in mask)
    pruned = select(rescaled, mask, [Group(tuple(mask), min(remove, mask.kept - len(mask)))])
    assert pruned.empty_layers == ()


def test_a_layer_s_scale_means_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    score = torch.rand(20, generator=generator, dtype=torch.float64)
    mask = Mask({"w": torch.ones(20, dtype=torch.bool)})

    small, large = (lamp_scores({"w": score * scale}, mask)["w"] for scale in (2.0**-60, 2.0**60))

    torch.testing.assert_close(small, large, rtol=0, atol=0)


@pytest.mark.parametrize("bad", [-1e-9, math.inf, math.nan])
def test_scores_that_say_nothing_when_squared_are_refused(bad: float) -> None:
    scores = {"w": torch.tensor([1.0, bad])}

    with pytest.raises(MaskError, match=r"1 (of|surviving scores of) 'w' are"):
        lamp_scores(scores, Mask.dense(scores))
    pruned = Mask({"w": torch.tensor([True, False])})
    assert lamp_scores(scores, pruned)["w"].tolist() == [1.0, 0.0]


def test_scores_that_do_not_fit_are_named() -> None:
    mask = Mask({"w": torch.ones(2, 2, dtype=torch.bool)})

    with pytest.raises(MaskError, match="no scores for 'w'"):
        lamp_scores({}, mask)
    with pytest.raises(MaskError, match=r"have shape \(4,\)"):
        lamp_scores({"w": torch.ones(4)}, mask)


def test_a_layer_without_survivors_has_no_scores() -> None:
    mask = Mask({"w": torch.zeros(3, dtype=torch.bool)})

    assert lamp_scores({"w": torch.ones(3)}, mask)["w"].tolist() == [0.0, 0.0, 0.0]
