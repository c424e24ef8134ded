"""What a criterion is given, what it returns, and what is known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core.mask import Mask

Scores = Mapping[str, Tensor]
"""Parameter name -> float tensor of the parameter's shape; higher means keep."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The network and the examples that some criteria need. Scoring does not change them.

    Batches are weighted by their size, so that every mean is a mean over all examples.

    Args:
        model: the network. Its architecture, and every parameter and buffer that no mask covers,
            are used as they are; its prunable weights are replaced by those of the context, under
            the mask of the context and ``pruned``: see `scored_network`.
        batches: (inputs ``[N, ...]``, targets ``[N, ...]``) of N examples each, on the model's
            device; at least one batch, N 1 or more. For a model with several inputs, a tuple of
            its arguments or a dict of named ones; targets may be anything that the loss takes.
        loss: (outputs, targets) of a batch -> the mean loss of its examples, a scalar.
        batch_loss: (model, batch) -> the mean loss, in place of ``loss``, where batches are not
            pairs of inputs and targets, such as dicts for models that compute their own loss.
            Criteria that need outputs and loss apart, such as ``grasp`` and ``hessian``, refuse it.
        pruned: parameter name -> tensor of the weight's shape, for every layer of the mask: the
            values of pruned weights. None: zero.
        batch_statistics: whether batch norm uses the statistics of each batch in `snip`, instead
            of its running statistics.
    """

    model: nn.Module
    batches: Sequence[Any]
    loss: Callable[[Tensor, Any], Tensor] = F.cross_entropy
    batch_loss: Callable[[nn.Module, Any], Tensor] | None = None
    pruned: Mapping[str, Tensor] | None = None
    batch_statistics: bool = False


@dataclass(frozen=True, kw_only=True)
class ScoreContext:
    """What a criterion is given.

    Args:
        weights: the trained prunable weights, parameter name -> float tensor. Pruned weights need
            not be zero here.
        initial: the same weights at initialization.
        mask: what is kept now; scores of pruned weights are ignored, unless these may come back
            (see `prune_in_rounds`).
        generator: a CPU generator, for this criterion alone.
        probe: the network and examples, for a criterion that needs them.
    """

    weights: Mapping[str, Tensor]
    initial: Mapping[str, Tensor]
    mask: Mask
    generator: torch.Generator
    probe: Probe | None = None


Criterion = Callable[[ScoreContext], Scores]
"""What makes a weight superfluous: a function of a `ScoreContext` that returns `Scores`."""

LooksAt = Literal["weights", "network", "examples"]
"""What a criterion needs: the weights alone; the network too; or also examples and the loss."""


@dataclass(frozen=True, kw_only=True)
class CriterionEntry:
    """A criterion, and what is known about it without running it.

    Args:
        score: the criterion itself.
        looks_at: what it needs. All but ``"weights"`` need ``ScoreContext.probe``; with
            ``"network"``, only the shape of the examples matters.
        about: what it is, in one line.
        source: the paper, or where else it comes from.
        per_unit: whether a score belongs to an output unit of a layer (a filter, a neuron) and is
            repeated over its weights; then a unit's score is the mean, see
            `lottery.core.unit_scores.score_units`.
        rescalable: whether scores are finite and 0 or more in every network, so that the scope
            ``lamp`` can rescale them.
        at_initialization: whether scores differ before any training, so that networks can be pruned
            there.
        scores_pruned: whether pruned weights have scores like any other, so that they may come
            back in a later round.
        before_training: whether it was made to prune networks before they are trained.
        needs_initial: whether it looks at the weights at initialization.
        products: multiplications for each weight and example that scoring takes, of which a forward
            pass has 1 and a training step 3; of a criterion that looks at the network or examples.
        products_by_output: and for each output of the network besides.
    """

    score: Criterion
    looks_at: LooksAt
    about: str
    source: str
    per_unit: bool = False
    rescalable: bool = True
    at_initialization: bool = True
    scores_pruned: bool = True
    before_training: bool = False
    needs_initial: bool = False
    products: int = 3
    products_by_output: int = 0

    @property
    def needs_probe(self) -> bool:
        """Whether ``ScoreContext.probe`` must be there."""
        return self.looks_at != "weights"
