"""The network that is evaluated and returned: the one in training, or an average of it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lottery.training.config import TrainingConfig


class MeasuredModel:
    """The network that is evaluated: the one in training itself, or a copy of it.

    With ``averaging`` its weights are an exponential moving average. With that or with
    ``recalibrate_batch_norm`` it is a copy, so that the network in training is not changed. Weights
    that training holds at zero are zero in the average as well: an average of equal numbers is
    exactly that number.

    Args:
        trained: the network in training, at its masked start.
        config: has the settings ``averaging`` and ``recalibrate_batch_norm``.
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
        """Update the average with the weights after a step; call it within ``torch.no_grad``."""
        if self._decay:
            torch._foreach_lerp_(self._averages, self._weights, 1 - self._decay)

    def refresh(self) -> None:
        """Bring weights and buffers up to date before an evaluation."""
        if not self.is_copy:
            return
        with torch.no_grad():
            if not self._decay:
                torch._foreach_copy_(self._averages, self._weights)
            for own, other in self._buffers:
                own.copy_(other)
