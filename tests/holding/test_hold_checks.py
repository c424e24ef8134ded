"""What a hold refuses, and what it finds when it ends."""

from __future__ import annotations

import copy
import gc
import weakref

import held_training as plain
import pytest
import torch
from torch import nn

from lottery import Hold, hold, holding
from lottery.errors import MaskError, UsageError

optim = torch.optim


def sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1)


def test_a_copy_was_trained() -> None:
    model = plain.network()
    trained = copy.deepcopy(model)
    with (
        pytest.raises(
            MaskError, match=r"0\.weight, 3\.weight were moved by no optimizer\. Train the very"
        ),
        hold(model, plain.half(model)),
    ):
        plain.train(trained, [sgd(trained)])


def test_weights_were_replaced() -> None:
    model = plain.network()

    def replacing() -> None:
        with hold(model, plain.half(model)):
            model.load_state_dict(plain.network().state_dict(), assign=True)
            plain.train(model, [sgd(model)])

    with pytest.raises(
        MaskError, match=r"were replaced .* Use load_state_dict without assign=True"
    ):
        replacing()


def test_a_layer_was_exchanged_and_another_left_out() -> None:
    model = plain.network()

    def exchanging() -> None:
        with hold(model, plain.half(model)):
            model[3] = nn.Linear(8, 3)
            plain.train(model, [sgd(model[3])])

    with pytest.raises(MaskError, match=r"3\.weight were replaced.*; 0\.weight were moved by no"):
        exchanging()


def test_something_else_wrote_to_a_pruned_weight() -> None:
    model = plain.network()

    def writing() -> None:
        with hold(model, plain.half(model)):
            plain.train(model, [sgd(model)])
            model.first.data.add_(1.0)

    with pytest.raises(MaskError, match=r"0\.weight are no longer held .* average weights before"):
        writing()


def test_what_is_frozen_needs_no_optimizer_and_may_be_trained_later() -> None:
    model, mask = plain.network(), plain.half(plain.network())
    first, last = model.first.requires_grad_(False), sgd(model[3])
    with hold(model, mask):
        plain.train(model, [last])
        assert not first.requires_grad
    with hold(model, mask):
        first.requires_grad_(True)
        plain.train(model, [last, sgd(model[0])])
        assert first.grad is not None
        assert not first.grad[~mask["0.weight"]].any()


def test_a_training_that_diverged_is_no_fault_of_the_mask() -> None:
    model = plain.network()
    with hold(model, plain.half(model)) as held:
        plain.train(model, [optim.SGD(model.parameters(), lr=float("inf"))])
    assert model.first.isnan().any()
    assert not held.problems()


def test_an_error_in_the_block_goes_through() -> None:
    model = plain.network()
    with pytest.raises(ZeroDivisionError), hold(model, plain.half(model)):
        _ = 1 / 0
    assert not holding._holds


def test_a_mask_that_does_not_fit() -> None:
    model = plain.network()
    kept = plain.half(model)["0.weight"]
    with pytest.raises(MaskError, match=r"'fc\.weight' is not among"):
        hold(model, {"fc.weight": kept})
    with pytest.raises(MaskError, match=r"'3\.weight' has shape \(8, 6\), its weight \(3, 8\)"):
        hold(model, {"3.weight": kept})
    with pytest.raises(MaskError, match=r"expected a bool tensor, got torch\.float32"):
        hold(model, {"0.weight": kept.float()})
    with pytest.raises(MaskError, match="expected a mask: name -> bool tensor, got NoneType"):
        hold(model, sgd(model))
    with pytest.raises(UsageError, match="expected the model to hold a mask in, got dict"):
        hold({}, {"0.weight": kept})  # type: ignore[arg-type]
    assert not holding._holds


def test_a_tied_weight_named_twice() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    kept = torch.eye(2, dtype=torch.bool)
    with pytest.raises(MaskError, match="name tied weights once only"):
        hold(model, {"a.weight": kept, "b.weight": kept})


def test_one_optimizer_without_a_block() -> None:
    model = plain.network()
    mask, optimizer = plain.half(model), sgd(model)
    held = hold(model, optimizer, mask)
    assert isinstance(held, Hold)
    assert not holding._holds
    plain.train(model, [optimizer])
    assert held.steps == plain.STEPS
    assert not model.first[~mask["0.weight"]].any()
    assert not held.problems()
    held.release()
    plain.train(model, [optimizer])
    assert model.first[~mask["0.weight"]].any()
    assert held.steps == plain.STEPS


def test_without_a_block_it_goes_on_until_released() -> None:
    model = plain.network()
    held = hold(model, mask=plain.half(model))
    plain.train(model, [sgd(model)])
    assert not model.first[~plain.half(model)["0.weight"]].any()
    held.release()
    held.release()
    assert not holding._holds


def test_nothing_keeps_a_model_alive() -> None:
    model = plain.network()
    optimizer = sgd(model)
    hold(model, optimizer, plain.half(model))
    with hold(model, plain.half(model)):
        plain.train(model, [optimizer])
    gone = weakref.ref(model.first)
    del model, optimizer
    gc.collect()
    assert gone() is None
