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
from lottery.tickets.counts import groups_from_dense, level_densities
from lottery.tickets.difference import LayerDifference, TicketDifference, ticket_difference
from lottery.tickets.early_bird import (
    EarlyBirdMask,
    check_iterations,
    drawn_mask,
    never_settled,
    watch_masks,
)
from lottery.tickets.probe import check_examples, make_probe
from lottery.tickets.pruning import network_coupling, network_outputs, network_units, prune_mask
from lottery.tickets.rewinding import last_trained, pruned_values
from lottery.tickets.ticket import Ticket
from lottery.tickets.transplant import new_outputs, transplant

__all__ = [
    "KEEPS_TRAINED",
    "EarlyBirdConfig",
    "EarlyBirdMask",
    "LayerDifference",
    "PruneConfig",
    "RewindMethod",
    "Ticket",
    "TicketDifference",
    "check_examples",
    "check_iterations",
    "continued",
    "criterion_problems",
    "drawn_mask",
    "groups_from_dense",
    "last_trained",
    "level_densities",
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
    "transplant",
    "untrained",
    "watch_masks",
]
