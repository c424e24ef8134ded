"""Masks shuffled by units: counts, structure and what is coupled stay; which units go does not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lottery.core import (
    Channel,
    Group,
    Mask,
    Units,
    make_units,
    select,
    surviving_units,
    unit_counts,
)
from lottery.core.shuffle import interchangeable_units, shuffled_units, shuffled_within_units
from lottery.errors import MaskError

SHAPES = {"conv.weight": (6, 3, 3, 3), "conv2.weight": (4, 6, 3, 3), "fc.weight": (9, 10)}
CHANNELS: list[Channel] = [
    *((("conv.weight", 0, (i,)), ("conv2.weight", 1, (i,))) for i in range(6)),
    *((("conv2.weight", 0, (i,)), ("fc.weight", 1, (2 * i, 2 * i + 1))) for i in range(4)),
]


def units_of(granularity: str) -> Units:
    units = make_units(granularity, SHAPES, channels=CHANNELS)
    assert units is not None
    return units


def pruned(units: Units, share: float = 0.4) -> Mask:
    """Units of each home removed by chance, as many as the share says."""
    dense = Mask({name: torch.ones(shape, dtype=torch.bool) for name, shape in SHAPES.items()})
    generator = torch.Generator().manual_seed(3)
    scores = {n: torch.rand(dense[n].shape, generator=generator) for n in dense}
    counts = unit_counts(dense, units)
    return select(scores, dense, [Group((n,), round(share * counts[n])) for n in counts], units)


WHOLE = ["kernel", "filter", "neuron", "block-4x4", "block-2x3", "channel"]


@pytest.mark.parametrize("granularity", WHOLE)
def test_whole_units_are_shuffled_and_every_count_stays(granularity: str) -> None:
    units = units_of(granularity)
    mask = pruned(units)
    generator = torch.Generator().manual_seed(0)

    found = [shuffled_units(mask, units, interchangeable_units(units), generator) for _ in range(5)]

    for other in found:
        assert unit_counts(other, units) == unit_counts(mask, units)
        assert other.layers == mask.layers
        # Made of whole units: it is what is left when those that it lost are removed.
        alive = surviving_units(other, units)
        for name, labellings in units.labels.items():
            rebuilt = torch.ones_like(other[name])
            for numbers in labellings:
                rebuilt &= torch.where(numbers < 0, True, alive[numbers])
            assert torch.equal(other[name], rebuilt)
    assert any(other != mask for other in found)


def test_coupled_parts_go_together() -> None:
    units = units_of("channel")
    mask = pruned(units)
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        found = shuffled_units(mask, units, interchangeable_units(units), generator)
        written = found["conv.weight"].flatten(1).any(1)
        read = found["conv2.weight"].transpose(0, 1).flatten(1).any(1)
        assert torch.equal(written, read)
        assert torch.equal(
            found["conv2.weight"].flatten(1).any(1).repeat_interleave(2),
            found["fc.weight"][:, :8].any(0),
        )
        assert found["fc.weight"][:, 8:].all()


def test_every_filter_is_as_likely() -> None:
    units = units_of("filter")
    mask = pruned(units)
    generator = torch.Generator().manual_seed(0)
    counts = sum(
        surviving_units(
            shuffled_units(mask, units, interchangeable_units(units), generator), units
        )[:6].int()
        for _ in range(1_200)
    )
    assert isinstance(counts, torch.Tensor)
    assert int(counts.sum()) == 1_200 * 4
    assert stats.chisquare(counts.numpy()).pvalue > 0.01


def test_units_of_another_size_are_not_alike() -> None:
    """Blocks at the edge are smaller, and channels that others read are larger."""
    units = make_units("block-4x4", {"fc.weight": (9, 10)})
    assert units is not None
    # 3 x 3 blocks: 4 x 4 four times, 4 x 2 twice at the right, 1 x 4 twice below, and 1 x 2.
    assert sorted(len(numbers) for numbers in interchangeable_units(units)) == [1, 2, 2, 4]
    channels: list[Channel] = [
        (("conv.weight", 0, (0,)), ("conv2.weight", 1, (0,))),
        *((("conv.weight", 0, (i,)),) for i in range(1, 6)),
    ]
    units = make_units("channel", SHAPES, channels=channels)
    assert units is not None
    assert sorted(len(numbers) for numbers in interchangeable_units(units)) == [1, 5]


@given(st.integers(0, 10_000))
def test_runs_keep_as_many_and_exempt_layers_all(seed: int) -> None:
    units = units_of("2:4")
    dense = {name: torch.ones(shape, dtype=torch.bool) for name, shape in SHAPES.items()}
    mask = Mask({**dense, "fc.weight": torch.arange(10).expand(9, 10) % 2 == 1})

    found = shuffled_within_units(mask, units, torch.Generator().manual_seed(seed))

    assert found["conv.weight"].all()
    for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
        assert torch.equal(found["fc.weight"][:, part].sum(1), mask["fc.weight"][:, part].sum(1))


def test_within_a_run_every_place_is_as_likely() -> None:
    units = make_units("1:4", {"w": (300, 8)})
    assert units is not None
    mask = Mask({"w": torch.arange(8).expand(300, 8) % 4 == 0})
    found = shuffled_within_units(mask, units, torch.Generator().manual_seed(0))["w"]
    assert (found.view(300, 2, 4).sum(2) == 1).all()
    assert stats.chisquare(found.view(-1, 4).sum(0).numpy()).pvalue > 0.01


def test_a_mask_of_something_else_is_refused() -> None:
    units = units_of("filter")
    kept = dict(pruned(units))
    kept["conv.weight"].view(-1)[:5] = False
    generator = torch.Generator()
    with pytest.raises(MaskError, match="parts of units"):
        shuffled_units(Mask(kept), units, interchangeable_units(units), generator)
    with pytest.raises(MaskError, match="nothing to shuffle between runs"):
        shuffled_units(pruned(units), units_of("2:4"), [], generator)
