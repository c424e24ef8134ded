"""What survivors go on from, and what pruned weights keep."""

from __future__ import annotations

from dataclasses import replace

import torch

from lottery.core import Mask
from lottery.testing import tiny_job
from lottery.testing.expect import same_bytes
from lottery.tickets import Ticket, last_trained, pruned_values, random_mask
from lottery.tickets.rewinding import are_tied, replace_weights
from lottery.training import State


def dense() -> Ticket:
    job = tiny_job(density=1.0)
    return Ticket(mask=job.mask, weights=job.start)


def moved(state: State, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {n: v + 0.3 * torch.randn(v.shape, generator=generator) for n, v in state.items()}


def half_of(mask: Mask, seed: int) -> Mask:
    generator = torch.Generator().manual_seed(seed)
    return Mask({n: k & (torch.rand(k.shape, generator=generator) < 0.5) for n, k in mask.items()})


def test_pruned_weights_have_the_value_they_were_last_trained_to() -> None:
    """Two levels by hand: what level 1 pruned comes from level 0, what level 2 prunes from 1."""
    first = dense()
    end_0 = moved(first.weights, 0)
    level_1 = Ticket(mask=half_of(first.mask, 1), weights=last_trained(first, end_0))
    end_1 = level_1.mask.apply(moved(level_1.start(), 2))
    weights = last_trained(level_1, end_1)

    for name, kept in level_1.mask.items():
        assert same_bytes(weights[name][kept], end_1[name][kept])
        assert same_bytes(weights[name][~kept], end_0[name][~kept])
    for name in set(weights) - set(first.mask):
        assert same_bytes(weights[name], end_1[name]), "biases and buffers stay trained"

    level_2 = Ticket(mask=half_of(level_1.mask, 3), weights=weights)
    control = random_mask(level_2, torch.Generator().manual_seed(0))
    start = control.start()
    for name, kept in control.mask.items():
        assert bool(start[name][kept].all()), "no enabled weight starts at zero"


def test_frozen_weights_are_at_the_rewind_point() -> None:
    first = dense()
    held = pruned_values(
        "frozen", before=first, trained=moved(first.weights, 0), rewound=first.weights
    )
    ticket = Ticket(mask=half_of(first.mask, 1), weights=first.weights, pruned=held)

    start = ticket.start()
    assert all(same_bytes(start[name], first.weights[name]) for name in start)


def test_the_mixed_rule_by_loop_over_two_levels() -> None:
    """Each weight is judged by the training that decided on its pruning."""
    first = dense()
    end_0 = moved(first.weights, 0)
    held_1 = pruned_values("mixed", before=first, trained=end_0, rewound=first.weights)
    level_1 = Ticket(mask=half_of(first.mask, 1), weights=first.weights, pruned=held_1)
    end_1 = moved(first.weights, 2)
    held_2 = pruned_values("mixed", before=level_1, trained=end_1, rewound=first.weights)

    values = set()
    for name, kept in level_1.mask.items():
        for i, alive in enumerate(kept.flatten().tolist()):
            initial = float(first.weights[name].flatten()[i])
            end = float((end_1 if alive else end_0)[name].flatten()[i])
            expected = 0.0 if abs(end) < abs(initial) else initial
            assert float(held_2[name].flatten()[i]) == expected
            values.add((alive, expected == 0.0))
    assert len(values) == 4, "both rules were seen at both levels"


def test_what_is_kept_starts_from_its_weights_whatever_is_held() -> None:
    first = dense()
    ticket = replace(
        first,
        mask=half_of(first.mask, 1),
        pruned={name: torch.full_like(first.weights[name], 7.0) for name in first.mask},
    )

    start = ticket.start()
    for name, kept in ticket.mask.items():
        assert same_bytes(start[name][kept], first.weights[name][kept])
        assert bool((start[name][~kept] == 7.0).all())


def test_a_tied_weight_is_replaced_under_all_its_names() -> None:
    weight, other = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 3.0]])
    state = {"a": weight, "b": weight.clone(), "c": other, "d": torch.ones(2)}
    new = torch.zeros(1, 2)

    found = replace_weights(state, {"a": new})

    assert found["a"] is found["b"] is new
    assert found["c"] is other
    assert found["d"] is state["d"]
    assert state["a"] is weight
    twins = replace_weights(state, {"a": new, "b": other})
    assert (twins["a"], twins["b"]) == (new, other)


def test_equal_constants_are_no_tied_weight() -> None:
    state = {"first.weight": torch.ones(3), "second.weight": torch.ones(3), "empty": torch.ones(0)}
    found = replace_weights(state, {"first.weight": torch.zeros(3)})
    assert found["second.weight"] is state["second.weight"]
    assert not are_tied(state["empty"], torch.ones(0))
    assert not are_tied(torch.arange(3), torch.arange(3.0))
    assert are_tied(torch.arange(3), torch.arange(3))


def test_nothing_given_is_changed() -> None:
    first = dense()
    trained = moved(first.weights, 0)
    copies = (
        {n: v.clone() for n, v in first.weights.items()},
        {n: v.clone() for n, v in trained.items()},
    )

    last_trained(first, trained)
    held = pruned_values("mixed", before=first, trained=trained, rewound=first.weights)
    for value in held.values():
        value.zero_()

    assert all(same_bytes(first.weights[n], copies[0][n]) for n in copies[0])
    assert all(same_bytes(trained[n], copies[1][n]) for n in copies[1])
