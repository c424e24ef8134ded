"""A small network in training under a mask, which may be applied by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Make = Callable[[nn.Module], list[Optimizer]]

STEPS: Final = 6


class Network(nn.Sequential):
    """Two linear layers with normalization between them."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3))

    @property
    def first(self) -> nn.Parameter:
        """The first matrix, named ``0.weight``."""
        weight = self[0].weight
        assert isinstance(weight, nn.Parameter)
        return weight


def network(dtype: torch.dtype = torch.float32) -> Network:
    """The same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Network().to(dtype)


def half(model: nn.Module, seed: int = 2) -> dict[str, Tensor]:
    """A mask of about half of each matrix."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(weight.shape, generator=generator) < 0.5
        for name, weight in model.named_parameters()
        if weight.dim() == 2
    }


def batches(dtype: torch.dtype = torch.float32) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and classes, the same ones every time."""
    generator = torch.Generator().manual_seed(3)
    for _ in range(STEPS):
        inputs = torch.randn(5, 6, generator=generator).to(dtype)
        yield inputs, torch.randint(3, (5,), generator=generator)


@dataclass(frozen=True)
class ByHand:
    """The mask applied by hand, as one would without the library."""

    model: nn.Module
    mask: Mapping[str, Tensor]

    def weights(self) -> None:
        """Multiply it onto weights."""
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                if name in self.mask:
                    weight.mul_(self.mask[name])

    def gradients(self) -> None:
        """Multiply it onto gradients."""
        for name, weight in self.model.named_parameters():
            if name in self.mask and weight.grad is not None:
                weight.grad.mul_(self.mask[name])


def train(model: nn.Module, optimizers: Sequence[Optimizer], by_hand: ByHand | None = None) -> None:
    """A plain loop; every optimizer takes every step, and may compute gradients inside of it."""
    dtype = next(model.parameters()).dtype

    for inputs, targets in batches(dtype):

        def closure(inputs: Tensor = inputs, targets: Tensor = targets) -> Tensor:
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            if by_hand:
                by_hand.gradients()
            return loss

        if not isinstance(optimizers[0], torch.optim.LBFGS):
            closure()
        for optimizer in optimizers:
            if isinstance(optimizer, torch.optim.LBFGS):
                optimizer.step(closure)
            else:
                optimizer.step()
        if by_hand:
            by_hand.weights()


def pruned_entries(
    model: nn.Module, mask: Mapping[str, Tensor], optimizers: Sequence[Optimizer]
) -> dict[str, Tensor]:
    """What pruned weights are, their gradients, and all that optimizers know of them."""
    found = {}
    for name, weight in model.named_parameters():
        if name not in mask:
            continue
        found[name] = weight.detach()[~mask[name]]
        if weight.grad is not None:
            found[f"{name}: gradient"] = weight.grad[~mask[name]]
        for optimizer in optimizers:
            for key, value in optimizer.state.get(weight, {}).items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    found[f"{name}: {key}"] = value[~mask[name]]
    return found
