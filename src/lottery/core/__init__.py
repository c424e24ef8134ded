"""Pure functions on tensors: masks, scores and the one selection.

Nothing here reads or writes files, keeps state, or touches the global random number generator.
"""

from lottery.core.allocate import (
    Group,
    Scope,
    allocate,
    check_patterns,
    layer_fraction,
    planned_densities,
)
from lottery.core.criteria import CRITERIA, Criterion, ScoreContext, Scores
from lottery.core.mask import Mask, prunable_weights
from lottery.core.schedule import Schedule, scored_level
from lottery.core.select import select

__all__ = [
    "CRITERIA",
    "Criterion",
    "Group",
    "Mask",
    "Schedule",
    "Scope",
    "ScoreContext",
    "Scores",
    "allocate",
    "check_patterns",
    "layer_fraction",
    "planned_densities",
    "prunable_weights",
    "scored_level",
    "select",
]
