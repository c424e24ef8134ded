"""Sharing out a whole number, against water poured into vessels in plain floating point."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.core import apportion, erdos_renyi_share
from lottery.errors import UsageError

quick = settings(max_examples=200, deadline=None)

NAMES = ["a", "b", "c", "d"]


@st.composite
def shared(draw: st.DrawFn) -> tuple[int, dict[str, int], dict[str, int]]:
    names = draw(st.permutations(NAMES))[: draw(st.integers(1, 4))]
    shares = {name: draw(st.integers(1, 50)) for name in names}
    most = {name: draw(st.integers(0, 60)) for name in names}
    return draw(st.integers(0, sum(most.values()))), shares, most


def poured(total: int, shares: Mapping[str, int], most: Mapping[str, int]) -> dict[str, float]:
    """The level at which vessels of these widths and capacities hold ``total``, by bisection."""
    low, high = 0.0, 1.0 + max(most[name] / shares[name] for name in shares)
    for _ in range(200):
        level = (low + high) / 2
        if sum(min(most[n], level * shares[n]) for n in shares) < total:
            low = level
        else:
            high = level
    return {name: min(most[name], high * shares[name]) for name in shares}


@given(shared())
@quick
def test_parts_are_whole_sum_exactly_and_are_within_one_of_the_exact_share(
    case: tuple[int, dict[str, int], dict[str, int]],
) -> None:
    total, shares, most = case

    parts = apportion(total, shares, most)

    assert sum(parts.values()) == total
    assert all(0 <= parts[name] <= most[name] for name in shares)
    exact = poured(total, shares, most)
    assert all(abs(parts[name] - exact[name]) < 1 + 1e-6 for name in shares)


@given(shared())
@quick
def test_the_order_of_names_means_nothing(
    case: tuple[int, dict[str, int], dict[str, int]],
) -> None:
    total, shares, most = case
    backwards = dict(reversed(list(shares.items())))

    assert apportion(total, backwards, most) == apportion(total, shares, most)


def test_equal_remainders_go_to_the_lower_name() -> None:
    assert apportion(5, {"b": 1, "a": 1, "c": 1}, dict.fromkeys("abc", 9)) == {
        "a": 2,
        "b": 2,
        "c": 1,
    }


def test_large_counts_are_exact_where_doubles_are_not() -> None:
    shares = {"a": 10**17 + 1, "b": 10**17 - 1}

    assert apportion(2 * 10**17 - 2, shares, shares) == {"a": 10**17, "b": 10**17 - 2}


@pytest.mark.parametrize("total", [-1, 6])
def test_what_cannot_be_shared_out(total: int) -> None:
    with pytest.raises(UsageError, match=f"cannot keep {total} weights of a, b: expected 0 to 5"):
        apportion(total, {"a": 1, "b": 1}, {"a": 2, "b": 3})


def rigl_densities(shapes: Mapping[str, tuple[int, ...]], density: float) -> dict[str, float]:
    """Erdos-Renyi-Kernel densities by the loop of arXiv:1911.11134: layers that come out denser
    than 1 are made dense, until none does."""
    size = dict.fromkeys(shapes, 1)
    for name, shape in shapes.items():
        for extent in shape:
            size[name] *= extent
    raw = {n: sum(shape) / size[n] for n, shape in shapes.items()}
    dense: set[str] = set()
    while True:
        budget = density * sum(size.values()) - sum(size[n] for n in dense)
        epsilon = budget / sum(raw[n] * size[n] for n in shapes if n not in dense)
        over = {n for n in shapes if n not in dense and epsilon * raw[n] > 1}
        if not over:
            return {n: 1.0 if n in dense else epsilon * raw[n] for n in shapes}
        dense.add(max(over, key=lambda n: raw[n]))


VGG_LIKE = {
    "conv1": (64, 3, 3, 3),
    "conv2": (128, 64, 3, 3),
    "conv3": (256, 128, 3, 3),
    "fc": (512, 256),
    "output": (10, 512),
}


@pytest.mark.parametrize("density", [0.9, 0.5, 0.2, 0.1, 0.02])
def test_erdos_renyi_kernel_shares_give_the_published_densities(density: float) -> None:
    sizes = {"conv1": 1728, "conv2": 73_728, "conv3": 294_912, "fc": 131_072, "output": 5120}
    total = round(density * sum(sizes.values()))
    shares = {name: erdos_renyi_share(shape) for name, shape in VGG_LIKE.items()}

    kept = apportion(total, shares, sizes)

    expected = rigl_densities(VGG_LIKE, total / sum(sizes.values()))
    assert sum(kept.values()) == total
    for name, size in sizes.items():
        assert kept[name] / size == pytest.approx(expected[name], abs=1.01 / size)
    if density >= 0.2:
        assert kept["conv1"] == sizes["conv1"], "small layers stay dense"
