"""What masks that change in training go with, and what they mean for each job."""

from __future__ import annotations

from lottery.errors import UsageError
from lottery.tickets import ControlsConfig, PruneConfig
from lottery.training import MaskUpdatesConfig


def mask_update_problems(
    updates: MaskUpdatesConfig, prune: PruneConfig, controls: ControlsConfig
) -> list[str]:
    """What of an experiment does not go with changing masks, one sentence each."""
    if not updates.active:
        return []
    how = f"training.mask_updates.method = '{updates.method}'"
    found = []
    if prune.by != "rewound":
        found.append(
            f"prune.by: with {how} the mask that a ticket ends with is not the one that the next "
            "is pruned from, so that its trained weights decide nothing; use 'rewound'"
        )
    if prune.granularity != "weight":
        found.append(
            f"prune.granularity: with {how} single weights come and go, got '{prune.granularity}'; "
            "use 'weight'"
        )
    return found + (_gradual_problems(how, prune, controls) if updates.method == "gradual" else [])


def _gradual_problems(how: str, prune: PruneConfig, controls: ControlsConfig) -> list[str]:
    found = []
    if prune.criterion != "magnitude" or prune.rounds > 1:
        found.append(
            f"prune.criterion: with {how} weights go by magnitude in the course of the training, "
            f"got '{prune.criterion}' in {prune.rounds} rounds; use 'magnitude' and rounds = 1"
        )
    if prune.scope == "lamp":
        found.append(f"prune.scope: with {how} magnitudes are not rescaled; use 'global' or 'erk'")
    return found + [
        f"controls.{name}: with {how} every training starts dense, and {why}; use 0"
        for name, number, why in (
            ("random_mask", controls.random_mask, "there is no mask to draw"),
            ("shuffled_global", controls.shuffled_global, "there is no mask to shuffle"),
            ("moved", controls.moved, "there is no mask to move"),
            ("aligned", controls.aligned, "there is no mask to move"),
            ("scratch_flops", controls.scratch_flops, "saves other multiplications at every step"),
        )
        if number
    ]


def check_updates_happen(updates: MaskUpdatesConfig, *, start: int, total: int, epoch: int) -> None:
    """Check that a mask that is to change does so, and that gradual pruning is gradual.

    That takes two prunings after steps were taken: the last, and one on the way. One at the start
    only catches up with the schedule, and what goes there goes at once.

    Args:
        updates: how.
        start: the iteration that tickets start at.
        total: iterations of the whole training.
        epoch: iterations of one epoch.

    Raises:
        UsageError: no update is due between the start and the end of updates.
    """
    if not updates.active:
        return
    end = updates.ends(total)
    between = range(start + 1, end)
    if any(updates.due(i, start=start, total=total, steps_per_epoch=epoch) for i in between):
        return
    if updates.method == "gradual":
        raise UsageError(
            "training.mask_updates: expected gradual pruning to prune one time or more between "
            f"iteration {start}, where tickets start, and {end}, the last time, and with one every "
            f"{updates.every} it never does, so that nothing is gradual; make `every` shorter, "
            "`begin` or rewind.to earlier, or `until` later"
        )
    raise UsageError(
        f"training.mask_updates: from iteration {start} to {end} no update is due, of one every "
        f"{updates.every}; make `every` shorter, or `until` later"
    )
