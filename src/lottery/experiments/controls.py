"""A control's ticket, made from the ticket of its level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import nn

from lottery.core import Units, fan_ins, layer_fraction
from lottery.experiments.config import ExperimentConfig
from lottery.store import JobKey
from lottery.tickets import (
    Ticket,
    continued,
    random_mask,
    random_signs,
    reinit,
    scratch,
    shuffled_global,
    signs_constant,
    signs_random_magnitudes,
    signs_scaled_constant,
    untrained,
)
from lottery.training import MaskLearning, MaskMethod, State

_LEARNED: Final[dict[str, MaskMethod]] = {"edge-popup": "edge-popup", "supermask": "supermask"}
"""Kind of control -> how it learns its mask."""


def mask_learning(key: JobKey) -> MaskLearning | None:
    """What a job trains if it trains a mask; None if it trains weights."""
    method = _LEARNED.get(key.kind)
    if method is None:
        return None
    return MaskLearning(method=method, stream=(key.branch, key.level))


def make_control(
    key: JobKey,
    ticket: Ticket,
    config: ExperimentConfig,
    *,
    units: Units | None,
    generator: torch.Generator,
    initialize: Callable[[], nn.Module],
    initial: Callable[[], State],
    trained: Callable[[], State],
) -> Ticket:
    """Break the one thing that the control's kind says.

    Args:
        key: the control's job.
        ticket: that of its level.
        config: the experiment.
        units: from `experiment_units`.
        generator: the control's own stream.
        initialize: makes a network with weights drawn from the same stream.
        initial: reads the state at initialization.
        trained: reads the trained state that decided the ticket's mask.
    """
    match key.kind:
        case "reinit":
            return reinit(ticket, initialize)
        case "random-mask":
            return random_mask(ticket, generator, units)
        case "continued":
            return continued(ticket, trained())
        case "shuffled-global":
            names = ticket.mask if units is None else units.homes
            fractions = config.prune.fractions
            exempt = [n for n in names if not layer_fraction(n, config.prune.fraction, fractions)]
            return shuffled_global(ticket, generator, units, exempt)
        case "signs-random-magnitudes":
            return signs_random_magnitudes(ticket, initialize)
        case "signs-constant":
            return signs_constant(ticket, initial())
        case "random-signs":
            return random_signs(ticket, generator)
        case "scratch-epochs" | "scratch-flops":
            return scratch(ticket, initialize)
        case "edge-popup":
            whole = untrained(ticket, initial())
            constant = config.masks.edge_popup.weights == "signed-constant"
            return signs_scaled_constant(whole, fan_ins(initialize())) if constant else whole
        case "supermask":
            whole = untrained(ticket, initial())
            constant = config.masks.supermask.weights == "signed-constant"
            return signs_constant(whole, whole.weights) if constant else whole
    raise ValueError(f"expected a kind of control, got {key.kind}")
