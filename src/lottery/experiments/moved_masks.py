"""Checks of the controls that use the mask of another replicate's ticket."""

from __future__ import annotations

from lottery.methods import ControlsConfig, requested_controls


def moved_mask_problems(replicates: int, controls: ControlsConfig) -> list[str]:
    """What is wrong with the controls that use another replicate's masks, one sentence each."""
    asked = [control.setting for control in requested_controls(controls) if control.moves_mask]
    found = [
        f"controls.{name}: nothing of it is drawn, so that a second one is the first; expected 0 "
        f"or 1, got {getattr(controls, name)}"
        for name in asked
        if getattr(controls, name) > 1
    ]
    if replicates < 2:
        found += [
            f"controls.{name}: its mask is that of another replicate's ticket; expected "
            f"replicates = 2 or more, got {replicates}"
            for name in asked
        ]
    return found
