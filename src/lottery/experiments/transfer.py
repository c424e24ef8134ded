"""Transfer: tickets found on one task trained on another, beside tickets found there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from lottery.core import Mask, Units
from lottery.errors import UsageError
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.experiment import Experiment
from lottery.experiments.inputs import Replicate
from lottery.experiments.record import run_directory
from lottery.methods import ControlsConfig, Given, requested_controls
from lottery.store import MemoryStore, Store
from lottery.store.ticket_file import ticket_sha256
from lottery.tickets import PruneConfig, Ticket, level_densities, new_outputs, transplant

_ALIKE: Final = 1.02
"""Ratio of two densities that are compared, at most; as in comparisons of runs."""


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The two runs of a transfer, which share their dense networks."""

    given: ExperimentConfig
    """The given tickets and their controls, at level 1."""
    found: ExperimentConfig | None
    """Tickets found on the new task, whose last level is compared; None if none are wanted."""
    new_layers: tuple[str, ...]
    """Parameters with another number of outputs in the new network, which are drawn anew."""


def prepare_transfer(
    experiment: Experiment,
    tickets: Sequence[Ticket],
    out: Path,
    *,
    found_there: bool = True,
    write: bool = True,
) -> Transfer:
    """Put tickets into the run that will train them, and make the configs of both runs.

    Args:
        experiment: the experiment on the new task, whose config says how tickets are found there.
        tickets: the given tickets; the replicates take them in turn.
        out: the directory that runs live in.
        found_there: whether tickets are also to be found on the new task.
        write: whether tickets are put there; else nothing is written.

    Raises:
        MaskError: a ticket does not fit the network; lists every difference.
        UsageError: there are more tickets than replicates, or their density cannot be reached on
            the new task.
    """
    config = experiment.config
    assert isinstance(config, ExperimentConfig), "of own loops there is no other task"
    if len(tickets) > config.replicates:
        raise UsageError(
            f"replicates: expected {len(tickets)} or more, one for each ticket, got "
            f"{config.replicates}"
        )
    dense = Replicate(experiment, MemoryStore(), 0).ticket(0)
    masks = [transplant(ticket, dense).mask for ticket in tickets]
    if found_there and not config.levels:
        raise UsageError(
            "levels: expected 1 or more, to find tickets there, got 0; or find none "
            "(--no-found-there)"
        )
    given, found = _given(config, tickets), None
    if found_there:
        units = experiment.task.units(config.prune)
        prune, levels = pruned_to(config.prune, config.levels, masks[0].density, dense.mask, units)
        found = replace(
            config,
            name=f"{config.name}-found-there",
            levels=levels,
            prune=prune,
            controls=ControlsConfig(reinit=0),
        )
    store = Store(run_directory(out, given))
    for ticket in tickets if write else ():
        store.write_given(ticket)
    return Transfer(given=given, found=found, new_layers=new_outputs(tickets[0], dense))


def _given(config: ExperimentConfig, tickets: Sequence[Ticket]) -> ExperimentConfig:
    """The experiment that trains the tickets, with the controls that have a meaning for them."""
    # Nothing is pruned, so that of the pruning only what units are matters: for shuffled masks.
    plain = replace(
        config.prune,
        **{
            f.name: getattr(PruneConfig(), f.name)
            for f in fields(PruneConfig)
            if f.name not in _KEPT
        },
    )
    method = Given(tickets=tuple(map(ticket_sha256, tickets)))
    refused = [
        control for control in requested_controls(config.controls) if control.refusal(method, plain)
    ]
    none = {one.setting: getattr(ControlsConfig(reinit=0), one.setting) for one in refused}
    return replace(
        config,
        name=f"{config.name}-transferred",
        levels=1,
        prune=plain,
        method=method,
        controls=replace(config.controls, **none),
    )


_KEPT: Final = ("granularity", "scope", "fraction", "fractions", "also", "leave_out")


def pruned_to(
    prune: PruneConfig, levels: int, density: float, dense: Mask, units: Units | None
) -> tuple[PruneConfig, int]:
    """Change a pruning config to reach a density at its last level.

    It ends at the level with the nearest density. If that is off by more than 2%, the fraction
    pruned at every level, or the last density of the schedule, is changed.

    Args:
        prune: the pruning config.
        levels: its number of levels, 1 or more.
        density: in (0, 1).
        dense: the mask of level 0.
        units: the units of pruning; None: single weights.

    Returns:
        The pruning config, and its number of levels.

    Raises:
        UsageError: the density cannot be reached.
    """
    planned = level_densities(prune, dense, levels, units)
    nearest = min(
        range(1, levels + 1), key=lambda n: abs(math.log(max(planned[n], 1e-9) / density))
    )
    if prune.schedule != "linear" and _alike(planned[nearest], density):
        return replace(prune, densities=prune.densities[:nearest]), nearest
    if prune.schedule == "linear":
        return replace(prune, final_density=density), levels
    if prune.densities:
        before = tuple(one for one in prune.densities if one > density * _ALIKE)
        return replace(prune, densities=(*before, density)), len(before) + 1
    low, high = 0.0, 1.0
    for _ in range(40):
        fraction = (low + high) / 2
        other = replace(prune, fraction=fraction)
        if level_densities(other, dense, nearest, units)[-1] > density:
            low = fraction
        else:
            high = fraction
    other = replace(prune, fraction=high)
    if not _alike(level_densities(other, dense, nearest, units)[-1], density):
        raise UsageError(
            f"a density of {density:.2%} cannot be had there with prune.fractions as they are; "
            "empty them, or find no tickets there (--no-found-there)"
        )
    return other, nearest


def _alike(one: float, other: float) -> bool:
    return max(one, other) <= _ALIKE * min(one, other)
