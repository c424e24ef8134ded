"""Contexts for criteria, made of any network and any examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core import Mask, Probe, ScoreContext, prunable_weights

Loss = Callable[[Tensor, Tensor], Tensor]


def context_of(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    loss: Loss = F.cross_entropy,
    sizes: Sequence[int] | None = None,
    mask: Mask | None = None,
    seed: int = 0,
) -> ScoreContext:
    """The model's own weights, unmasked, and a probe of the model in double precision."""
    model = model.double()
    weights = {name: weight.clone() for name, weight in prunable_weights(model).items()}
    cut = [*(sizes or [len(targets)])]
    batches = zip(inputs.double().split(cut), targets.split(cut), strict=True)
    return ScoreContext(
        weights=weights,
        initial=weights,
        mask=mask or Mask.dense(weights),
        generator=torch.Generator().manual_seed(seed),
        probe=Probe(model=model, batches=tuple(batches), loss=loss),
    )


def network(*widths: int, bias: bool = True, activation: type[nn.Module] = nn.Tanh) -> nn.Module:
    """A fully connected network with weights from a fixed seed, layers ``0``, ``2``, ...."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=bias), activation()]
    return filled(nn.Sequential(*layers[:-1]))


def filled(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in double precision, every parameter and running statistic drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter.normal_(generator=generator)
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5, generator=generator)
    return model


def draw(*shape: int, seed: int = 1) -> Tensor:
    """Normal numbers in double precision, from a fixed seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def classes(count: int, of: int = 2) -> Tensor:
    """Targets that take turns."""
    return torch.arange(count) % of


def some_mask(weights: Mapping[str, Tensor], seed: int = 2) -> Mask:
    """About half of every layer, at least one weight of each."""
    kept = {name: draw(*w.shape, seed=seed) > 0 for name, w in sorted(weights.items())}
    for tensor in kept.values():
        tensor.view(-1)[0] = True
    return Mask(kept)
