"""What loops do beside steps: accumulating, clipping, mixed precision, averaging, compiling."""

from __future__ import annotations

import copy
import threading
from typing import Any

import held_training as plain
import pytest
import torch
from torch import Tensor, nn

from lottery import Hold, Mask, hold
from lottery.core import prunable_weights
from lottery.core.names import clean_name

optim = torch.optim


def zero(model: nn.Module, mask: dict[str, Tensor], *optimizers: optim.Optimizer) -> bool:
    return not any(v.any() for v in plain.pruned_entries(model, mask, optimizers).values())


def loss_of(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(inputs), targets)


def test_accumulated_and_clipped_gradients_are_those_of_the_subnetwork() -> None:
    model = plain.network()
    mask = plain.half(model)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with hold(model, mask) as held:
        for number, (inputs, targets) in enumerate(plain.batches(), 1):
            loss_of(model, inputs, targets).backward()
            assert zero(model, mask, optimizer)
            if number % 3 == 0:
                gradients = [p.grad for p in model.parameters() if p.grad is not None]
                kept = [
                    g[mask[n]] if n in mask else g
                    for (n, _), g in zip(model.named_parameters(), gradients, strict=True)
                ]
                norm = torch.cat([g.flatten() for g in kept]).norm()
                torch.testing.assert_close(nn.utils.clip_grad_norm_(model.parameters(), 0.1), norm)
                optimizer.step()
                optimizer.zero_grad()
    assert held.steps == plain.STEPS // 3
    assert zero(model, mask, optimizer)


@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_a_gradient_scaler_leaves_out_do_not_count(fused: bool) -> None:
    model = plain.network()
    mask = plain.half(model)
    optimizer = optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    seen = []
    with hold(model, mask, at={n: lambda: seen.append(held.steps) for n in range(1, 9)}) as held:
        for number, (inputs, targets) in enumerate(plain.batches()):
            optimizer.zero_grad()
            scaled = scaler.scale(loss_of(model, inputs, targets))
            (scaled * (float("inf") if number % 3 == 0 else 1.0)).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            before = model.first.detach().clone()
            scaler.step(optimizer)
            scaler.update()
            assert torch.equal(before, model.first) == (number % 3 == 0)
            optimizer.zero_grad()  # clipping to a norm that is infinite makes NaN of everything
            assert zero(model, mask, optimizer)
    assert held.steps == plain.STEPS * 2 // 3
    assert seen == [1, 2, 3, 4]


def test_an_infinite_gradient_of_a_pruned_weight_leaves_no_step_out() -> None:
    model = nn.Linear(2, 1, bias=False)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    with hold(model, {"weight": torch.tensor([[True, False]])}) as held:
        scaler.scale(
            (model.weight * torch.tensor([[1.0, float("inf")]])).nan_to_num().sum()
        ).backward()
        scaler.step(optimizer)
        scaler.update()
    assert held.steps == 1
    assert model.weight.isfinite().all()


def test_an_average_of_the_weights_is_sparse_too() -> None:
    model = plain.network()
    mask = plain.half(model)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=plain.STEPS)
    with hold(model, mask):
        average = optim.swa_utils.AveragedModel(
            model, multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.9)
        )
        for inputs, targets in plain.batches():
            optimizer.zero_grad()
            loss_of(model, inputs, targets).backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(model)
    averaged = {clean_name(name): p for name, p in average.named_parameters()}
    assert all(not averaged[name][~kept].any() for name, kept in mask.items())
    assert all(averaged[name][kept].any() for name, kept in mask.items())


def test_a_compiled_model_under_its_own_names_or_the_models() -> None:
    # Without code generation, which takes half a minute and changes nothing that a mask is held by.
    model = plain.network()
    compiled: Any = torch.compile(model, backend="aot_eager")
    mask = {f"_orig_mod.{name}": kept for name, kept in plain.half(model).items()}
    optimizer = optim.AdamW(compiled.parameters(), lr=0.01)
    for held_in, names in ((compiled, mask), (compiled, plain.half(model)), (model, mask)):
        with hold(held_in, names):
            for inputs, targets in plain.batches():
                optimizer.zero_grad()
                loss_of(compiled, inputs, targets).backward()
                optimizer.step()
        assert zero(model, plain.half(model), optimizer)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.out = nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.out(self.second(self.first(inputs).tanh()).tanh())
        return hidden


