"""A mask that changes while its network is trained."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lottery.core import Mask
from lottery.errors import UsageError
from lottery.holding import Hold
from lottery.training.engines.torch_engine.averaging import Measured
from lottery.training.interface import TrainingJob
from lottery.training.progress import Progress
from lottery.training.updated_mask import updated_mask


class DynamicMask:
    """The mask of one training, and what a change of it means for the rest.

    What is pruned is zero from then on: weights, optimizer state, and the average that is measured.
    So a weight that grows starts at zero, with no past in any of them, also where it had been part
    of the network before. A weight that one update drops and grows again at once stays as it is.

    Args:
        job: says when and how.
        progress: where the training is.
        model: the network in training.
        hold: keeps its pruned weights pruned.
        measured: whose average is pruned as well.

    Raises:
        UsageError: the job holds pruned weights at values while its mask changes.
    """

    def __init__(
        self,
        job: TrainingJob,
        progress: Progress,
        model: nn.Module,
        hold: Hold,
        measured: Measured,
    ) -> None:
        self.mask, self.active = job.mask, job.updates.active
        if self.active and job.pruned is not None:
            raise UsageError(
                "a job with updates cannot hold pruned weights at values: which are pruned "
                "changes, and new ones start at zero; leave out `pruned`"
            )
        self._job, self._progress, self._hold = job, progress, hold
        self._weights = _of(job.mask, model)
        self._averages = _of(job.mask, measured.model) if measured.is_copy else {}

    @property
    def replaces_step(self) -> bool:
        """Whether the mask is to be updated now in place of the optimizer's step."""
        return self._job.updates.method == "rigl" and self._due()

    @property
    def follows_step(self) -> bool:
        """Whether the mask is to be updated now that the step is done."""
        return self.active and self._job.updates.method != "rigl" and self._due()

    def _due(self) -> bool:
        return self._job.updates.due(
            self._progress.iteration,
            start=self._job.start_iteration,
            total=self._progress.total,
            steps_per_epoch=self._progress.steps_per_epoch,
        )

    def unmask_gradients(self) -> None:
        """Make each weight's gradient what was recorded of it, kept or not."""
        for name, gradient in self._hold.gradients().items():
            self._weights[name].grad = gradient

    def update(self) -> None:
        """Update the mask, by the gradients of this step where it replaces one.

        Where a weight is NaN or a gradient not finite, the mask stays: such a training diverges, or
        has scaled its losses too far and goes on with the next step.
        """
        weights = {name: weight.detach() for name, weight in self._weights.items()}
        gradients = {}
        if self._job.updates.method == "rigl":
            gradients = {n: w.grad for n, w in self._weights.items() if w.grad is not None}
        nan = any(bool(weight.isnan().any()) for weight in weights.values())
        if not nan and all(bool(gradient.isfinite().all()) for gradient in gradients.values()):
            self.change(
                updated_mask(
                    self._job,
                    self.mask,
                    self._progress.iteration,
                    total=self._progress.total,
                    steps_per_epoch=self._progress.steps_per_epoch,
                    weights=weights,
                    gradients=gradients,
                )
            )

    def change(self, mask: Mask) -> None:
        """Keep what this mask keeps from now on; what it prunes is zero everywhere."""
        self.mask = mask
        self._hold.change(mask)
        for name, average in self._averages.items():
            average.detach().masked_fill_(~mask[name].to(average.device), 0.0)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a mask that a checkpoint held; the weights are restored by others."""
        self.mask = Mask(tensors)
        self._hold.change(self.mask)


def _of(mask: Mask, model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of the mask, in its order."""
    parameters = dict(model.named_parameters())
    return {name: parameters[name] for name in mask}
