"""Whether a signal can pass through a pruned network at all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lottery.core.coverage import prunable_weights
from lottery.core.embeddings import any_numbers_as_tokens
from lottery.core.mask import Mask
from lottery.core.parameter_uses import tie_parameters


def signal_passes(model: nn.Module, mask: Mask, input_shape: Sequence[int]) -> bool:
    """Whether the output of a network under a mask can depend on its input.

    A layer that keeps no weight blocks the signal unless there is a path around it, such as a
    residual connection. This is tested by running the network: every surviving weight is made
    positive, so that nothing cancels and every ReLU is active, and two inputs must give different
    outputs.

    If they do not for the dense network either, such as with binary activations, the test says
    nothing, and the answer is True.

    Args:
        model: a newly made network; its parameters and their type are overwritten, and parameters
            that share memory are tied.
        mask: of all its prunable weights.
        input_shape: of one example.

    Returns:
        False where the mask leaves no path from the input to an output (layer collapse; Tanaka et
        al., arXiv:2006.05467, section 3). True says nothing of how well the network can be trained.
    """
    dense = Mask({name: torch.ones_like(kept) for name, kept in mask.items()})

    def tells_apart(network: nn.Module, under: Mask) -> bool:
        with any_numbers_as_tokens(network):
            first, second = _two_outputs(network, under, input_shape)
        return not torch.equal(first, second)

    def answer(network: nn.Module) -> bool:
        return tells_apart(network, mask) or not tells_apart(network, dense)

    tie_parameters(model)
    own = next(iter(prunable_weights(model).values())).dtype
    model = model.cpu().eval()
    try:
        # In double precision what is small after many layers does not vanish.
        return answer(model.double())
    except RuntimeError:
        # A network that keeps to a type of its own.
        return answer(model.to(own))


def _two_outputs(
    model: nn.Module, mask: Mask, input_shape: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network makes of two inputs, its surviving weights overwritten."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in mask:
                parameter.copy_(_averaging(mask[name], generator))
            elif name.rpartition(".")[2].startswith("bias") or name.endswith("bias"):
                parameter.zero_()
        dtype = next(
            parameter.dtype for name, parameter in model.named_parameters() if name in mask
        )
        inputs = 0.5 + torch.rand(2, 1, *input_shape, generator=generator, dtype=torch.float64)
        return model(inputs[0].to(dtype)), model(inputs[1].to(dtype))


def _averaging(kept: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Positive weights that add up to about one for each output, however many are left."""
    values = (0.5 + torch.rand(kept.shape, generator=generator, dtype=torch.float64)) * kept
    return values / kept.flatten(1).sum(1).clamp(min=1).view(-1, *[1] * (kept.dim() - 1))
