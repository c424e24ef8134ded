"""The config of an experiment, and its identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar

from lottery.core import CRITERIA, CriterionEntry, n_of_m
from lottery.data import DataConfig
from lottery.experiments.connectivity import ConnectivityConfig
from lottery.experiments.mask_updates import mask_update_problems
from lottery.experiments.moved_masks import moved_mask_problems
from lottery.experiments.structures import structure_problems
from lottery.models import check_model
from lottery.score import Score
from lottery.tickets import ControlsConfig, PruneConfig, RewindConfig
from lottery.training import LearnedMasksConfig, TrainingConfig, unlearnable

SCHEMA = 4
"""Version of the config's meaning. It is part of every run's identity, and rises with any change
that gives an old config another result."""


_Config = TypeVar("_Config", bound="PlanConfig")


@dataclass(frozen=True, kw_only=True)
class VerdictConfig:
    """What counts as matching, and how sure one wants to be."""

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
    """What every experiment has, whatever is trained."""

    name: str = "experiment"
    """What the run is called; the first part of its directory's name."""
    seed: int = 0
    """Every random choice follows from this and the replicate's number."""
    replicates: int = 5
    """Repetitions, each with its own seeds, 1 or more."""
    levels: int = 12
    """How many times the network is pruned, 0 or more; there are levels + 1 trainings."""
    prune: PruneConfig = field(default_factory=PruneConfig)
    """What is removed at every level."""
    rewind: RewindConfig = field(default_factory=RewindConfig)
    """What the survivors go back to."""
    controls: ControlsConfig = field(default_factory=ControlsConfig)
    """What the tickets are compared with, besides the dense network."""
    verdict: VerdictConfig = field(default_factory=VerdictConfig)
    """How the result is judged."""
    connectivity: ConnectivityConfig = field(default_factory=ConnectivityConfig)
    """Which trainings are made again with other data orders."""

    @property
    def judged(self: _Config) -> _Config:
        """Without the trainings that no verdict looks at."""
        return replace(self, connectivity=ConnectivityConfig())

    def limits(self) -> list[str]:
        """What keeps even a run that was made from being read: its plan must have an end."""
        found = []
        if not self.name or len(self.name) > 100 or not self.name.isprintable():
            found.append("name: must be 1 to 100 printable characters")
        if not 1 <= self.replicates <= 1000:
            found.append(f"replicates: must be between 1 and 1000, got {self.replicates}")
        if not 0 <= self.levels <= 99:
            found.append(f"levels: must be between 0 and 99, got {self.levels}")
        return found


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig(PlanConfig):
    """A whole experiment."""

    model: str = "lenet-300-100"
    """A network's name: see `lottery list models`. ``package.module:factory`` is a function of your
    own, called with the shape of one input and the number of classes: a config that names code
    runs that code. ``timm:NAME``, ``torchvision:NAME`` and ``hf:NAME`` are networks of these
    libraries."""
    initialization: Literal["glorot-normal", "kaiming-normal", "truncated-normal"] = "glorot-normal"
    """What the weights are drawn from, see `lottery.models.INITIALIZATIONS`."""
    data: DataConfig = field(default_factory=DataConfig)
    """What is learned."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How every level is trained."""
    masks: LearnedMasksConfig = field(default_factory=LearnedMasksConfig)
    """How the controls that train nothing but a mask train it."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = self.limits()
        unknown = check_model(self.model)
        if unknown:
            found.append(f"model: {unknown}")
        rewind, length = self.rewind.to, self.training.length
        if rewind.unit == length.unit and rewind.amount >= length.amount:
            found.append(f"rewind.to: {rewind} is not before the end of training, {length}")
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
        found += mask_update_problems(self.training.mask_updates, self.prune, self.controls)
        found += structure_problems(self.prune, self.controls)
        found += moved_mask_problems(self.replicates, self.prune, self.controls)
        if learns_masks(self):
            found += unlearnable(self.training)
        # To know anything about a criterion from elsewhere, its code would have to be imported.
        known = CRITERIA.get(self.prune.criterion)
        return found + _rewinding_problems(self) + (scoring_problems(self, known) if known else [])


@dataclass(frozen=True, kw_only=True)
class OwnConfig(PlanConfig):
    """An experiment on a training of the user's own code, as it is recorded."""

    title: str = "own loop"
    """What is trained, in a few words, for headings."""
    score: Score = field(default_factory=Score)
    """What it is judged by."""
    task: Mapping[str, Any] = field(default_factory=dict)
    """The fingerprint of the code, see `lottery.tasks`."""


