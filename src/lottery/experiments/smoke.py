"""Shrink any experiment to seconds without leaving out a step."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from lottery.data import FEW
from lottery.experiments.config import ExperimentConfig
from lottery.tickets import ControlsConfig, PruneConfig, RewindConfig
from lottery.training import (
    LearnedMasksConfig,
    LearningRateConfig,
    Length,
    MaskTrainingConfig,
    MaskUpdatesConfig,
)

_ITERATIONS = 8
_BATCH = 4
_EXAMPLES = 20
_LEVELS = 2


def smoke(config: ExperimentConfig) -> ExperimentConfig:
    """The same experiment, tiny: every kind of job once or twice, a few steps each.

    Positions in the schedule (warm-up, drops, rewinding) keep their place in proportion; where
    they are in another unit than the training's length, they come to one iteration. Masks that
    change do so at least once, and where they are pruned gradually more often. Batches and
    what is held out for validation are small too, and the learning rate falls with the size of
    batches (arXiv:1706.02677, section 2.1). Few test examples are measured, which the dataset's
    name says: ``few:``. Network and images are what they are, and so is the training set, so that
    a folder of many images is still decoded whole.
    """
    training, masks = config.training, config.masks

    def scaled(length: Length) -> Length:
        if length.unit != training.length.unit:
            return Length(amount=min(length.amount, 1))
        return Length(amount=length.amount * _ITERATIONS // training.length.amount)

    def never_gone(length: Length) -> Length:
        # A late rewind stays a late rewind, warm-up a warm-up, and fine-tuning takes a step.
        return Length(amount=max(scaled(length).amount, 1)) if length.amount else length

    batch = min(training.batch_size, _BATCH)

    def shrunk(rate: LearningRateConfig) -> LearningRateConfig:
        return replace(
            rate,
            base=rate.base * batch / training.batch_size,
            warmup=never_gone(rate.warmup),
            drops=tuple(scaled(drop) for drop in rate.drops),
        )

    start, updates = never_gone(config.rewind.to), training.mask_updates
    if updates.active and not _too_late(config):
        start = Length(amount=min(start.amount, _ITERATIONS - 2))
        updates = _between(updates, start.amount)

    def scores(config: MaskTrainingConfig) -> MaskTrainingConfig:
        return replace(config, learning_rate=shrunk(config.learning_rate))

    return replace(
        config,
        name=f"{config.name}-smoke",
        replicates=min(config.replicates, 2),
        levels=min(config.levels, _LEVELS),
        data=replace(
            config.data,
            name=f"{FEW}{config.data.name.removeprefix(FEW)}",
            validation=min(config.data.validation, _EXAMPLES),
        ),
        training=replace(
            training,
            length=Length(amount=_ITERATIONS),
            batch_size=batch,
            evaluate_every=Length(amount=_ITERATIONS // 2),
            mask_updates=_often(updates),
            learning_rate=shrunk(training.learning_rate),
        ),
        prune=_little(config.prune),
        rewind=RewindConfig(
            method=config.rewind.method,
            to=start,
            length=never_gone(config.rewind.length),
        ),
        controls=_one_each(config.controls),
        connectivity=config.connectivity.not_after(_ITERATIONS // 2),
        masks=LearnedMasksConfig(
            edge_popup=scores(masks.edge_popup), supermask=scores(masks.supermask)
        ),
    )


def _too_late(config: ExperimentConfig) -> bool:
    """Whether tickets start where masks no longer change, which is refused, so also when tiny."""
    start, length = config.rewind.to, config.training.length
    until = config.training.mask_updates.until
    return start.unit == length.unit and start.amount >= until * length.amount


def _between(updates: MaskUpdatesConfig, start: int) -> MaskUpdatesConfig:
    """With an iteration between the first that counts and the last, so that an update is due."""
    begin = min(updates.begin, (_ITERATIONS - 2) / _ITERATIONS)
    first = max(round(begin * _ITERATIONS), start)
    return replace(updates, begin=begin, until=max(updates.until, (first + 2) / _ITERATIONS))


def _often(updates: MaskUpdatesConfig) -> MaskUpdatesConfig:
    return replace(updates, every=Length(amount=_ITERATIONS // 8)) if updates.active else updates


def _little(prune: PruneConfig) -> PruneConfig:
    return replace(
        prune,
        densities=prune.densities[:_LEVELS],
        examples=min(prune.examples, _EXAMPLES),
        batch_size=min(prune.batch_size, _EXAMPLES),
        rounds=min(prune.rounds, 2),
        early_bird=replace(
            prune.early_bird,
            every=Length(amount=_ITERATIONS // 8),
            window=min(prune.early_bird.window, 5),
        ),
    )


def _one_each(controls: ControlsConfig) -> ControlsConfig:
    numbers: dict[str, Any] = {f.name: getattr(controls, f.name) for f in fields(controls)}
    few = {name: type(number)(min(number, 1)) for name, number in numbers.items()}
    return replace(controls, **few)
