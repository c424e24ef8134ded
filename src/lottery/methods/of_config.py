"""The method that a config's settings describe."""

from __future__ import annotations

from lottery.methods.at_step import AtStep
from lottery.methods.base import Method
from lottery.methods.changing import Dynamic, GraduallyPruned
from lottery.methods.early_bird import EarlyBird
from lottery.methods.iterative import Iterative
from lottery.tickets import PruneConfig, RewindConfig
from lottery.training import MaskUpdatesConfig, PrunedValues


def method_of(
    prune: PruneConfig,
    rewind: RewindConfig,
    *,
    updates: MaskUpdatesConfig | None = None,
    pruned: PrunedValues = "zero",
) -> Method:
    """The method of an experiment.

    Args:
        prune: what is removed, and whose weights decide.
        rewind: what survivors go back to.
        updates: how masks change while tickets train; None: not at all.
        pruned: what pruned weights are held at.
    """
    late = rewind.to.amount > 0
    if updates is not None and updates.active:
        changing = GraduallyPruned if updates.method == "gradual" else Dynamic
        return changing(prune=prune, late=late, updates=updates)
    if prune.by == "early-bird":
        return EarlyBird(prune=prune, rewind=rewind, pruned_values=pruned)
    if prune.by == "rewound":
        return AtStep(prune=prune, late=late, pruned_values=pruned)
    return Iterative(prune=prune, rewind=rewind, pruned_values=pruned)
