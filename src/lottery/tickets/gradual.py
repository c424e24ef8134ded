"""What gradual pruning takes away in the course of one level's training."""

from __future__ import annotations

from lottery.core import Group, Mask, allocate
from lottery.tickets.config import PruneConfig
from lottery.tickets.pruning import kept_at_level


def going_by_level(
    config: PruneConfig, level: int, dense: Mask, *, levels: int
) -> tuple[Group, ...]:
    """Where weights compete, and how many go, from the dense network to a level's density.

    The counts are those that pruning level by level comes to: the network, and with scopes within
    layers each layer, keeps as many as a ticket of that level would.

    Args:
        config: scope, schedule and fractions.
        level: 1 or more.
        dense: the mask of level 0.
        levels: how many levels there are; for the linear schedule.

    Raises:
        UsageError: the schedule says no density for the level, or one that cannot be reached.
    """
    shapes = {name: tuple(dense[name].shape) for name in dense}
    whole = {name: total for name, (_, total) in dense.layers.items()}
    kept, groups = dict(whole), tuple[Group, ...]()
    for number in range(1, level + 1):
        groups = allocate(
            kept,
            scope=config.scope,
            fraction=config.fraction,
            fractions=config.fractions,
            keep=kept_at_level(config, number, dense.total, levels),
            shapes=shapes,
        )
        for group in groups:
            # Only a group's total matters, so its first layer can stand for the whole of it.
            left = sum(kept[name] for name in group.layers) - group.remove
            kept |= dict.fromkeys(group.layers, 0) | {group.layers[0]: left}
    return tuple(
        Group(group.layers, sum(whole[n] - kept[n] for n in group.layers)) for group in groups
    )
