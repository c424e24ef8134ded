"""Whether replicates with the same number in two runs can be compared as pairs."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from lottery.analysis.methods.types import MethodRun
from lottery.store.jobs import MAIN
from lottery.tickets import KEEPS_TRAINED


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """How two runs can be compared."""

    paired: bool
    same_dense: bool
    """Whether their dense trainings are the same ones: paired, trained with equal settings, and
    with the same results."""
    stops_alike: bool
    """Whether early stops of pruned networks can be compared: all begin from untrained weights, or
    all from trained ones by the same method."""
    why: str
    """Why they are paired, or why not, in words."""


def pairing(one: MethodRun, other: MethodRun) -> Pairing:
    """How two runs can be compared: replicates are paired if they share all that is random.

    That is so where both runs have the same seed, model or task, data and config schema, and every
    dense network that both have began with exactly the same weights. Initial weights, data order
    and random numbers in training then come from the same streams.
    """
    apart = [
        what
        for what, differ in (
            ("seeds", one.config["seed"] != other.config["seed"]),
            ("models", one.config.get("model") != other.config.get("model")),
            ("tasks", one.config.get("task") != other.config.get("task")),
            ("data", one.data.get("sha256") != other.data.get("sha256")),
            ("config schemas", one.schema != other.schema),
        )
        if differ
    ]
    both = one.starts.keys() & other.starts.keys()
    if not apart and not both:
        apart = ["numbers of all replicates"]
    if not apart and any(one.starts[r] != other.starts[r] for r in both):
        apart = ["initial weights"]
    stops_alike = _trained_by(one.config) == _trained_by(other.config)
    if apart:
        why = f"other {' and '.join(apart)}"
        return Pairing(paired=False, same_dense=False, stops_alike=stops_alike, why=why)
    return Pairing(
        paired=True,
        same_dense=_dense_settings(one.config) == _dense_settings(other.config)
        and _dense_results(one, both) == _dense_results(other, both),
        stops_alike=stops_alike,
        why="same seed, model, data and initial weights",
    )


def _trained_by(config: Mapping[str, Any]) -> str:
    """By what rewinding tickets keep their trained weights; empty where they do not."""
    method: str = config["method"].get("rewind", {}).get("kind", "")
    return method if method in KEEPS_TRAINED else ""


def _dense_settings(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """What says how the dense network is trained, beside its start and the examples."""
    return config.get("training"), config.get("data", {}).get("augmentation")


def _dense_results(run: MethodRun, replicates: Set[int]) -> list[tuple[Any, ...]]:
    """What was measured of the dense trainings: another machine or engine may round otherwise."""
    return sorted(
        (
            result.replicate,
            result.status,
            result.early_stop_iteration,
            result.validation_loss_at_early_stop,
            result.score_at_early_stop,
            result.score_final,
        )
        for result in run.results
        if result.branch == MAIN and result.level == 0 and result.replicate in replicates
    )
