"""The record of a run, ``experiment.json``: writing, reading, and refusing another experiment."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from lottery.core import OutsideMask
from lottery.data import Dataset
from lottery.errors import ConfigError, StoreError
from lottery.experiments.config import (
    SAME_RESULTS,
    SCHEMA,
    PlanConfig,
    config_hash,
    differences,
    grow_config,
    lasting_part,
    plain_hash,
    run_name,
    to_plain,
)
from lottery.experiments.environment import environment
from lottery.experiments.listener import Listener
from lottery.experiments.loading import load_recorded_config
from lottery.experiments.old_configs import current_form
from lottery.experiments.plan import never_run, plan
from lottery.store import JobKey, JobResult, Store
from lottery.store.schema import (
    MOST_INPUTS,
    TABLE,
    TEXT,
    Kind,
    is_whole,
    schema_problems,
    shape,
    whole,
)
from lottery.store.store import EXPERIMENT

_Config = TypeVar("_Config", bound=PlanConfig)


def record(
    store: Store,
    config: _Config,
    described: Mapping[str, Any],
    *,
    surroundings: Mapping[str, Any],
    command: str,
    listener: Listener,
    outside: Sequence[OutsideMask],
) -> _Config:
    """Write ``experiment.json``, or extend the one that is there by what is asked for.

    A damaged one is set aside and written anew. The listener is told of that, if the environment
    differs from the one the run was begun in, and if more is there than was asked for.

    Args:
        store: the run's store.
        config: the config asked for.
        described: the data, from `describe_data`; empty for own code.
        surroundings: device and engine, added to what `environment` returns.
        command: the command line.
        listener: is told.
        outside: the matrices that masks do not cover.

    Returns:
        The config of the run, with the jobs that were there and those asked for now.

    Raises:
        StoreError: the run there has another config, other data or another network; says how they
            differ.
    """
    now: dict[str, Any] = {
        "schema": SCHEMA,
        "config": to_plain(config),
        "config_sha256": config_hash(config),
        "data": dict(described),
        "outside_mask": [asdict(one) for one in outside],
        "environment": {**environment(), **surroundings, "threads": 1},
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
        return config
    whole = _grown(store, config, now, then)
    if then["data"] != now["data"]:
        raise StoreError(
            f"{store.path} was begun with other data. Put those back (see --data-dir), or use "
            "another --out"
        )
    # A run from before it was recorded has none.
    if then.get("outside_mask", now["outside_mask"]) != now["outside_mask"]:
        raise StoreError(
            f"{store.path} was begun when other matrices were outside its masks: "
            f"{_named(then['outside_mask'])} there, {_named(now['outside_mask'])} here. "
            "Put the network back as it was, or use another --out"
        )
    for name in ("replicates", "levels"):
        asked, there = getattr(config, name), getattr(whole, name)
        if asked < there:
            listener.noted(f"{name}: {asked} asked for, but the run has {there}, which all count")
    changes = differences(now["environment"], then["environment"])
    if changes:
        listener.environment_changed(changes)
    before, looked = then["config"]["replicates"], list(then.get("earlier_looks", []))
    if whole.replicates > before and before not in looked and _was_judged(store, then["config"]):
        looked.append(before)
    if to_plain(whole) != then["config"]:
        store.write_experiment(
            then
            | {
                "config": to_plain(whole),
                "config_sha256": config_hash(whole),
                "earlier_looks": looked,
            }
        )
    return whole


def _was_judged(store: Store, recorded: Mapping[str, Any]) -> bool:
    """Whether a run came to its end as it was recorded, so that there was a verdict to look at."""
    config = load_recorded_config(recorded, source=str(store.path / EXPERIMENT)).judged
    jobs = plan(config)
    results = {key: store.result(key) for key in jobs if store.is_finished(key)}
    return len(results) + len(never_run(config, results)) == len(jobs)


def _grown(
    store: Store, config: _Config, now: Mapping[str, Any], then: Mapping[str, Any]
) -> _Config:
    """What there was and what is asked for.

    Raises:
        StoreError: what is there is of another training, method or seed.
    """
    if then["schema"] == now["schema"]:
        there = load_recorded_config(then["config"], source=str(store.path / EXPERIMENT))
        same = type(there) is type(config) and lasting_part(there) == lasting_part(config)
        if same and _continues(there.prune.densities, config.prune.densities):
            return grow_config(there, config)
    parts = [("config", "config"), ("schema", "config's schema version")]
    part, what = next((p for p in parts if then[p[0]] != now[p[0]]), parts[0])
    raise StoreError(
        f"{store.path} holds another {what}: {_shown(now[part], then[part])}. "
        "Use another --out, or move that run away"
    )


def run_directory(out: Path, config: PlanConfig) -> Path:
    """The directory of a run, whether it exists yet or not.

    It is named by `run_name`; but a run that an earlier version began under another name is
    continued in its own directory.

    Args:
        out: the directory that runs live in.
        config: the config asked for.
    """
    path = out / run_name(config)
    if path.exists():
        return path
    for other in sorted(out.glob(f"{path.name[:-8]}{'[0-9a-f]' * 8}")):
        try:
            there = read_record(Store(other))
            if there is None or there["schema"] != SCHEMA:
                continue
            recorded = load_recorded_config(there["config"], source=str(other))
        except (StoreError, ConfigError):
            continue
        if lasting_part(recorded) == lasting_part(config):
            return other
    return path


def _continues(there: Sequence[float], asked: Sequence[float]) -> bool:
    """Whether the longer of two lists of densities begins with the shorter, and both or none is."""
    return bool(there) == bool(asked) and all(map(operator.eq, there, asked))


def read_record(store: Store) -> dict[str, Any] | None:
    """The contents of ``experiment.json``, with every field checked; None if there is no run.

    Raises:
        StoreError: it is damaged, or the config is not what its hash says.
    """
    source = store.path / EXPERIMENT
    experiment = store.read_experiment()
    if experiment is None:
        return None
    optional = ["data.variant", "outside_mask", "earlier_looks"]
    if isinstance(experiment.get("config"), dict) and "task" in experiment["config"]:
        # Of own code nobody knows the data.
        optional += [name for name in _FIELDS if name.startswith("data.")]
    wrong = schema_problems(experiment, _FIELDS, optional=tuple(optional))
    if not wrong:
        surroundings = experiment["environment"]
        found = schema_problems(surroundings, dict.fromkeys(surroundings, _OF_ENVIRONMENT))
        wrong = [f"environment.{phrase}" for phrase in found]
    if wrong:
        raise StoreError(f"{source} is damaged: {'; '.join(wrong)}")
    # Of what was written: a run from before a key existed stays readable.
    if plain_hash(experiment["config"], experiment["schema"]) != experiment["config_sha256"]:
        raise StoreError(
            f"{source}: the config is not the one the run was begun with (its SHA-256 differs)"
        )
    same = experiment["schema"] in SAME_RESULTS
    return experiment | {
        "config": current_form(experiment["config"]),
        "schema": SCHEMA if same else experiment["schema"],
    }


def check_same_weights(
    store: Store, results: Mapping[JobKey, JobResult], weights: Mapping[str, Tensor]
) -> None:
    """Check that the masks of finished jobs cover the same weights as masks do now.

    Args:
        store: the run's store, for messages.
        results: the finished jobs.
        weights: parameter name -> weight that masks cover now.

    Raises:
        StoreError: the network has changed, or the rule for what masks cover; says how.
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


def describe_data(data: Dataset) -> dict[str, Any]:
    """The data as a table for the record."""
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


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


_EXAMPLES = whole(1, 2**40)


def _is_counts(value: object) -> bool:
    return isinstance(value, list) and all(is_whole(one) and one >= 1 for one in value)


def _is_outside(value: Any) -> bool:
    kinds = {"name": TEXT, "weights": whole(1), "reason": TEXT}
    return isinstance(value, list) and all(
        isinstance(one, dict) and one.keys() == kinds.keys() and not schema_problems(one, kinds)
        for one in value
    )


_FIELDS: Mapping[str, Kind] = {
    "schema": whole(),
    "config": TABLE,
    "config_sha256": TEXT,
    "data": TABLE,
    "data.sha256": TEXT,
    "data.training_examples": _EXAMPLES,
    "data.validation_examples": _EXAMPLES,
    "data.test_examples": _EXAMPLES,
    "data.input_shape": shape(MOST_INPUTS, least=1),
    "data.classes": whole(1, 2**24),
    "data.variant": TEXT,
    "outside_mask": Kind("a list of name, weights and reason each", _is_outside),
    "earlier_looks": Kind("a list of whole numbers", _is_counts),
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
