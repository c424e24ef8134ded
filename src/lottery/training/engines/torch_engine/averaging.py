"""The network that is measured and given back: the one in training, or an average of it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lottery.training.config import TrainingConfig


class MeasuredModel:
    """What is measured: the network in training itself, unless the config asks for another.

    With ``averaging`` its weights are an exponential moving average. With that or with
    ``recalibrate_batch_norm`` it is a copy, which leaves the network in training alone. Weights
    that training holds at zero are zero in the average as well: an average of equal numbers is
    that number, to the last bit.

    Args:
        trained: the network in training, at its masked start.
        config: says what is measured.
    """

    def __init__(self, trained: nn.Module, config: TrainingConfig) -> None:
        self._decay = config.averaging
        self.is_copy = bool(config.averaging or config.recalibrate_batch_norm)
        self.model = copy.deepcopy(trained) if self.is_copy else trained
        if self.is_copy:
            for layer in self.model.modules():
                if isinstance(layer, nn.RNNBase):
                    # On a GPU their weights are one piece of memory, which copying takes apart.
                    layer.flatten_parameters()
        self._weights: list[Tensor] = list(trained.parameters())
        self._averages: list[Tensor] = list(self.model.parameters())
        self._buffers = list(zip(self.model.buffers(), trained.buffers(), strict=True))

    def follow(self) -> None:
        """Take in the weights after a step; the caller has turned gradients off."""
        if self._decay:
            torch._foreach_lerp_(self._averages, self._weights, 1 - self._decay)

    def refresh(self) -> None:
        """Make it ready to be measured."""
        if not self.is_copy:
            return
        with torch.no_grad():
            if not self._decay:
                torch._foreach_copy_(self._averages, self._weights)
            for own, other in self._buffers:
                own.copy_(other)
