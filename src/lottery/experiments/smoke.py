"""Shrink any experiment to seconds without leaving out a step."""

from __future__ import annotations

from dataclasses import replace

from lottery.experiments.config import ExperimentConfig
from lottery.training import Length

_ITERATIONS = 40
_EXAMPLES = 100


def smoke(config: ExperimentConfig) -> ExperimentConfig:
    """The same experiment, tiny: every kind of job once or twice, a few dozen steps each.

    Positions in the schedule (warm-up, drops, rewinding) keep their place in proportion.
    """
    training, rate = config.training, config.training.learning_rate

    def scaled(length: Length) -> Length:
        if length.unit != training.length.unit:
            return Length(amount=min(length.amount, 1))
        return Length(amount=length.amount * _ITERATIONS // training.length.amount)

    drops = tuple(scaled(drop) for drop in rate.drops)
    rewind = scaled(config.rewind.to)
    return replace(
        config,
        name=f"{config.name}-smoke",
        replicates=min(config.replicates, 2),
        levels=min(config.levels, 2),
        training=replace(
            training,
            length=Length(amount=_ITERATIONS),
            evaluate_every=Length(amount=_ITERATIONS // 4),
            learning_rate=replace(rate, warmup=scaled(rate.warmup), drops=drops),
        ),
        prune=replace(
            config.prune,
            examples=min(config.prune.examples, _EXAMPLES),
            rounds=min(config.prune.rounds, 2),
        ),
        # A late rewind stays a late rewind.
        rewind=replace(config.rewind, to=replace(rewind, amount=max(rewind.amount, 1)))
        if config.rewind.to.amount
        else config.rewind,
        controls=replace(
            config.controls,
            reinit=min(config.controls.reinit, 1),
            random_mask=min(config.controls.random_mask, 1),
        ),
    )
