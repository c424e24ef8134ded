"""Checks on settings that not every engine knows: it keeps to them, or refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import torch

from lottery.errors import UsageError
from lottery.testing.engine_masks import keeps_the_mask, masks_gradients
from lottery.testing.engine_repeats import resumes
from lottery.testing.expect import expect, same_bytes
from lottery.testing.running import train, train_done
from lottery.testing.samples import OPTIMIZERS, tiny_config, tiny_dropout_mlp, tiny_job, tiny_mlp
from lottery.training import Engine, OptimizerConfig, TrainingConfig

_ADAM = tiny_config(OPTIMIZERS["Adam"])
_SGD = tiny_config(OPTIMIZERS["SGD with Nesterov momentum and weight decay"])

SETTINGS: Final[Mapping[str, TrainingConfig]] = {
    "AdamW": tiny_config(OptimizerConfig(name="adamw", weight_decay=0.5)),
    "weight decay of weights alone": tiny_config(
        OptimizerConfig(name="sgd", momentum=0.9, weight_decay=0.1, decay="weights")
    ),
    "label smoothing": replace(_SGD, label_smoothing=0.2),
    "clipped gradients": replace(_SGD, clip_gradients=0.05),
    "averaged weights": replace(_ADAM, averaging=0.7),
    "bfloat16": replace(_ADAM, precision="bfloat16"),
    "float16": replace(_SGD, precision="float16"),
    "all of them": replace(
        _ADAM,
        optimizer=OptimizerConfig(name="adamw", weight_decay=0.5, decay="weights"),
        label_smoothing=0.2,
        clip_gradients=0.05,
        averaging=0.7,
        precision="float16",
    ),
}
"""Configs that each ask for something beyond the usual, for a network of any kind."""


def _without(config: TrainingConfig) -> TrainingConfig:
    """The same training without what its entry in `SETTINGS` is there for."""
    optimizer = config.optimizer
    name = "adam" if optimizer.name == "adamw" else optimizer.name
    return replace(
        config,
        optimizer=replace(optimizer, name=name, decay="all"),
        label_smoothing=0.0,
        clip_gradients=0.0,
        averaging=0.0,
        precision="float32",
    )


def _known(engine: Engine) -> Iterator[tuple[str, TrainingConfig]]:
    for name, config in SETTINGS.items():
        if not _refuses(engine, config):
            yield name, config


def _refuses(engine: Engine, config: TrainingConfig) -> bool:
    with torch.random.fork_rng(devices=[]):
        return engine.refusal(tiny_mlp(), config) is not None


def check_settings_are_kept_to_or_refused(engine: Engine) -> None:
    """A setting changes the training, or the engine says beforehand, and in training, that not."""
    for name, config in SETTINGS.items():
        if _refuses(engine, config):
            try:
                train(engine, tiny_job(config))
            except UsageError:
                continue
            raise AssertionError(f"{name}: the engine refuses it, but trains all the same")
        got = train_done(engine, tiny_job(config)).final
        plain = train_done(engine, tiny_job(_without(config))).final
        expect(
            any(not same_bytes(got[layer], plain[layer]) for layer in plain),
            f"{name}: the weights at the end are as without it; is it left out in silence?",
        )


def check_settings_keep_the_mask(engine: Engine) -> None:
    """Pruned weights, their gradients and all that is kept of them are zero under any setting."""
    for name, config in _known(engine):
        keeps_the_mask(engine, tiny_job(config), name)
        masks_gradients(engine, tiny_job(config), name)


def check_settings_resume(engine: Engine) -> None:
    """Cut off after any step and gone on, a training gives the same bytes under any setting."""
    for name, config in _known(engine):
        for make_model in (tiny_mlp, tiny_dropout_mlp):
            job = tiny_job(config, make_model=make_model, snapshots_at=(0, 6, 12))
            resumes(engine, job, f"{name}, {make_model.__name__}")
