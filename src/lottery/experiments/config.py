"""The config of an experiment, its hash, and the name of its run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Final, TypeVar

from lottery.core import CRITERIA, n_of_m
from lottery.data import DataConfig
from lottery.experiments.connectivity import ConnectivityConfig
from lottery.experiments.learned import initialization_problem
from lottery.experiments.moved_masks import moved_mask_problems
from lottery.methods import (
    AnyMethod,
    ControlsConfig,
    EarlyBird,
    Iterative,
    control_problems,
    requested_controls,
)
from lottery.models import check_model
from lottery.score import Score
from lottery.tickets import PruneConfig
from lottery.training import LearnedMasksConfig, TrainingConfig, mask_learning_problems

SCHEMA = 5
"""Version of the config's meaning. It is part of every config's hash, and rises with any change
that gives an old config another result or another form."""
SAME_RESULTS = (4, SCHEMA)
"""The versions whose configs, brought into their present form, give the same results."""


_Config = TypeVar("_Config", bound="PlanConfig")


@dataclass(frozen=True, kw_only=True)
class VerdictConfig:
    """The margin within which a ticket matches, and the confidence of the tests."""

    margin: float = 0.002
    """Accuracy (a fraction) by which a matching ticket may be worse than the dense network."""
    confidence: float = 0.95
    """Of intervals and tests, between 0.5 and 1."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        if not 0 <= self.margin < 1:
            found.append(f"margin: must be at least 0 and below 1, got {self.margin}")
        if not 0.5 < self.confidence < 1:
            found.append(f"confidence: must lie between 0.5 and 1, got {self.confidence}")
        return found


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """The settings that every experiment has, whatever it trains."""

    name: str = "experiment"
    """What the run is called; the first part of its directory's name."""
    seed: int = 0
    """Every random choice follows from this and the replicate's number."""
    replicates: int = 5
    """Repetitions, each with its own seeds, 1 or more."""
    levels: int = 12
    """How many times the network is pruned, 0 or more; there are levels + 1 trainings."""
    method: AnyMethod = field(default_factory=Iterative)
    """How tickets are made."""
    prune: PruneConfig = field(default_factory=PruneConfig)
    """What is removed at every level."""
    controls: ControlsConfig = field(default_factory=ControlsConfig)
    """The controls that tickets are compared with, besides the dense network."""
    verdict: VerdictConfig = field(default_factory=VerdictConfig)
    """How the result is judged."""
    connectivity: ConnectivityConfig = field(default_factory=ConnectivityConfig)
    """Which trainings are repeated with other data orders."""

    @property
    def judged(self: _Config) -> _Config:
        """The config without the trainings that no verdict uses (``connectivity``)."""
        return replace(self, connectivity=ConnectivityConfig())

    def limits(self) -> list[str]:
        """The limits without which even an old run could not be read, one sentence each."""
        found = []
        if not self.name or len(self.name) > 100 or not self.name.isprintable():
            found.append("name: must be 1 to 100 printable characters")
        if not 1 <= self.replicates <= 1000:
            found.append(f"replicates: must be between 1 and 1000, got {self.replicates}")
        if not 0 <= self.levels <= 99:
            found.append(f"levels: must be between 0 and 99, got {self.levels}")
        return found

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = self.limits()
        if self.prune.densities and len(self.prune.densities) != self.levels:
            found.append(
                f"levels: prune.densities lists {len(self.prune.densities)} levels, "
                f"got {self.levels}; set one of the two"
            )
        if n_of_m(self.prune.granularity) and self.levels > 1:
            found.append(
                f"levels: granularity {self.prune.granularity} is reached at level 1, and nothing "
                f"is pruned after it; expected 0 or 1, got {self.levels}"
            )
        copies = self.connectivity.schema_problems(self.levels, stopped=stops_early(self))
        # To know anything about a criterion from elsewhere, its code would have to be imported.
        known = CRITERIA.get(self.prune.criterion)
        return [
            *found,
            *self.method.refusals(self.prune),
            *control_problems(self.controls, self.method, self.prune),
            *moved_mask_problems(self.replicates, self.controls),
            *(f"connectivity.{problem}" for problem in copies),
            *(self.method.criterion_refusals(self.prune, known, self.levels) if known else []),
        ]


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig(PlanConfig):
    """A whole experiment."""

    model: str = "lenet-300-100"
    """A network's name: see `lottery list models`. ``package.module:factory`` is a function of your
    own, called with the shape of one input and the number of classes: a config that names code
    runs that code. ``timm:NAME``, ``torchvision:NAME`` and ``hf:NAME`` are networks of these
    libraries."""
    initialization: str = "glorot-normal"
    """What the weights are drawn from: ``glorot-normal``, ``kaiming-normal`` or
    ``truncated-normal``, see `lottery.models.INITIALIZATIONS`; or ``learned:FILE``, a file of
    `lottery teach` in the directory that runs live in."""
    data: DataConfig = field(default_factory=DataConfig)
    """What is learned."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How every level is trained."""
    masks: LearnedMasksConfig = field(default_factory=LearnedMasksConfig)
    """How the controls that train a mask instead of weights train it."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found, training, method = super().problems(), self.training, self.method
        unknown = check_model(self.model)
        if unknown:
            found.append(f"model: {unknown}")
        if unknown := initialization_problem(self.initialization):
            found.append(f"initialization: {unknown}")
        if (
            method.start.unit == training.length.unit
            and method.start.amount >= training.length.amount
        ):
            found.append(
                f"method: tickets start at {method.start}, which is not before the end of "
                f"training, {training.length}"
            )
        if training.length.unit == "iterations" and not self.connectivity.problems():
            late = max(map(int, self.connectivity.at), default=-1)
            if late >= training.length.amount:
                found.append(
                    f"connectivity.at: iteration {late} is not before the end of training, "
                    f"{training.length}"
                )
        if learns_masks(self):
            found += mask_learning_problems(training, method.updates)
        if method.rewinding == "fine-tune" and training.learning_rate.schedule == "cosine":
            found.append(
                "method.rewind.kind: 'fine-tune' trains on at the last learning rate, which with "
                "training.learning_rate.schedule = 'cosine' is next to 0, so that nothing would "
                "move; use schedule 'step' or 'constant', or another kind"
            )
        return found


OWN_TITLE: Final = "own loop"
"""The title of a user's own loop that was given none."""


