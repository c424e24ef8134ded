"""What coupled channels weigh by scores of outputs, against loops in plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lottery.core import Channel, Group, Mask, channel_units, make_units, select
from lottery.core.unit_scores import score_units
from lottery.errors import MaskError

# conv1, conv2 and both groups of the grouped convolution are added; fc reads two places each.
SHAPES = {
    "conv1": (4, 2, 3, 1),
    "conv2": (4, 4, 1, 1),
    "grouped": (8, 1, 2, 2),
    "next": (3, 4, 1, 1),
    "fc": (2, 6),
}
CHANNELS: list[Channel] = [
    (
        ("conv1", 0, (i,)),
        ("conv1.bias", 0, (i,)),
        ("conv2", 0, (i,)),
        ("conv2", 1, (i,)),
        ("grouped", 0, (i, 4 + i)),
        ("next", 1, (i,)),
    )
    for i in range(4)
] + [(("next", 0, (i,)), ("fc", 1, (2 * i, 2 * i + 1))) for i in (0, 2)]
UNITS = channel_units(CHANNELS, SHAPES)
VALUES = [0.0, 0.1, 0.25, 0.7, 3.0, math.inf]


@st.composite
def networks(draw: st.DrawFn) -> tuple[dict[str, Tensor], Mask]:
    """A score for each output, and what is kept of it: all, or any part."""
    scores, kept = {}, {}
    for name, shape in SHAPES.items():
        rows = draw(st.lists(st.sampled_from(VALUES), min_size=shape[0], max_size=shape[0]))
        column = torch.tensor(rows, dtype=torch.float64).view(-1, *[1] * (len(shape) - 1))
        scores[name] = column.expand(shape).clone()
        chances = draw(st.sampled_from([[True], [True, False], [True, *[False] * 7]]))
        size = math.prod(shape)
        flags = draw(st.lists(st.sampled_from(chances), min_size=size, max_size=size))
        kept[name] = torch.tensor(flags).view(shape)
    return scores, Mask(kept)


def mean_of_outputs(channel: Channel, scores: Mapping[str, Tensor], mask: Mask) -> float:
    """One number for each output of which a weight is left; infinity is no number."""
    outputs = [
        float(scores[name][i].flatten()[0])
        for name, dim, along in channel
        if name in SHAPES and dim == 0
        for i in along
        if bool(mask[name][i].any())
    ]
    numbers = [value for value in outputs if value < math.inf]
    if outputs and not numbers:
        return math.inf
    return sum(numbers) / len(numbers) if numbers else 0.0


def is_alive(channel: Channel, mask: Mask) -> bool:
    return any(
        bool(mask[name].transpose(0, dim)[list(along)].any())
        for name, dim, along in channel
        if name in SHAPES
    )


@given(networks())
@settings(max_examples=100, deadline=None)
def test_a_channel_has_the_mean_of_its_outputs(case: tuple[dict[str, Tensor], Mask]) -> None:
    scores, mask = case
    alive, values = score_units(scores, mask, UNITS, per_unit=True)

    assert alive.tolist() == [is_alive(channel, mask) for channel in CHANNELS]
    expected = torch.tensor([mean_of_outputs(c, scores, mask) for c in CHANNELS])
    torch.testing.assert_close(values, expected.double())


@given(networks(), st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=30, deadline=None)
def test_others_than_those_that_compete_weigh_nothing(
    case: tuple[dict[str, Tensor], Mask], chosen: list[bool]
) -> None:
    scores, mask = case
    competing = torch.tensor(chosen)
    for per_unit in (False, True):
        alive, values = score_units(scores, mask, UNITS, per_unit=per_unit)
        some, weights = score_units(scores, mask, UNITS, competing, per_unit=per_unit)
        assert some.equal(alive & competing)
        assert weights.equal(values.where(competing, 0))


@given(networks())
@settings(max_examples=30, deadline=None)
def test_units_of_one_output_weigh_the_same_as_by_the_mean(
    case: tuple[dict[str, Tensor], Mask],
) -> None:
    scores, mask = case
    for granularity in ("filter", "neuron", "layer", "kernel", "block-2x2"):
        units = make_units(granularity, SHAPES)
        assert units is not None
        mean = score_units(scores, mask, units, reduce="mean")
        assert all(
            a.equal(b)
            for a, b in zip(mean, score_units(scores, mask, units, per_unit=True), strict=True)
        )


def test_readers_need_no_scores_but_writers_do() -> None:
    scores = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    mask, groups = Mask.dense(scores), [Group(("conv1",), 1)]
    del scores["fc"], scores["next"]

    after = select(scores, mask, groups, UNITS, per_unit=True)
    assert after.layers["next"] == (9, 12)
    assert after.layers["fc"] == (12, 12)
    scores["grouped"][3] = math.nan
    with pytest.raises(MaskError, match="4 surviving scores of 'grouped' are NaN"):
        select(scores, mask, groups, UNITS, per_unit=True)
    del scores["grouped"]
    with pytest.raises(MaskError, match="no scores for 'grouped'"):
        select(scores, mask, groups, UNITS, per_unit=True)


def test_both_infinities_in_one_output() -> None:
    scores = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    scores["next"][0, 0], scores["next"][0, 1] = math.inf, -math.inf
    with pytest.raises(MaskError, match="1 units hold scores of both infinities"):
        score_units(scores, Mask.dense(scores), UNITS, per_unit=True)
