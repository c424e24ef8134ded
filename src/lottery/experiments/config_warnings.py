"""Warnings about configs that are allowed, but are probably not what was meant."""

from __future__ import annotations

from lottery.core import find_criterion
from lottery.experiments.config import PlanConfig
from lottery.methods import FromStep


def config_warnings(config: PlanConfig) -> list[str]:
    """Warnings to show before an experiment runs, one sentence each.

    Raises:
        UsageError: its criterion cannot be found.
    """
    prune = config.prune
    criterion = find_criterion(prune.criterion)
    if not config.levels:
        return ["levels = 0: nothing is pruned, and dense networks alone are trained"]
    if isinstance(config.method, FromStep) or not criterion.before_training:
        return []
    which = (
        "of the dense training under way"
        if config.method.kind == "early-bird"
        else "that are trained"
    )
    return [
        f"criterion '{prune.criterion}' was made for networks before training ({criterion.source}),"
        f" and here it scores weights {which}; the paper means --set method.kind=at-step"
    ]
