"""Controls: a ticket with one thing broken on purpose.

Each function changes what it says and nothing else. A control trains with the same data order and
settings as the ticket it is made from, so the difference between the two is the effect of what was
broken. If pruned weights are held at the
rewind values instead of zero, a control that changes these values changes them as well.

Shuffling a mask within its layers, as in Sanity-Checking Pruning Methods (arXiv:2009.11094) and
Pruning Neural Networks at Initialization: Why Are We Missing the Mark? (arXiv:2009.08576), gives
every mask with the same counts per layer with equal chance: it is `random_mask`. Where a ticket was
made by removing whole units, whole units are shuffled, so that what is coupled stays so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from lottery.core import Mask, Units
from lottery.core.shuffle import interchangeable_units, shuffled_units, shuffled_within_units
from lottery.tickets.rewinding import replace_weights
from lottery.tickets.ticket import Ticket
from lottery.training import State


def reinit(ticket: Ticket, initialize: Callable[[], nn.Module]) -> Ticket:
    """The same mask with a new random initialization (arXiv:1803.03635, section 2).

    Args:
        ticket: whose mask is kept.
        initialize: makes a network with freshly drawn weights; all of its state is taken.
    """
    return _with_weights(ticket, _drawn(initialize))


def scratch(ticket: Ticket, initialize: Callable[[], nn.Module]) -> Ticket:
    """The same mask, trained from a new random initialization and the beginning of the schedule.

    The network "trained from scratch" of Rethinking the Value of Network Pruning
    (arXiv:1810.05270, section 3). Unlike `reinit` it does not take up the schedule where the
    ticket does.

    Args:
        ticket: whose mask is kept.
        initialize: makes a network with freshly drawn weights; all of its state is taken.
    """
    return replace(reinit(ticket, initialize), iteration=0)


def random_mask(ticket: Ticket, generator: torch.Generator, units: Units | None = None) -> Ticket:
    """A random mask with the same number of weights in every layer, and the true rewind weights.

    Every mask with these counts is equally likely. With ``units``, every mask that removes as many
    units of each size from each layer as the ticket does; with n:m, every mask that keeps as many
    weights of each run. A weight that the new mask enables starts from its own rewind value, not
    from zero.

    Args:
        ticket: whose counts and rewind weights are kept.
        generator: a CPU generator; layers draw from it in sorted order of their names.
        units: what was removed as one unit, from `network_units`; None: single weights.

    Raises:
        MaskError: the units are not those of the ticket.
    """
    if units is None:
        mask = Mask({name: _shuffled(kept, generator) for name, kept in ticket.mask.items()})
    elif units.keep is None:
        mask = shuffled_units(ticket.mask, units, interchangeable_units(units), generator)
    else:
        mask = shuffled_within_units(ticket.mask, units, generator)
    return replace(ticket, mask=mask)


def shuffled_global(
    ticket: Ticket,
    generator: torch.Generator,
    units: Units | None = None,
    exempt: Collection[str] = (),
) -> Ticket:
    """A random mask with the same number of weights in all, and the true rewind weights.

    The entries of the mask are shuffled over all layers that are not exempt, so that each of these
    has about the density of the whole, and small layers may lose their last weight. Every mask
    with this count is equally likely. With ``units``, whole units are shuffled: as many are kept
    as before, of other sizes. A weight that the new mask enables starts from its own rewind value.

    Args:
        ticket: whose count and rewind weights are kept.
        generator: a CPU generator.
        units: what was removed as one unit, from `network_units`; None: single weights.
        exempt: layers that are not pruned; their part of the mask stays.

    Raises:
        MaskError: the units are not those of the ticket, or are n:m, which leaves nothing to
            shuffle between layers.
    """
    if units is not None:
        homes = [numbers for name, numbers in units.homes.items() if name not in exempt]
        numbers = torch.cat([torch.arange(n.start, n.stop) for n in homes]) if homes else None
        competing = [] if numbers is None else [numbers]
        return replace(ticket, mask=shuffled_units(ticket.mask, units, competing, generator))
    kept = {name: layer for name, layer in ticket.mask.items() if name not in exempt}
    if not kept:
        return ticket
    entries = _shuffled(torch.cat([layer.flatten() for layer in kept.values()]), generator)
    parts = entries.split([layer.numel() for layer in kept.values()])
    moved = {
        name: part.view(layer.shape)
        for (name, layer), part in zip(kept.items(), parts, strict=True)
    }
    return replace(ticket, mask=Mask({**ticket.mask, **moved}))


def moved(ticket: Ticket, mask: Mask) -> Ticket:
    """The ticket's own rewind weights with another mask.

    Args:
        ticket: whose rewind weights are kept. A weight that the new mask enables starts from its
            own rewind value, not from zero.
        mask: of the same network.

    Raises:
        MaskError: the mask is another network's.
    """
    mask.check(ticket.mask)
    return replace(ticket, mask=mask)


def _shuffled(kept: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(kept.numel(), generator=generator)
    return kept.flatten()[order].view(kept.shape)


def continued(ticket: Ticket, trained: State) -> Ticket:
    """The same mask, trained on from the trained weights that decided it, without rewinding.

    Args:
        ticket: whose mask is kept.
        trained: the state at the end of the training that decided the mask.
    """
    return replace(ticket, weights=trained)


def signs_random_magnitudes(ticket: Ticket, initialize: Callable[[], nn.Module]) -> Ticket:
    """The same mask and signs, with magnitudes from a new initialization (arXiv:1905.01067).

    Args:
        ticket: whose mask and signs of rewind weights are kept; a zero counts by its sign bit.
        initialize: makes a network with freshly drawn weights, of which the magnitudes are taken.
    """
    drawn = _drawn(initialize)
    return _with_prunable(ticket, {name: drawn[name].abs() for name in ticket.mask}, ticket.weights)


def reinit_with_signs(ticket: Ticket, signs: State, initialize: Callable[[], nn.Module]) -> Ticket:
    """The same mask with a new random initialization, but for the signs of its prunable weights.

    A signed mask transferred to another initialization (arXiv:2504.05357, section 3): biases,
    normalization and buffers are those of the new initialization too.

    Args:
        ticket: whose mask is kept.
        signs: the state whose signs are taken, such as a trained one; a zero counts by its sign
            bit.
        initialize: makes a network with freshly drawn weights; all of its state is taken.
    """
    fresh = reinit(ticket, initialize)
    return _with_prunable(fresh, {name: fresh.weights[name].abs() for name in ticket.mask}, signs)


def signs_constant(ticket: Ticket, initial: State) -> Ticket:
    """The same mask and signs, with one magnitude for each layer (arXiv:1905.01067, section 4).

    The magnitude is the standard deviation of all initial weights of the layer, pruned ones
    included, about their own mean and with n in the denominator.

    Args:
        ticket: whose mask and signs of rewind weights are kept; a zero counts by its sign bit.
        initial: the state at initialization.
    """
    deviations = {name: initial[name].double().std(correction=0) for name in ticket.mask}
    magnitudes = {
        name: torch.full_like(ticket.weights[name], float(deviation))
        for name, deviation in deviations.items()
    }
    return _with_prunable(ticket, magnitudes, ticket.weights)


def untrained(ticket: Ticket, initial: State) -> Ticket:
    """The same mask over the initial weights, from the beginning of the schedule.

    For the controls that train a mask instead of weights: the ticket's mask then says how many
    weights of each layer are kept, or are expected to be kept at the start. Pruned weights are
    zero.

    Args:
        ticket: whose mask is kept.
        initial: the state at initialization.
    """
    return replace(ticket, weights=initial, iteration=0, pruned=None)


def signs_scaled_constant(ticket: Ticket, fan_ins: Mapping[str, int]) -> Ticket:
    """The same mask and signs, with one magnitude for each layer by its fan-in and density.

    The magnitude is sqrt(2 / (fan-in * density of the layer)): He et al.'s deviation with the
    fan-in that is left (arXiv:1911.13299, section 4). A layer that keeps nothing has
    sqrt(2 / fan-in).

    Args:
        ticket: whose mask and signs of rewind weights are kept; a zero counts by its sign bit.
        fan_ins: how many weights each output of a layer has, from `lottery.core.fan_ins`.
    """
    magnitudes = {}
    for name, (kept, total) in ticket.mask.layers.items():
        weight = ticket.weights[name]
        density = kept / total if kept else 1.0
        magnitudes[name] = torch.full_like(weight, math.sqrt(2 / (fan_ins[name] * density)))
    return _with_prunable(ticket, magnitudes, ticket.weights)


def random_signs(ticket: Ticket, generator: torch.Generator) -> Ticket:
    """The same mask and magnitudes, with each weight's sign drawn anew, either with chance 1/2.

    Args:
        ticket: whose mask and magnitudes of rewind weights are kept.
        generator: a CPU generator; layers draw from it in sorted order of their names.
    """
    signs = {
        name: torch.randint(0, 2, ticket.weights[name].shape, generator=generator) - 0.5
        for name in ticket.mask
    }
    magnitudes = {name: ticket.weights[name].abs() for name in ticket.mask}
    return _with_prunable(ticket, magnitudes, signs)


def _drawn(initialize: Callable[[], nn.Module]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in initialize().state_dict().items()}


def _with_prunable(
    ticket: Ticket, magnitudes: Mapping[str, Tensor], signs: Mapping[str, Tensor]
) -> Ticket:
    """The ticket with these magnitudes and signs of its prunable weights, and all else its own."""
    weights = {name: value.copysign(signs[name]) for name, value in magnitudes.items()}
    return _with_weights(ticket, replace_weights(ticket.weights, weights))


def _with_weights(ticket: Ticket, weights: State) -> Ticket:
    """The ticket with other weights to go back to; what pruned weights are held at follows."""
    if ticket.pruned is None:
        return replace(ticket, weights=weights)
    pruned = {
        name: weights[name].masked_fill(value == 0, 0.0) for name, value in ticket.pruned.items()
    }
    return replace(ticket, weights=weights, pruned=pruned)
