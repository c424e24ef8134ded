"""The record of a run: ``experiment.json``, and what it says against another run in its place."""

from __future__ import annotations

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
    to_plain,
)
from lottery.experiments.environment import environment
from lottery.store import Store
from lottery.training import Engine


def record(
    store: Store,
    config: ExperimentConfig,
    data: Dataset,
    *,
    device: str,
    engine: Engine,
    command: str,
) -> list[tuple[str, Any, Any]]:
    """Write ``experiment.json``, or check that the run there is this one.

    Returns:
        Where the environment differs from the one the run was begun in: (what, now, then).

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
    then = store.read_experiment()
    if then is None:
        store.write_experiment(now)
        return []
    for part, what in (("config", "config"), ("schema", "config's schema version")):
        if then.get(part) != now[part]:
            raise StoreError(
                f"{store.path} holds another {what}: {_shown(now[part], then.get(part))}. "
                "Use another --out, or move that run away"
            )
    if then.get("data") != now["data"]:
        raise StoreError(
            f"{store.path} was begun with other data for '{config.data.name}'. Put those back "
            "(see --data-dir), or use another --out"
        )
    return differences(now["environment"], then.get("environment") or {})


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


def _shown(ours: Any, theirs: Any) -> str:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return "; ".join(
            f"{path} is {other!r} there, {mine!r} here"
            for path, mine, other in differences(ours, theirs)
        )
    return f"{theirs!r} there, {ours!r} here"
