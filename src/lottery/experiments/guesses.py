"""Config keys that people guess, such as ``lr``, and the keys that they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from lottery.experiments.config import ExperimentConfig
from lottery.methods import METHODS
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
    "method.rewind.to": "rewind.to rewind_to rewind_step rewind_iteration rewind.step "
    "rewind.iteration",
    "method.rewind.to={} epochs": "rewind_epoch rewind_epochs rewind.epoch rewind.epochs",
    "method.rewind.kind": "rewind.method",
    "method.rewind.length": "rewind.length fine_tune",
    "method.pruned": "training.pruned",
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

_OLD_VALUES: Final[Mapping[str, Mapping[object, tuple[str, str]]]] = {
    "prune.by": {
        "trained": ("method.kind", "iterative"),
        "rewound": ("method.kind", "at-step"),
        "early-bird": ("method.kind", "early-bird"),
    },
    "training.mask_updates.method": {
        "none": ("method.kind", "iterative"),
        "set": ("method.update", "set"),
        "rigl": ("method.update", "rigl"),
        "gradual": ("method.kind", "gradual"),
    },
}
"""A key of before -> its values, as they are written today."""

OLD_TABLES: Final = ("rewind", "prune.early_bird", "training.mask_updates")
"""Tables of earlier versions; each key in them gets its own answer."""

_OPTIONS: Final = ("device", "engine", "jobs", "out", "data_dir", "checkpoint_seconds")
"""Options of the command that are no keys."""

_LEADING: Final = {
    "data": "data.name",
    "training.optimizer": "training.optimizer.name",
    "training.learning_rate": "training.learning_rate.base",
    "method": "method.kind",
    "prune": "prune.fraction",
    "prune.fractions": "prune.fraction",
    "method.rewind": "method.rewind.to",
    "verdict": "verdict.margin",
}
"""Table -> the key that somebody means who gives the table a plain value."""


def option_meant(key: str) -> str | None:
    """The option of the command line that somebody means by a key, or None."""
    name = _plain(key.rpartition(".")[2])
    return f"--{name.replace('_', '-')}" if name in _OPTIONS else None


def keys_meant(path: str, value: object) -> list[tuple[str, object]]:
    """The keys that somebody may mean who sets a key that does not exist or is a table.

    Args:
        path: the whole key, tables included.
        value: the value it was set to.

    Returns:
        Each key with the value to set it to; empty if there is no guess.
    """
    if path in _all_keys():
        return [(_LEADING[path], value)] if path in _LEADING else []
    if path in _OLD_VALUES:
        return [_OLD_VALUES[path].get(value, ("method.kind", "iterative"))]
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


def kinds_of(hint: Any) -> dict[str, type[Any]]:
    """Kind -> class, of a union of classes that a ``kind`` tells apart; empty for other types."""
    kinds: tuple[Any, ...] = get_args(hint) if get_origin(hint) is UnionType else ()
    return {cls.kind: cls for cls in kinds if cls is not NoneType}


@cache
def hints_and_defaults(path: str) -> list[tuple[Any, Any]]:
    """The type and default of a key, once for each kind of table that has it."""
    found: list[tuple[Any, Any]] = [(ExperimentConfig, ExperimentConfig())]
    for part in path.split("."):
        holders = [each for hint, value in found for each in _each_kind(hint, value)]
        found = [
            (get_type_hints(type(holder))[part], getattr(holder, part))
            for holder in holders
            if part in get_type_hints(type(holder))
        ]
    return found


def kinds_with(path: str) -> list[str]:
    """The kinds of method that have a key."""
    return [kind for kind, cls in METHODS.items() if path in _keys(cls(), "method.")]


@cache
def _all_keys() -> tuple[str, ...]:
    """Every key and table, each after the table that it is in; a length is one key."""
    return tuple(dict.fromkeys(_keys(ExperimentConfig(), "")))


def _keys(config: Any, prefix: str) -> Iterator[str]:
    hints = get_type_hints(type(config))
    for field in fields(config):
        path, value = f"{prefix}{field.name}", getattr(config, field.name)
        yield path
        for each in _each_kind(hints[field.name], value):
            if is_dataclass(each) and not isinstance(each, Length):
                yield from _keys(each, f"{path}.")


def _each_kind(hint: Any, value: Any) -> list[Any]:
    return [cls() for cls in kinds_of(hint).values()] or [value]


def _plain(key: str) -> str:
    return key.lower().replace("-", "_")
