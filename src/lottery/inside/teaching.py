"""Learning from tickets: a smaller dense network, and an initialization of the whole one.

Both are plain configs of ordinary runs without levels, which share data, training, seed and
replicates with the run that they are from. It is a conjecture that tickets tell how wide layers
should be, or how weights should be distributed; `lottery.analysis.teaching` tests it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from statistics import fmean
from typing import Any, Final, Literal, get_args

import numpy as np
import torch

from lottery.core import Mask
from lottery.errors import UsageError
from lottery.experiments import ExperimentConfig, Run
from lottery.experiments.config import stops_early
from lottery.experiments.connectivity import ConnectivityConfig
from lottery.experiments.learned import FORMAT, PREFIX
from lottery.inside.paths import effective_mask
from lottery.methods import ControlsConfig, Iterative
from lottery.models import build_model
from lottery.models.families import with_widths
from lottery.models.learned import LearnedInitialization, SignedQuantiles
from lottery.store import MAIN, JobKey
from lottery.tickets import PruneConfig

Weights = Literal["initial", "trained"]
"""Which values of the surviving weights an initialization is learned from: ``initial``, those that
tickets start from, or ``trained``, those that they end with."""
LESSON: Final = re.compile(r"teach-\d+-(initial|trained)-(?P<sha256>[0-9a-f]{8})")
"""What a lesson is kept as."""
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, kw_only=True)
class SmallNetwork:
    """A dense network with about as many weights in each layer as a run's tickets.

    Args:
        model: its name.
        widths: units of each hidden layer.
        alive: units of each hidden layer that lie on a path of kept weights, mean over tickets.
        kept: weights of each layer that tickets keep, mean over tickets; the output layer's last.
        weights: weights of each layer of the small network, in the same order.
    """

    model: str
    widths: tuple[int, ...]
    alive: tuple[float, ...]
    kept: tuple[float, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What was learned from the tickets of one level, and the configs of the runs that test it.

    Args:
        level: the level of the tickets.
        replicates: the replicates whose tickets it is from.
        weights: which values the initialization is learned from.
        small: the smaller network; None: there is none.
        no_small: why there is none, in words; else empty.
        learned: the initialization.
        file: the name of the file beside the run that holds it.
        configs: ``small`` (if there is one) and ``learned`` -> the config that trains it.
    """

    level: int
    replicates: tuple[int, ...]
    weights: Weights
    small: SmallNetwork | None
    no_small: str
    learned: LearnedInitialization
    file: str
    configs: dict[str, ExperimentConfig]

    def to_json(self) -> dict[str, Any]:
        """The content of its file beside the run, which `lottery.experiments.learned` reads."""
        return {
            "learned": FORMAT,
            "level": self.level,
            "replicates": list(self.replicates),
            "weights": self.weights,
            "small": None if self.small is None else asdict(self.small),
            **asdict(self.learned),
        }


def lesson(run: Run, level: int, weights: Weights = "initial") -> Lesson:
    """Learn from the tickets of a level; nothing is written or trained.

    Args:
        run: a run of the built-in trainer.
        level: the level of the tickets, 1 or more.
        weights: which values the initialization is learned from.

    Raises:
        UsageError: there are no such tickets, or nothing that is learned from this run could be
            compared with its dense networks.
    """
    config, keys = _checked(run, level, weights)
    learned = _learned(run, config, keys, weights)
    # By its contents, so that tickets of more replicates teach another one, in another file.
    name = f"teach-{level}-{weights}-{learned.sha256[:8]}"
    assert LESSON.fullmatch(name)
    path = run.store.measurement_path(name)
    file = path.relative_to(run.store.path.parent).as_posix()
    small, why = _small(run, config, keys)
    configs = {"learned": _derived(config, f"{weights}-of-{level}", initialization=PREFIX + file)}
    if small is not None:
        configs = {"small": _derived(config, f"small-of-{level}", model=small.model)} | configs
    return Lesson(
        level=level,
        replicates=tuple(key.replicate for key in keys),
        weights=weights,
        small=small,
        no_small=why,
        learned=learned,
        file=name,
        configs=configs,
    )


def small_widths(kept: Sequence[float], inputs: int, alive: Sequence[float]) -> tuple[int, ...]:
    """Units of each hidden layer, so that it has about as many weights as a ticket keeps there.

    Widths are chosen from the input on. A layer gets the number of units that brings its weights
    (units times the width just chosen for the layer before) nearest to those that the ticket keeps;
    at least one, and no more than are alive in the ticket.

    Args:
        kept: how many weights the ticket keeps in each hidden layer.
        inputs: width of the input.
        alive: how many units of each hidden layer lie on a path of kept weights.

    >>> small_widths([4000, 600], 784, [250, 80])
    (5, 80)
    """
    widths, before = [], inputs
    for weights, most in zip(kept, alive, strict=True):
        before = max(1, min(math.floor(weights / before + 0.5), math.floor(most)))
        widths.append(before)
    return tuple(widths)


