"""Units against their definitions, written as loops over single weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.core import (
    GRANULARITIES,
    Mask,
    Units,
    check_granularity,
    granularity_problems,
    make_units,
    residual_blocks,
    surviving_units,
    unit_counts,
)
from lottery.errors import MaskError, UsageError

quick = settings(max_examples=60, deadline=None)

Shapes = Mapping[str, tuple[int, ...]]
Place = tuple[str, tuple[int, ...]]

NETWORK: Shapes = {
    "s1.0.conv1.weight": (4, 3, 3, 3),
    "s1.0.conv2.weight": (4, 4, 1, 2),
    "s1.0.shortcut.0.weight": (4, 3, 1, 1),
    "s1.1.conv1.weight": (2, 4, 3),
    "s1.1.conv2.weight": (4, 1, 2),
    "fc.weight": (5, 4),
    "output.weight": (3, 5),
}
PARTITIONS = ["kernel", "filter", "neuron", "block-2x3", "block-7x1", "block-99x99", "2:4", "1:3"]
PARTITIONS += ["layer", "residual-block"]


def naive_unit(granularity: str, place: Place, shape: tuple[int, ...]) -> Hashable | None:
    """Whatever tells the unit of one weight from all others; None: it is in none."""
    name, (output, *rest) = place
    of_rest = list(itertools.product(*map(range, shape[1:]))).index(tuple(rest))
    match granularity.partition(":"):
        case (n, ":", m):
            assert int(n) < int(m)
            return (name, output, rest[0] // int(m), *rest[1:])
    if granularity.startswith("block-"):
        rows, columns = map(int, granularity.removeprefix("block-").split("x"))
        return (name, output // rows, of_rest // columns)
    units: dict[str, Hashable | None] = {
        "kernel": (name, output, rest[0]) if len(shape) > 2 else None,
        "filter": (name, output) if len(shape) > 2 else None,
        "neuron": (name, output) if len(shape) == 2 else None,
        "layer": name,
        "residual-block": name[:4] if "conv" in name else None,
    }
    return units[granularity]


def places(shapes: Shapes) -> list[Place]:
    """Every weight in the order of ties."""
    return [
        (name, index)
        for name in sorted(shapes)
        for index in itertools.product(*map(range, shapes[name]))
    ]


def numbers(units: Units, shapes: Shapes) -> dict[Place, list[int]]:
    """The numbers of the units of every weight."""
    found: dict[Place, list[int]] = {}
    for name, index in places(shapes):
        labellings = [x.broadcast_to(shapes[name]) for x in units.labels.get(name, ())]
        found[name, index] = [int(x[index]) for x in labellings if int(x[index]) >= 0]
    return found


def made(granularity: str, shapes: Shapes = NETWORK) -> Units:
    units = make_units(granularity, shapes)
    assert units is not None
    return units


@pytest.mark.parametrize("granularity", PARTITIONS)
def test_units_are_those_of_the_definition(granularity: str) -> None:
    units = made(granularity)
    seen: dict[Hashable, int] = {}
    for place, found in numbers(units, NETWORK).items():
        key = naive_unit(granularity, place, NETWORK[place[0]])
        if key is None:
            assert found == []
        else:
            # Each weight in exactly one unit; a new unit has the next number.
            assert found == [seen.setdefault(key, len(seen))]
            home = f"{key}.conv1.weight" if granularity == "residual-block" else place[0]
            assert found[0] in units.homes[home]
    assert units.count == len(seen)


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 3), st.integers(1, 4))
@quick
def test_every_size_of_block_and_run_is_a_partition(o: int, i: int, k: int, size: int) -> None:
    shapes = {"w": (o, i, k)}
    for granularity in (f"block-{size}x{size + 1}", f"{size}:{size + 1}"):
        found = numbers(made(granularity, shapes), shapes)
        assert all(len(of_place) == 1 for of_place in found.values())
        keys = {place: naive_unit(granularity, place, shapes["w"]) for place in found}
        pairs = {(keys[place], of_place[0]) for place, of_place in found.items()}
        assert len(pairs) == len({k for k, _ in pairs}) == len({number for _, number in pairs})


@pytest.mark.parametrize(
    ("fine", "coarse"), [("kernel", "filter"), ("filter", "layer"), ("neuron", "layer")]
)
def test_finer_units_lie_in_coarser_ones(fine: str, coarse: str) -> None:
    inside: dict[int, set[int]] = {}
    around = numbers(made(coarse), NETWORK)
    for place, found in numbers(made(fine), NETWORK).items():
        for number in found:
            inside.setdefault(number, set()).update(around[place])
    assert all(len(units) == 1 for units in inside.values())


def test_sizes() -> None:
    def sizes(granularity: str, shape: tuple[int, ...]) -> list[int]:
        units = made(granularity, {"w": shape})
        return torch.bincount(units.labels["w"][0].broadcast_to(shape).flatten()).tolist()

    assert sizes("kernel", (2, 3, 5, 5)) == [25] * 6
    assert sizes("filter", (2, 3, 5, 5)) == [75] * 2
    assert sizes("neuron", (2, 3)) == [3, 3]
    assert sizes("block-2x2", (3, 5)) == [4, 4, 2, 2, 2, 1]
    assert sizes("2:4", (1, 6)) == [4, 2]
    assert sizes("2:4", (1, 6, 2)) == [4, 4, 2, 2]
    assert sizes("layer", (2, 3)) == [6]


def test_labellings_are_no_larger_than_they_need_be() -> None:
    """The units of a large network must not take more memory than the network."""
    labels = made("filter", {"w": (512, 512, 3, 3)}).labels["w"]
    assert [labelling.numel() for labelling in labels] == [512]


def test_counts_are_of_units_that_survive() -> None:
    shapes = {"conv.weight": (3, 2, 2, 2), "fc.weight": (4, 3)}
    kept = {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
    kept["conv.weight"][0] = False
    kept["conv.weight"][1, :, 0] = False  # half pruned: survives
    mask = Mask(kept)

    assert unit_counts(mask, made("filter", shapes)) == {"conv.weight": 2}
    assert surviving_units(mask, made("filter", shapes)).tolist() == [False, True, True]
    assert unit_counts(mask, made("kernel", shapes)) == {"conv.weight": 4}
    assert unit_counts(mask, made("layer", shapes)) == {"conv.weight": 1, "fc.weight": 1}
    assert unit_counts(mask, None) == {"conv.weight": 12, "fc.weight": 12}
    assert make_units("weight", shapes) is None


def test_units_of_another_network() -> None:
    mask = Mask.dense({"w": torch.ones(3, 2)})
    for shapes in ({"v": (3, 2)}, {"w": (2, 2)}, {"w": (3, 2, 1)}):
        with pytest.raises(MaskError, match=r"do not fit the mask, whose layers are w"):
            unit_counts(mask, made("layer" if "v" in shapes else "block-1x1", shapes))


@pytest.mark.parametrize(
    ("names", "blocks"),
    [
        (["layer1.0.conv1.weight", "layer1.0.conv2.weight", "conv1.weight"], ["layer1.0"]),
        (["layer1.0.conv1.weight", "layer1.0.downsample.0.weight"], []),
        (["blocks.3.attention.qkv.weight", "blocks.3.mlp.fc1.weight"], ["blocks.3"]),
        (["stage2.block1.conv1.weight", "stage2.block1.conv2.weight"], ["stage2.block1"]),
        (["fc1.weight", "fc2.weight", "output.weight"], []),
    ],
)
def test_residual_blocks_by_name(names: list[str], blocks: list[str]) -> None:
    assert list(residual_blocks(names)) == blocks


@pytest.mark.parametrize("name", [*GRANULARITIES, *PARTITIONS, "weight", "block-64x32", "4:8"])
def test_names(name: str) -> None:
    problem = check_granularity(name)
    if name in ("block-RxC", "N:M"):
        assert problem is not None
        assert "are numbers" in problem
    else:
        assert problem is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("filters", "unknown granularity 'filters'; did you mean 'filter'?"),
        ("block-0x4", "unknown granularity 'block-0x4'"),
        ("block-04x4", "unknown granularity"),
        ("block-4", "unknown granularity"),
        ("0:4", "unknown granularity"),
        ("4:4", "expected N:M with N below M"),
        ("5:4", "keeps 5 of every 4 inputs"),
        ("", "unknown granularity ''"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    assert message in (check_granularity(name) or "")
    with pytest.raises(UsageError, match="granularity"):
        make_units(name, NETWORK)
    assert granularity_problems(name, "layer", "geometric") == [
        f"granularity: {check_granularity(name)}"
    ]


@pytest.mark.parametrize("granularity", ["kernel", "filter", "residual-block"])
def test_networks_without_such_units(granularity: str) -> None:
    with pytest.raises(UsageError, match=r"finds nothing to remove.*fc\.weight \(5, 4\)"):
        make_units(granularity, {"fc.weight": (5, 4)})


@pytest.mark.parametrize(
    ("fractions", "homes"),
    [
        ({}, ["1.conv1.weight", "2.conv1.weight"]),
        ({"*.conv2.weight": 0.0}, ["1.conv2.weight", "2.conv2.weight"]),
        ({"*.conv2.*": 0.3, "1.conv3.*": 0.0}, ["1.conv3.weight", "2.conv2.weight"]),
        ({"*.conv[13].*": 0.3}, ["1.conv1.weight", "2.conv1.weight"]),
    ],
)
def test_a_block_has_the_fraction_of_a_layer_that_has_one(
    fractions: dict[str, float], homes: list[str]
) -> None:
    shapes = {f"{block}.conv{i}.weight": (2, 2, 1, 1) for block in "21" for i in (3, 1, 2)}
    units = make_units("residual-block", shapes, fractions=fractions)
    assert units is not None
    assert units.homes == {home: range(i, i + 1) for i, home in enumerate(homes)}
    assert {n: int(units.labels[n][0].max()) + 1 for n in shapes} == {n: int(n[0]) for n in shapes}


@pytest.mark.parametrize("granularity", ["filter", "neuron", "kernel", "block-2x2", "layer"])
def test_exceptions_change_no_units_within_layers(granularity: str) -> None:
    exempt = make_units(granularity, NETWORK, fractions=dict.fromkeys(NETWORK, 0.0))
    assert exempt is not None
    assert exempt.homes == made(granularity).homes
    assert numbers(exempt, NETWORK) == numbers(made(granularity), NETWORK)


def test_channels_have_to_be_given() -> None:
    with pytest.raises(UsageError, match="find_channels"):
        make_units("channel", NETWORK)


@pytest.mark.parametrize("scope", ["global", "layer", "uniform"])
@pytest.mark.parametrize("schedule", ["geometric", "one-shot", "linear"])
@pytest.mark.parametrize(
    "granularity", ["weight", "kernel", "filter", "channel", "neuron", "block-2x2"]
)
def test_what_goes_together(granularity: str, scope: str, schedule: str) -> None:
    assert granularity_problems(granularity, scope, schedule, {"fc.*": 0.1}) == []


@pytest.mark.parametrize(
    ("granularity", "scope", "schedule", "fractions", "places"),
    [
        ("2:4", "layer", "one-shot", {"fc.*": 0.0}, []),
        ("2:4", "global", "one-shot", {}, ["scope"]),
        ("2:4", "erk", "geometric", {"a": 0.5}, ["scope", "schedule", "fractions.'a'"]),
        ("layer", "global", "geometric", {}, []),
        ("layer", "layer", "geometric", {}, ["scope"]),
        ("residual-block", "uniform", "geometric", {}, ["scope"]),
        ("filter", "lamp", "geometric", {}, ["scope"]),
        ("channel", "erk", "geometric", {}, ["scope"]),
        ("weight", "lamp", "geometric", {}, []),
    ],
)
def test_what_has_no_meaning_together(
    granularity: str, scope: str, schedule: str, fractions: dict[str, float], places: list[str]
) -> None:
    problems = granularity_problems(granularity, scope, schedule, fractions)

    assert [problem.partition(":")[0] for problem in problems] == places
    assert all("expected" in problem for problem in problems)


def test_a_layer_without_weights_has_no_units_in_the_way() -> None:
    shapes = {"a": (0, 3), "b": (2, 3)}
    assert made("neuron", shapes).homes == {"b": range(2)}
    assert math.prod(shapes["a"]) == 0
