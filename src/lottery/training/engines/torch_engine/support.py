"""Which settings a network and a device can be trained by."""

from __future__ import annotations

import torch
from torch import nn

from lottery.training.config import TrainingConfig
from lottery.training.normalization import running_norms


def unsupported(model: nn.Module, device: torch.device, config: TrainingConfig) -> str | None:
    """Why a setting does not fit the network or the device, in words, or None.

    Args:
        model: a network like the one to train, on any device.
        device: where it is to be trained.
        config: how.
    """
    if config.precision != "float32":
        reason = _precision(config.precision, device)
        if reason is not None:
            return reason
    if config.channels_last and not any(weight.dim() == 4 for weight in model.parameters()):
        return "training.channels_last is for convolutions over images, and the network has none"
    if config.channels_last and any(weight.dim() == 5 for weight in model.parameters()):
        return "training.channels_last is for images, and the network has weights over volumes"
    if config.recalibrate_batch_norm and not running_norms(model):
        return (
            "training.recalibrate_batch_norm is for running statistics of batch normalization, "
            "and the network has none"
        )
    return None


def _precision(name: str, device: torch.device) -> str | None:
    if not torch.amp.is_autocast_available(device.type):
        return f"torch has no mixed precision on {device.type}; use training.precision = 'float32'"
    if name == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return "this GPU has no bfloat16; use training.precision = 'float16' or 'float32'"
    return None
