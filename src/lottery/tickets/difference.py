"""How two tickets differ: their masks compared with chance, weights, and provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lottery.tickets.ticket import Ticket, describe_tensor


@dataclass(frozen=True, kw_only=True)
class LayerDifference:
    """One layer that two tickets both have, of one shape."""

    total: int
    first: int
    """Weights that the first ticket keeps."""
    second: int
    both: int
    """Weights that both keep."""
    by_chance: float
    """How many weights both would keep if each mask had been drawn at random."""
    z: float | None
    """``both`` minus ``by_chance``, in standard deviations of the hypergeometric distribution; None
    if its standard deviation is 0."""
    jaccard: float
    """Kept in both over kept in either, in [0, 1]; 1 where neither keeps anything."""
    equal: int
    """Weights kept in both that are the same number in both."""
    same_sign: int
    """Weights kept in both that have the same sign in both."""


@dataclass(frozen=True, kw_only=True)
class TicketDifference:
    """How two tickets differ."""

    layers: Mapping[str, LayerDifference]
    """The mask's layers that both have, of one shape."""
    unlike: Mapping[str, str]
    """All other parameters and buffers that differ, or that one ticket lacks: name -> how."""
    provenance: Mapping[str, tuple[Any, Any]]
    """Field -> its value in each ticket, where these differ; None if a ticket lacks the field."""

    @property
    def is_none(self) -> bool:
        """Whether masks and weights are the same."""
        return not self.unlike and all(
            layer.first == layer.second == layer.both == layer.equal
            for layer in self.layers.values()
        )


def ticket_difference(first: Ticket, second: Ticket) -> TicketDifference:
    """Compare two tickets layer by layer."""
    shapes = [{n: tuple(kept.shape) for n, kept in one.mask.items()} for one in (first, second)]
    shared = [name for name in shapes[0] if shapes[0][name] == shapes[1].get(name)]
    rest = {*first.weights, *second.weights, *shapes[0], *shapes[1]}.difference(shared)
    unlike = {name: _unlike(name, first, second) for name in sorted(rest)}
    said = (dict(first.provenance), dict(second.provenance))
    if first.iteration != second.iteration:
        said[0]["iteration"], said[1]["iteration"] = first.iteration, second.iteration
    fields = dict.fromkeys((*said[0], *said[1]))
    return TicketDifference(
        layers={name: _layer(name, first, second) for name in shared},
        unlike={name: how for name, how in unlike.items() if how},
        provenance={
            name: (said[0].get(name), said[1].get(name))
            for name in fields
            if said[0].get(name) != said[1].get(name)
        },
    )


def _layer(name: str, first: Ticket, second: Ticket) -> LayerDifference:
    masks = first.mask[name], second.mask[name]
    both = masks[0] & masks[1]
    total, counts = both.numel(), [int(mask.sum()) for mask in masks]
    kept, either = int(both.sum()), int((masks[0] | masks[1]).sum())
    by_chance = counts[0] * counts[1] / total
    spread = by_chance * (total - counts[0]) * (total - counts[1]) / (total * max(total - 1, 1))
    ours, theirs = first.weights[name][both], second.weights[name][both]
    return LayerDifference(
        total=total,
        first=counts[0],
        second=counts[1],
        both=kept,
        by_chance=by_chance,
        z=(kept - by_chance) / math.sqrt(spread) if spread > 0 else None,
        jaccard=kept / either if either else 1.0,
        equal=int((ours == theirs).sum()),
        same_sign=int((ours.sign() == theirs.sign()).sum()),
    )


def _unlike(name: str, first: Ticket, second: Ticket) -> str:
    """How what is no layer of both masks differs, in a few words; empty where it is equal."""
    kinds = [_kind(name, one) for one in (first, second)]
    if kinds[0] != kinds[1]:
        return f"{kinds[0]} in the first, {kinds[1]} in the second"
    ours, theirs = first.weights[name], second.weights[name]
    differing = int((ours != theirs).sum())
    return f"{differing:,} of {ours.numel():,} values differ" if differing else ""


def _kind(name: str, ticket: Ticket) -> str:
    value: Tensor | None = ticket.weights.get(name)
    if value is None:
        return "missing"
    kind = describe_tensor(value)
    return f"{kind}, masked" if name in ticket.mask else kind
