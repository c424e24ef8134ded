"""What masks cover and what they do not, counted by hand."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from kinds_of_networks import (
    COVERED,
    Conv1D,
    MixedTypes,
    Routed,
    SharedStorage,
    TransposedStorage,
    all_frozen,
    foreign,
    frozen,
    lazy,
    weight_normed,
)
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm

from lottery.core import (
    OutsideMask,
    check_coverage,
    covered_weights,
    fan_ins,
    outside_mask,
    prunable_weights,
    tie_parameters,
)
from lottery.errors import UsageError
from lottery.models import MODEL_FAMILIES, MODELS, build_model

SHAPE, CLASSES = (1, 3, 4), 3


def sizes(model: nn.Module) -> dict[str, int]:
    return {name: weight.numel() for name, weight in prunable_weights(model).items()}


@pytest.mark.parametrize("name", COVERED)
def test_weights_that_multiply_an_input_are_covered(name: str) -> None:
    make, expected = COVERED[name]
    model = make(SHAPE, CLASSES)
    assert sizes(model) == expected
    assert not any(weight.requires_grad for weight in prunable_weights(model).values())
    if name != "foreign":
        assert outside_mask(model) == ()


def old_rule(model: nn.Module) -> list[str]:
    """Weights of linear and convolutional layers, once each, in the model's order."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    own = {id(m.weight) for m in model.modules() if isinstance(m, kinds)}
    return [name for name, parameter in model.named_parameters() if id(parameter) in own]


@pytest.mark.parametrize("name", [*MODELS, *(family.example for family in MODEL_FAMILIES)])
def test_named_networks_are_covered_as_ever(name: str) -> None:
    tasks = {family.example: family.task for family in MODEL_FAMILIES}
    shape, classes = tasks[name] if name in tasks else MODELS[name].task
    with torch.device("meta"):
        model = build_model(name, shape, classes)
    assert list(prunable_weights(model)) == old_rule(model)
    outside = outside_mask(model)
    if "vit" in name:
        why = "of VisionTransformer, a kind of layer that masks do not know"
        assert [(one.name, one.reason) for one in outside] == [("positions", why)]
    else:
        assert outside == ()


