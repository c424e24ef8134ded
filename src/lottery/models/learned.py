"""Initial weights drawn from learned distributions: quantiles by layer and sign."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lottery.errors import UsageError, format_names
from lottery.models.initialize import INITIALIZATIONS

POINTS = 257
"""Number of quantiles for each sign."""


@dataclass(frozen=True, kw_only=True)
class SignedQuantiles:
    """The distribution of a layer's weights, by sign.

    Args:
        positive: share of the weights that are above 0, in [0, 1].
        below: quantiles of the negative weights at evenly spaced probabilities from 0 to 1,
            ascending; empty if there are none.
        above: the same for the positive weights.
    """

    positive: float
    below: tuple[float, ...]
    above: tuple[float, ...]

    @classmethod
    def of(cls, weights: NDArray[np.floating]) -> SignedQuantiles | None:
        """The distribution of weights; None if all are zero, which have no sign."""
        sides = [weights[weights < 0], weights[weights > 0]]
        total = sum(map(len, sides))
        if not total:
            return None
        grid = np.linspace(0, 1, POINTS)
        below, above = (
            tuple(np.quantile(side.astype(np.float64), grid).tolist()) if len(side) else ()
            for side in sides
        )
        return cls(positive=len(sides[1]) / total, below=below, above=above)

    def draw_(self, weight: Tensor, generator: torch.Generator) -> None:
        """Draw every weight in place by inversion sampling, linear between two quantiles.

        One uniform number for each weight decides both its sign and its place among the quantiles.
        """
        at = torch.rand(weight.shape, dtype=torch.float64, generator=generator).numpy()
        negative = at < 1 - self.positive
        values = np.zeros(at.shape)
        if self.below and negative.any():
            values[negative] = _inverse(self.below, at[negative] / (1 - self.positive))
        if self.above and not negative.all():
            inside = 1 - (1 - at[~negative]) / self.positive
            values[~negative] = _inverse(self.above, inside)
        weight.copy_(torch.from_numpy(values))


def _inverse(quantiles: tuple[float, ...], at: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(at, np.linspace(0, 1, len(quantiles)), quantiles)


@dataclass(frozen=True)
class LearnedInitialization:
    """Draws weights of some layers from learned distributions, others as usual.

    Args:
        usual: one of `INITIALIZATIONS`, for all other parameters.
        layers: parameter name -> the distribution of its weights.
    """

    usual: str
    layers: Mapping[str, SignedQuantiles]

    def __call__(self, model: nn.Module, generator: torch.Generator) -> None:
        """Set a network's parameters in place.

        Raises:
            UsageError: the network lacks one of the layers.
        """
        parameters = self.check(model)
        INITIALIZATIONS[self.usual](model, generator)
        with torch.no_grad():
            for name, quantiles in self.layers.items():
                quantiles.draw_(parameters[name], generator)

    def check(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The network's parameters by name.

        Raises:
            UsageError: one that is to be drawn is not there.
        """
        parameters = dict(model.named_parameters())
        missing = [name for name in self.layers if name not in parameters]
        if missing:
            raise UsageError(
                f"initialization: learned for another network, with {format_names(missing)}; "
                f"this one has {format_names(list(parameters))}"
            )
        return parameters

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (hex) of the settings and of all quantiles."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
