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
from lottery.core.criteria import (
    CRITERIA,
    Criterion,
    CriterionEntry,
    LooksAt,
    Probe,
    ScoreContext,
    Scores,
    check_criterion,
    find_criterion,
    scored_network,
)
from lottery.core.mask import Mask, prunable_weights
from lottery.core.rounds import RoundSchedule, prune_in_rounds, round_counts
from lottery.core.schedule import Schedule, scored_level
from lottery.core.select import select

__all__ = [
    "CRITERIA",
    "Criterion",
    "CriterionEntry",
    "Group",
    "LooksAt",
    "Mask",
    "Probe",
    "RoundSchedule",
    "Schedule",
    "Scope",
    "ScoreContext",
    "Scores",
    "allocate",
    "check_criterion",
    "check_patterns",
    "find_criterion",
    "layer_fraction",
    "planned_densities",
    "prunable_weights",
    "prune_in_rounds",
    "round_counts",
    "scored_level",
    "scored_network",
    "select",
]
