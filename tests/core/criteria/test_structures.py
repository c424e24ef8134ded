"""Scales of batch norm, and which batch norm follows which layer."""

from __future__ import annotations

import math

import torch
from probes import classes, context_of, draw, filled
from torch import Tensor, nn

from lottery.core import CRITERIA, ScoreContext, scored_network
from lottery.core.criteria.structures import following_norms


class Block(nn.Module):
    """A residual block whose norms are named and listed so as to mislead."""

    def __init__(self) -> None:
        super().__init__()
        self.b = nn.BatchNorm2d(3)
        self.shortcut_norm = nn.BatchNorm2d(3)
        self.a = nn.BatchNorm2d(3)
        self.first = nn.Conv2d(2, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.shortcut = nn.Conv2d(2, 3, 1)
        self.before = nn.BatchNorm2d(3)
        self.last = nn.Conv2d(3, 3, 1)
        self.not_at_once = nn.BatchNorm2d(3)
        self.plain = nn.BatchNorm1d(3, affine=False)
        self.fc = nn.Linear(3, 3)
        self.output = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.a(self.first(inputs)))
        hidden = self.b(self.second(hidden)) + self.shortcut_norm(self.shortcut(inputs))
        hidden = self.last(torch.relu(self.before(hidden)))
        hidden = self.not_at_once(torch.relu(hidden))
        output: Tensor = self.output(self.plain(self.fc(hidden.mean((2, 3)))))
        return output


def block() -> ScoreContext:
    return context_of(filled(Block()), draw(5, 2, 4, 4), classes(5))


def test_the_norm_that_takes_a_layer_s_output_is_found_by_running() -> None:
    context = block()
    model = scored_network(context)
    names = {module: name for name, module in model.named_modules()}

    found = {layer: names[norm] for layer, norm in following_norms(context, model).items()}

    assert found == {
        "first.weight": "a",
        "second.weight": "b",
        "shortcut.weight": "shortcut_norm",
        "fc.weight": "plain",
    }
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_norm_over_positions_is_not_one_over_features() -> None:
    """A linear layer of a sequence numbers its units last, batch norm in the middle."""
    model = filled(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(9, 2)))
    context = context_of(model, draw(5, 3, 4), classes(5))

    assert following_norms(context, scored_network(context)) == {}


def test_bn_scale_is_the_magnitude_of_the_scale() -> None:
    context = block()
    assert context.probe is not None
    model = context.probe.model

    scores = CRITERIA["bn-scale"].score(context)

    for layer, norm in (("first", "a"), ("second", "b"), ("shortcut", "shortcut_norm")):
        scale = model.get_parameter(f"{norm}.weight").detach().abs()
        score = scores[f"{layer}.weight"]
        assert score.shape == context.weights[f"{layer}.weight"].shape
        for unit in range(3):
            assert bool((score[unit] == scale[unit]).all())


def test_layers_without_a_scale_stay() -> None:
    scores = CRITERIA["bn-scale"].score(block())

    for layer in ("last", "fc", "output"):
        assert bool((scores[f"{layer}.weight"] == math.inf).all())
