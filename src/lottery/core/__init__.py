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
from lottery.core.coupling import (
    Channel,
    Coupling,
    Slice,
    channel_units,
    find_channels,
    sound_channels,
)
from lottery.core.coverage import (
    CoveredWeight,
    OutsideMask,
    check_coverage,
    covered_weights,
    fan_ins,
    outside_mask,
    prunable_weights,
    set_coverage,
)
from lottery.core.criteria import (
    CRITERIA,
    Criterion,
    CriterionEntry,
    LooksAt,
    Probe,
    ScoreContext,
    Scores,
    as_criterion,
    check_criterion,
    find_criterion,
    probe_from_batches,
    scored_network,
)
from lottery.core.granularity import (
    GRANULARITIES,
    check_granularity,
    granularity_problems,
    make_units,
    n_of_m,
    residual_blocks,
)
from lottery.core.lamp import lamp_scores
from lottery.core.mask import Mask
from lottery.core.multiplications import multiplications, weight_uses
from lottery.core.names import Patterns, by_clean_name, clean_name, unwrapped
from lottery.core.outputs import output_layers
from lottery.core.parameter_uses import tie_parameters
from lottery.core.rounds import RoundSchedule, prune_in_rounds, round_counts
from lottery.core.schedule import (
    Schedule,
    gradual_density,
    kept_at_density,
    kept_linearly,
    scored_level,
)
from lottery.core.select import select
from lottery.core.signal import signal_passes
from lottery.core.unit_kinds import without_units
from lottery.core.units import Reduce, Units, fixed_groups, surviving_units, unit_counts

__all__ = [
    "CRITERIA",
    "GRANULARITIES",
    "Channel",
    "Coupling",
    "CoveredWeight",
    "Criterion",
    "CriterionEntry",
    "Group",
    "LooksAt",
    "Mask",
    "OutsideMask",
    "Patterns",
    "Probe",
    "Reduce",
    "RoundSchedule",
    "Schedule",
    "Scope",
    "ScoreContext",
    "Scores",
    "Slice",
    "Units",
    "allocate",
    "apportion",
    "as_criterion",
    "by_clean_name",
    "channel_units",
    "check_coverage",
    "check_criterion",
    "check_granularity",
    "check_patterns",
    "clean_name",
    "covered_weights",
    "erdos_renyi_share",
    "fan_ins",
    "find_channels",
    "find_criterion",
    "fixed_groups",
    "gradual_density",
    "granularity_problems",
    "kept_at_density",
    "kept_linearly",
    "lamp_scores",
    "layer_fraction",
    "make_units",
    "multiplications",
    "n_of_m",
    "output_layers",
    "outside_mask",
    "planned_densities",
    "probe_from_batches",
    "prunable_weights",
    "prune_in_rounds",
    "residual_blocks",
    "round_counts",
    "scored_level",
    "scored_network",
    "select",
    "set_coverage",
    "signal_passes",
    "sound_channels",
    "surviving_units",
    "tie_parameters",
    "unit_counts",
    "unwrapped",
    "weight_uses",
    "without_units",
]
