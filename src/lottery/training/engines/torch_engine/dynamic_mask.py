"""A mask that changes while its network is trained, and what its next form is."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lottery.core import Group, Mask, gradual_density, kept_at_density, select
from lottery.core.dynamic import drop_and_grow, updated_share
from lottery.errors import UsageError
from lottery.holding import Hold
from lottery.training.engines.torch_engine.averaging import MeasuredModel
from lottery.training.progress import Progress


class DynamicMask:
    """The mask of one training, and what a change of it means for the rest.

    What is pruned is zero from then on: weights, optimizer state, and the average that is measured.
    So a weight that grows starts at zero, with no past in any of them, also where it had been part
    of the network before. A weight that one update drops and grows again at once stays as it is.

    Args:
        progress: where the training is, and whose job says when and how.
        model: the network in training.
        hold: keeps its pruned weights pruned.
        measured: whose average is pruned as well.

    Raises:
        UsageError: the job holds pruned weights at values while its mask changes.
    """

    def __init__(
        self, progress: Progress, model: nn.Module, hold: Hold, measured: MeasuredModel
    ) -> None:
        job = progress.job
        self._updates = job.updates
        self.mask, self.active = job.mask, self._updates.active
        if self.active and job.pruned is not None:
            raise UsageError(
                "a job with updates cannot hold pruned weights at values: which are pruned "
                "changes, and new ones start at zero; leave out `pruned`"
            )
        self._progress, self._hold = progress, hold
        self._weights = _of(job.mask, model)
        self._averages = _of(job.mask, measured.model) if measured.is_copy else {}

    @property
    def replaces_step(self) -> bool:
        """Whether the mask is to be updated now in place of the optimizer's step."""
        return self._updates.method == "rigl" and self._due()

    @property
    def follows_step(self) -> bool:
        """Whether the mask is to be updated now that the step is done."""
        return self._updates.method != "rigl" and self._due()

    def _due(self) -> bool:
        return self._updates.due(
            self._progress.iteration,
            start=self._progress.job.start_iteration,
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
        if self._updates.method == "rigl":
            gradients = {n: w.grad for n, w in self._weights.items() if w.grad is not None}
        nan = any(bool(weight.isnan().any()) for weight in weights.values())
        if not nan and all(bool(gradient.isfinite().all()) for gradient in gradients.values()):
            self.change(updated_mask(self._progress, self.mask, weights, gradients))

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


def updated_mask(
    progress: Progress,
    mask: Mask,
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor] | None = None,
) -> Mask:
    """The mask after an update that is due.

    Args:
        progress: where the training is. Its job says the method, what goes
            (`TrainingJob.to_remove`), and the stream of random growth, ``("mask-updates",
            iteration)``.
        mask: what is kept now.
        weights: parameter name -> weight, for every layer of the mask.
        gradients: the same for the loss's gradient by every weight, kept or not; for ``rigl``.

    Returns:
        With set and rigl a mask of the same count in every layer; with gradual a subset with the
        count that the schedule says. Weights that are new in it start at zero.

    Raises:
        MaskError: a number that decides is NaN, or ``to_remove`` does not fit the mask.
    """
    config, iteration = progress.job.updates, progress.iteration
    if config.method == "gradual":
        return select({n: weights[n].abs() for n in mask}, mask, _gradual_groups(progress, mask))
    if config.method == "set":
        generator = progress.job.streams.generator("mask-updates", iteration)
        share = config.fraction
        return drop_and_grow(
            mask, weights=weights, share=share, growth="random", generator=generator
        )
    share = updated_share(iteration, first=config.fraction, end=config.ends(progress.total))
    return drop_and_grow(mask, weights=weights, share=share, growth="gradient", gradients=gradients)


def _gradual_groups(progress: Progress, mask: Mask) -> tuple[Group, ...]:
    """What gradual pruning removes now, so that its schedule is met exactly.

    A group of n weights that is to lose r in all has the density that `gradual_density` says on
    the way from 1 to (n - r) / n, and keeps `kept_at_density` of n.
    """
    job = progress.job
    config, now, first = job.updates, mask.layers, job.mask.layers
    groups = []
    for group in job.to_remove:
        size = sum(first[name][0] for name in group.layers)
        density = gradual_density(
            progress.iteration,
            shape=config.shape,
            initial=1.0,
            final=(size - group.remove) / size if size else 1.0,
            begin=config.begins(progress.total),
            end=config.ends(progress.total),
            every=config.every.iterations(progress.steps_per_epoch),
        )
        surplus = sum(now[name][0] for name in group.layers) - kept_at_density(size, density)
        groups.append(Group(group.layers, max(0, surplus)))
    return tuple(groups)
