"""Reading a run back from disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lottery.core import OutsideMask
from lottery.errors import StoreError, UsageError
from lottery.experiments.config import ExperimentConfig, plain_hash
from lottery.experiments.loading import load_config
from lottery.experiments.plan import plan
from lottery.store import JobKey, JobResult, Store


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run on disk, finished or not.

    Args:
        store: reads its files.
        config: the experiment.
        experiment: the whole of ``experiment.json``.
        results: every job that has ended so far.
        outside_mask: the network's matrices that no mask of the run covers, in the network's order;
            empty also where that is not known, in a run from before it was recorded.
    """

    store: Store
    config: ExperimentConfig
    experiment: Mapping[str, Any]
    results: Mapping[JobKey, JobResult]
    outside_mask: tuple[OutsideMask, ...] = ()

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.store.path.name


def find_run(name: str | Path, out: Path) -> Path:
    """The directory of a run given by path, by name under ``out``, or by the start of its name.

    Raises:
        UsageError: there is none, or several; lists those there are, and the nearest name.
    """
    for path in (Path(name), out / name):
        if (path / "experiment.json").is_file():
            return path
    runs = list_runs(out)
    near = [path for path in runs if path.name.startswith(str(name))]
    # A name without its hash; 'demo-smoke-...' begins like 'demo', but is another.
    whole = [path for path in near if re.fullmatch("-[0-9a-f]{8}", path.name[len(str(name)) :])]
    for found in (whole, near):
        if len(found) == 1:
            return found[0]
    near = whole or near
    if near:
        listed = ", ".join(path.name for path in near)
        raise UsageError(
            f"'{name}' begins the names of {len(near)} runs in {out}: {listed}. Type more of the "
            f"name; lottery list runs --out {out} says what tells them apart"
        )
    if Path(name).exists():
        raise UsageError(f"'{name}' is there, but it is no run: it has no experiment.json")
    meant = get_close_matches(str(name), [path.name for path in runs], n=1, cutoff=0.5)
    hint = f"; did you mean '{meant[0]}'?" if meant else ""
    there = ", ".join(path.name for path in runs) or "none"
    raise UsageError(f"no run '{name}' in {out}{hint}; the runs there are: {there}")


def list_runs(out: Path) -> list[Path]:
    """The run directories under ``out``, by name."""
    return sorted(path.parent for path in out.glob("*/experiment.json"))


def open_run(path: Path) -> Run:
    """Read a run; its files are checked against their manifests as they are read.

    Raises:
        StoreError: a file is damaged, or the config is not what its hash says.
    """
    store = Store(path)
    config, experiment = read_config(store)
    results = {key: store.result(key) for key in plan(config) if store.is_finished(key)}
    return Run(
        store=store,
        config=config,
        experiment=experiment,
        results=results,
        outside_mask=_outside_mask(experiment, store.path / "experiment.json"),
    )


def _outside_mask(experiment: Mapping[str, Any], source: Path) -> tuple[OutsideMask, ...]:
    """What the run says of matrices outside its masks, unprintable characters replaced."""
    listed = experiment.get("outside_mask", [])
    whole = isinstance(listed, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("reason"), str)
        and _is_count(one.get("weights"))
        for one in listed
    )
    if not whole:
        raise StoreError(
            f"{source} is damaged: outside_mask must be a list of name, weights and reason each"
        )
    return tuple(
        OutsideMask(
            name=_printable(one["name"]), weights=one["weights"], reason=_printable(one["reason"])
        )
        for one in listed
    )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def read_config(store: Store) -> tuple[ExperimentConfig, dict[str, Any]]:
    """A run's config, and the whole of its ``experiment.json``.

    Raises:
        StoreError: it is missing, or the config is not what its hash says.
    """
    source = store.path / "experiment.json"
    experiment = store.read_experiment()
    if experiment is None:
        raise StoreError(f"{store.path} holds no run: there is no experiment.json")
    expected: tuple[tuple[str, type], ...] = (
        ("schema", int),
        ("config", dict),
        ("config_sha256", str),
        ("data", dict),
        ("environment", dict),
        ("command", str),
        ("begun", str),
    )
    for name, kind in expected:
        if not isinstance(experiment.get(name), kind):
            raise StoreError(f"{source} is damaged: '{name}' is missing or of another type")
    for name in ("training_examples", "validation_examples", "test_examples", "classes"):
        if not _is_count(experiment["data"].get(name)):
            raise StoreError(f"{source} is damaged: data.{name} must be a whole number from 1")
    shape = experiment["data"].get("input_shape")
    if not isinstance(shape, list) or not shape or not all(map(_is_count, shape)):
        raise StoreError(f"{source} is damaged: data.input_shape must be whole numbers from 1")
    config = load_config(experiment["config"], source=str(source))
    # Of what was written: a run from before a key existed stays readable.
    if plain_hash(experiment["config"], experiment["schema"]) != experiment["config_sha256"]:
        raise StoreError(
            f"{source}: the config is not the one the run was begun with (its SHA-256 differs)"
        )
    return config, experiment


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 2**40


def verify_run(path: Path) -> dict[JobKey, list[str]]:
    """Check every finished job of a run against its manifest.

    Returns:
        Job -> what is wrong with its files; empty for one that is whole. Jobs that have not ended
        are not in it.

    Raises:
        StoreError: ``experiment.json`` itself is missing or damaged.
    """
    store = Store(path)
    config = read_config(store)[0]
    found = {}
    for key in plan(config):
        if store.directory(key).exists():
            found[key] = store.problems(key)
    return found
