"""One training of a mask in progress: scores are trained, not weights; and masks from scores."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lottery.core import Mask, fan_ins
from lottery.errors import UsageError
from lottery.training.engines.torch_engine.in_progress import TrainingInProgress
from lottery.training.engines.torch_engine.network import state_of
from lottery.training.interface import MaskLearning, MaskMethod, State, TrainingJob
from lottery.training.learned_masks import mask_learning_problems
from lottery.training.progress import below

# A layer that keeps all or nothing would have scores without end.
_LEAST, _MOST = 0.01, 0.99


class MaskTraining(TrainingInProgress):
    """One training of a mask in progress; see `lottery.training.learned_masks`.

    The network's own prunable weights are masked as of the last evaluation; all other parameters
    stay as they were at the start. Buffers change as in any training.

    Args:
        job: what to train.
        mask_learning: the job's.
        device: where.

    Raises:
        UsageError: the job has a setting that cannot be combined with learned masks.
    """

    def __init__(self, job: TrainingJob, mask_learning: MaskLearning, device: torch.device) -> None:
        problems = mask_learning_problems(job.config, job.updates)
        if problems:
            raise UsageError(problems[0])
        self.mask_learning = mask_learning
        super().__init__(job, device)
        self.measured_model = self.model

    def _make_learned(self) -> nn.Module:
        fans = fan_ins(self.model)
        self.model.requires_grad_(False)
        own = dict(self.model.named_parameters())
        self.weights = {name: own[name].clone() for name in self.job.mask}
        generator = self.job.streams.generator(*self.mask_learning.stream, "scores")
        first = first_scores(self.mask_learning.method, self.job.mask, generator, fans)
        self.scores = nn.ParameterList(
            [torch.empty_like(weight).copy_(first[name]) for name, weight in self.weights.items()]
        )
        return self.scores

    def _outputs(self, inputs: Tensor) -> Tensor:
        scores = self._named_scores()
        chosen = {
            name: chosen_weights(self.mask_learning.method, self.weights[name], scores[name], kept)
            for name, kept in self._kept(self.progress.iteration).items()
        }
        outputs: Tensor = functional_call(self.model, chosen, (inputs,))
        return outputs

    def _named_scores(self) -> dict[str, Tensor]:
        return dict(zip(self.weights, self.scores, strict=True))

    def _kept(self, when: int | str) -> dict[str, Tensor]:
        """The masks: of a step, by its iteration; or as measured, whenever that is."""
        draws = {}
        if self.mask_learning.method == "supermask":
            generator = self.job.streams.generator(*self.mask_learning.stream, "mask", when)
            draws = {
                name: torch.rand(weight.shape, generator=generator).to(self.device)
                for name, weight in self.weights.items()
            }
        return kept_by(self.mask_learning.method, self._named_scores(), self.job.mask, draws)

    def _mask(self) -> Mask | None:
        return None if self.progress.reason else Mask(self._kept("measured"))

    def _refresh(self) -> None:
        """Set the network's weights as the mask leaves them."""
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, kept in self._kept("measured").items():
                own[name].copy_(self.weights[name].masked_fill(~kept, 0.0))

    def _state(self) -> State:
        self._refresh()
        return state_of(self.model)

    def _training_loss(self) -> float:
        # A score that is no number stays one, and the loss of a network without it may be finite.
        scores = sum(float(score.detach().sum()) for score in self.scores)
        return float(self.loss_sum) + 0 * scores

    def _own_tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        scores = self._named_scores().items()
        return {"scores": {name: score.detach().cpu().clone() for name, score in scores}}

    def _restore_own(self, tensors: Mapping[str, Tensor]) -> None:
        scores = below("scores/", tensors)
        with torch.no_grad():
            for name, score in self._named_scores().items():
                score.copy_(scores[name])


def first_scores(
    method: MaskMethod, counts: Mask, generator: torch.Generator, fan_ins: Mapping[str, int]
) -> dict[str, Tensor]:
    """The initial scores, float32 on the CPU, each of its weight's shape.

    ``edge-popup``: uniform within 1 / sqrt(fan-in), He et al.'s initialization (arXiv:1502.01852)
    as torch draws the weights of its layers. ``supermask``: in each layer log(p / (1 - p)), where p
    is the density of ``counts`` there, at most 99% and at least 1%.

    Args:
        method: which.
        counts: says how dense each layer is.
        generator: a CPU generator; layers draw from it in sorted order of their names.
        fan_ins: how many weights each output of a layer has, from `lottery.core.fan_ins`.
    """
    found = {}
    for name, (kept, total) in counts.layers.items():
        shape = counts[name].shape
        if method == "edge-popup":
            uniform = torch.rand(shape, generator=generator)
            found[name] = (2 * uniform - 1) / math.sqrt(max(1, fan_ins[name]))
        else:
            p = min(max(kept / total, _LEAST), _MOST)
            found[name] = torch.full(shape, math.log(p / (1 - p)))
    return found


def largest(scores: Tensor, count: int) -> Tensor:
    """True where a score is one of the ``count`` largest in magnitude; ties go to the lower index.

    >>> largest(torch.tensor([1.0, -3.0, 3.0, 3.0]), 2).tolist()
    [False, True, True, False]
    """
    size = scores.detach().abs().flatten()
    if count == 0 or count == size.numel():
        return torch.full(scores.shape, bool(count), device=scores.device)
    edge = size.kthvalue(size.numel() - count + 1).values
    above, ties = size > edge, size == edge
    first_ties = ties.cumsum(0) <= count - above.sum()
    return (above | (ties & first_ties)).view(scores.shape)


def chosen_weights(method: MaskMethod, weight: Tensor, scores: Tensor, kept: Tensor) -> Tensor:
    """The weight where ``kept``, else zero; differentiable with respect to the scores.

    Its gradient is that of weight times magnitude of the score (``edge-popup``) or of weight times
    the sigmoid of the score (``supermask``), for kept weights and others alike.

    Args:
        method: which.
        weight: frozen.
        scores: of the weight's shape.
        kept: bool, of the weight's shape.
    """
    soft = scores.abs() if method == "edge-popup" else scores.sigmoid()
    # The difference is exactly zero, and has the gradient.
    return weight * (kept + (soft - soft.detach()))


def kept_by(
    method: MaskMethod, scores: Mapping[str, Tensor], counts: Mask, draws: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The masks of all layers, bool.

    Args:
        method: which.
        scores: name -> scores.
        counts: how many weights ``edge-popup`` keeps in each layer.
        draws: for ``supermask``, numbers from [0, 1): a weight is kept where its number is below
            the probability.
    """
    if method == "edge-popup":
        layers = counts.layers
        return {name: largest(scores[name], layers[name][0]) for name in counts}
    return {name: draws[name] < scores[name].detach().sigmoid() for name in counts}
