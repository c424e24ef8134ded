"""Selection of units against loops over lists in plain Python."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lottery.core import (
    Channel,
    Group,
    Mask,
    Reduce,
    Units,
    allocate,
    channel_units,
    fixed_groups,
    make_units,
    select,
    unit_counts,
)
from lottery.errors import MaskError

quick = settings(max_examples=60, deadline=None)

# Few different values, so that ties are the rule; their sums are exact in any order.
SCORES = [-2.0, -0.0, 0.0, 0.25, 0.5, 3.0]
SHAPES = {
    "b.weight": (4, 4, 1, 2),
    "a.0.conv1.weight": (4, 2, 2, 1),
    "a.0.conv2.weight": (4, 4, 1, 1),
    "fc.weight": (3, 8),
}
WHOLE = ["kernel", "filter", "neuron", "block-2x3", "block-1x1", "layer", "residual-block"]
# Residual: the channels of conv1 and conv2 are added; each is read at two places by fc.
CHANNELS: list[Channel] = [
    (
        ("a.0.conv1.weight", 0, (i,)),
        ("a.0.conv1.bias", 0, (i,)),
        ("a.0.conv2.weight", 0, (i,)),
        ("a.0.conv2.weight", 1, (i,)),
        ("b.weight", 1, (i,)),
    )
    for i in range(4)
] + [(("b.weight", 0, (i,)), ("fc.weight", 1, (2 * i, 2 * i + 1))) for i in range(4)]

Weights = list[tuple[str, int]]


@st.composite
def networks(draw: st.DrawFn) -> tuple[dict[str, Tensor], Mask]:
    """Scores and what is kept so far: all, or any part."""
    scores, kept = {}, {}
    for name in draw(st.permutations(list(SHAPES))):
        size = math.prod(SHAPES[name])
        values = draw(st.lists(st.sampled_from(SCORES), min_size=size, max_size=size))
        scores[name] = torch.tensor(values, dtype=torch.float64).view(SHAPES[name])
        part = draw(st.sampled_from(["all", "some", "few"]))
        chances = {"all": [True], "some": [True, False], "few": [True, *[False] * 7]}[part]
        flags = draw(st.lists(st.sampled_from(chances), min_size=size, max_size=size))
        kept[name] = torch.tensor(flags).view(SHAPES[name])
    return scores, Mask(kept)


def units_of(granularity: str) -> Units:
    units = make_units(granularity, SHAPES, channels=CHANNELS)
    assert units is not None
    return units


def weights_of(units: Units) -> dict[int, Weights]:
    """Unit number -> its weights in the order of ties, by looking at every single weight."""
    found: dict[int, Weights] = {number: [] for number in range(units.count)}
    for name in sorted(SHAPES):
        of_weight = [x.broadcast_to(SHAPES[name]).flatten() for x in units.labels.get(name, ())]
        for i in range(math.prod(SHAPES[name])):
            for number in sorted({int(numbers[i]) for numbers in of_weight} - {-1}):
                found[number].append((name, i))
    return found


def naive(
    scores: Mapping[str, Tensor], mask: Mask, groups: list[Group], units: Units, reduce: Reduce
) -> Mask:
    """Sort (-score, number) and drop the last ones."""
    kept: dict[str, Any] = {name: mask[name].flatten().tolist() for name in mask}
    weights, value = weights_of(units), values(scores, mask, units, reduce)
    stay = protected(units, value) if units.keep_best else set()
    for group in groups:
        home = {number for name in group.layers for number in units.homes[name]}
        ranked = sorted((-value[n], n) for n in (home & value.keys()) - stay)
        for _, number in ranked[len(ranked) - group.remove :]:
            for name, i in weights[number]:
                kept[name][i] = False
    return Mask({n: torch.tensor(kept[n], dtype=torch.bool).view(SHAPES[n]) for n in mask})


def values(
    scores: Mapping[str, Tensor], mask: Mask, units: Units, reduce: Reduce
) -> dict[int, float]:
    """Surviving unit -> its score."""
    found = {}
    for number, weights in weights_of(units).items():
        alive = [float(scores[n].flatten()[i]) for n, i in weights if bool(mask[n].flatten()[i])]
        if alive:
            found[number] = sum(alive) / (len(alive) if reduce == "mean" else 1)
    return found


def protected(units: Units, value: Mapping[int, float]) -> set[int]:
    """The best unit of the rows, and of the columns, of each layer."""
    axes = [set(x.flatten().tolist()) for pair in units.labels.values() for x in pair]
    axes = [axis & value.keys() for axis in axes if -1 not in axis]
    return {min((-value[number], number) for number in axis)[1] for axis in axes if axis}


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Tensor], Mask, list[Group], Units, Reduce]:
    scores, mask = draw(networks())
    units = units_of(draw(st.sampled_from([*WHOLE, "channel"])))
    names = draw(st.permutations(list(units.homes)))
    cut = draw(st.integers(0, len(names)))
    reduce: Reduce = draw(st.sampled_from(["sum", "mean"]))
    value = values(scores, mask, units, reduce)
    stay = protected(units, value) if units.keep_best else set()
    groups = []
    for members in filter(None, (names[:cut], names[cut:])):
        numbers = {number for name in members for number in units.homes[name]}
        most = len((numbers & value.keys()) - stay)
        remove = draw(st.sampled_from([most, 0]) | st.integers(0, most))
        groups.append(Group(tuple(members), remove))
    return scores, mask, groups, units, reduce


@given(cases())
@quick
def test_agrees_with_loops(
    case: tuple[dict[str, Tensor], Mask, list[Group], Units, Reduce],
) -> None:
    scores, mask, groups, units, reduce = case

    result = select(scores, mask, groups, units, reduce=reduce)

    assert result == naive(scores, mask, groups, units, reduce)
    assert result.is_subset(mask)
    if not units.keep_best:
        before, after = unit_counts(mask, units), unit_counts(result, units)
        for group in groups:
            lost = sum(before[name] - after[name] for name in group.layers)
            assert lost == group.remove


@given(cases())
@quick
def test_no_order_of_dicts_layers_or_groups_counts(
    case: tuple[dict[str, Tensor], Mask, list[Group], Units, Reduce],
) -> None:
    scores, mask, groups, units, reduce = case
    backwards = {name: scores[name] for name in reversed(list(scores))}
    turned = [Group(group.layers[::-1], group.remove) for group in reversed(groups)]

    assert select(backwards, mask, turned, units, reduce=reduce) == select(
        scores, mask, groups, units, reduce=reduce
    )


@given(networks(), st.lists(st.integers(0, 8), min_size=4, max_size=4))
@quick
def test_units_of_one_weight_are_weights(
    case: tuple[dict[str, Tensor], Mask], removed: list[int]
) -> None:
    scores, mask = case
    groups = [
        Group((name,), min(remove, mask.layers[name][0]))
        for name, remove in zip(mask, removed, strict=True)
    ]

    by_units = select(scores, mask, groups, units_of("block-1x1"))
    assert by_units == select(scores, mask, groups)
    assert unit_counts(mask, units_of("block-1x1")) == unit_counts(mask, None)


@pytest.mark.parametrize("granularity", WHOLE[:5])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.25, 0.5, 1 / 3, 1.0])
def test_equal_scores_are_pruned_by_the_exact_count(granularity: str, fraction: float) -> None:
    units = units_of(granularity)
    scores = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    mask = Mask.dense(scores)
    counts = unit_counts(mask, units)

    for scope in ("layer", "global"):
        result = select(
            scores, mask, allocate(counts, scope=scope, fraction=fraction), units, reduce="mean"
        )
        left = unit_counts(result, units)
        if scope == "layer":
            assert left == {name: n - round(fraction * n) for name, n in counts.items()}
        total = sum(counts.values())
        if scope == "global":
            assert sum(left.values()) == total - round(fraction * total)
            # What stays are the first units in the order of ties.
            alive = [n for n, places in weights_of(units).items() if is_kept(result, places)]
            assert alive == list(range(len(alive)))


def is_kept(mask: Mask, weights: Weights) -> bool:
    return all(bool(mask[name].flatten()[i]) for name, i in weights)


def test_the_sum_and_the_mean_differ_where_units_differ_in_size() -> None:
    scores = {"w": torch.tensor([[1.0, 1.0, 1.5]])}
    units = make_units("block-1x2", {"w": (1, 3)})
    mask, groups = Mask.dense(scores), [Group(("w",), 1)]

    by_sum = select(scores, mask, groups, units)
    by_mean = select(scores, mask, groups, units, reduce="mean")
    assert by_sum["w"].tolist() == [[True, True, False]]
    assert by_mean["w"].tolist() == [[False, False, True]]


def test_what_is_pruned_counts_for_nothing() -> None:
    scores = {"w": torch.tensor([[1.0, 1.0, math.nan], [0.0, 1.0, 0.0]])}
    mask = Mask({"w": torch.tensor([[False, True, False], [True, True, True]])})
    units = make_units("neuron", {"w": (2, 3)})
    groups = [Group(("w",), 1)]

    assert select(scores, mask, groups, units)["w"].any(1).tolist() == [True, False]
    by_mean = select(scores, mask, groups, units, reduce="mean")
    assert by_mean["w"].any(1).tolist() == [True, False]
    scores["w"][1, 0] = math.nan
    with pytest.raises(MaskError, match=r"1 surviving scores of 'w' are NaN"):
        select(scores, mask, groups, units)


def test_infinities() -> None:
    scores = {"w": torch.tensor([[math.inf, 1.0], [-math.inf, 1.0], [5.0, 5.0]])}
    units = make_units("neuron", {"w": (3, 2)})
    mask = Mask.dense(scores)

    result = select(scores, mask, [Group(("w",), 2)], units)
    assert result["w"].any(1).tolist() == [True, False, False]
    scores["w"][2, 0] = -math.inf
    scores["w"][2, 1] = math.inf
    with pytest.raises(MaskError, match="1 units hold scores of both infinities"):
        select(scores, mask, [Group(("w",), 0)], units)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (Group(("conv.weight",), 4), "cannot remove 4 units from conv.weight: expected 0 to 3"),
        (Group(("conv.weight",), -1), "cannot remove -1 units"),
        (Group(("fc.weight",), 0), "a group names fc.weight; the homes of its units are conv.weig"),
        (Group((), 0), "a group names no layer"),
    ],
)
def test_groups_that_do_not_fit(group: Group, message: str) -> None:
    scores = {"conv.weight": torch.ones(3, 2, 1), "fc.weight": torch.ones(2, 3)}
    units = make_units("filter", {name: tuple(s.shape) for name, s in scores.items()})

    with pytest.raises(MaskError, match=message):
        select(scores, Mask.dense(scores), [group], units)


def test_layers_in_no_group_need_no_scores() -> None:
    shapes = {"a": (2, 2), "b": (2, 2)}
    mask = Mask.dense({name: torch.ones(shape) for name, shape in shapes.items()})
    units = make_units("neuron", shapes)

    result = select({"a": torch.ones(2, 2)}, mask, [Group(("a",), 1)], units)
    assert result.layers == {"a": (2, 4), "b": (4, 4)}
    with pytest.raises(MaskError, match="no scores for 'b'"):
        select({"a": torch.ones(2, 2)}, mask, [Group(("b",), 1)], units)


# n:m


@given(networks(), st.sampled_from(["1:2", "2:4", "3:5", "1:8"]))
@quick
def test_n_of_m_agrees_with_loops(case: tuple[dict[str, Tensor], Mask], granularity: str) -> None:
    scores, mask = case
    n, m = map(int, granularity.split(":"))
    units = units_of(granularity)

    result = select(scores, mask, fixed_groups(mask, units), units)

    for name, (outputs, inputs, *kernel) in SHAPES.items():
        for output, *at in itertools.product(range(outputs), *map(range, kernel)):
            for start in range(0, inputs, m):
                run = [(output, i, *at) for i in range(start, min(start + m, inputs))]
                alive = [place for place in run if bool(mask[name][place])]
                best = sorted(alive, key=lambda p: (-float(scores[name][p]), p))[:n]
                assert [p for p in run if bool(result[name][p])] == sorted(best)
    assert result.is_subset(mask)
    assert select(scores, result, fixed_groups(result, units), units) == result


@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 4), (4, 8)])
def test_exactly_n_of_every_m_stay(n: int, m: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = {
        "conv": torch.rand(5, 16, 3, 3, generator=generator),
        "fc": torch.rand(7, 24, generator=generator),
    }
    mask = Mask.dense(scores)
    units = make_units(f"{n}:{m}", {name: tuple(s.shape) for name, s in scores.items()})
    assert units is not None

    result = select(scores, mask, fixed_groups(mask, units), units)

    assert bool((result["fc"].view(7, -1, m).sum(2) == n).all())
    assert bool((result["conv"].view(5, -1, m, 9).sum(2) == n).all())
    assert result.density == n / m


def test_n_of_m_with_another_count() -> None:
    scores = {"w": torch.rand(2, 4)}
    units = make_units("2:4", {"w": (2, 4)})

    with pytest.raises(MaskError, match="removes 4 from w, but the group says 3"):
        select(scores, Mask.dense(scores), [Group(("w",), 3)], units)


# Coupled channels


def test_channels_go_with_all_their_slices() -> None:
    scores = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    scores["a.0.conv1.weight"][1] = -1.0
    scores["fc.weight"][:, 4] = -9.0
    units = units_of("channel")
    assert unit_counts(Mask.dense(scores), units) == {"a.0.conv1.weight": 4, "b.weight": 4}

    groups = [Group(("a.0.conv1.weight",), 1), Group(("b.weight",), 1)]
    result = select(scores, Mask.dense(scores), groups, units)

    one, two = [True, False, True, True], [True, True, False, True]
    assert result["a.0.conv1.weight"].flatten(1).all(1).tolist() == one
    assert result["a.0.conv1.weight"].flatten(1).any(1).tolist() == one
    grid = torch.tensor(one)
    assert torch.equal(result["a.0.conv2.weight"][:, :, 0, 0], grid[:, None] & grid)
    assert torch.equal(result["b.weight"][:, :, 0, 0], torch.tensor(two)[:, None] & grid)
    columns = torch.tensor(two).repeat_interleave(2)
    assert torch.equal(result["fc.weight"], columns.expand(3, 8))


def test_a_weight_in_two_places_of_one_channel_counts_once() -> None:
    """With an identity shortcut a weight can lie in output and input of the same channel."""
    scores = {"v": torch.tensor([[3.0, 0.0]]), "w": torch.tensor([[0.0, 0.0], [0.0, 2.0]])}
    channels: list[Channel] = [(("v", 1, (i,)), ("w", 0, (i,)), ("w", 1, (i,))) for i in range(2)]
    units = channel_units(channels, {"v": (1, 2), "w": (2, 2)})

    # 3 against 2; counted twice, it would be 3 against 4.
    result = select(scores, Mask.dense(scores), [Group(("w",), 1)], units)
    assert result["w"].tolist() == [[True, False], [False, False]]
    assert result["v"].tolist() == [[True, False]]


def test_no_layer_loses_all_its_channels() -> None:
    scores = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    for name in ("a.0.conv1.weight", "a.0.conv2.weight"):
        scores[name] -= 9.0  # in all, the worst ones
    units = units_of("channel")
    mask = Mask.dense(scores)

    result = select(scores, mask, [Group(("a.0.conv1.weight", "b.weight"), 4)], units)
    assert unit_counts(result, units) == {"a.0.conv1.weight": 1, "b.weight": 3}
    result = select(scores, mask, [Group(("a.0.conv1.weight", "b.weight"), 6)], units)
    assert unit_counts(result, units) == {"a.0.conv1.weight": 1, "b.weight": 1}
    assert result.empty_layers == ()
    with pytest.raises(MaskError, match="expected 0 to 6, as many as survive beyond the best one"):
        select(scores, mask, [Group(("a.0.conv1.weight", "b.weight"), 7)], units)


def test_all_of_an_axis_may_go_where_other_indices_are_in_no_channel() -> None:
    scores = {"a": torch.ones(2, 2), "b": torch.ones(2, 3)}
    channels: list[Channel] = [(("a", 0, (0,)), ("b", 1, (0,)))]
    units = channel_units(channels, {"a": (2, 2), "b": (2, 3)})

    result = select(scores, Mask.dense(scores), [Group(("a",), 1)], units)
    assert result["a"].tolist() == [[False, False], [True, True]]
    assert result["b"].tolist() == [[False, True, True]] * 2


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([(("a", 0, (2,)),)], r"indices \(2,\) of dimension 0 of 'a', whose shape is \(2, 2\)"),
        ([(("a", 0, (0,)), ("b", 2, (0,)))], "dimension 2 of 'b'"),
        ([(("a", 0, (0,)), ("b", 1, (-1,)))], "dimension 1 of 'b'"),
        ([(("a", 0, (0, 1)),), (("a", 0, (1,)),)], "two channels have dimension 0 of 'a' at inde"),
        ([(("b", 1, (0,)), ("bias", 0, (0,)))], "outputs of a prunable layer; got one with sl"),
    ],
)
def test_channels_that_do_not_fit(channels: list[Channel], message: str) -> None:
    with pytest.raises(MaskError, match=message):
        channel_units(channels, {"a": (2, 2), "b": (2, 2)})
