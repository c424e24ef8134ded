"""The record of a run: ``experiment.json``, and what it says against another run in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from torch import Tensor

from lottery.core import OutsideMask
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
from lottery.store import JobKey, JobResult, Store
from lottery.training import Engine


def record(
    store: Store,
    config: ExperimentConfig,
    data: Dataset,
    *,
    device: str,
    engine: Engine,
    command: str,
    outside: Sequence[OutsideMask],
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
        "outside_mask": [asdict(one) for one in outside],
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
    # A run from before it was recorded has none.
    if then.get("outside_mask", now["outside_mask"]) != now["outside_mask"]:
        raise StoreError(
            f"{store.path} was begun when other matrices of '{config.model}' were outside its "
            f"masks: {_named(then['outside_mask'])} there, {_named(now['outside_mask'])} here. "
            "Put the network back as it was, or use another --out"
        )
    return differences(now["environment"], then.get("environment") or {})


def check_same_weights(
    store: Store, results: Mapping[JobKey, JobResult], weights: Mapping[str, Tensor]
) -> None:
    """Check that the masks of what is there are of the same weights as those to come.

    Raises:
        StoreError: the network has changed, or the rule of what masks cover; says how.
    """
    sizes = {name: weight.numel() for name, weight in weights.items()}
    for result in results.values():
        there = {name: total for name, (_, total) in result.layers.items()}
        if there != sizes:
            ours = sorted(name for name in sizes if sizes[name] != there.get(name))
            theirs = sorted(name for name in there if there[name] != sizes.get(name))
            raise StoreError(
                f"{store.path}: the masks of {result.key} are of other weights than those that "
                f"masks cover now (only now: {', '.join(ours) or 'none'}; only there: "
                f"{', '.join(theirs) or 'none'}). The network is another, or the run is from "
                "before masks covered such layers: it can be shown and judged as it is; to run it "
                "again, use another --out"
            )


def _named(outside: Any) -> str:
    listed = outside if isinstance(outside, list) else []
    names = [str(one.get("name")) for one in listed if isinstance(one, Mapping)]
    return ", ".join(names) or "none"


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
