"""What of a pruning decides the bytes of a level's ticket."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lottery.tickets import PruneConfig


def pruning_part(prune: PruneConfig, level: int, levels: int) -> dict[str, Any]:
    """The settings that decide a level's mask; what comes after the level does not.

    Only the linear schedule asks how many levels there are; of listed densities those up to the
    level count.
    """
    settings = asdict(prune)
    for other in ("by", "early_bird"):
        settings.pop(other)
    settings["densities"] = list(prune.densities[:level])
    return settings | {"level": level} | ({"levels": levels} if prune.schedule == "linear" else {})