@pytest.mark.parametrize("name", ["first.weight", "second.weight"])
def test_a_tied_weight_by_either_name(name: str) -> None:
    model = Tied()
    kept = torch.eye(6, dtype=torch.bool)
    optimizer = optim.AdamW(model.parameters())
    with hold(model, {name: kept}):
        plain.train(model, [optimizer])
    assert zero(model, {"first.weight": kept}, optimizer)


def test_an_attribute_may_be_called_module() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(6, 3)
            self.weight = nn.Parameter(torch.ones(6))

        def forward(self, inputs: Tensor) -> Tensor:
            outputs: Tensor = self.module(inputs * self.weight)
            return outputs

    model = Odd()
    mask = {
        "module.weight": torch.arange(18).view(3, 6) % 2 == 0,
        "weight": torch.arange(6) > 2,
    }
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with hold(model, mask):
        plain.train(model, [optimizer])
    assert zero(model, mask, optimizer)


def test_a_model_that_is_moved_to_another_precision_inside() -> None:
    model = plain.network()
    mask = plain.half(model)
    with hold(model, mask):
        model.double()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        plain.train(model, [optimizer])
    assert zero(model, mask, optimizer)
    assert model.first.dtype == torch.float64


def test_gradients_that_no_hook_sees() -> None:
    """From autograd.grad, with noise, or by hand: what comes of them is gone after the step."""
    model = plain.network()
    mask = plain.half(model)
    optimizer = optim.AdamW(model.parameters())
    with hold(model, mask):
        for inputs, targets in plain.batches():
            parameters = list(model.parameters())
            slopes = torch.autograd.grad(loss_of(model, inputs, targets), parameters)
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter.grad = slope + 0.1
            optimizer.step()
            for name, value in plain.pruned_entries(model, mask, [optimizer]).items():
                assert "gradient" in name or not value.any(), name


def test_copies_and_states_are_plain() -> None:
    model = plain.network()
    names = set(model.state_dict())
    with hold(model, plain.half(model)):
        copied = copy.deepcopy(model)
        assert set(model.state_dict()) == names
        assert not copied.first._backward_hooks
        plain.train(model, [optim.SGD(model.parameters(), lr=0.1)])
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    plain.train(model, [optimizer])
    # Nothing is held any more.
    assert not zero(model, plain.half(model), optimizer)


def test_several_trainings_in_threads_of_one_process() -> None:
    found: dict[int, bool] = {}

    def one(seed: int) -> None:
        model = plain.network()
        mask = plain.half(model, seed)
        optimizer = optim.AdamW(model.parameters())
        for _ in range(5):
            with hold(model, mask) as held:
                plain.train(model, [optimizer])
        found[seed] = zero(model, mask, optimizer) and held.steps == plain.STEPS

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), True)


def test_a_lottery_mask_and_layers_of_other_kinds() -> None:
    model = nn.LSTM(4, 5)
    weights = prunable_weights(model)
    mask = Mask({n: torch.rand(w.shape) < 0.5 for n, w in weights.items()})
    optimizer = optim.RMSprop(model.parameters())
    with hold(model, mask):
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(3, 2, 4))[0].sum().backward()
            optimizer.step()
    assert zero(model, dict(mask), optimizer)


@pytest.mark.parametrize("clipped", [False, True])
def test_state_is_cleared_where_it_may_have_to_be(
    clipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes time, and gradients that nothing touched since they were masked need none of it."""
    cleared: list[optim.Optimizer] = []
    clear = Hold._clear_state

    def noting(held: Hold, optimizer: optim.Optimizer) -> None:
        cleared.append(optimizer)
        clear(held, optimizer)

    monkeypatch.setattr(Hold, "_clear_state", noting)
    model = plain.network()
    mask, optimizer = plain.half(model), optim.AdamW(model.parameters())
    plain.train(model, [optimizer])
    dense = copy.deepcopy(optimizer.state_dict())
    with hold(model, mask):
        for inputs, targets in plain.batches():
            optimizer.zero_grad()
            loss_of(model, inputs, targets).backward()
            if clipped:
                nn.utils.clip_grad_norm_(model.parameters(), 1e9)
            optimizer.step()
        assert len(cleared) == (plain.STEPS if clipped else 1)
        optimizer.load_state_dict(copy.deepcopy(dense))
        assert not zero(model, mask, optimizer)
        plain.train(model, [optimizer])
        assert zero(model, mask, optimizer)
    optimizer.load_state_dict(dense)
    assert not zero(model, mask, optimizer)
