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
from lottery.core.apportion import apportion, erdos_renyi_share
from lottery.core.criteria import CRITERIA, Criterion, ScoreContext, Scores
from lottery.core.lamp import lamp_scores
from lottery.core.mask import Mask, prunable_weights
from lottery.core.multiplications import multiplications, weight_uses
from lottery.core.schedule import (
    Schedule,
    gradual_density,
    kept_at_density,
    kept_linearly,
    scored_level,
)
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
    "apportion",
    "check_patterns",
    "erdos_renyi_share",
    "gradual_density",
    "kept_at_density",
    "kept_linearly",
    "lamp_scores",
    "layer_fraction",
    "multiplications",
    "planned_densities",
    "prunable_weights",
    "scored_level",
    "select",
    "weight_uses",
]
