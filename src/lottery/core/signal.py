"""Whether a signal can pass a pruned network at all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lottery.core.mask import Mask


def signal_passes(model: nn.Module, mask: Mask, input_shape: Sequence[int]) -> bool:
    """Whether what a network computes under a mask can depend on its input.

    A layer that keeps no weight blocks the signal unless there is a way around it, such as a
    residual connection. This is tried out: every surviving weight is made positive, so that nothing
    cancels and no rectifier is shut, and two inputs must give different outputs.

    Args:
        model: the network, fresh from its maker; its parameters are overwritten.
        mask: of all its prunable weights.
        input_shape: of one example.

    Returns:
        False where the mask leaves no path from the input to an output (layer collapse; Tanaka et
        al., arXiv:2006.05467, section 3). True says nothing of how well the network can be trained.
    """
    generator = torch.Generator().manual_seed(0)
    model = model.cpu().double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in mask:
                parameter.copy_(_averaging(mask[name], generator))
            elif name.endswith("bias"):
                parameter.zero_()
        first, second = (
            model(0.5 + torch.rand(1, *input_shape, generator=generator, dtype=torch.float64))
            for _ in range(2)
        )
    return not torch.equal(first, second)


def _averaging(kept: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Positive weights that add up to about one for each output, however many are left."""
    values = (0.5 + torch.rand(kept.shape, generator=generator, dtype=torch.float64)) * kept
    return values / kept.flatten(1).sum(1).clamp(min=1).view(-1, *[1] * (kept.dim() - 1))
