"""The network of a training: whether it can be trained, its preparation, and its state."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lottery.core import prunable_weights, tie_parameters
from lottery.data.dataset import Dataset
from lottery.errors import UsageError
from lottery.training.config import TrainingConfig
from lottery.training.interface import TrainingJob
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


def set_up(job: TrainingJob, device: torch.device) -> tuple[nn.Module, Dataset]:
    """The model with the start state, not yet masked, and the data, on the device.

    Raises:
        UsageError: a setting does not fit the network or the device.
        MaskError: the mask does not fit the network.
    """
    model, config = job.make_model(), job.config
    tie_parameters(model)
    reason = unsupported(model, device, config)
    if reason is not None:
        raise UsageError(reason)
    weights = prunable_weights(model)
    job.mask.check(weights)
    # The start weights say in which precision to train.
    dtype = next((job.start[name].dtype for name in weights), torch.float32)
    if config.precision != "float32" and dtype != torch.float32:
        raise UsageError(
            f"training.precision = '{config.precision}' needs start weights of float32, got {dtype}"
        )
    model.to(device=device, dtype=dtype).train()
    if config.channels_last:
        # An argument that torch's annotations leave out.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.load_state_dict(dict(job.start))
    return model, job.data.to(device)


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's state on the CPU, contiguous in memory."""
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators, for a checkpoint."""
    found = {"random": torch.get_rng_state()}
    if device.type == "cuda":
        found["random-cuda"] = torch.cuda.get_rng_state(device)
    return found


def restore_random(device: torch.device, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `random_states` gave."""
    torch.set_rng_state(tensors["random"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random-cuda"], device)