class Own(nn.Module):
    """A layer of its own kind: a matrix, a row, a bias and one that a linear layer has as well."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.matrix = nn.Parameter(torch.ones(3, 5))
        self.token = nn.Parameter(torch.ones(1, 1, 9))
        self.bias_table = nn.Parameter(torch.ones(7, 2))
        self.also = self.linear.weight


def test_what_lies_outside_is_named_counted_and_explained() -> None:
    model = nn.ModuleDict(
        {
            "frozen": frozen(SHAPE, CLASSES),
            "embedding": nn.Embedding(5, 4),
            "bags": nn.EmbeddingBag(6, 4),
            "normed": parametrizations.weight_norm(nn.Embedding(3, 2)),
            "norm": nn.LayerNorm([2, 3]),
            "own": Own(),
            "attention": nn.MultiheadAttention(4, 2, add_bias_kv=True),
        }
    )
    computed = "what a parametrized weight is computed from"
    unknown = "of Own, a kind of layer that masks do not know"
    assert outside_mask(model) == (
        OutsideMask(name="frozen.1.weight", weights=60, reason="frozen"),
        OutsideMask(name="embedding.weight", weights=20, reason="an embedding"),
        OutsideMask(name="bags.weight", weights=24, reason="an embedding"),
        OutsideMask(name="normed.parametrizations.weight.original1", weights=6, reason=computed),
        OutsideMask(name="norm.weight", weights=6, reason="a normalization"),
        OutsideMask(name="norm.bias", weights=6, reason="a normalization"),
        OutsideMask(name="own.matrix", weights=15, reason=unknown),
        OutsideMask(name="own.bias_table", weights=14, reason="a bias"),
        OutsideMask(name="own.also", weights=12, reason=f"also {unknown}"),
    )
    assert sizes(model) == {
        "frozen.3.weight": 15,
        "attention.in_proj_weight": 48,
        "attention.out_proj.weight": 16,
    }


def test_a_frozen_weight_of_any_shape_is_told() -> None:
    layer = nn.Linear(1, 1)
    layer.weight.requires_grad_(False)
    assert outside_mask(layer) == (OutsideMask(name="weight", weights=1, reason="frozen"),)


def test_layers_of_other_libraries() -> None:
    class Sized(nn.Module):
        """A linear layer that says its sizes."""

        def __init__(self, *shape: int) -> None:
            super().__init__()
            self.in_features, self.out_features = 3, 5
            self.weight = nn.Parameter(torch.ones(*shape))

    def kinds(layer: nn.Module) -> dict[str, str]:
        return {name: one.kind for name, one in covered_weights(layer).items()}

    assert kinds(Sized(5, 3)) == {"weight": "linear"}
    assert kinds(Sized(3, 5)) == {"weight": "transposed linear"}
    assert kinds(Sized(4, 5)) == kinds(Sized(5, 3, 1)) == {}
    assert kinds(Conv1D(5, 3)) == {"weight": "transposed linear"}
    assert kinds(Routed(2, 3, 4)) == {"up": "experts", "router.weight": "linear"}
    told = {one.name: one.reason for one in outside_mask(foreign(SHAPE, CLASSES))}
    assert told == {"3.up_bias": "a bias"}


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: weight_normed(SHAPE, CLASSES), "1.weight"),
        (lambda: nn.Sequential(spectral_norm(nn.Conv2d(1, 2, 3))), "0.weight"),
        (lambda: prune.random_unstructured(nn.Linear(3, 4), "weight", 0.5), "weight"),
        (
            lambda: parametrizations.orthogonal(nn.LSTM(3, 4), "weight_hh_l0"),
            "weight_hh_l0",
        ),
    ],
    ids=["weight-norm", "spectral-norm", "torch-prune", "orthogonal-lstm"],
)
def test_a_parametrized_weight_is_refused_by_name(make: Callable[[], nn.Module], name: str) -> None:
    with pytest.raises(UsageError, match=rf"^{name}: computed .*remove_parametrizations"):
        prunable_weights(make())


def test_a_weight_that_is_no_parameter_is_none_to_prune() -> None:
    fixed = nn.Linear(3, 4)
    del fixed.weight
    fixed.register_buffer("weight", torch.ones(4, 3))
    assert sizes(nn.Sequential(fixed, nn.Linear(4, 2))) == {"1.weight": 8}


def test_a_weight_without_a_shape_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"1\.0\.weight, 1\.0\.bias.*pass an example through"):
        prunable_weights(lazy(SHAPE, CLASSES))


class Views(nn.Module):
    """Layers whose weights are views of one piece of memory."""

    def __init__(self, *views: Tensor) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for view in views:
            layer = nn.Linear(view.shape[1], view.shape[0])
            layer.weight = nn.Parameter(view)
            self.layers.append(layer)


def test_memory_counts_once() -> None:
    memory = torch.rand(4, 6)
    first, second = {"layers.0.weight": 24}, {"layers.1.weight": 12}
    for same in (memory, memory[:], memory.t(), memory.view(8, 3)):
        assert sizes(Views(memory, same)) == first
        assert outside_mask(Views(memory, same)) == ()
    assert sizes(Views(memory, memory.clone())) == first | {"layers.1.weight": 24}
    # Parts of one memory are weights of their own: rows beside rows, columns beside columns.
    for parts in (memory.split(2), memory.split(3, dim=1), (memory[::2], memory[1::2])):
        assert sizes(Views(*parts)) == {"layers.0.weight": 12} | second
    with pytest.raises(UsageError, match=r"layers\.0\.weight and layers\.1\.weight have a part"):
        prunable_weights(Views(memory, memory[:2]))


def test_memory_that_an_embedding_has_is_the_embeddings() -> None:
    linear, embedding = nn.Linear(4, 5), nn.Embedding(5, 4)
    embedding.weight = nn.Parameter(linear.weight.data)
    model = nn.Sequential(linear, embedding)
    assert sizes(model) == {}
    assert [one.reason for one in outside_mask(model)] == ["an embedding"]


def test_parameters_of_one_memory_become_one() -> None:
    model = SharedStorage(SHAPE, CLASSES)
    inputs = torch.rand(2, *SHAPE)
    before = model(inputs)
    apart = copy.deepcopy(model)
    assert apart.a.weight.data_ptr() != apart.b.weight.data_ptr()

    tie_parameters(model)

    assert model.b.weight is model.a.weight
    assert torch.equal(model(inputs), before)
    assert [*model.state_dict()] == [*apart.state_dict()]
    twin = copy.deepcopy(model)
    assert twin.b.weight is twin.a.weight
    check_coverage("shared", model)


def test_what_training_could_not_follow_is_refused() -> None:
    model = TransposedStorage(SHAPE, CLASSES)
    tie_parameters(model)
    with pytest.raises(UsageError, match=r"a\.weight, b\.weight are parameters of their own in th"):
        check_coverage("shared", model)

    half = SharedStorage(SHAPE, CLASSES)
    half.b.weight.requires_grad_(False)
    tie_parameters(half)
    with pytest.raises(UsageError, match="or one of them frozen"):
        check_coverage("shared", half)


def test_a_network_with_nothing_to_prune_is_refused() -> None:
    with pytest.raises(UsageError, match=r"nothing to prune.*1\.weight \(frozen\); 3\.weight \(fr"):
        check_coverage("frozen", all_frozen(SHAPE, CLASSES))
    with pytest.raises(UsageError, match="its matrices are: none"):
        check_coverage("norms", nn.BatchNorm1d(3))


@pytest.mark.parametrize("name", COVERED)
def test_fan_in_is_what_one_output_sums_up(name: str) -> None:
    expected = {
        "embed.weight": 4,
        "layer.self_attn.in_proj_weight": 6,
        "attention.k_proj_weight": 4,
        "up.weight": 2 * 9,  # two of four inputs in each of two groups
        "1.weight": 12,
        "3.up": 5,
        "cell.weight_hh": 5,
        "first.weight": {"bilinear": 16}.get(name, 12),
    }
    found = fan_ins(COVERED[name][0](SHAPE, CLASSES))
    for weight, number in expected.items():
        if weight in found:
            assert found[weight] == number, weight


def test_types_do_not_matter_to_coverage() -> None:
    assert sizes(MixedTypes(SHAPE, CLASSES)) == {
        "first.weight": 5 * math.prod(SHAPE),
        "output.weight": 15,
    }
