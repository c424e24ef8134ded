"""Kept weights of each unit, where chance can be counted."""

from __future__ import annotations

from itertools import combinations, pairwise
from statistics import fmean, pvariance
from typing import get_args

import pytest
import torch
from torch import Tensor

from lottery.inside.degrees import MOST_BINS, Side, degrees


def _all_masks(rows: int, columns: int, kept: int) -> list[Tensor]:
    total = rows * columns
    return [
        torch.tensor([i in chosen for i in range(total)]).view(rows, columns)
        for chosen in combinations(range(total), kept)
    ]


@pytest.mark.parametrize("kept", [1, 2, 4, 6, 8])
@pytest.mark.parametrize("side", get_args(Side))
def test_chance_is_what_all_masks_of_that_size_have_on_average(kept: int, side: Side) -> None:
    found = [degrees(mask, side) for mask in _all_masks(2, 4, kept)]
    assert found[0].chance_variance == pytest.approx(fmean(one.variance for one in found))
    assert found[0].chance_empty == pytest.approx(fmean(one.empty for one in found))
    spread = pvariance([one.empty for one in found])
    for one in found:
        if spread < 1e-12:
            assert one.empty_z is None
        else:
            assert one.empty_z == pytest.approx((one.empty - one.chance_empty) / spread**0.5)
    bins = [list(one.histogram()) for one in found]
    for number in range(min(map(len, bins))):
        assert bins[0][number][3] == pytest.approx(fmean(of[number][2] for of in bins))


def test_units_of_a_convolution_are_channels() -> None:
    kept = torch.zeros(3, 2, 2, 2, dtype=torch.bool)
    kept[0, 1] = True
    outputs, inputs = degrees(kept, "outputs"), degrees(kept, "inputs")
    assert (outputs.counts.tolist(), outputs.each, outputs.empty) == ([4, 0, 0], 8, 2)
    assert (inputs.counts.tolist(), inputs.each, inputs.empty) == ([0, 4], 12, 1)


def test_bins_cover_every_unit() -> None:
    generator = torch.Generator().manual_seed(0)
    kept = torch.rand(300, 784, generator=generator) < torch.linspace(0, 1, 300)[:, None]
    found = degrees(kept, "outputs")
    bins = list(found.histogram())
    assert len(bins) <= MOST_BINS
    assert sum(units for *_, units, _ in bins) == 300
    assert sum(chance for *_, chance in bins) == pytest.approx(300)
    assert all(first == last + 1 for (_, last, *_), (first, *_) in pairwise(bins))
    assert found.variance > 10 * found.chance_variance


def test_full_and_empty_layers() -> None:
    for kept in (torch.ones(4, 5, dtype=torch.bool), torch.zeros(4, 5, dtype=torch.bool)):
        found = degrees(kept, "outputs")
        assert (found.variance, found.chance_variance, found.empty_z) == (0, 0, None)
        assert sum(chance for *_, chance in found.histogram()) == pytest.approx(4)
    assert degrees(torch.ones(1, 1, dtype=torch.bool), "inputs").chance_variance == 0
