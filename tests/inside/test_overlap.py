"""What masks have in common, where chance can be counted."""

from __future__ import annotations

from itertools import combinations, product
from statistics import fmean, pvariance

import pytest
import torch
from scipy.stats import hypergeom
from torch import Tensor

from lottery.core import Mask
from lottery.errors import MaskError
from lottery.inside.overlap import add, chance_overlap, layer_overlaps, overlaps_by_input


def _all_masks(total: int, kept: int) -> list[Tensor]:
    return [
        torch.tensor([i in chosen for i in range(total)])
        for chosen in combinations(range(total), kept)
    ]


@pytest.mark.parametrize(("first", "second"), [(0, 3), (1, 1), (2, 3), (4, 3), (6, 2)])
def test_chance_is_what_all_masks_of_that_size_have_on_average(first: int, second: int) -> None:
    both = [int((a & b).sum()) for a, b in product(_all_masks(6, first), _all_masks(6, second))]
    overlap = chance_overlap(both=both[0], first=first, second=second, total=6)
    assert overlap.expected == pytest.approx(fmean(both))
    assert overlap.variance == pytest.approx(pvariance(both))
    assert (overlap.z is None) == (len(set(both)) == 1)


def test_chance_is_scipys_hypergeometric_distribution_for_large_layers() -> None:
    for first, second, total in ((200_000, 1, 235_200), (12_345, 678, 235_200), (9, 8, 10)):
        overlap = chance_overlap(both=0, first=first, second=second, total=total)
        mean, variance = hypergeom.stats(total, first, second)
        assert overlap.expected == pytest.approx(mean)
        assert overlap.variance == pytest.approx(variance)


def _random_mask(seed: int) -> Mask:
    generator = torch.Generator().manual_seed(seed)
    return Mask(
        {
            name: torch.randperm(rows * columns, generator=generator).view(rows, columns) < kept
            for name, rows, columns, kept in (("a", 20, 50, 300), ("b", 10, 20, 30))
        }
    )


def test_random_masks_lie_at_chance() -> None:
    masks = [_random_mask(seed) for seed in range(40)]
    pairs = [layer_overlaps(a, b) for a, b in combinations(masks, 2)]
    for name, kept, total in (("a", 300, 1000), ("b", 30, 200)):
        low, high = hypergeom.interval(1 - 1e-6, total, kept, kept)
        assert all(low <= pair[name].both <= high for pair in pairs)
    whole = add(one for pair in pairs for one in pair.values())
    assert whole.z is not None
    assert abs(whole.z) < 4
    by_input = add(
        one for a, b in combinations(masks, 2) for one in overlaps_by_input(a, b).values()
    )
    assert by_input.z is not None
    assert abs(by_input.z) < 4


def test_equal_and_disjoint_masks() -> None:
    mask = _random_mask(0)
    other = Mask({name: ~kept for name, kept in mask.items()})
    same, apart = (add(layer_overlaps(mask, m).values()) for m in (mask, other))
    assert (same.share, same.jaccard) == (1, 1)
    assert (apart.share, apart.jaccard) == (0, 0)
    assert same.z is not None
    assert apart.z is not None
    assert same.z > 20
    assert apart.z < -10
    nothing = Mask({name: torch.zeros_like(kept) for name, kept in mask.items()})
    empty = add(layer_overlaps(mask, nothing).values())
    assert (empty.share, empty.jaccard, empty.z) == (None, 0, None)


def test_chance_by_input_knows_which_inputs_are_read() -> None:
    kept = torch.zeros(4, 3, 2, 2, dtype=torch.bool)
    kept[:, 1] = True
    mask = Mask({"conv": kept})
    overall, by_input = layer_overlaps(mask, mask)["conv"], overlaps_by_input(mask, mask)["conv"]
    assert overall.z is not None
    assert overall.z > 5
    assert (by_input.expected, by_input.z) == (16, None)


def test_chance_among_what_a_parent_keeps() -> None:
    parent = Mask({"a": torch.tensor([True, True, True, True, False, False])})
    one = Mask({"a": torch.tensor([True, True, False, False, False, False])})
    assert layer_overlaps(one, one, parent)["a"].expected == 1


def test_masks_of_other_weights_are_refused() -> None:
    with pytest.raises(MaskError, match="does not fit"):
        layer_overlaps(_random_mask(0), Mask({"a": torch.ones(20, 50, dtype=torch.bool)}))
