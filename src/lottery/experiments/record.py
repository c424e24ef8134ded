"""The record of a run: ``experiment.json``, and what it says against another run in its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lottery.data import Dataset
from lottery.errors import StoreError
from lottery.experiments.config import (
    SCHEMA,
    ExperimentConfig,
    config_hash,
    differences,
    plain_hash,
    to_plain,
)
from lottery.experiments.environment import environment
from lottery.experiments.listener import Listener
from lottery.store import Store
from lottery.store.schema import TABLE, TEXT, Kind, is_whole, misfits, whole
from lottery.store.store import EXPERIMENT
from lottery.training import Engine


def record(
    store: Store,
    config: ExperimentConfig,
    data: Dataset,
    *,
    device: str,
    engine: Engine,
    command: str,
    listener: Listener,
) -> None:
    """Write ``experiment.json``, or check that the run there is this one.

    One that is damaged is set aside and made anew: the directory's name is made of this config's
    hash. The listener is told, and where the environment differs from the one the run was begun in.

    Raises:
        StoreError: the run there has another config or other data; says how they differ.
    """
    now: dict[str, Any] = {
        "schema": SCHEMA,
        "config": to_plain(config),
        "config_sha256": config_hash(config),
        "data": _described(data),
        "environment": {
            **environment(),
            "device": device,
            "engine": engine.name,
            "engine_settings": dict(engine.settings()),
            "threads": 1,
        },
        "command": command,
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        then = read_record(store)
    except StoreError as error:
        aside, then = store.set_experiment_aside(), None
        listener.record_rebuilt(aside, str(error))
    if then is None:
        store.write_experiment(now)
        return
    for part, what in (("config", "config"), ("schema", "config's schema version")):
        if then[part] != now[part]:
            raise StoreError(
                f"{store.path} holds another {what}: {_shown(now[part], then[part])}. "
                "Use another --out, or move that run away"
            )
    if then["data"] != now["data"]:
        raise StoreError(
            f"{store.path} was begun with other data for '{config.data.name}'. Put those back "
            "(see --data-dir), or use another --out"
        )
    changes = differences(now["environment"], then["environment"])
    if changes:
        listener.environment_changed(changes)


def read_record(store: Store) -> dict[str, Any] | None:
    """The whole of ``experiment.json``, every field of which is what it may be; None without one.

    Raises:
        StoreError: it is damaged, or the config is not what its hash says.
    """
    source = store.path / EXPERIMENT
    experiment = store.read_experiment()
    if experiment is None:
        return None
    wrong = misfits(experiment, _FIELDS, optional=("data.variant",))
    if not wrong:
        surroundings = experiment["environment"]
        found = misfits(surroundings, dict.fromkeys(surroundings, _OF_ENVIRONMENT))
        wrong = [f"environment.{phrase}" for phrase in found]
    if wrong:
        raise StoreError(f"{source} is damaged: {'; '.join(wrong)}")
    # Of what was written: a run from before a key existed stays readable.
    if plain_hash(experiment["config"], experiment["schema"]) != experiment["config_sha256"]:
        raise StoreError(
            f"{source}: the config is not the one the run was begun with (its SHA-256 differs)"
        )
    return experiment


def _described(data: Dataset) -> dict[str, Any]:
    return {
        "sha256": data.fingerprint(),
        "training_examples": len(data.train),
        "validation_examples": len(data.validation),
        "test_examples": len(data.test),
        "input_shape": list(data.input_shape),
        "classes": data.classes,
        "variant": data.variant,
    }


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


_OF_ENVIRONMENT = Kind(
    "a text, a number, null or a table of these",
    lambda value: (
        _is_plain(value) or (isinstance(value, dict) and all(map(_is_plain, value.values())))
    ),
)


def _is_shape(value: object) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= 8
        and all(is_whole(size) and size >= 1 for size in value)
        and math.prod(value) <= _MOST_INPUTS
    )


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


_MOST_INPUTS = 2**30
_EXAMPLES = whole(1, 2**40)
_FIELDS: Mapping[str, Kind] = {
    "schema": whole(),
    "config": TABLE,
    "config_sha256": TEXT,
    "data": TABLE,
    "data.sha256": TEXT,
    "data.training_examples": _EXAMPLES,
    "data.validation_examples": _EXAMPLES,
    "data.test_examples": _EXAMPLES,
    "data.input_shape": Kind(
        f"1 to 8 whole numbers from 1, of a product up to {_MOST_INPUTS:,}", _is_shape
    ),
    "data.classes": whole(1, 2**24),
    "data.variant": TEXT,
    "environment": TABLE,
    "environment.lottery": TEXT,
    "environment.torch": TEXT,
    "environment.engine": TEXT,
    "environment.device": TEXT,
    "command": TEXT,
    "begun": Kind("a date and time (ISO 8601)", _is_date),
}


def _shown(ours: Any, theirs: Any) -> str:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return "; ".join(
            f"{path} is {other!r} there, {mine!r} here"
            for path, mine, other in differences(ours, theirs)
        )
    return f"{theirs!r} there, {ours!r} here"
