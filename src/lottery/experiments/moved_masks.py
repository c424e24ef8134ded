"""Which experiments can have controls with the mask of another replicate's ticket."""

from __future__ import annotations

from lottery.core import n_of_m
from lottery.methods import CONTROLS
from lottery.tickets import ControlsConfig, PruneConfig


def moved_mask_problems(replicates: int, prune: PruneConfig, controls: ControlsConfig) -> list[str]:
    """What of an experiment does not go with masks from another replicate, one sentence each."""
    asked = {
        control.setting: number
        for control in CONTROLS.values()
        if control.moves_mask and (number := getattr(controls, control.setting))
    }
    found = [
        f"controls.{name}: nothing of it is drawn, so that a second one is the first; expected 0 "
        f"or 1, got {number}"
        for name, number in asked.items()
        if number > 1
    ]
    if replicates < 2:
        found += [
            f"controls.{name}: its mask is that of another replicate's ticket; expected "
            f"replicates = 2 or more, got {replicates}"
            for name in asked
        ]
    granularity = prune.granularity
    if "aligned" in asked and (n_of_m(granularity) or granularity.startswith("block-")):
        found.append(
            f"controls.aligned: with prune.granularity = '{granularity}' units are neighbours, and "
            "neurons that change places part them; use 0, or controls.moved"
        )
    return found
