"""Putting a ticket into a model, and comparing two."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

import lottery
from lottery.core import Mask
from lottery.errors import MaskError
from lottery.testing import tiny_job
from lottery.testing.samples import tiny_mlp
from lottery.tickets import Ticket, ticket_difference


def ticket() -> Ticket:
    job = tiny_job()
    return Ticket(mask=job.mask, weights=job.start)


def test_a_model_gets_the_ticket_and_the_mask_can_be_held() -> None:
    one, model = ticket(), tiny_mlp()
    mask = one.apply_to(model)
    assert mask == one.mask
    for name, value in model.state_dict().items():
        assert torch.equal(value, one.start()[name])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with lottery.hold(model, mask):
        model(torch.ones(2, 1, 3, 4)).sum().backward()
        optimizer.step()
    for name, kept in mask.items():
        assert not model.state_dict()[name][~kept].any()


def test_a_wrapped_model_is_understood() -> None:
    model = nn.DataParallel(tiny_mlp())
    ticket().apply_to(model)
    assert torch.equal(model.module.state_dict()["fc1.weight"], ticket().start()["fc1.weight"])


def test_every_difference_is_listed_and_nothing_changed() -> None:
    weights = dict(ticket().weights)
    weights["fc1.bias"] = weights["fc1.bias"].double()
    weights["output.bias"] = torch.zeros(9)
    weights["ghost.bias"] = weights.pop("fc2.bias")
    model = tiny_mlp()
    before = copy.deepcopy(model.state_dict())

    with pytest.raises(MaskError) as error:
        replace(ticket(), weights=weights).apply_to(model)

    assert str(error.value).splitlines()[1:] == [
        "  - fc2.bias is missing in the ticket",
        "  - ghost.bias is not in the model",
        "  - fc1.bias is float64 of shape (10,) in the ticket, float32 of shape (10,) in the model",
        "  - output.bias is float32 of shape (9,) in the ticket, float32 of shape (3,) "
        "in the model",
    ]
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_a_mask_of_a_buffer_is_refused() -> None:
    model = nn.BatchNorm1d(3)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    mask = Mask({"running_mean": torch.tensor([True, False, True])})
    with pytest.raises(MaskError, match="running_mean is masked, but no parameter"):
        Ticket(mask=mask, weights=weights).apply_to(model)


def test_a_tied_weight_is_pruned_under_both_names() -> None:
    model = nn.ModuleDict({"a": nn.Linear(3, 3, bias=False), "b": nn.Linear(3, 3, bias=False)})
    model["b"].weight = model["a"].weight
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    mask = Mask({"a.weight": torch.eye(3) > 0})
    Ticket(mask=mask, weights=weights).apply_to(model)
    assert not model.get_parameter("b.weight")[~mask["a.weight"]].any()


def test_a_ticket_differs_in_nothing_from_itself() -> None:
    found = ticket_difference(ticket(), ticket())
    assert found.is_none
    assert not found.provenance
    layer = found.layers["fc1.weight"]
    assert layer.first == layer.second == layer.both == layer.equal == layer.same_sign
    assert layer.jaccard == 1


def test_a_difference_by_hand() -> None:
    first = Ticket(
        mask=Mask({"a": torch.tensor([True, True, False, False])}),
        weights={
            "a": torch.tensor([1.0, 2, 3, 4]),
            "b": torch.tensor([1.0, 1]),
            "c": torch.ones(1),
        },
        provenance={"level": 1, "seed": 0},
    )
    second = Ticket(
        mask=Mask({"a": torch.tensor([True, False, True, False])}),
        weights={"a": torch.tensor([-1.0, 2, 3, 4]), "b": torch.tensor([1.0, 2])},
        iteration=5,
        provenance={"level": 2, "seed": 0},
    )
    found = ticket_difference(first, second)
    layer = found.layers["a"]
    assert (layer.total, layer.first, layer.second, layer.both) == (4, 2, 2, 1)
    assert (layer.equal, layer.same_sign) == (0, 0)
    # Of 6 masks of two in four, the other has 0, 1 or 2 in common with 1, 4 and 1 of them.
    assert layer.by_chance == 1
    assert layer.z == 0
    assert layer.jaccard == pytest.approx(1 / 3)
    assert found.unlike == {
        "b": "1 of 2 values differ",
        "c": "float32 of shape (1,) in the first, missing in the second",
    }
    assert found.provenance == {"level": (1, 2), "iteration": (0, 5)}
    assert not found.is_none


def test_how_far_from_chance_is_in_exact_standard_deviations() -> None:
    """Against all masks of so many weights, counted one by one."""
    from itertools import combinations

    first = {0, 1, 2}
    overlaps = [len(first & set(other)) for other in combinations(range(7), 4)]
    mean = sum(overlaps) / len(overlaps)
    variance = sum((one - mean) ** 2 for one in overlaps) / len(overlaps)
    masks = [torch.tensor([n in kept for n in range(7)]) for kept in (first, {0, 1, 2, 3})]
    tickets = [Ticket(mask=Mask({"a": kept}), weights={"a": torch.ones(7)}) for kept in masks]
    layer = ticket_difference(*tickets).layers["a"]
    assert layer.by_chance == pytest.approx(mean)
    assert layer.z == pytest.approx((3 - mean) / variance**0.5)


def test_another_shape_is_told() -> None:
    first = ticket()
    weights = {**first.weights, "fc1.weight": torch.ones(2, 2)}
    mask = Mask({**first.mask, "fc1.weight": torch.ones(2, 2, dtype=torch.bool)})
    found = ticket_difference(first, replace(first, mask=mask, weights=weights))
    assert "float32 of shape (2, 2), masked in the second" in found.unlike["fc1.weight"]