@dataclass(frozen=True, kw_only=True)
class OwnConfig(PlanConfig):
    """The config of an experiment on the user's own code, as it is recorded."""

    title: str = OWN_TITLE
    """What is trained, in a few words, for headings."""
    score: Score = field(default_factory=Score)
    """The score that networks are judged by."""
    task: Mapping[str, Any] = field(default_factory=dict)
    """The fingerprint of the code, see `lottery.tasks`."""


def learns_masks(config: PlanConfig) -> bool:
    """Whether some of its controls train a mask instead of weights."""
    return any(control.mask_method for control in requested_controls(config.controls))


def to_plain(config: object) -> Any:
    """A config as nested dicts, lists and plain values, defaults included."""
    if is_dataclass(config):
        return {f.name: to_plain(getattr(config, f.name)) for f in fields(config)}
    if isinstance(config, Mapping):
        return {key: to_plain(value) for key, value in config.items()}
    if isinstance(config, tuple):
        return [to_plain(value) for value in config]
    return config


def config_hash(config: PlanConfig) -> str:
    """SHA-256 (hex) of the canonical JSON of the whole config and the schema's version."""
    return plain_hash(to_plain(config), SCHEMA)


def plain_hash(config: Mapping[str, Any], schema: int) -> str:
    """`config_hash` of a recorded config, which may lack keys that were added later."""
    document = {"schema": schema, "config": config}
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def run_name(config: PlanConfig) -> str:
    """The name of the run's directory: the experiment's name and 8 hex digits of a hash.

    The hash is of the training, the seed and the method, and not of the numbers of replicates,
    levels and controls, since a run can grow by these.

    >>> run_name(ExperimentConfig(name="lenet-300-100/mnist"))[:20]
    'lenet-300-100-mnist-'
    """
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in config.name)
    # A name that begins with a dash would be taken for an option, one with a dot is hidden.
    return f"{safe.lstrip('-_.') or 'experiment'}-{plain_hash(lasting_part(config), SCHEMA)[:8]}"


_GROWS = ("replicates", "levels")


def lasting_part(config: PlanConfig) -> dict[str, Any]:
    """The settings that stay the same in a run that grows: task, training, method and seed.

    The number of levels is among them with the linear schedule, where every level depends on it,
    and with ``method.stop``, where the end of the dense training does.
    """
    lasting: dict[str, Any] = to_plain(config)
    for name in (*_GROWS, "name", "controls", "masks", "verdict", "connectivity"):
        lasting.pop(name, None)
    lasting["prune"].pop("densities")
    if isinstance(config, OwnConfig):
        lasting.pop("title")
        lasting["score"].pop("margin")
    if config.prune.schedule == "linear" or stops_early(config):
        lasting["levels"] = config.levels
    return lasting


def stops_early(config: PlanConfig) -> bool:
    """Whether dense trainings end as soon as the Early-Bird masks of all levels have settled."""
    return isinstance(config.method, EarlyBird) and config.method.stop


def grow_config(there: PlanConfig, asked: _Config) -> _Config:
    """The config of a run that has grown: with the jobs of an existing config and of a new one.

    Name and verdict settings are the new config's.

    Args:
        there: the config of the existing run, with the same `lasting_part`.
        asked: the config asked for now.
    """
    controls = {
        f.name: max(getattr(there.controls, f.name), getattr(asked.controls, f.name))
        for f in fields(asked.controls)
    }
    longer: PlanConfig = asked if asked.levels >= there.levels else there
    return replace(
        asked,
        replicates=max(there.replicates, asked.replicates),
        levels=longer.levels,
        prune=replace(asked.prune, densities=longer.prune.densities),
        controls=replace(asked.controls, **controls),
        connectivity=there.connectivity.joined(asked.connectivity),
    )


def differences(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    """The keys in which two plain configs differ: (key path, ours, theirs); None if absent."""
    found: list[tuple[str, Any, Any]] = []
    for key in sorted({*ours, *theirs}):
        mine, other = ours.get(key), theirs.get(key)
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            found += differences(mine, other, f"{prefix}{key}.")
        elif mine != other:
            found.append((f"{prefix}{key}", mine, other))
    return found
