"""Tickets: making them, rewinding them, and the controls that show why they work."""

from lottery.tickets.config import ControlsConfig, PruneConfig, RewindConfig
from lottery.tickets.controls import continued, random_mask, reinit
from lottery.tickets.imp import Level, find_tickets
from lottery.tickets.pruning import prune_mask
from lottery.tickets.ticket import Ticket

__all__ = [
    "ControlsConfig",
    "Level",
    "PruneConfig",
    "RewindConfig",
    "Ticket",
    "continued",
    "find_tickets",
    "prune_mask",
    "random_mask",
    "reinit",
]
