"""What of a method decides the bytes of a job."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lottery.tasks.protocol import How
from lottery.tickets import PruneConfig


def pruning_part(prune: PruneConfig, level: int, levels: int) -> dict[str, Any]:
    """The settings that decide a level's mask; what comes after the level does not.

    Only the linear schedule asks how many levels there are; of listed densities those up to the
    level count.
    """
    settings = asdict(prune) | {"densities": list(prune.densities[:level]), "level": level}
    return settings | ({"levels": levels} if prune.schedule == "linear" else {})


def plain_how(how: How) -> dict[str, Any]:
    """How a ticket is trained, as plain data, for its identity: what differs and nothing else."""
    gradual, mask_learning = how.gradual, how.mask_learning
    parts = {  # These keys are hashed into identities on disk: none may be renamed.
        "fine_tune": None if how.fine_tune is None else asdict(how.fine_tune),
        "same_multiplications": how.same_multiplications or None,
        "updates": asdict(how.updates) if how.updates.active else None,
        "gradual": gradual and pruning_part(gradual.prune, gradual.level, gradual.levels),
        "learns": mask_learning and [mask_learning.method, *mask_learning.stream],
        "reordered": how.reordered,
        "until_drawn": how.until_drawn or None,
    }
    return {name: part for name, part in parts.items() if part is not None}
