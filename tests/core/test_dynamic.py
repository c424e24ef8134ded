"""Dropping and growing, against plain Python."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lottery.core import Mask
from lottery.core.dynamic import drop_and_grow, updated_share
from lottery.errors import MaskError

sizes = st.integers(1, 40)
seeds = st.integers(0, 99)
shares = st.floats(0, 1)


def tensors(size: int, seed: int, levels: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Kept or not, weights and gradients; few different numbers, so that there are ties."""
    generator = torch.Generator().manual_seed(seed)
    kept = torch.rand(size, generator=generator) < 0.5
    weights = torch.randint(-levels, levels + 1, (size,), generator=generator).float()
    gradients = torch.randint(-levels, levels + 1, (size,), generator=generator).float()
    return kept, weights, gradients


def rigl_by_hand(kept: Tensor, weights: Tensor, gradients: Tensor, share: float) -> list[bool]:
    """Weight by weight, in plain Python."""
    now = kept.tolist()
    count = round(share * sum(now))
    for _ in range(count):
        # The smallest, of equals the last.
        alive = [i for i in range(len(now)) if now[i]]
        now[min(alive, key=lambda i: (abs(float(weights[i])), -i))] = False
    for _ in range(count):
        # The steepest, of equals the first.
        free = [i for i in range(len(now)) if not now[i]]
        now[max(free, key=lambda i: (abs(float(gradients[i])), -i))] = True
    return now


@given(sizes, seeds, shares)
def test_gradient_growth_is_what_one_would_do_by_hand(size: int, seed: int, share: float) -> None:
    kept, weights, gradients = tensors(size, seed)
    mask = drop_and_grow(
        Mask({"a": kept}),
        weights={"a": weights},
        share=share,
        growth="gradient",
        gradients={"a": gradients},
    )
    # One free place is taken at a time by hand, and its gradient stays what it was, so a place
    # grown first cannot be free again.
    assert mask["a"].tolist() == rigl_by_hand(kept, weights, gradients, share)


@given(sizes, seeds, shares)
def test_random_growth_keeps_counts_and_drops_the_smallest(
    size: int, seed: int, share: float
) -> None:
    kept, weights, _ = tensors(size, seed)
    before = Mask({"a": kept, "b": ~kept})
    after = drop_and_grow(
        before,
        weights={"a": weights, "b": weights},
        share=share,
        growth="random",
        generator=torch.Generator().manual_seed(seed),
    )
    assert after.layers == before.layers
    for name in before:
        count = round(share * before.layers[name][0])
        gone = before[name] & ~after[name]
        assert int(gone.sum()) <= count
        stayed = before[name] & after[name]
        # Nothing that went was larger than what was sure to stay.
        sizes_kept = weights[before[name]].abs().sort(descending=True).values
        if int(gone.sum()) and count < len(sizes_kept):
            assert float(weights[gone].abs().max()) <= float(sizes_kept[len(sizes_kept) - count])
        assert int(stayed.sum()) >= before.layers[name][0] - count


def test_random_growth_may_take_any_free_place_equally_often() -> None:
    mask = Mask({"a": torch.tensor([True, True, False, False])})
    weights = {"a": torch.tensor([2.0, 1.0, 0.0, 0.0])}
    counts = torch.zeros(4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3000):
        counts += drop_and_grow(
            mask, weights=weights, share=0.5, growth="random", generator=generator
        )["a"]
    assert counts[0] == 3000
    # Three places, the dropped one among them; four standard deviations.
    assert (counts[1:] - 1000).abs().max() < 4 * math.sqrt(3000 * 2 / 9)


def test_a_share_of_nothing_or_of_everything() -> None:
    mask = Mask({"a": torch.tensor([True, False, True, False])})
    weights, slopes = {"a": torch.ones(4)}, {"a": torch.tensor([0.0, 3.0, 0.0, 2.0])}
    same = drop_and_grow(mask, weights=weights, share=0.0, growth="gradient", gradients=slopes)
    other = drop_and_grow(mask, weights=weights, share=1.0, growth="gradient", gradients=slopes)
    assert same == mask
    assert other["a"].tolist() == [False, True, False, True]


def test_what_is_missing_or_not_a_number_is_an_error() -> None:
    mask, ones = Mask({"a": torch.ones(3, dtype=torch.bool)}), {"a": torch.ones(3)}
    broken = {"a": torch.tensor([1.0, math.nan, 1.0])}
    generator = torch.Generator()
    with pytest.raises(MaskError, match="no weights of 'a'"):
        drop_and_grow(mask, weights={}, share=0.3, growth="random", generator=generator)
    with pytest.raises(MaskError, match="1 numbers of 'a' are NaN"):
        drop_and_grow(mask, weights=broken, share=0.3, growth="random", generator=generator)
    with pytest.raises(MaskError, match="no gradients of 'a'"):
        drop_and_grow(mask, weights=ones, share=0.3, growth="gradient", gradients={})
    with pytest.raises(ValueError, match="needs gradients"):
        drop_and_grow(mask, weights=ones, share=0.3, growth="gradient")
    with pytest.raises(ValueError, match="needs a generator"):
        drop_and_grow(mask, weights=ones, share=0.3, growth="random")
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        drop_and_grow(mask, weights=ones, share=1.5, growth="random", generator=generator)


def test_the_share_falls_along_half_a_cosine() -> None:
    assert updated_share(0, first=0.3, end=1000) == 0.3
    assert updated_share(500, first=0.3, end=1000) == pytest.approx(0.15)
    assert updated_share(250, first=0.4, end=1000) == pytest.approx(0.2 * (1 + math.sqrt(0.5)))
    assert updated_share(1000, first=0.3, end=1000) == 0
    assert updated_share(9999, first=0.3, end=1000) == 0
