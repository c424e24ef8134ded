"""Tickets: making them, rewinding them, and the controls that show why they work."""

from lottery.tickets.config import ControlsConfig, PruneConfig, RewindConfig
from lottery.tickets.controls import continued, random_mask, reinit
from lottery.tickets.imp import Level, find_tickets
from lottery.tickets.probe import check_examples, make_probe
from lottery.tickets.pruning import prune_mask
from lottery.tickets.ticket import Ticket

__all__ = [
    "ControlsConfig",
    "Level",
    "PruneConfig",
    "RewindConfig",
    "Ticket",
    "check_examples",
    "continued",
    "find_tickets",
    "make_probe",
    "prune_mask",
    "random_mask",
    "reinit",
]
