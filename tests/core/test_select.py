"""The selection against a sorted list in plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lottery.core import Group, Mask, allocate, select
from lottery.errors import MaskError

quick = settings(max_examples=80, deadline=None)

# Few different values, so that ties are the rule.
SCORES = [-math.inf, -2.0, -0.0, 0.0, 0.5, 0.5000000001, 3.0, math.inf]
DTYPES = [torch.float16, torch.float32, torch.float64]
NAMES = ["b", "a", "c.weight"]


@st.composite
def networks(draw: st.DrawFn) -> tuple[dict[str, Tensor], Mask, list[Group]]:
    """Scores of a few layers, what is kept so far, and groups that hold every layer once."""
    scores, kept = {}, {}
    for name in draw(st.permutations(NAMES)):
        shape = draw(st.sampled_from([(0,), (1,), (5,), (2, 3), (2, 1, 4)]))
        size = math.prod(shape)
        values = draw(st.lists(st.sampled_from(SCORES), min_size=size, max_size=size))
        scores[name] = torch.tensor(values, dtype=draw(st.sampled_from(DTYPES))).view(shape)
        flags = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        kept[name] = torch.tensor(flags, dtype=torch.bool).view(shape)
    mask = Mask(kept)
    joined = draw(st.sampled_from([[NAMES], [[n] for n in NAMES], [NAMES[:2], NAMES[2:]]]))
    groups = [
        Group(tuple(names), draw(st.integers(0, sum(mask.layers[n][0] for n in names))))
        for names in joined
    ]
    return scores, mask, groups


def naive(scores: Mapping[str, Tensor], mask: Mask, groups: list[Group]) -> Mask:
    """Sort (-score, name, index) and drop the last ones."""
    kept: dict[str, Any] = {name: mask[name].flatten().tolist() for name in mask}
    for group in groups:
        ranked = sorted(
            (-float(scores[name].flatten()[i]), name, i)
            for name in group.layers
            for i, alive in enumerate(kept[name])
            if alive
        )
        for _, name, i in ranked[len(ranked) - group.remove :]:
            kept[name][i] = False
    return Mask({n: torch.tensor(kept[n], dtype=torch.bool).view(mask[n].shape) for n in mask})


@given(networks())
@quick
def test_agrees_with_the_sorted_list(case: tuple[dict[str, Tensor], Mask, list[Group]]) -> None:
    scores, mask, groups = case

    result = select(scores, mask, groups)

    assert result == naive(scores, mask, groups)
    assert result.is_subset(mask)
    assert result.kept == mask.kept - sum(group.remove for group in groups)


@given(networks())
@quick
def test_only_the_order_of_scores_counts(case: tuple[dict[str, Tensor], Mask, list[Group]]) -> None:
    scores, mask, groups = case
    # Strictly increasing on the values drawn, infinities included.
    mapped = {name: torch.atan(score.double()) * 2 + 1 for name, score in scores.items()}

    assert select(mapped, mask, groups) == select(scores, mask, groups)


@given(networks())
@quick
def test_no_order_of_dicts_layers_or_groups_counts(
    case: tuple[dict[str, Tensor], Mask, list[Group]],
) -> None:
    scores, mask, groups = case
    backwards = {name: scores[name] for name in reversed(list(scores))}
    turned = [Group(group.layers[::-1], group.remove) for group in reversed(groups)]

    assert select(backwards, mask, turned) == select(scores, mask, groups)


@given(networks())
@quick
def test_inputs_stay_as_they_were(case: tuple[dict[str, Tensor], Mask, list[Group]]) -> None:
    scores, mask, groups = case
    copies, before = {n: s.clone() for n, s in scores.items()}, Mask(dict(mask))

    select(scores, mask, groups)

    assert mask == before
    assert all(torch.equal(scores[name], copies[name]) for name in scores)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 999])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.2, 0.5, 1 / 3, 0.999, 1.0])
def test_equal_scores_are_pruned_by_the_exact_count(size: int, fraction: float) -> None:
    """A threshold would prune all of them, or none."""
    mask = Mask.dense({"w": torch.ones(size)})
    groups = allocate({"w": size}, scope="layer", fraction=fraction)

    result = select({"w": torch.full((size,), 0.7)}, mask, groups)

    survivors = size - round(fraction * size)
    assert result["w"].tolist() == [True] * survivors + [False] * (size - survivors)


def test_ties_go_to_the_lower_name_then_the_lower_index() -> None:
    scores = {"b": torch.ones(2), "a": torch.ones(2)}

    result = select(scores, Mask.dense(scores), [Group(("b", "a"), 1)])
    assert (result["a"].tolist(), result["b"].tolist()) == ([True, True], [True, False])

    result = select(scores, Mask.dense(scores), [Group(("b", "a"), 3)])
    assert (result["a"].tolist(), result["b"].tolist()) == ([True, False], [False, False])


def test_a_zero_is_a_zero_whatever_its_sign() -> None:
    scores = {"w": torch.tensor([-0.0, 0.0, -0.0, 0.0])}

    assert select(scores, Mask.dense(scores), [Group(("w",), 2)])["w"].tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_types_of_different_precision_compete_on_exact_values() -> None:
    third = 1 / 3
    scores = {
        "double": torch.tensor([third], dtype=torch.float64),
        "half": torch.tensor([third], dtype=torch.float16),
        "single": torch.tensor([third], dtype=torch.float32),
    }
    exact = {name: float(score) for name, score in scores.items()}

    for remove in (1, 2):
        result = select(scores, Mask.dense(scores), [Group(tuple(scores), remove)])
        lowest = sorted(exact, key=exact.__getitem__)[:remove]
        assert result.empty_layers == tuple(sorted(lowest))


def test_layers_in_no_group_stay() -> None:
    scores = {"a": torch.ones(3), "b": torch.ones(3)}
    mask = Mask.dense(scores)

    assert select(scores, mask, []) == mask
    assert select({"a": scores["a"]}, mask, [Group(("a",), 3)]).layers == {"a": (0, 3), "b": (3, 3)}


def test_infinite_scores_are_scores() -> None:
    scores = {"w": torch.tensor([math.inf, -math.inf, 0.0, math.inf])}

    assert select(scores, Mask.dense(scores), [Group(("w",), 3)])["w"].tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_nan_matters_only_where_the_weight_survives() -> None:
    scores = {"w": torch.tensor([1.0, math.nan, 2.0])}
    without = Mask({"w": torch.tensor([True, False, True])})

    assert select(scores, without, [Group(("w",), 1)])["w"].tolist() == [False, False, True]
    with pytest.raises(MaskError, match=r"1 surviving scores of 'w' are NaN"):
        select(scores, Mask.dense(scores), [Group(("w",), 0)])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "no scores for 'w'"),
        ({"w": torch.ones(4)}, r"shape \(4,\), its weight \(2, 2\)"),
        ({"w": torch.ones(2, 2, dtype=torch.int64)}, "expected a floating-point tensor"),
        ({"w": torch.ones(2, 2, dtype=torch.bool)}, "expected a floating-point tensor"),
    ],
)
def test_scores_that_do_not_fit(scores: dict[str, Tensor], message: str) -> None:
    with pytest.raises(MaskError, match=message):
        select(scores, Mask.dense({"w": torch.ones(2, 2)}), [Group(("w",), 1)])


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (Group(("w",), 3), "cannot remove 3 weights from w: expected 0 to 2"),
        (Group(("w",), -1), "cannot remove -1 weights"),
        (Group(("other",), 0), "a group names other; the mask's layers are w"),
        (Group((), 0), "a group names no layer"),
    ],
)
def test_groups_that_do_not_fit(group: Group, message: str) -> None:
    mask = Mask({"w": torch.tensor([True, False, True])})

    with pytest.raises(MaskError, match=message):
        select({"w": torch.ones(3)}, mask, [group])


def test_scores_with_gradients_are_read_like_others() -> None:
    scores = {"w": torch.tensor([2.0, 1.0], requires_grad=True)}

    assert select(scores, Mask.dense(scores), [Group(("w",), 1)])["w"].tolist() == [True, False]
