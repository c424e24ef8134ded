"""Masks against plain Python sets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lottery.core import Mask, prunable_weights
from lottery.errors import MaskError

Weights = frozenset[tuple[str, int]]

SHAPES = {"b.weight": (2, 3), "a.weight": (4,), "c.weight": (1, 2, 2)}
EVERY = frozenset((name, i) for name, shape in SHAPES.items() for i in range(math.prod(shape)))

weights = st.frozensets(st.sampled_from(sorted(EVERY)))
quick = settings(max_examples=60, deadline=None)


def made(kept: Weights) -> Mask:
    """The mask that keeps these (name, flat index) pairs."""
    return Mask(
        {
            name: torch.tensor([(name, i) in kept for i in range(math.prod(shape))]).view(shape)
            for name, shape in SHAPES.items()
        }
    )


def members(mask: Mask) -> Weights:
    """The (name, flat index) pairs that a mask keeps."""
    return frozenset(
        (name, i) for name in mask for i, kept in enumerate(mask[name].flatten().tolist()) if kept
    )


def test_asking_for_a_layer_copies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = made(EVERY)
    monkeypatch.setattr(Tensor, "clone", None)
    assert [name in mask for name in (*SHAPES, "d.weight", 1)] == [True, True, True, False, False]


@given(weights, weights)
@quick
def test_operations_are_those_of_sets(one: Weights, two: Weights) -> None:
    a, b = made(one), made(two)

    assert members(a & b) == one & two
    assert members(a | b) == one | two
    assert a.is_subset(b) == (one <= two)
    assert (a == b) == (one == two)
    assert a.overlap(b) == (len(one & two) / len(one | two) if one | two else 1.0)
    assert a.hamming(b) == len(one ^ two) / len(EVERY)
    assert (a.kept, a.total) == (len(one), len(EVERY))
    assert a.density == len(one) / len(EVERY)
    assert a.layers == {
        name: (sum(n == name for n, _ in one), math.prod(SHAPES[name])) for name in sorted(SHAPES)
    }
    assert a.empty_layers == tuple(n for n in sorted(SHAPES) if n not in {m for m, _ in one})


@given(weights, weights, weights)
@quick
def test_distances_are_metrics(one: Weights, two: Weights, three: Weights) -> None:
    a, b, c = made(one), made(two), made(three)

    for distance in (Mask.hamming, lambda x, y: 1 - x.overlap(y)):
        assert distance(a, a) == 0
        assert distance(a, b) == distance(b, a)
        assert (distance(a, b) == 0) == (a == b)
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-12


def test_density_is_the_share_kept_and_not_the_share_pruned() -> None:
    assert made(frozenset({("a.weight", 0)})).density == 1 / 14


def test_mask_of_nothing() -> None:
    assert math.isnan(Mask({}).density)
    assert Mask({}).overlap(Mask({})) == 1.0
    assert Mask({}).hamming(Mask({})) == 0.0


def test_neither_the_input_nor_a_result_is_a_way_in() -> None:
    given_tensor = torch.tensor([True, False])
    mask = Mask({"w": given_tensor})
    expected = Mask({"w": torch.tensor([True, False])})

    given_tensor.fill_(False)
    mask["w"].fill_(True)
    next(iter(mask.values())).fill_(True)
    dict(mask)["w"].fill_(True)

    assert mask == expected
    with pytest.raises(TypeError):
        mask["w"] = torch.tensor([True, True])  # type: ignore[index]
    with pytest.raises(TypeError, match="unhashable"):
        hash(mask)


def test_names_are_sorted_and_order_of_the_input_means_nothing() -> None:
    one, two = torch.tensor([True]), torch.tensor([False])

    assert list(Mask({"b": one, "a": two})) == ["a", "b"]
    assert Mask({"b": one, "a": two}) == Mask({"a": two, "b": one})


def test_equality_with_something_else() -> None:
    mask = made(EVERY)

    assert mask != {"a": 1}
    assert mask != Mask({"a.weight": mask["a.weight"]})


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int64])
def test_other_than_bool_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(MaskError, match=r"mask of 'w': expected a bool tensor, got .*tensor != 0"):
        Mask({"w": torch.ones(2, dtype=dtype)})


@pytest.mark.parametrize("values", [[True, False], np.ones(2, bool), None])
def test_other_than_a_tensor_is_refused(values: Any) -> None:
    with pytest.raises(MaskError, match=rf"expected a bool tensor, got {type(values).__name__};"):
        Mask({"w": values})


def test_check_lists_every_problem() -> None:
    mask = Mask.dense({"extra": torch.ones(1), "shape": torch.ones(2, 3), "fine": torch.ones(4)})
    fitting = {"shape": torch.ones(3, 2), "fine": torch.ones(4), "new": torch.ones(1)}

    with pytest.raises(MaskError) as caught:
        mask.check(fitting)

    for part in (
        "'extra' is not among the prunable weights",
        "'new' is missing from the mask",
        "'shape' has shape (2, 3), its weight (3, 2)",
    ):
        assert part in str(caught.value)
    assert "fine" not in str(caught.value)
    Mask.dense(fitting).check(fitting)


def test_masks_of_different_networks_do_not_combine() -> None:
    one, two = Mask.dense({"a": torch.ones(2)}), Mask.dense({"a": torch.ones(3)})

    for combine in (Mask.__and__, Mask.__or__, Mask.overlap, Mask.hamming, Mask.is_subset):
        with pytest.raises(MaskError, match="does not fit"):
            combine(one, two)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_apply_is_bit_equal_where_kept_and_positive_zero_elsewhere(dtype: torch.dtype) -> None:
    values = [-1.5, -0.0, math.nan, math.inf, -math.inf, 1e-7, -2.0, 0.0]
    weight = torch.tensor(values, dtype=dtype)
    before = weight.clone()
    buffer = torch.tensor(7)
    for kept in (True, False):
        flags = torch.tensor([kept] * 4 + [not kept] * 4)

        result = Mask({"w": flags}).apply({"w": weight, "b": buffer})

        assert bits(result["w"][flags]) == bits(weight[flags])
        assert bits(result["w"][~flags]) == bits(torch.zeros(4, dtype=dtype))
        assert result["b"].item() == 7
        assert result["b"].data_ptr() != buffer.data_ptr()
    assert bits(weight) == bits(before)


def bits(tensor: Tensor) -> list[int]:
    bytes_: list[int] = tensor.contiguous().view(torch.uint8).tolist()
    return bytes_


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_apply_holds_what_is_pruned_at_values(dtype: torch.dtype) -> None:
    weight = torch.tensor([-1.5, math.nan, 2.0, -0.0], dtype=dtype)
    values = torch.tensor([math.nan, -0.0, 3.0, -math.inf])
    mask = Mask({"w": torch.tensor([True, False, False, True])})

    result = mask.apply({"w": weight, "b": torch.tensor(7)}, {"w": values})

    expected = torch.tensor([-1.5, -0.0, 3.0, -0.0], dtype=dtype)
    assert bits(result["w"]) == bits(expected)
    assert result["b"].item() == 7


def test_apply_refuses_weights_that_do_not_fit() -> None:
    mask = Mask.dense({"w": torch.ones(3)})

    with pytest.raises(MaskError, match="shape"):
        mask.apply({"w": torch.ones(2, 3)})
    with pytest.raises(MaskError, match="'w' is not among"):
        mask.apply({"other": torch.ones(3)})
    for wrong in ({"w": torch.ones(2)}, {}):
        with pytest.raises(MaskError, match="'w'"):
            mask.apply({"w": torch.ones(3)}, wrong)


class Assortment(nn.Module):
    """One of everything, with weights shared in three ways."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3)
        self.normalization = nn.BatchNorm2d(2)
        self.norm = nn.LayerNorm(4)
        self.embedding = nn.Embedding(5, 4)
        self.first = nn.Linear(4, 4)
        self.again = nn.Linear(4, 4)
        self.again.weight = self.first.weight
        self.twice = self.first
        self.head = nn.Linear(4, 5)
        self.head.weight = self.embedding.weight
        self.scale = nn.Parameter(torch.ones(3, 3))


def test_prunable_are_linear_and_convolution_weights_once_each() -> None:
    model = Assortment()

    found = prunable_weights(model)

    assert list(found) == ["convolution.weight", "first.weight"]
    assert found["first.weight"].data_ptr() == model.first.weight.data_ptr()
    assert not any(weight.requires_grad for weight in found.values())
    assert Mask.dense(found).total == 2 * 9 + 16


@pytest.mark.parametrize("layer", [nn.Conv1d(1, 2, 3), nn.Conv3d(1, 2, 3), nn.Linear(2, 2)])
def test_a_layer_by_itself_is_a_model(layer: nn.Module) -> None:
    assert list(prunable_weights(layer)) == ["weight"]


@pytest.mark.parametrize("module", [nn.Embedding(3, 2), nn.BatchNorm1d(3), nn.ReLU()])
def test_what_is_never_pruned(module: nn.Module) -> None:
    assert prunable_weights(module) == {}


def test_repr_says_how_much_is_kept() -> None:
    assert repr(made(frozenset({("a.weight", 0)}))) == "Mask(3 layers, 1 of 14 kept)"