def learns_masks(config: ExperimentConfig) -> bool:
    """Whether some of its controls train a mask instead of weights."""
    return bool(config.controls.edge_popup or config.controls.supermask)


def scoring_problems(config: ExperimentConfig, criterion: CriterionEntry) -> list[str]:
    """Why the criterion cannot score the networks that it is asked to."""
    return _starting_problems(config, criterion) + _early_problems(config, criterion)


def _starting_problems(config: ExperimentConfig, criterion: CriterionEntry) -> list[str]:
    """Why it cannot choose at the initialization, where it is asked to."""
    at_start = config.prune.by == "rewound" and not config.rewind.to.amount
    if criterion.at_initialization or not at_start:
        return []
    return [
        "prune.criterion: with prune.by = 'rewound' and rewind.to = 0 it is the initialization "
        f"that is scored, where '{config.prune.criterion}' scores all alike; set rewind.to above "
        "0, or use another criterion such as 'magnitude'"
    ]


def _early_problems(config: ExperimentConfig, criterion: CriterionEntry) -> list[str]:
    """Why it cannot look at a network of which a part is not known yet."""
    prune = config.prune
    in_steps = prune.rounds > 1 or (config.levels > 1 and prune.schedule != "one-shot")
    held = config.training.pruned != "zero" and config.rewind.to.amount > 0
    if not (prune.by == "early-bird" and held and in_steps and criterion.needs_probe):
        return []
    return [
        f"training.pruned: with '{config.training.pruned}' the criterion '{prune.criterion}' looks "
        "at a network of which what is pruned is held where survivors are rewound to, and with "
        "prune.by = 'early-bird' that is not known when a mask is made; set rewind.to to 0, or use "
        "schedule = 'one-shot' and rounds = 1, or training.pruned = 'zero'"
    ]


def _rewinding_problems(config: ExperimentConfig) -> list[str]:
    """Rewinding, pruned values and controls that contradict one another, or repeat each other."""
    found, method = [], config.rewind.method
    if config.training.pruned != "zero" and method != "weights":
        found.append(
            f"training.pruned: '{config.training.pruned}' holds pruned weights where survivors are "
            f"rewound to, and with rewind.method = '{method}' none are; use 'weights'"
        )
    if method == "drawn" and config.prune.by != "early-bird":
        found.append(
            "rewind.method: 'drawn' goes back to where a mask was drawn while the dense network "
            f"trained, and with prune.by = '{config.prune.by}' none is; use prune.by = "
            "'early-bird', or another method"
        )
    elif config.prune.by == "rewound" and method != "weights":
        found.append(
            "prune.by: with 'rewound' no trained weights decide, so that "
            f"rewind.method = '{method}' has none to go on from; use 'weights'"
        )
    if config.prune.by == "rewound" and config.training.pruned == "mixed":
        found.append(
            "training.pruned: 'mixed' asks where training had moved a weight, and with "
            "prune.by = 'rewound' no trained weights decide; use 'frozen'"
        )
    if config.prune.by == "early-bird":
        found += _early_bird_problems(config)
    found += trained_control_problems(config)
    if config.controls.continued and method != "weights":
        found.append(
            f"controls.continued: with rewind.method = '{method}' the tickets themselves go on "
            "from their trained weights; use false"
        )
    if config.controls.scratch_epochs and method == "weights" and not config.rewind.to.amount:
        found.append(
            "controls.scratch_epochs: with tickets rewound to the initialization this is what "
            "controls.reinit is; use that"
        )
    if method == "fine-tune" and config.training.learning_rate.schedule == "cosine":
        found.append(
            "rewind.method: 'fine-tune' trains on at the last learning rate, which with "
            "training.learning_rate.schedule = 'cosine' is next to 0, so that nothing would move; "
            "use schedule 'step' or 'constant', or another rewind.method"
        )
    return found


