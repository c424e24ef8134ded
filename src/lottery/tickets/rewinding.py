"""The weights that survivors are rewound to, and the values of pruned ones: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from lottery.tickets.ticket import Ticket
from lottery.training import State


def replace_weights(state: State, weights: Mapping[str, Tensor]) -> State:
    """A state with some of its weights replaced, tied weights under all of their names.

    A tied weight has one name in a mask and several in a state; see `are_tied`.

    Args:
        state: a ``state_dict``; it is not changed.
        weights: names in it -> new values, of the same shape.
    """
    found = dict(state)
    for name, value in weights.items():
        for other, old in state.items():
            if other == name or (other not in weights and are_tied(old, state[name])):
                found[other] = value
    return found


def are_tied(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of a state are taken for one tied weight under two names.

    A state does not tell, so that tensors of one type with equal values are; not those with one
    value in all places, which two layers may well have, such as the scales of two normalizations.
    """
    if one.dtype != other.dtype or not torch.equal(one, other):
        return False
    return bool((one != one.flatten()[:1]).any())


def last_trained(before: Ticket, trained: State) -> State:
    """The state at the end of a training, pruned weights as they were when last trained.

    Learning-rate rewinding and fine-tuning (Renda et al. 2020, arXiv:2003.02389, section 2) start
    from it. In ``trained`` the weights pruned before are zero; a control that enables one of them
    needs the value it had when it was pruned.

    Args:
        before: the ticket that was trained. Its own pruned weights, made by the same rule, have
            the values they were last trained to.
        trained: the state at the end of that training.
    """
    weights = {
        name: torch.where(kept, trained[name], before.weights[name])
        for name, kept in before.mask.items()
    }
    return replace_weights(trained, weights)


def pruned_values(
    rule: Literal["frozen", "mixed"], *, before: Ticket, trained: State, rewound: State
) -> dict[str, Tensor]:
    """The value each weight is held at while it is pruned (Zhou et al. 2019, arXiv:1905.01067).

    Section 3 of the paper asks whether pruned weights have to be zero. ``frozen`` leaves them at
    the value that survivors are rewound to, in the paper the initial one. ``mixed`` does so only
    for weights whose magnitude did not shrink in training, and sets those that moved towards zero
    to zero. The training that counts is the one that decided on the weight's pruning.

    Args:
        rule: ``frozen`` or ``mixed``.
        before: the ticket of the level before; with ``mixed``, weights it had pruned keep the value
            they have there.
        trained: the trained weights that decide the new mask.
        rewound: the state that survivors are rewound to.

    Returns:
        Parameter name -> tensor of the weight's shape, for every layer of the mask; an entry of a
        weight that is kept is the value it would have if it were pruned now.
    """
    if rule == "frozen":
        return {name: rewound[name].clone() for name in before.mask}
    found = {}
    for name, kept in before.mask.items():
        shrunk = trained[name].abs() < rewound[name].abs()
        value = rewound[name].masked_fill(shrunk, 0.0)
        earlier = value if before.pruned is None else before.pruned[name]
        found[name] = torch.where(kept, value, earlier)
    return found
