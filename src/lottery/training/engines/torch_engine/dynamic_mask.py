"""A mask that changes while its network is trained, and its updates."""

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
    """The mask of one training, and the effects of its changes on weights and optimizer state.

    What an update prunes becomes zero: in the weights, the optimizer's state, and the average that
    is evaluated. So a weight that is grown starts at zero in all of them, also if it was kept some
    time before. A weight that one update drops and grows again at once keeps its value and state.

    Args:
        progress: where the training is; its job says when and how the mask changes.
        model: the network in training.
        hold: keeps its pruned weights at zero.
        measured: the network that is evaluated, whose average is pruned as well.

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
        """Whether the mask must be updated now, in place of the optimizer's step."""
        return self._updates.method == "rigl" and self._due()

    @property
    def follows_step(self) -> bool:
        """Whether the mask must be updated now, after the optimizer's step."""
        return self._updates.method != "rigl" and self._due()

    def _due(self) -> bool:
        return self._updates.due(
            self._progress.iteration,
            start=self._progress.job.start_iteration,
            total=self._progress.total,
            steps_per_epoch=self._progress.steps_per_epoch,
        )

    def unmask_gradients(self) -> None:
        """Replace each weight's masked gradient by the recorded one, of pruned entries too."""
        for name, gradient in self._hold.gradients().items():
            self._weights[name].grad = gradient

    def update(self) -> None:
        """Update the mask, with the gradients of this step where the update replaces the step.

        If a weight is NaN or a gradient not finite, the mask stays as it is: the training diverges,
        or its loss was scaled too much and it continues with the next step.
        """
        weights = {name: weight.detach() for name, weight in self._weights.items()}
        gradients = {}
        if self._updates.method == "rigl":
            gradients = {n: w.grad for n, w in self._weights.items() if w.grad is not None}
        nan = any(bool(weight.isnan().any()) for weight in weights.values())
        if not nan and all(bool(gradient.isfinite().all()) for gradient in gradients.values()):
            self.change(updated_mask(self._progress, self.mask, weights, gradients))

    def change(self, mask: Mask) -> None:
        """Change to another mask; what it prunes becomes zero everywhere."""
        self.mask = mask
        self._hold.change(mask)
        for name, average in self._averages.items():
            average.detach().masked_fill_(~mask[name].to(average.device), 0.0)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Change to the mask of a checkpoint; weights are restored elsewhere."""
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
        progress: where the training is. Its job has the method, the groups for gradual pruning
            (`TrainingJob.to_remove`), and the stream of random growth, ``("mask-updates",
            iteration)``.
        mask: what is kept now.
        weights: parameter name -> weight, for every layer of the mask.
        gradients: parameter name -> gradient of the loss by every weight, kept or not; for
            ``rigl``.

    Returns:
        With set and rigl a mask with the same count in every layer; with gradual a subset with the
        count of the schedule.

    Raises:
        MaskError: a weight or gradient that is needed is NaN, or ``to_remove`` does not fit the
            mask.
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
