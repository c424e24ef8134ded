"""The forward pass compiled with ``torch.compile``, or an error that says why it cannot be."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lottery.errors import UsageError


def compiled_forward(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The forward pass of a network in training, compiled when it is first called.

    There is one graph for each batch size, so that what is computed does not depend on which size
    came first. Equal networks share their graphs within a process.

    Raises:
        UsageError: here or when it is called: the network or the platform cannot be compiled for.
    """
    # Loading it takes seconds.
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    try:
        # Where a part of the network cannot be compiled, the whole graph fails, and nothing falls
        # back in silence.
        compiled: Callable[[Tensor], Tensor] = torch.compile(model, fullgraph=True, dynamic=False)
    except RuntimeError as error:
        raise _refused(error) from error

    def forward(inputs: Tensor) -> Tensor:
        try:
            try:
                return compiled(inputs)
            except FailOnRecompileLimitHit:
                # Networks that this process trained before have used up the graphs it may hold.
                torch.compiler.reset()
                return compiled(inputs)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            raise _refused(error) from error

    return forward


def _refused(error: Exception) -> UsageError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = " ".join(lines[:2]) or type(error).__name__
    return UsageError(
        f"the network could not be compiled here: {reason}. Use training.compile = false"
    )
