"""Scopes that say how dense each layer is, and counts for the whole network."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.core import (
    Group,
    Mask,
    Scope,
    allocate,
    erdos_renyi_share,
    planned_densities,
    select,
)
from lottery.errors import UsageError

quick = settings(max_examples=60, deadline=None)

SHAPES = {"conv1": (8, 3, 3, 3), "conv2": (16, 8, 3, 3), "fc": (20, 64), "output": (5, 20)}
TOTALS = {name: math.prod(shape) for name, shape in SHAPES.items()}
WHOLE = sum(TOTALS.values())

shared = st.sampled_from(["uniform", "erk"])


def kept_by(groups: tuple[Group, ...], survivors: dict[str, int]) -> dict[str, int]:
    kept = dict(survivors)
    for group in groups:
        (name,) = group.layers
        kept[name] -= group.remove
    return kept


@given(shared, st.floats(0.01, 0.99), st.sampled_from([{}, {"output": 0.0}, {"conv*": 0.0}]))
@quick
def test_levels_lose_the_exact_total_and_nothing_comes_back(
    scope: Scope, fraction: float, exempt: dict[str, float]
) -> None:
    kept = dict(TOTALS)
    whole = [n for n in TOTALS if n in exempt or (n.startswith("conv") and "conv*" in exempt)]
    reached = [1.0]
    for _ in range(8):
        competing = sum(kept[n] for n in kept if n not in whole)
        groups = allocate(kept, scope=scope, fraction=fraction, fractions=exempt, shapes=SHAPES)
        # Exempt layers may share a group, which removes nothing.
        removed = {n: g.remove for g in groups for n in g.layers if g.remove}
        after = {n: kept[n] - removed.get(n, 0) for n in kept}
        assert sum(removed.values()) == round(fraction * competing)
        assert all(0 <= after[n] <= kept[n] for n in kept)
        assert all(after[n] == TOTALS[n] for n in whole)
        kept = after
        reached.append(sum(kept.values()) / WHOLE)

    planned = planned_densities(TOTALS, 8, scope=scope, fraction=fraction, fractions=exempt)
    assert planned == reached


@given(st.floats(0.05, 0.6))
@quick
def test_uniform_layers_have_the_same_density_at_every_level(fraction: float) -> None:
    kept = dict(TOTALS)
    for _ in range(6):
        kept = kept_by(
            allocate(kept, scope="uniform", fraction=fraction, shapes=SHAPES),
            kept,
        )
        density = sum(kept.values()) / WHOLE
        # Rounding once more at every level may leave a layer one weight further off.
        assert all(abs(kept[n] - density * TOTALS[n]) < 2 for n in kept)


def test_erk_is_in_proportion_to_the_sum_of_dimensions_and_keeps_small_layers_dense() -> None:
    groups = allocate(TOTALS, scope="erk", fraction=0.8, shapes=SHAPES)
    kept = kept_by(groups, TOTALS)

    assert sum(kept.values()) == WHOLE - round(0.8 * WHOLE)
    free = [name for name in kept if kept[name] < TOTALS[name]]
    scale = [kept[name] / erdos_renyi_share(SHAPES[name]) for name in free]
    assert max(scale) - min(scale) < 0.05 * max(scale)
    for name in set(kept) - set(free):
        assert erdos_renyi_share(SHAPES[name]) * min(scale) >= TOTALS[name] - 1
    assert kept["output"] / TOTALS["output"] > kept["fc"] / TOTALS["fc"]


def test_a_layer_below_its_share_does_not_regrow_and_the_others_make_up() -> None:
    survivors = {"conv1": 10, "conv2": 1152, "fc": 1280, "output": 100}

    groups = allocate(survivors, scope="uniform", fraction=0.0, keep=1500, shapes=SHAPES)

    kept = kept_by(groups, survivors)
    assert kept["conv1"] == 10
    assert sum(kept.values()) == 1500
    density = 1490 / (1152 + 1280 + 100)
    assert all(abs(kept[n] - density * TOTALS[n]) < 1 for n in ("conv2", "fc", "output"))


@given(
    st.sampled_from(["global", "lamp", "uniform", "erk"]),
    st.lists(st.integers(0, WHOLE), min_size=1, max_size=6),
    st.integers(0, 3),
)
@quick
def test_what_is_kept_in_all_is_exact(scope: Scope, counts: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = {n: torch.rand(SHAPES[n], generator=generator) for n in SHAPES}
    mask, keep = Mask.dense(scores), sorted(counts, reverse=True)
    for count in keep:
        survivors = {name: kept for name, (kept, _) in mask.layers.items()}
        groups = allocate(survivors, scope=scope, fraction=0.2, keep=count, shapes=SHAPES)
        pruned = select(scores, mask, groups)
        assert pruned.kept == count
        assert pruned.is_subset(mask)
        mask = pruned

    planned = planned_densities(TOTALS, len(keep), scope=scope, fraction=0.2, keep=keep)
    assert planned[1:] == [count / WHOLE for count in keep]
    assert all(after <= before for before, after in pairwise(planned))


def test_exempt_layers_count_in_the_whole() -> None:
    exempt = {"conv*": 0.0}
    groups = allocate(TOTALS, scope="global", fraction=0.2, fractions=exempt, keep=1500)

    removed = {group.layers: group.remove for group in groups}
    assert removed == {("conv1", "conv2"): 0, ("fc", "output"): WHOLE - 1500}

    with pytest.raises(UsageError, match=r"cannot keep 1367 weights: expected 1368, as many as"):
        allocate(TOTALS, scope="global", fraction=0.2, fractions=exempt, keep=1367)
    with pytest.raises(UsageError, match=f"to {WHOLE}, as many as there are"):
        allocate(TOTALS, scope="uniform", fraction=0.2, keep=WHOLE + 1, shapes=SHAPES)
    with pytest.raises(UsageError, match="expected 1368"):
        planned_densities(TOTALS, 1, scope="global", fraction=0.2, fractions=exempt, keep=[1000])


def test_what_contradicts_a_density_of_the_whole() -> None:
    with pytest.raises(UsageError, match="scope other than 'layer'"):
        allocate(TOTALS, scope="layer", fraction=0.2, keep=100)
    with pytest.raises(UsageError, match="no fraction but 0"):
        allocate(TOTALS, scope="global", fraction=0.2, fractions={"fc": 0.1}, keep=100)


def test_shares_need_shapes() -> None:
    with pytest.raises(UsageError, match="scope 'erk' needs the shapes of the layers"):
        allocate(TOTALS, scope="erk", fraction=0.2)


def test_lamp_allocates_as_global() -> None:
    special = {"output": 0.1}
    assert allocate(TOTALS, scope="lamp", fraction=0.2, fractions=special) == allocate(
        TOTALS, scope="global", fraction=0.2, fractions=special
    )
