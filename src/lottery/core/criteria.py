"""Criteria: what makes a weight superfluous.

A criterion maps a `ScoreContext` to scores; **a higher score means keep**. Any callable of that
shape will do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from lottery.core.mask import Mask

Scores = Mapping[str, Tensor]
"""Parameter name -> float tensor of the parameter's shape; higher means keep."""


@dataclass(frozen=True, kw_only=True)
class ScoreContext:
    """What a criterion may look at.

    Args:
        weights: the trained prunable weights, parameter name -> float tensor.
        initial: the same weights at initialization.
        mask: what is kept now; scores elsewhere are ignored.
        generator: a CPU generator in a state of the criterion's own.
    """

    weights: Mapping[str, Tensor]
    initial: Mapping[str, Tensor]
    mask: Mask
    generator: torch.Generator


Criterion = Callable[[ScoreContext], Scores]
"""What makes a weight superfluous: a function of what it may look at, that gives scores."""


def magnitude(context: ScoreContext) -> Scores:
    """Magnitude of the trained weight, ``|w|`` (Han et al. 2015, arXiv:1506.02626, section 3)."""
    return {name: context.weights[name].abs() for name in context.mask}


def random(context: ScoreContext) -> Scores:
    """Uniform in [0, 1), drawn in float64 in sorted order of names: every choice equally likely."""
    return {
        name: torch.rand(
            context.weights[name].shape, generator=context.generator, dtype=torch.float64
        )
        for name in sorted(context.mask)
    }


CRITERIA: Final[dict[str, Criterion]] = {"magnitude": magnitude, "random": random}
"""Name in a config -> criterion."""
