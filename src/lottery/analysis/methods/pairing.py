"""Whether replicates of two runs belong together one by one."""

from __future__ import annotations

from dataclasses import dataclass

from lottery.analysis.methods.types import MethodRun


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """How two runs can be compared."""

    paired: bool
    same_dense: bool
    """Whether their dense trainings are the same ones: paired, and trained with equal settings."""
    why: str


def pairing(one: MethodRun, other: MethodRun) -> Pairing:
    """Replicates with the same number are paired if they share all that chance decides.

    That is so where both runs have the same seed, model, data and meaning of the config, and every
    dense network that both have began with the very same weights. Initial weights, data order and
    the draws of training then come from the same streams.
    """
    apart = [
        what
        for what, differ in (
            ("seeds", one.config["seed"] != other.config["seed"]),
            ("models", one.config["model"] != other.config["model"]),
            ("data", one.data["sha256"] != other.data["sha256"]),
            ("config schemas", one.schema != other.schema),
        )
        if differ
    ]
    both = one.starts.keys() & other.starts.keys()
    if not apart and not both:
        apart = ["numbers of all replicates"]
    if not apart and any(one.starts[r] != other.starts[r] for r in both):
        apart = ["initial weights"]
    if apart:
        return Pairing(paired=False, same_dense=False, why=f"other {' and '.join(apart)}")
    return Pairing(
        paired=True,
        same_dense=one.config["training"] == other.config["training"],
        why="same seed, model, data and initial weights",
    )
