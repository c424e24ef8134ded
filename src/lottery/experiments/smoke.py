"""Smoke runs: any experiment made so small that it takes seconds, with no step left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from lottery.data import FEW
from lottery.experiments.config import ExperimentConfig
from lottery.methods import AnyMethod, ChangingMask, ControlsConfig, EarlyBird, FromStep
from lottery.tickets import PruneConfig
from lottery.training import LearnedMasksConfig, LearningRateConfig, Length, MaskTrainingConfig

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

    batch, levels = min(training.batch_size, _BATCH), min(config.levels, _LEVELS)

    def shrunk(rate: LearningRateConfig) -> LearningRateConfig:
        return replace(
            rate,
            base=rate.base * batch / training.batch_size,
            warmup=never_gone(rate.warmup),
            drops=tuple(scaled(drop) for drop in rate.drops),
        )

    def scores(config: MaskTrainingConfig) -> MaskTrainingConfig:
        return replace(config, learning_rate=shrunk(config.learning_rate))

    return replace(
        config,
        name=f"{config.name}-smoke",
        replicates=min(config.replicates, 2),
        levels=levels,
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
            learning_rate=shrunk(training.learning_rate),
        ),
        method=_brief(config.method, training.length, never_gone),
        prune=_little(config.prune),
        controls=_one_each(config.controls),
        connectivity=config.connectivity.not_after(_ITERATIONS // 2, levels),
        masks=LearnedMasksConfig(
            edge_popup=scores(masks.edge_popup), supermask=scores(masks.supermask)
        ),
    )


def _brief(method: AnyMethod, length: Length, shrunk: Callable[[Length], Length]) -> AnyMethod:
    """A method whose moments keep their place in a training of a few iterations."""
    changes: dict[str, Any] = {}
    if rewind := getattr(method, "rewind", None):
        names = [f.name for f in fields(rewind) if f.name != "kind"]
        moments = {name: shrunk(getattr(rewind, name)) for name in names}
        changes["rewind"] = replace(rewind, **moments)
    if isinstance(method, FromStep):
        changes["step"] = shrunk(method.step)
    if isinstance(method, EarlyBird | ChangingMask):
        changes["every"] = Length(amount=_ITERATIONS // 8)
    if isinstance(method, EarlyBird):
        changes["window"] = min(method.window, 5)
    if isinstance(method, ChangingMask) and not _too_late(method, length):
        step = changes["step"] = Length(amount=min(changes["step"].amount, _ITERATIONS - 2))
        changes |= _between(method, step.amount)
    return replace(method, **changes)


def _too_late(method: ChangingMask, length: Length) -> bool:
    """Whether tickets start where masks no longer change, which is refused, so also when tiny."""
    step = method.step
    return step.unit == length.unit and step.amount >= method.until * length.amount


def _between(method: ChangingMask, start: int) -> dict[str, float]:
    """With an iteration between the first that counts and the last, so that an update is due."""
    begin = min(method.begin, (_ITERATIONS - 2) / _ITERATIONS)
    first = max(round(begin * _ITERATIONS), start)
    return {"begin": begin, "until": max(method.until, (first + 2) / _ITERATIONS)}


def _little(prune: PruneConfig) -> PruneConfig:
    return replace(
        prune,
        densities=prune.densities[:_LEVELS],
        examples=min(prune.examples, _EXAMPLES),
        batch_size=min(prune.batch_size, _EXAMPLES),
        rounds=min(prune.rounds, 2),
    )


def _one_each(controls: ControlsConfig) -> ControlsConfig:
    numbers: dict[str, Any] = {f.name: getattr(controls, f.name) for f in fields(controls)}
    few = {name: type(number)(min(number, 1)) for name, number in numbers.items()}
    return replace(controls, **few)