def trained_control_problems(config: PlanConfig) -> list[str]:
    """Controls that start from trained weights, where none decide a mask."""
    controls = ("continued", "false"), ("trained_signs", "0")
    return [
        f"controls.{name}: with prune.by = 'rewound' no trained weights decide; use {none}"
        for name, none in controls
        if config.prune.by == "rewound" and getattr(config.controls, name)
    ]


def _early_bird_problems(config: ExperimentConfig) -> list[str]:
    """What does not go with masks that are drawn before the end of the dense training."""
    how, method = "with prune.by = 'early-bird' masks are drawn on the way", config.rewind.method
    found = []
    if method not in ("weights", "drawn"):
        found.append(
            f"rewind.method: {how}, and '{method}' goes on from the end of a training; use "
            "'drawn', to go on from the weights of then, or 'weights'"
        )
    if config.controls.continued and method == "weights":
        found.append(
            f"controls.continued: {how}, and the weights of then not kept; use false, or "
            "rewind.method = 'drawn', with which the tickets themselves go on from them"
        )
    if config.controls.trained_signs:
        found.append(f"controls.trained_signs: {how}, by no weights of a training's end; use 0")
    if config.training.pruned == "mixed" and method == "weights":
        found.append(
            f"training.pruned: {how}, and the weights of then not kept, so that nothing tells "
            "where they had moved; use 'zero' or 'frozen', got 'mixed'"
        )
    return found


def to_plain(config: object) -> Any:
    """A config as nested dicts, lists and plain values, defaults written out."""
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
    """`config_hash` of a config as it was written, which may lack keys that came later."""
    document = {"schema": schema, "config": config}
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def run_name(config: PlanConfig) -> str:
    """The name of the run's directory: the experiment's name and 8 hex digits of what it is of.

    These are of the training, the seed and the method, not of how much of it is asked for: a run
    grows by replicates, levels and controls.

    >>> run_name(ExperimentConfig(name="lenet-300-100/mnist"))[:20]
    'lenet-300-100-mnist-'
    """
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in config.name)
    # A name that begins with a dash would be taken for an option, one with a dot is hidden.
    return f"{safe.lstrip('-_.') or 'experiment'}-{plain_hash(lasting_part(config), SCHEMA)[:8]}"


_GROWS = ("replicates", "levels")


def lasting_part(config: PlanConfig) -> dict[str, Any]:
    """What of a config stays the same in a run that grows: what is trained, how, and the seed.

    With the linear schedule every level depends on how many there are, and so does the end of a
    dense training that stops where all masks have settled, so that this stays too.
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
    """Whether the dense networks end where masks have settled, and are not trained to their end."""
    return config.prune.by == "early-bird" and config.prune.early_bird.stop


def grown(there: PlanConfig, asked: _Config) -> _Config:
    """The config of a run that has what is there and what is asked for now.

    How it is judged, and what it is called, is as asked for.
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
    """Where two plain configs differ: (key path, ours, theirs), None for a key that is absent."""
    found: list[tuple[str, Any, Any]] = []
    for key in sorted({*ours, *theirs}):
        mine, other = ours.get(key), theirs.get(key)
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            found += differences(mine, other, f"{prefix}{key}.")
        elif mine != other:
            found.append((f"{prefix}{key}", mine, other))
    return found
