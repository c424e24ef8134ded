"""Every optimizer against a loop that multiplies the mask onto gradients and weights by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import held_training as plain
import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from lottery import hold

optim = torch.optim


def one(kind: Callable[..., Optimizer], **settings: Any) -> plain.Make:
    return lambda model: [kind(model.parameters(), **settings)]


def muon_and_adamw(model: nn.Module) -> list[Optimizer]:
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    return [optim.Muon(matrices, lr=0.02, weight_decay=0.1), optim.AdamW(others, lr=0.01)]


def two_groups(model: nn.Module) -> list[Optimizer]:
    decayed = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "lr": 0.5}]
    return [optim.SGD(groups, lr=0.1, momentum=0.9)]


def one_a_layer(model: nn.Module) -> list[Optimizer]:
    layers = [layer for layer in model.children() if list(layer.parameters())]
    return [optim.Adam(layer.parameters(), lr=0.01 * (i + 1)) for i, layer in enumerate(layers)]


OPTIMIZERS: Final[Mapping[str, plain.Make]] = {
    "AdamW": one(optim.AdamW, lr=0.01, weight_decay=0.1),
    "AdamW, fused": one(optim.AdamW, lr=0.01, weight_decay=0.1, fused=True),
    "AdamW, foreach": one(optim.AdamW, lr=0.01, weight_decay=0.1, foreach=True),
    "AdamW, amsgrad": one(optim.AdamW, lr=0.01, amsgrad=True),
    "Adam with decay": one(optim.Adam, lr=0.01, weight_decay=0.1),
    "NAdam": one(optim.NAdam, lr=0.01, weight_decay=0.1),
    "RAdam": one(optim.RAdam, lr=0.01, weight_decay=0.1),
    "Adamax": one(optim.Adamax, lr=0.01, weight_decay=0.1),
    "Adadelta": one(optim.Adadelta, weight_decay=0.1),
    "Adafactor": one(optim.Adafactor, lr=0.01, weight_decay=0.1),
    "ASGD": one(optim.ASGD, lr=0.1, t0=2, weight_decay=0.1),
    "SGD": one(optim.SGD, lr=0.1),
    "SGD, Nesterov and decay": one(
        optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1
    ),
    "SGD, fused": one(optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1, fused=True),
    "RMSprop": one(optim.RMSprop, lr=0.01, momentum=0.9, centered=True, weight_decay=0.1),
    "Adagrad": one(optim.Adagrad, lr=0.1, weight_decay=0.1),
    "Rprop": one(optim.Rprop, lr=0.01),
    "LBFGS": one(optim.LBFGS, lr=0.5, max_iter=4),
    "LBFGS with line search": one(optim.LBFGS, line_search_fn="strong_wolfe", max_iter=4),
    "Muon and AdamW": muon_and_adamw,
    "two groups": two_groups,
    "one a layer": one_a_layer,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_bit_equal_to_masking_by_hand(name: str) -> None:
    model = plain.network()
    mask, optimizers = plain.half(model), OPTIMIZERS[name](model)
    with hold(model, mask) as held:
        plain.train(model, optimizers)
    reference = plain.network()
    by_hand = plain.ByHand(reference, mask)
    by_hand.weights()
    plain.train(reference, OPTIMIZERS[name](reference), by_hand)

    assert held.steps == plain.STEPS
    for key, value in reference.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    for key, value in plain.pruned_entries(model, mask, optimizers).items():
        if "step_size" in key:  # Rprop begins with its learning rate, not with zero
            assert (value == optimizers[0].defaults["lr"]).all(), key
        else:
            assert not value.any(), key


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_of_before_is_carried_over(name: str) -> None:
    """A dense training first, so that optimizers know all weights; then the mask is held."""
    model = plain.network()
    mask, optimizers = plain.half(model), OPTIMIZERS[name](model)
    plain.train(model, optimizers)
    with hold(model, mask):
        plain.train(model, optimizers)
    for key, value in plain.pruned_entries(model, mask, optimizers).items():
        if "step_size" not in key:
            assert not value.any(), key
    if isinstance(optimizers[0], optim.LBFGS):
        state = optimizers[0].state[model.first]
        pruned = torch.cat(
            [
                ~mask.get(n, torch.ones_like(p, dtype=torch.bool)).flatten()
                for n, p in model.named_parameters()
            ]
        )
        for vector in (state["d"], state["prev_flat_grad"], *state["old_dirs"], *state["old_stps"]):
            assert not vector[pruned].any()


@pytest.mark.parametrize("initial", [0.0, 0.5])
def test_adagrad_begins_again_where_a_weight_is_pruned(initial: float) -> None:
    model = plain.network()
    mask = plain.half(model)
    optimizer = optim.Adagrad(model.parameters(), lr=0.1, initial_accumulator_value=initial)
    plain.train(model, [optimizer])
    with hold(model, mask):
        plain.train(model, [optimizer])
    sums = optimizer.state[model.first]["sum"]
    assert (sums[~mask["0.weight"]] == initial).all()
    assert (sums[mask["0.weight"]] > initial).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    "make",
    [
        one(optim.AdamW, lr=0.01, eps=1e-3),
        one(optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    ],
)
def test_other_precisions(make: plain.Make, dtype: torch.dtype) -> None:
    model, reference = plain.network(dtype), plain.network(dtype)
    mask, optimizers = plain.half(model), make(model)
    with hold(model, mask):
        plain.train(model, optimizers)
    by_hand = plain.ByHand(reference, mask)
    by_hand.weights()
    plain.train(reference, make(reference), by_hand)
    for key, value in reference.state_dict().items():
        assert value.isfinite().all()
        assert torch.equal(model.state_dict()[key], value), key
    assert not any(v.any() for v in plain.pruned_entries(model, mask, optimizers).values())


def test_an_optimizer_that_divides_zero_by_zero_leaves_zero() -> None:
    """In float16 Adam's epsilon is zero, so a weight without a gradient becomes NaN."""
    model = nn.Linear(2, 1, bias=False, dtype=torch.float16)
    with hold(model, {"weight": torch.tensor([[True, False]])}):
        optimizer = optim.Adam(model.parameters(), foreach=False)
        model(torch.ones(1, 2, dtype=torch.float16)).sum().backward()
        optimizer.step()
        assert model.weight[0, 1] == 0


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_a_pruned_gradient_that_is_no_number_changes_nothing(number: float) -> None:
    """Zero times infinity is NaN: multiplying by the mask would spoil what is held."""
    model = nn.Linear(2, 1, bias=False)
    optimizer = optim.AdamW(model.parameters(), lr=0.1)
    with hold(model, {"weight": torch.tensor([[True, False]])}):
        model(torch.tensor([[1.0, number]])).nan_to_num().sum().backward()
        assert model.weight.grad is not None
        assert model.weight.grad[0, 1] == 0
        (model.weight * torch.tensor([[1.0, number]])).sum().backward()
        assert model.weight.grad.isfinite().all()
        optimizer.step()
    assert model.weight.isfinite().all()
    assert not any(v[0, 1] for k, v in optimizer.state[model.weight].items() if k != "step")
