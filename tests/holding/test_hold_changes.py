"""Masks that change while they are held, steps that are counted, and values other than zero."""

from __future__ import annotations

import held_training as plain
import pytest
import torch
from torch import Tensor, nn

from lottery import hold
from lottery.errors import MaskError

optim = torch.optim


def test_steps_are_those_of_the_slowest_optimizer() -> None:
    model = plain.network()
    mask = plain.half(model)
    slow, fast = (optim.SGD(model[i].parameters(), lr=0.1) for i in (0, 3))
    seen: list[int] = []
    with hold(model, mask, at={2: lambda: seen.append(held.steps)}) as held:
        for number, (inputs, targets) in enumerate(plain.batches()):
            nn.functional.cross_entropy(model(inputs), targets).backward()
            fast.step()
            if number % 2:
                slow.step()
            assert held.steps == (number + 1) // 2
    assert seen == [2]


@pytest.mark.parametrize("matrices_first", [True, False])
def test_a_snapshot_is_taken_when_all_of_the_step_is_done(matrices_first: bool) -> None:
    model = plain.network()
    mask = plain.half(model)
    parameters = [[p for p in model.parameters() if (p.dim() == 2) == m] for m in (True, False)]
    optimizers = [
        optim.SGD(p, lr=0.1) for p in (parameters if matrices_first else parameters[::-1])
    ]
    snapshots: dict[int, dict[str, Tensor]] = {}

    def keep() -> None:
        snapshots[held.steps] = {n: v.clone() for n, v in model.state_dict().items()}

    with hold(model, mask, at={1: keep, 3: keep}) as held:
        for number, (inputs, targets) in enumerate(plain.batches(), 1):
            nn.functional.cross_entropy(model(inputs), targets).backward()
            for optimizer in optimizers:
                optimizer.step()
            if number in (1, 3):
                for name, value in model.state_dict().items():
                    assert torch.equal(snapshots[number][name], value), name
    assert set(snapshots) == {1, 3}


def test_step_0_is_the_masked_start() -> None:
    model = plain.network()
    mask, seen = plain.half(model), []
    hold(model, mask, at={0: lambda: seen.append(model.first.detach().clone())}).release()
    assert torch.equal(seen[0], plain.network().first * mask["0.weight"])


def test_a_weight_that_grows_starts_at_zero_without_a_past() -> None:
    model = plain.network()
    first = plain.half(model)
    second = {name: ~kept for name, kept in first.items()}
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    with hold(model, first) as held:
        plain.train(model, [optimizer])
        held.change(second)
        for name, value in plain.pruned_entries(model, second, [optimizer]).items():
            assert not value.any(), name
        for name, value in plain.pruned_entries(model, first, [optimizer]).items():
            assert not value.any(), name
        plain.train(model, [optimizer])
        with pytest.raises(MaskError, match=r"'0\.weight' is missing"):
            held.change({"3.weight": first["3.weight"]})
    assert model.first[second["0.weight"]].any()
    assert not model.first[first["0.weight"]].any()


def test_unmasked_gradients_are_summed_where_asked_for() -> None:
    model = plain.network()
    mask = plain.half(model)
    (a, b, *_) = plain.batches()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in mask:
                weight.mul_(mask[name])
    loss = sum(nn.functional.cross_entropy(model(x), y) for x, y in (a, b))
    wanted = torch.autograd.grad(loss, [model.first, model[3].weight])  # type: ignore[arg-type]
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with hold(model, mask) as held:
        assert not held.gradients()
        held.record_gradients()
        for inputs, targets in (a, b):
            nn.functional.cross_entropy(model(inputs), targets).backward()
        assert model.first.grad is not None
        assert not model.first.grad[~mask["0.weight"]].any()
        optimizer.step()
        found = held.gradients()
        assert not held.gradients()
    for name, gradient in zip(("0.weight", "3.weight"), wanted, strict=True):
        torch.testing.assert_close(found[name], gradient)


def test_pruned_weights_at_other_values() -> None:
    """They are part of the network and never move; momentum and decay know nothing of them."""
    model = plain.network()
    mask = plain.half(model)
    values = {name: torch.randn(kept.shape) for name, kept in mask.items()}
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    with hold(model, mask, values=values):
        for inputs, targets in plain.batches():
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
            optimizer.zero_grad()
            for name, weight in model.named_parameters():
                if name in mask:
                    assert torch.equal(weight[~mask[name]], values[name][~mask[name]])
                    momentum = optimizer.state[weight]["momentum_buffer"]
                    assert not momentum[~mask[name]].any()
                    assert momentum[mask[name]].any()
    with pytest.raises(MaskError, match=r"'3\.weight' is not among"):
        hold(model, mask, values={"0.weight": values["0.weight"]})
