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
from lottery.core.coupling import (
    Channel,
    Coupling,
    Slice,
    channel_units,
    find_channels,
    sound_channels,
    without_channels,
)
from lottery.core.criteria import CRITERIA, Criterion, ScoreContext, Scores
from lottery.core.granularity import (
    GRANULARITIES,
    check_granularity,
    granularity_problems,
    make_units,
    residual_blocks,
)
from lottery.core.mask import Mask, prunable_weights
from lottery.core.schedule import Schedule, scored_level
from lottery.core.select import select
from lottery.core.units import Reduce, Units, fixed_groups, surviving_units, unit_counts

__all__ = [
    "CRITERIA",
    "GRANULARITIES",
    "Channel",
    "Coupling",
    "Criterion",
    "Group",
    "Mask",
    "Reduce",
    "Schedule",
    "Scope",
    "ScoreContext",
    "Scores",
    "Slice",
    "Units",
    "allocate",
    "channel_units",
    "check_granularity",
    "check_patterns",
    "find_channels",
    "fixed_groups",
    "granularity_problems",
    "layer_fraction",
    "make_units",
    "planned_densities",
    "prunable_weights",
    "residual_blocks",
    "scored_level",
    "select",
    "sound_channels",
    "surviving_units",
    "unit_counts",
    "without_channels",
]
