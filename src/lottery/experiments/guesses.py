"""Keys that people guess, and the keys that are meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final, get_type_hints

from lottery.experiments.config import ExperimentConfig
from lottery.training import Length

_GUESSES: Final = {
    "training.learning_rate.base": "lr rate alpha base_lr initial_lr init_lr max_lr learningrate",
    "training.learning_rate.schedule": "scheduler lr_scheduler lr_schedule",
    "training.learning_rate.factor": "gamma lr_decay",
    "training.learning_rate.drops": "milestones",
    "training.learning_rate.warmup": "warmup_steps warmup_iterations",
    "training.learning_rate.warmup={} epochs": "warmup_epochs",
    "training.length": "iterations iters steps max_steps num_steps max_iterations train_steps",
    "training.length={} epochs": "epochs epoch num_epochs n_epochs max_epochs train_epochs",
    "training.batch_size": "batch batchsize bs train_batch_size",
    "training.evaluate_every": "eval_every eval_interval eval_steps evaluate",
    "training.optimizer.name": "optim opt",
    "training.optimizer.weight_decay": "wd l2",
    "training.optimizer.beta1": "betas",
    "training.optimizer.epsilon": "eps",
    "training.clip_gradients": "clip grad_clip clip_grad_norm max_grad_norm gradient_clip_val",
    "training.averaging": "ema",
    "training.loss": "loss_fn",
    "training.precision": "dtype amp",
    "prune.fraction": "prune_fraction pruning_fraction pruning_rate prune_rate prune.rate",
    "prune.criterion": "pruner prune_method pruning_method",
    "prune.leave_out": "exclude ignore skip ignored_layers",
    "prune.also": "include",
    "rewind.to": "rewind_to rewind_step rewind_iteration rewind.step rewind.iteration",
    "rewind.to={} epochs": "rewind_epoch rewind_epochs rewind.epoch rewind.epochs",
    "seed": "random_seed manual_seed random_state seeds",
    "replicates": "replicas repeats repetitions trials num_replicates n_replicates",
    "levels": "num_levels n_levels prune_levels pruning_levels",
    "model": "net network arch architecture backbone",
    "data.name": "dataset",
    "data.random_labels": "label_noise noisy_labels randomized_labels",
    "data.validation": "val valid validation_size val_size",
    "initialization": "init initializer",
}
"""Key -> what others write for it: the last part of a key, or a whole one."""

_MEANT: Final = {guess: key for key, guesses in _GUESSES.items() for guess in guesses.split()}

_OPTIONS: Final = ("device", "engine", "jobs", "out", "data_dir", "checkpoint_seconds")
"""Options of the command that are no keys."""

_LEADING: Final = {
    "data": "data.name",
    "training.optimizer": "training.optimizer.name",
    "training.learning_rate": "training.learning_rate.base",
    "training.mask_updates": "training.mask_updates.method",
    "prune": "prune.fraction",
    "prune.fractions": "prune.fraction",
    "rewind": "rewind.to",
    "verdict": "verdict.margin",
}
"""Table -> the key that somebody means who gives the table a plain value."""


def option_meant(key: str) -> str | None:
    """The option of the command that a key is in fact, or None."""
    name = _plain(key.rpartition(".")[2])
    return f"--{name.replace('_', '-')}" if name in _OPTIONS else None


def keys_meant(path: str, value: object) -> list[tuple[str, object]]:
    """Keys that somebody may mean who gives a value to one that does not take it.

    Args:
        path: the key, with its tables; one that does not exist, or that is a table.
        value: what was given to it.

    Returns:
        Each key with the value to give it; empty where nothing is known.
    """
    if path in _all_keys():
        return [(_LEADING[path], value)] if path in _LEADING else []
    last = _plain(path.rpartition(".")[2])
    # All that `masks` holds is in `training` as well, and more often meant there.
    known = [key for key in _all_keys() if key.rpartition(".")[2] == last and key[:6] != "masks."]
    meant = _MEANT.get(_plain(path)) or _MEANT.get(last)
    keys = [meant] if meant else known
    found: list[tuple[str, object]] = []
    for key, _, form in (key.partition("=") for key in keys):
        if form:
            found.append((key, form.format(value if isinstance(value, int) else 3)))
        elif isinstance(value, dict):
            found.append((key, value))
        else:
            found.append((_LEADING.get(key, key), value))
    return found


@cache
def hint_and_default(path: str) -> tuple[Any, Any]:
    """The type of a key, and its value in the default config."""
    hint: Any = ExperimentConfig
    value: Any = ExperimentConfig()
    for part in path.split("."):
        hint, value = get_type_hints(hint)[part], getattr(value, part)
    return hint, value


@cache
def _all_keys() -> tuple[str, ...]:
    """Every key and table, each after the table that it is in; a length is one key."""
    return tuple(_keys(ExperimentConfig(), ""))


def _keys(config: Any, prefix: str) -> Iterator[str]:
    for field in fields(config):
        path, value = f"{prefix}{field.name}", getattr(config, field.name)
        yield path
        if is_dataclass(value) and not isinstance(value, Length):
            yield from _keys(value, f"{path}.")


def _plain(key: str) -> str:
    return key.lower().replace("-", "_")
