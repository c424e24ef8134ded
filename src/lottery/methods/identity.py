"""The parts of a job's identity that a method and its training decide."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lottery.tasks.protocol import TrainingVariant
from lottery.tickets import PruneConfig


def pruning_part(prune: PruneConfig, level: int, levels: int) -> dict[str, Any]:
    """The pruning settings that decide a level's mask, as plain JSON.

    Settings of later levels are left out: of listed densities those up to the level count, and the
    number of levels counts with the linear schedule alone.
    """
    settings = asdict(prune) | {"densities": list(prune.densities[:level]), "level": level}
    return settings | ({"levels": levels} if prune.schedule == "linear" else {})


def plain_variant(variant: TrainingVariant) -> dict[str, Any]:
    """A training variant as plain JSON, for identities: the differences, and nothing else."""
    gradual, mask_learning = variant.gradual, variant.mask_learning
    parts = {  # These keys are hashed into identities on disk: none may be renamed.
        "fine_tune": None if variant.fine_tune is None else asdict(variant.fine_tune),
        "same_multiplications": variant.same_multiplications or None,
        "updates": asdict(variant.updates) if variant.updates.active else None,
        "gradual": gradual and pruning_part(gradual.prune, gradual.level, gradual.levels),
        "learns": mask_learning and [mask_learning.method, *mask_learning.stream],
        "reordered": variant.reordered,
        "until_drawn": variant.until_drawn or None,
    }
    return {name: part for name, part in parts.items() if part is not None}
