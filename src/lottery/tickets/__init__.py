"""Tickets: making them, rewinding them, and the controls that show why they work."""

from lottery.tickets.config import (
    KEEPS_TRAINED,
    EarlyBirdConfig,
    PruneConfig,
    RewindMethod,
    criterion_problems,
)
from lottery.tickets.controls import (
    continued,
    moved,
    random_mask,
    random_signs,
    reinit,
    reinit_with_signs,
    scratch,
    shuffled_global,
    signs_constant,
    signs_random_magnitudes,
    signs_scaled_constant,
    untrained,
)
from lottery.tickets.counts import going_by_level, level_densities
from lottery.tickets.difference import LayerDifference, TicketDifference, ticket_difference
from lottery.tickets.early_bird import (
    Drawn,
    drawn,
    looks,
    never_settled,
    watch_masks,
)
from lottery.tickets.probe import check_examples, make_probe
from lottery.tickets.pruning import network_coupling, network_outputs, network_units, prune_mask
from lottery.tickets.rewinding import last_trained, pruned_values
from lottery.tickets.ticket import Ticket
from lottery.tickets.transplant import new_outputs, transplanted

__all__ = [
    "KEEPS_TRAINED",
    "Drawn",
    "EarlyBirdConfig",
    "LayerDifference",
    "PruneConfig",
    "RewindMethod",
    "Ticket",
    "TicketDifference",
    "check_examples",
    "continued",
    "criterion_problems",
    "drawn",
    "going_by_level",
    "last_trained",
    "level_densities",
    "looks",
    "make_probe",
    "moved",
    "network_coupling",
    "network_outputs",
    "network_units",
    "never_settled",
    "new_outputs",
    "prune_mask",
    "pruned_values",
    "random_mask",
    "random_signs",
    "reinit",
    "reinit_with_signs",
    "scratch",
    "shuffled_global",
    "signs_constant",
    "signs_random_magnitudes",
    "signs_scaled_constant",
    "ticket_difference",
    "transplanted",
    "untrained",
    "watch_masks",
]