def _checked(run: Run, level: int, weights: str) -> tuple[ExperimentConfig, list[JobKey]]:
    config = run.config
    if not isinstance(config, ExperimentConfig):
        raise UsageError(
            f"{run.name} is of a loop of your own; what tickets teach is trained by the built-in "
            "one alone"
        )
    if config.data.name.startswith("python:"):
        raise UsageError(
            f"{run.name} was given its data from Python, which the runs of a lesson have to load; "
            "put them into a file, and name that in data.name"
        )
    if stops_early(config):
        raise UsageError(
            f"the dense networks of {run.name} end where masks have settled, so that no other "
            "dense network can be compared with them; expected a run without method.stop"
        )
    if weights not in get_args(Weights):
        raise UsageError(f"weights: expected {' or '.join(get_args(Weights))}, got {weights!r}")
    keys = [JobKey(r, MAIN, level) for r in range(config.replicates)]
    keys = [key for key in keys if key in run.results and run.results[key].status == "done"]
    if level < 1 or not keys:
        there = sorted({k.level for k in run.results if k.branch == MAIN and k.level})
        listed = ", ".join(map(str, there)) or "none"
        raise UsageError(f"{run.name} has no trained ticket of level {level}; levels: {listed}")
    return config, keys


def _learned(
    run: Run, config: ExperimentConfig, keys: Sequence[JobKey], weights: Weights
) -> LearnedInitialization:
    """The survivors' weights of all tickets together, layer by layer."""
    if config.initialization.startswith(PREFIX):
        raise UsageError(
            f"the initialization of {run.name} is itself a learned one; teach from the run that "
            "that is from"
        )
    pooled: dict[str, list[np.ndarray[Any, np.dtype[np.floating[Any]]]]] = {}
    for key in keys:
        mask = run.store.final_mask(key)
        state = run.store.weights(key) if weights == "trained" else run.store.ticket(key).weights
        for name, kept in mask.items():
            if kept.ndim > 1:  # biases and scales stay as the usual initialization has them
                pooled.setdefault(name, []).append(state[name][kept].double().numpy())
    found = {name: SignedQuantiles.of(np.concatenate(each)) for name, each in pooled.items()}
    layers = {name: quantiles for name, quantiles in found.items() if quantiles is not None}
    return LearnedInitialization(config.initialization, layers)


def _small(
    run: Run, config: ExperimentConfig, keys: Sequence[JobKey]
) -> tuple[SmallNetwork | None, str]:
    """The smaller network; or None, and why there is none."""
    shape, classes = run.facts.input_shape, run.facts.classes
    if with_widths(config.model, [1]) is None or shape is None or classes is None:
        return None, (
            f"no smaller network is made of {config.model}: only fully connected networks "
            "(lenet-300-100, mlp-A-B-C) have names with widths to choose; in a residual network, "
            "besides, layers that are added have to be equally wide"
        )
    with torch.device("meta"):
        network = build_model(config.model, shape, classes)
    whole = {n: torch.ones(p.shape).bool() for n, p in network.named_parameters() if p.dim() > 1}
    masks = []
    for key in keys:
        mask = run.store.final_mask(key)
        masks.append(Mask({name: mask[name] if name in mask else whole[name] for name in whole}))
    reached = [effective_mask(network, mask, shape) for mask in masks]
    hidden = list(whole)[:-1]
    kept = tuple(fmean(mask.layers[name][0] for mask in masks) for name in whole)
    alive = tuple(fmean(int(mask[n].any(1).sum()) for mask in reached) for n in hidden)
    inputs = math.prod(shape)
    widths = small_widths(kept[:-1], inputs, alive)
    model = with_widths(config.model, widths)
    assert model is not None, "checked above"
    sizes = [inputs, *widths, classes]
    weights = tuple(a * b for a, b in pairwise(sizes))
    return SmallNetwork(model=model, widths=widths, alive=alive, kept=kept, weights=weights), ""


def _derived(config: ExperimentConfig, what: str, **changes: Any) -> ExperimentConfig:
    """The run of a dense network that shares all else with a run's own dense networks."""
    name = f"{config.name[: _LONGEST_NAME - len(what) - 1]}-{what}"
    return replace(
        config,
        name=name,
        levels=0,
        method=Iterative(),
        prune=PruneConfig(also=config.prune.also, leave_out=config.prune.leave_out),
        controls=ControlsConfig(),
        connectivity=ConnectivityConfig(),
        **changes,
    )
