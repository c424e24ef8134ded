"""Arithmetic in 16 bits, where torch holds it to be sound."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

# Scaled by this, gradients overflow float16 only from 10^12 on: no smaller scale will help.
_LEAST_SCALE = 2.0**-24


class Precision:
    """The precision of forward and backward passes, and what keeps small gradients above zero.

    In float16 the loss is scaled up before the backward pass and gradients are scaled down again
    after it (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2). A step whose gradients
    overflow is left out, and the scale halved. In other types nothing is scaled.

    Args:
        name: as in the config.
        device: where the network is.
    """

    def __init__(
        self, name: Literal["float32", "bfloat16", "float16"], device: torch.device
    ) -> None:
        types = {"bfloat16": torch.bfloat16, "float16": torch.float16}
        self.autocast: AbstractContextManager[object] = (
            torch.autocast(device.type, types[name]) if name in types else nullcontext()
        )
        self.scaled = name == "float16"
        self._scaler = torch.amp.GradScaler(device.type, enabled=self.scaled)

    def backward(self, loss: Tensor) -> None:
        """Gradients of the scaled loss."""
        self._scaler.scale(loss).backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Make them gradients of the loss itself, and note whether all are finite."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer's step, unless a gradient is not finite."""
        self._scaler.step(optimizer)
        self._scaler.update()

    def leave_out(self, optimizer: torch.optim.Optimizer) -> None:
        """No step with these gradients, which serve something else; the scale follows them."""
        self._scaler.unscale_(optimizer)
        self._scaler.update()

    def exhausted(self, iteration: int) -> str:
        """Why training cannot go on, if gradients overflow however little the loss is scaled."""
        if not self.scaled or self._scaler.get_scale() >= _LEAST_SCALE:
            return ""
        return (
            f"gradients overflowed float16 up to iteration {iteration}, however little the loss "
            "was scaled"
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds, as plain JSON values."""
        return self._scaler.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._scaler.load_state_dict(dict(state))
