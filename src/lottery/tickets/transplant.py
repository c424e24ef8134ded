"""Transplanting a ticket into the network of another task."""

from __future__ import annotations

import torch

from lottery.core import Mask
from lottery.errors import MaskError
from lottery.tickets.ticket import Ticket, describe_tensor


def transplant(given: Ticket, dense: Ticket) -> Ticket:
    """A ticket found on another task, as a ticket of this task's network.

    Masks, kept weights and parameters that masks do not cover are taken from the ticket. Its pruned
    weights, which a ticket's file does not hold, start from this network's initialization. So do
    layers with another number of outputs (a new head). These, and layers that
    the ticket has no mask of, are not pruned. Training starts at
    iteration 0, even if the ticket's weights were rewound to a later iteration of its own training.

    Args:
        given: the ticket as it was found, or read from a file; its pruned weights are zero.
        dense: the ticket of this task's dense network, at initialization.

    Raises:
        MaskError: the ticket does not fit such a network; lists every difference.
    """
    if wrong := _differences(given, dense):
        listed = "".join(f"\n  - {problem}" for problem in wrong)
        raise MaskError(f"the ticket does not fit the network:{listed}")
    weights, kept = dict(dense.weights), dict(dense.mask)
    for name in weights.keys() - set(new_outputs(given, dense)):
        there = given.weights[name]
        if name in given.mask:
            kept[name] = given.mask[name]
            there = torch.where(kept[name], there, weights[name])
        weights[name] = there
    return Ticket(mask=Mask(kept), weights=weights)


def new_outputs(given: Ticket, dense: Ticket) -> tuple[str, ...]:
    """The parameters that differ from the ticket's in their number of outputs alone."""
    return tuple(
        name
        for name, here in dense.weights.items()
        if name in given.weights
        and here.dim()
        and here.dim() == given.weights[name].dim()
        and here.shape[1:] == given.weights[name].shape[1:]
        and here.shape[0] != given.weights[name].shape[0]
    )


def _differences(given: Ticket, dense: Ticket) -> list[str]:
    """What of a ticket cannot be put into a network, one phrase each."""
    ours, new = dense.weights, new_outputs(given, dense)
    wrong = [f"{name} is missing in the ticket" for name in ours if name not in given.weights]
    wrong += [f"{name} is not in the network" for name in given.weights if name not in ours]
    wrong += [
        f"{name} is {describe_tensor(given.weights[name])} in the ticket, "
        f"{describe_tensor(value)} in the network"
        for name, value in ours.items()
        if name in given.weights
        and name not in new
        and describe_tensor(given.weights[name]) != describe_tensor(value)
    ]
    if len({name.rpartition(".")[0] for name in new}) > 1:
        wrong += [
            f"{name} has another number of outputs, and is not the only layer" for name in new
        ]
    wrong += [
        f"{name} is masked in the ticket alone" for name in given.mask if name not in dense.mask
    ]
    if not given.mask.kept:
        wrong.append("it keeps no weight")
    if given.pruned is not None:
        wrong.append("its pruned weights are held at other values than zero")
    if not wrong and set(given.mask) <= set(new):
        wrong.append("no mask of the ticket is of a layer of the network")
    return wrong
