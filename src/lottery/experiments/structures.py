"""Which controls have a meaning where whole units are removed."""

from __future__ import annotations

from lottery.core import n_of_m
from lottery.tickets import ControlsConfig, PruneConfig


def structure_problems(prune: PruneConfig, controls: ControlsConfig) -> list[str]:
    """Controls that cannot keep the structure of the tickets, one sentence each."""
    granularity, why = prune.granularity, dict[str, str]()
    if granularity == "weight":
        return []
    if granularity in ("layer", "residual-block"):
        why["random_mask"] = (
            "as many units in each layer are the same ones, since it has one at most; use 0, or "
            "controls.shuffled_global"
        )
    if n_of_m(granularity):
        why["shuffled_global"] = (
            "every run of inputs keeps as many, so that nothing moves between layers; use 0, or "
            "controls.random_mask"
        )
    singly = "single weights are learned to be kept, in no structure; use 0"
    why |= {"edge_popup": singly, "supermask": singly}
    return [
        f"controls.{name}: with prune.granularity = '{granularity}' {reason}"
        for name, reason in why.items()
        if getattr(controls, name)
    ]
