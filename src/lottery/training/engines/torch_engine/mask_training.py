"""One training of a mask in progress: scores learn, weights stay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lottery.core import Mask, fan_ins
from lottery.errors import UsageError
from lottery.training.engines.torch_engine.in_progress import TrainingInProgress
from lottery.training.engines.torch_engine.network import state_of
from lottery.training.engines.torch_engine.scores import chosen_weights, first_scores, kept_by
from lottery.training.interface import MaskLearning, State, TrainingJob
from lottery.training.learned_masks import unlearnable
from lottery.training.progress import below


class MaskTraining(TrainingInProgress):
    """One training of a mask in progress; see `lottery.training.learned_masks`.

    The network's own prunable weights hold what the mask made of them when it was last measured;
    all other parameters stay as they were at the start. Buffers move as in any training.

    Args:
        job: what to train.
        learns: the job's.
        device: where.

    Raises:
        UsageError: the job has a setting that learned masks do not go with.
    """

    def __init__(self, job: TrainingJob, learns: MaskLearning, device: torch.device) -> None:
        problems = unlearnable(job.config, job.updates)
        if problems:
            raise UsageError(problems[0])
        self.learns = learns
        super().__init__(job, device)
        self.measured_model = self.model

    def _make_learned(self) -> nn.Module:
        fans = fan_ins(self.model)
        self.model.requires_grad_(False)
        own = dict(self.model.named_parameters())
        self.weights = {name: own[name].clone() for name in self.job.mask}
        generator = self.job.streams.generator(*self.learns.stream, "scores")
        first = first_scores(self.learns.method, self.job.mask, generator, fans)
        self.scores = nn.ParameterList(
            [torch.empty_like(weight).copy_(first[name]) for name, weight in self.weights.items()]
        )
        return self.scores

    def _outputs(self, inputs: Tensor) -> Tensor:
        scores = self._named_scores()
        chosen = {
            name: chosen_weights(self.learns.method, self.weights[name], scores[name], kept)
            for name, kept in self._kept(self.progress.iteration).items()
        }
        outputs: Tensor = functional_call(self.model, chosen, (inputs,))
        return outputs

    def _named_scores(self) -> dict[str, Tensor]:
        return dict(zip(self.weights, self.scores, strict=True))

    def _kept(self, when: int | str) -> dict[str, Tensor]:
        """The masks: of a step, by its iteration; or as measured, whenever that is."""
        draws = {}
        if self.learns.method == "supermask":
            generator = self.job.streams.generator(*self.learns.stream, "mask", when)
            draws = {
                name: torch.rand(weight.shape, generator=generator).to(self.device)
                for name, weight in self.weights.items()
            }
        return kept_by(self.learns.method, self._named_scores(), self.job.mask, draws)

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
