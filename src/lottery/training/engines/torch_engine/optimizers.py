"""Optimizers as a config asks for them, their state in checkpoints, and the norm of gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lottery.training.config import OptimizerConfig
from lottery.training.progress import below


def make_optimizer(
    config: OptimizerConfig, model: nn.Module, device: torch.device, *, skips: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of a model's parameters, without any state.

    Args:
        config: which.
        model: on ``device``.
        device: decides whether a step is one fused kernel.
        skips: whether steps, even the first, may be skipped, as with float16.
    """
    groups, decay = _groups(config, model), config.weight_decay
    fused = device.type in ("cpu", "cuda")
    if config.name != "sgd":
        kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
        betas = (config.beta1, config.beta2)
        return kind(groups, betas=betas, eps=config.epsilon, weight_decay=decay, fused=fused)
    optimizer = torch.optim.SGD(
        groups,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=decay,
        fused=fused,
    )
    if skips and config.momentum:
        # Else the first step makes them, and leaves them as they come when it is left out.
        for parameter in model.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _groups(config: OptimizerConfig, model: nn.Module) -> list[dict[str, Any]]:
    """The parameters, in the model's order within each group of one weight decay."""
    parameters = list(model.parameters())
    if config.decay == "all":
        return [{"params": parameters}]
    decayed = [parameter for parameter in parameters if parameter.dim() >= 2]
    others = [parameter for parameter in parameters if parameter.dim() < 2]
    groups: list[dict[str, Any]] = [
        {"params": decayed},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def clip_gradients(parameters: Sequence[Tensor], most: float) -> None:
    """Scale all gradients by one factor so that their joint L2 norm is at most ``most``.

    If the norm is not finite nothing is scaled, so that zeros stay zero and divergence shows.

    Args:
        parameters: whose gradients; those without one do not count.
        most: the largest norm, above 0.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    # The small number is torch's, which keeps zero gradients zero.
    factor = (most / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, torch.where(norm.isfinite(), factor, 1.0))


def fill_gradients(parameters: Sequence[Tensor]) -> None:
    """Give parameters without a gradient, such as those of a skipped block, a gradient of zero.

    Otherwise an optimizer would skip them, and with them their momentum and weight decay.
    """
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """A copy of the optimizer's state on the CPU: ``<number of the parameter>/<key>`` -> tensor."""
    return {
        f"{number}/{key}": torch.as_tensor(value).cpu().clone(memory_format=torch.contiguous_format)
        for number, parameter in enumerate(model.parameters())
        for key, value in optimizer.state[parameter].items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `optimizer_tensors` gave, copied."""
    fused = optimizer.defaults.get("fused")
    for number, parameter in enumerate(model.parameters()):
        state = {}
        for key, value in below(f"{number}/", tensors).items():
            if value.dim():
                # In the parameter's order in memory, which fused kernels take for granted.
                state[key] = torch.empty_like(
                    parameter, dtype=value.dtype, requires_grad=False
                ).copy_(value)
            else:
                # A scalar such as Adam's step counter stays where the optimizer had made it.
                state[key] = value.to(parameter.device if fused else "cpu").clone()
        if state:
            optimizer.state[parameter] = state
