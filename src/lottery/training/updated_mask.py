"""The next mask of a training whose mask changes: the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lottery.core import Group, Mask, gradual_density, kept_at_density, select
from lottery.core.dynamic import moved, updated_share
from lottery.training.interface import TrainingJob


def updated_mask(
    job: TrainingJob,
    mask: Mask,
    iteration: int,
    *,
    total: int,
    steps_per_epoch: int,
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor] | None = None,
) -> Mask:
    """The mask after an update that is due.

    Args:
        job: says the method, what goes (`TrainingJob.to_remove`), and the stream of random growth,
            ``("mask-updates", iteration)``.
        mask: what is kept now.
        iteration: where the update is due, see `MaskUpdatesConfig.due`.
        total: iterations of the whole training.
        steps_per_epoch: batches in one pass over the data.
        weights: parameter name -> weight, for every layer of the mask.
        gradients: the same for the loss's gradient by every weight, kept or not; for ``rigl``.

    Returns:
        With set and rigl a mask of the same count in every layer; with gradual a subset with the
        count that the schedule says. Weights that are new in it start at zero.

    Raises:
        MaskError: a number that decides is NaN, or ``to_remove`` does not fit the mask.
    """
    config = job.updates
    if config.method == "gradual":
        groups = gradual_groups(job, mask, iteration, total, steps_per_epoch)
        return select({name: weights[name].abs() for name in mask}, mask, groups)
    if config.method == "set":
        generator = job.streams.generator("mask-updates", iteration)
        share = config.fraction
        return moved(mask, weights=weights, share=share, growth="random", generator=generator)
    share = updated_share(iteration, first=config.fraction, end=config.ends(total))
    return moved(mask, weights=weights, share=share, growth="gradient", gradients=gradients)


def gradual_groups(
    job: TrainingJob, mask: Mask, iteration: int, total: int, steps_per_epoch: int
) -> tuple[Group, ...]:
    """What gradual pruning removes at an iteration, so that its schedule is met exactly.

    A group of n weights that is to lose r in all has the density that `gradual_density` says on
    the way from 1 to (n - r) / n, and keeps `kept_at_density` of n.

    Args:
        job, mask, iteration, total, steps_per_epoch: as for `updated_mask`.
    """
    config, now, first = job.updates, mask.layers, job.mask.layers
    groups = []
    for group in job.to_remove:
        size = sum(first[name][0] for name in group.layers)
        density = gradual_density(
            iteration,
            shape=config.shape,
            initial=1.0,
            final=(size - group.remove) / size if size else 1.0,
            begin=config.begins(total),
            end=config.ends(total),
            every=config.every.iterations(steps_per_epoch),
        )
        surplus = sum(now[name][0] for name in group.layers) - kept_at_density(size, density)
        groups.append(Group(group.layers, max(0, surplus)))
    return tuple(groups)
