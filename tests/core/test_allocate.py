"""Counts: exact, per scope, and the densities planned from them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.core import (
    Mask,
    Scope,
    allocate,
    check_patterns,
    layer_fraction,
    planned_densities,
    select,
)
from lottery.errors import UsageError

quick = settings(max_examples=60, deadline=None)

LENET = {"fc1.weight": 784 * 300, "fc2.weight": 300 * 100, "output.weight": 100 * 10}

fractions = st.floats(0, 1)
layer_sizes = st.fixed_dictionaries(
    {"a.weight": st.integers(1, 60), "b.weight": st.integers(1, 60), "out": st.integers(1, 9)}
)
exceptions = st.sampled_from([{}, {"out": 0.0}, {"out": 0.1}, {"*.weight": 0.25, "out": 0.5}])


@given(layer_sizes, fractions, exceptions)
@quick
def test_layers_lose_their_own_fraction(
    sizes: dict[str, int], fraction: float, special: dict[str, float]
) -> None:
    groups = allocate(sizes, scope="layer", fraction=fraction, fractions=special)

    assert [group.layers for group in groups] == [(name,) for name in sorted(sizes)]
    for group in groups:
        (name,) = group.layers
        assert group.remove == round(layer_fraction(name, fraction, special) * sizes[name])


@given(layer_sizes, fractions, exceptions)
@quick
def test_globally_those_of_one_fraction_compete(
    sizes: dict[str, int], fraction: float, special: dict[str, float]
) -> None:
    groups = allocate(sizes, scope="global", fraction=fraction, fractions=special)

    assert sorted(name for group in groups for name in group.layers) == sorted(sizes)
    shares = [{layer_fraction(n, fraction, special) for n in group.layers} for group in groups]
    assert all(len(share) == 1 for share in shares)
    assert len({next(iter(share)) for share in shares}) == len(groups)
    for group, share in zip(groups, shares, strict=True):
        assert group.remove == round(next(iter(share)) * sum(sizes[n] for n in group.layers))


@given(layer_sizes, st.floats(0.01, 0.9), exceptions, st.sampled_from(["global", "layer"]))
@quick
def test_planned_densities_are_those_that_selection_reaches(
    sizes: dict[str, int], fraction: float, special: dict[str, float], scope: Scope
) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = {n: torch.rand(size, generator=generator) for n, size in sizes.items()}
    mask = Mask.dense(scores)
    reached = [mask.density]
    for _ in range(12):
        kept = {name: layer[0] for name, layer in mask.layers.items()}
        groups = allocate(kept, scope=scope, fraction=fraction, fractions=special)
        mask = select(scores, mask, groups)
        reached.append(mask.density)

    planned = planned_densities(sizes, 12, scope=scope, fraction=fraction, fractions=special)

    assert planned == reached


def test_lenet_loses_a_fifth_and_its_output_layer_a_tenth() -> None:
    """By hand: every level keeps n - round(n / 5), in the output layer n - round(n / 10)."""
    expected = []
    first, second, output = 235_200, 30_000, 1_000
    for _ in range(13):
        expected.append((first + second + output) / 266_200)
        first -= nearest(first, 5)
        second -= nearest(second, 5)
        output -= nearest(output, 10)

    planned = planned_densities(LENET, 12, scope="layer", fraction=0.2, fractions={"output.*": 0.1})

    assert planned == expected
    assert planned[1] == (188_160 + 24_000 + 900) / 266_200
    assert planned[12] == pytest.approx(0.0695, abs=5e-4)


def nearest(n: int, d: int) -> int:
    """n / d to the nearest integer in whole numbers, halves to the even one."""
    quotient, rest = divmod(n, d)
    if 2 * rest == d:
        return quotient + quotient % 2
    return quotient + (2 * rest > d)


def test_an_exempt_layer_stays_whole_while_the_rest_compete() -> None:
    kept = {"conv.weight": 90, "fc.weight": 10, "output.weight": 50}

    groups = allocate(kept, scope="global", fraction=0.2, fractions={"output.*": 0.0})

    assert {group.layers: group.remove for group in groups} == {
        ("conv.weight", "fc.weight"): 20,
        ("output.weight",): 0,
    }


def test_nothing_to_prune() -> None:
    assert allocate({}, scope="layer", fraction=0.2) == ()
    assert allocate({"w": 0}, scope="global", fraction=0.2)[0].remove == 0


def test_patterns_are_matched_whole_and_in_their_case() -> None:
    assert layer_fraction("fc1.weight", 0.2, {"fc": 0.5}) == 0.2
    assert layer_fraction("fc1.weight", 0.2, {"FC*": 0.5}) == 0.2
    assert layer_fraction("fc1.weight", 0.2, {"fc?.weight": 0.5}) == 0.5
    assert layer_fraction("fc1.weight", 0.2, {"fc[12].*": 0.0}) == 0.0


def test_a_pattern_that_matches_nothing_is_a_mistake() -> None:
    with pytest.raises(UsageError) as caught:
        check_patterns(LENET, {"fc*": 0.2, "ouptut.*": 0.1, "conv": 0.1})

    assert "no layer matches 'conv', 'ouptut.*'" in str(caught.value)
    assert "fc1.weight, fc2.weight, output.weight" in str(caught.value)


def test_two_patterns_for_one_layer_are_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"'fc2.weight' matches 'fc\*' and 'fc2.\*'"):
        check_patterns(LENET, {"fc*": 0.2, "fc2.*": 0.1})


def test_patterns_that_are_right_pass() -> None:
    check_patterns(LENET, {})
    check_patterns(LENET, {"fc?.*": 0.2, "output.*": 0.1})
