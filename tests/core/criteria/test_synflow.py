"""Synaptic flow: its conservation laws, a closed form, and its range."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from probes import classes, context_of, draw, filled, network, some_mask
from torch import Tensor, nn

from lottery.core import CRITERIA, Mask, Scores, prune_in_rounds
from lottery.core.allocate import Group
from lottery.errors import UsageError

synflow = CRITERIA["synflow"].score


def bias_free() -> nn.Module:
    return network(4, 5, 6, 3, bias=False, activation=nn.ReLU)


@pytest.mark.parametrize("masked", [False, True])
def test_flow_into_a_unit_is_flow_out_of_it(masked: bool) -> None:
    """arXiv:2006.05467, theorem 1."""
    context = context_of(bias_free(), draw(3, 4), classes(3))
    if masked:
        context = replace(context, mask=some_mask(context.weights))
    scores = {name: s * context.mask[name] for name, s in synflow(context).items()}

    torch.testing.assert_close(scores["0.weight"].sum(1), scores["2.weight"].sum(0))
    torch.testing.assert_close(scores["2.weight"].sum(1), scores["4.weight"].sum(0))


def total_flow(model: nn.Module, *shape: int) -> Tensor:
    """R, from a copy with magnitudes for all it holds."""
    model = copy.deepcopy(model).double().eval()
    model.load_state_dict({name: value.abs() for name, value in model.state_dict().items()})
    with torch.no_grad():
        total: Tensor = model(torch.ones(1, *shape, dtype=torch.float64)).sum()
    return total


def test_every_layer_carries_the_whole_flow() -> None:
    """arXiv:2006.05467, theorem 2: a network without biases, convolutions and pooling included."""
    model = filled(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(6, 3, bias=False),
        )
    )
    scores = synflow(context_of(model, draw(2, 2, 6, 6), classes(2)))

    for score in scores.values():
        torch.testing.assert_close(score.sum(), total_flow(model, 2, 6, 6))


def test_two_layers_in_closed_form() -> None:
    context = context_of(network(4, 5, 3, bias=False, activation=nn.ReLU), draw(2, 4), classes(2))
    first, second = (context.weights[name].abs() for name in ("0.weight", "2.weight"))

    scores = synflow(context)

    torch.testing.assert_close(scores["0.weight"], first * second.sum(0)[:, None])
    torch.testing.assert_close(scores["2.weight"], second * first.sum(1))


def test_everything_is_replaced_by_its_magnitude() -> None:
    """Biases and running statistics too; in double precision whatever the model's type."""
    layers = [nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)]
    model = filled(nn.Sequential(*layers)).float()
    with torch.no_grad():
        model.get_buffer("1.running_mean").neg_()
    reference = copy.deepcopy(model).double().eval()
    reference.load_state_dict({name: v.abs() for name, v in reference.state_dict().items()})
    flow = reference(torch.ones(1, 4, dtype=torch.float64)).sum()
    weights = {name: reference.get_parameter(name) for name in ("0.weight", "3.weight")}
    found = torch.autograd.grad(flow, [*weights.values()])

    scores = synflow(context_of(model, draw(2, 4), classes(2)))

    for (name, weight), g in zip(weights.items(), found, strict=True):
        assert scores[name].dtype == torch.float64
        torch.testing.assert_close(scores[name], weight.detach() * g)


def deep(scale: float, layers: int = 40) -> nn.Module:
    """Every layer multiplies the flow by ten times ``scale``."""
    parts = [nn.Linear(10, 10, bias=False) for _ in range(layers)]
    for part in parts:
        nn.init.constant_(part.weight, scale)
    return nn.Sequential(*parts)


@pytest.mark.parametrize("scale", [1e-7, 1e6])
def test_far_beyond_single_precision(scale: float) -> None:
    model = deep(scale)

    scores = synflow(context_of(model, draw(1, 10), classes(1)))

    for score in scores.values():
        assert bool((score > 0).all())
        assert bool(score.isfinite().all())


def test_beyond_double_precision_is_an_error() -> None:
    context = context_of(deep(1e9), draw(1, 10), classes(1))

    with pytest.raises(UsageError, match=r"synflow: the outputs of .* sum up to inf"):
        synflow(context)


def test_many_rounds_keep_a_layer_that_one_round_would_cut() -> None:
    """Layer collapse (arXiv:2006.05467, section 3): a wide layer among narrow ones."""
    context = context_of(
        network(4, 60, 60, 3, bias=False, activation=nn.ReLU), draw(2, 4), classes(2)
    )
    groups = [Group(tuple(context.mask), context.mask.total - 12)]

    def score(mask: Mask) -> Scores:
        return synflow(replace(context, mask=mask))

    once = prune_in_rounds(score, context.mask, groups, rounds=1)
    often = prune_in_rounds(score, context.mask, groups, rounds=100)

    assert once.kept == often.kept == 12
    assert once.empty_layers
    assert not often.empty_layers
