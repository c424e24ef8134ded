"""One training of a mask in progress: scores learn, weights stay."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lottery.core import Mask, fan_ins
from lottery.errors import UsageError
from lottery.training.engines.torch_engine.batches import Batches
from lottery.training.engines.torch_engine.masking import fill_gradients
from lottery.training.engines.torch_engine.network import (
    measured,
    random_states,
    restore_random,
    set_up,
    state_of,
)
from lottery.training.engines.torch_engine.optimizers import (
    clip_gradients,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from lottery.training.engines.torch_engine.precision import Precision
from lottery.training.engines.torch_engine.scores import chosen_weights, first_scores, kept_by
from lottery.training.evaluate import input_dtype
from lottery.training.interface import Checkpoint, MaskLearning, TrainingJob, TrainingResult
from lottery.training.learned_masks import unlearnable
from lottery.training.loss import batch_loss
from lottery.training.progress import Progress, below, prefixed


class MaskTraining:
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
        problems = unlearnable(job.config)
        if problems:
            raise UsageError(problems[0])
        self.job, self.learns, self.device = job, learns, device
        self.progress = Progress(job)
        torch.manual_seed(job.streams.seed_of("dropout", job.start_iteration))

        self.model, self.data = set_up(job, device)
        fans = fan_ins(self.model)
        self.model.requires_grad_(False)
        own = dict(self.model.named_parameters())
        self.weights = {name: own[name].clone() for name in job.mask}
        first = first_scores(
            learns.method,
            job.mask,
            job.streams.generator(*learns.stream, "scores"),
            fans,
        )
        self.dtype = input_dtype(self.model)
        self.scores = nn.ParameterList(
            [torch.empty_like(weight).copy_(first[name]) for name, weight in self.weights.items()]
        )
        self.precision = Precision(job.config.precision, device)
        self.optimizer = make_optimizer(
            job.config.optimizer, self.scores, device, skips=self.precision.scaled
        )
        self.batches = Batches(job, self.data, self.dtype)
        self.loss_sum = torch.zeros((), device=device)

    def begin(self) -> None:
        """What is due before the first step."""
        self._after_step()

    def step(self) -> None:
        """One step of the scores, and what is due after it."""
        config = self.job.config
        inputs, targets = self.batches.of(self.progress)
        kept = self._kept(self.progress.iteration)
        with self.precision.autocast:
            outputs = functional_call(self.model, self._chosen(kept), (inputs,))
        loss = batch_loss(config.loss, outputs, targets, label_smoothing=config.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.backward(loss)
        fill_gradients(list(self.scores))
        with torch.no_grad():
            self.loss_sum += loss
            self._update()
        self.progress.iteration += 1
        self._after_step()

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

    def _chosen(self, kept: dict[str, Tensor]) -> dict[str, Tensor]:
        scores = self._named_scores()
        return {
            name: chosen_weights(self.learns.method, weight, scores[name], kept[name])
            for name, weight in self.weights.items()
        }

    def _update(self) -> None:
        rate = self.progress.rate(self.progress.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.precision.unscale(self.optimizer)
        if self.job.config.clip_gradients:
            clip_gradients(list(self.scores), self.job.config.clip_gradients)
        self.precision.step(self.optimizer)

    def _after_step(self) -> None:
        self.progress.keep_snapshot(self._state)
        if self.progress.due:
            self._evaluate()

    def mask(self) -> Mask:
        """What is kept, as it is measured."""
        return Mask({name: kept.cpu() for name, kept in self._kept("measured").items()})

    def _state(self) -> dict[str, Tensor]:
        """A copy of the network's state, its weights as the mask leaves them."""
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, kept in self._kept("measured").items():
                own[name].copy_(self.weights[name].masked_fill(~kept, 0.0))
        return state_of(self.model)

    def _evaluate(self) -> None:
        self._state()
        with self.precision.autocast:
            points = measured(self.model, self.data, self.progress.iteration, self.job.config.loss)
        # A score that is no number stays one, and the loss of a network without it may be finite.
        scores = sum(float(score.detach().sum()) for score in self.scores)
        if not self.progress.note(float(self.loss_sum) + 0 * scores, points, self._state):
            return
        self.loss_sum.zero_()
        self.progress.reason = self.precision.exhausted(self.progress.iteration)

    def result(self, engine: str) -> TrainingResult:
        """What the training gives back, at its end."""
        found = self.progress.result(engine, self._state)
        return found if found.status == "diverged" else replace(found, mask=self.mask())

    def checkpoint(self) -> Checkpoint:
        """All of this training's state, copied."""
        scores = {name: s.detach().cpu().clone() for name, s in self._named_scores().items()}
        groups = {
            "model": self._state(),
            "scores": scores,
            "optimizer": optimizer_tensors(self.optimizer, self.scores),
        }
        tensors = prefixed(groups) | random_states(self.device)
        tensors["loss-sum"] = self.loss_sum.cpu().clone()
        return self.progress.checkpoint(tensors, {"scaler": self.precision.state()})

    def restore(self, kept: Checkpoint) -> None:
        """Go on from a checkpoint as if nothing had happened."""
        tensors = kept.tensors
        self.progress.restore(kept)
        self.model.load_state_dict(below("model/", tensors))
        with torch.no_grad():
            for name, score in self._named_scores().items():
                score.copy_(tensors[f"scores/{name}"])
        restore_optimizer(self.optimizer, self.scores, below("optimizer/", tensors))
        self.precision.restore(kept.values["scaler"])
        restore_random(self.device, tensors)
        # A copy, since steps add to it in place and the checkpoint may be used again.
        self.loss_sum = tensors["loss-sum"].to(self.device, copy=True)
