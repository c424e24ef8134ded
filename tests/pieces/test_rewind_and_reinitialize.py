"""Putting a model back to a state, and drawing new weights for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from kinds_of_networks import COVERED, Conv1D, Embedded, frozen
from torch import Tensor, nn

import lottery
from lottery.errors import MaskError, UsageError
from lottery.models import INITIALIZATIONS, kaiming_normal_

State = dict[str, Tensor]


def network() -> nn.Sequential:
    """Convolution, batch norm and a linear layer."""
    layers = nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    return nn.Sequential(*layers)


def state_of(model: nn.Module) -> State:
    return {name: value.clone() for name, value in model.state_dict().items()}


def trained(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 1, 3, 4)).square().sum().backward()
        optimizer.step()


def equal(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(3)


def test_a_rewound_model_is_bit_equal_in_place_and_pruned() -> None:
    model = network()
    start, parameters = state_of(model), [*model.parameters()]
    trained(model)
    mask = lottery.prune(model, 0.5)
    end = state_of(model)
    lottery.rewind(model, start)
    assert equal(state_of(model), start)
    lottery.rewind(model, end)
    assert equal(state_of(model), end)
    lottery.rewind(model, start, mask)
    for name, value in model.state_dict().items():
        expected = start[name] * mask[name] if name in mask else start[name]
        assert torch.equal(value, expected), name
    assert all(now is then for now, then in zip(model.parameters(), parameters, strict=True))
    assert lottery.density(model) == mask.density


WRAPPED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "data-parallel": nn.DataParallel,
    "compiled": lambda model: _module(torch.compile(model)),
    "both": lambda model: _module(torch.compile(nn.DataParallel(model))),
}


def _module(model: object) -> nn.Module:
    assert isinstance(model, nn.Module)
    return model


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", WRAPPED)
def test_states_of_wrapped_and_plain_models_fit_one_another(kind: str) -> None:
    model = network()
    wrapped = WRAPPED[kind](model)
    plain, of_wrapped = state_of(model), state_of(wrapped)
    mask = lottery.prune(wrapped, 0.5)
    trained(model)
    lottery.rewind(wrapped, plain)
    assert equal(state_of(model), plain)
    trained(model)
    lottery.rewind(model, of_wrapped, {f"module._orig_mod.{n}": kept for n, kept in mask.items()})
    assert lottery.density(wrapped) == 0.5
    lottery.reinitialize(wrapped, seed=4, mask=mask)
    first = state_of(model)
    lottery.reinitialize(model, seed=4, mask=mask)
    assert equal(state_of(model), first)


def test_what_does_not_fit_is_listed_and_nothing_is_changed() -> None:
    model = network()
    before = state_of(model)
    state = state_of(model)
    del state["0.bias"], state["1.weight"]
    state["9.weight"] = torch.ones(2)
    state["4.weight"] = torch.ones(3, 5)
    state["4.bias"] = torch.ones(3, dtype=torch.float64)
    with pytest.raises(UsageError) as error:
        lottery.rewind(model, state)
    message = str(error.value)
    assert "0.bias, 1.weight missing" in message
    assert "9.weight unknown" in message
    assert "4.weight is torch.float32 of shape (3, 5), in the model torch.float32 of (3, 24)" in (
        message
    )
    assert "4.bias is torch.float64" in message
    with pytest.raises(MaskError, match="does not fit the model"):
        lottery.rewind(model, before, {"4.weight": torch.ones(2, dtype=torch.bool)})
    with pytest.raises(MaskError, match="does not fit the model"):
        lottery.reinitialize(model, seed=1, mask={"x": torch.ones(2, dtype=torch.bool)})
    assert equal(state_of(model), before)


def test_a_state_that_was_not_copied_is_told() -> None:
    model = network()
    state = model.state_dict()
    trained(model)
    with pytest.raises(UsageError, match=r"are the model's own memory.*value\.clone\(\)"):
        lottery.rewind(model, state)


def test_new_weights_are_those_of_a_new_network() -> None:
    model = network()
    trained(model)
    model(torch.randn(8, 1, 3, 4))
    before, rng = state_of(model), torch.get_rng_state()
    lottery.reinitialize(model, seed=5)
    first = state_of(model)
    assert torch.equal(torch.get_rng_state(), rng)
    assert not any(torch.equal(first[n], before[n]) for n in ("0.weight", "0.bias", "4.weight"))
    assert equal(state_of(model[1]), state_of(nn.BatchNorm2d(4)))
    lottery.reinitialize(model, seed=5)
    assert equal(state_of(model), first)
    lottery.reinitialize(model, generator=torch.Generator().manual_seed(5))
    assert equal(state_of(model), first)
    lottery.reinitialize(model, seed=6)
    assert not torch.equal(model.state_dict()["0.weight"], first["0.weight"])
    bound = 24**-0.5
    assert model.state_dict()["4.weight"].abs().max() <= bound
    generator = torch.Generator().manual_seed(5)
    lottery.reinitialize(model, generator=generator)
    again = state_of(model)
    lottery.reinitialize(model, generator=generator)
    assert not torch.equal(model.state_dict()["0.weight"], again["0.weight"])


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_a_named_initialization_is_that_of_experiments(name: str) -> None:
    model, expected = network(), network()
    trained(model)
    lottery.reinitialize(model, seed=2, initialization=name)
    INITIALIZATIONS[name](expected, torch.Generator().manual_seed(2))
    for key in ("0.weight", "0.bias", "4.weight", "4.bias", "1.running_mean", "1.running_var"):
        assert torch.equal(model.state_dict()[key], expected.state_dict()[key]), key


def test_pruned_weights_are_zero_and_the_rest_is_drawn_alike() -> None:
    model = network()
    mask = lottery.prune(model, 0.5)
    lottery.reinitialize(model, seed=1)
    whole = state_of(model)
    lottery.reinitialize(model, seed=1, mask=mask)
    assert all(torch.equal(model.state_dict()[name], whole[name] * mask[name]) for name in mask)


def test_frozen_parameters_stay() -> None:
    model = frozen((1, 3, 4), 3)
    before = state_of(model)
    for initialization in (None, "kaiming-normal", kaiming_normal_):
        lottery.reinitialize(model, seed=1, initialization=initialization)
        assert torch.equal(model.state_dict()["1.weight"], before["1.weight"])
        assert not torch.equal(model.state_dict()["3.weight"], before["3.weight"])
    norm = nn.Sequential(nn.BatchNorm1d(2).requires_grad_(False), nn.Linear(2, 2))
    norm(torch.randn(4, 2))
    mean = norm.state_dict()["0.running_mean"].clone()
    for initialization in (None, "kaiming-normal"):
        lottery.reinitialize(norm, seed=1, initialization=initialization)
        assert torch.equal(norm.state_dict()["0.running_mean"], mean)


@pytest.mark.parametrize("kind", COVERED)
def test_every_kind_of_layer_is_drawn_anew_or_named(kind: str) -> None:
    model = COVERED[kind][0]((1, 3, 4), 3)
    before = state_of(model)
    if kind == "foreign":
        with pytest.raises(
            UsageError, match=r"1 \(Conv1D\), 3 \(Routed\) have parameters and no r"
        ):
            lottery.reinitialize(model, seed=1)
        assert equal(state_of(model), before)
        lottery.reinitialize(model, seed=1, initialization="glorot-normal")
    else:
        lottery.reinitialize(model, seed=1)
    same = [n for n in COVERED[kind][1] if torch.equal(model.state_dict()[n], before[n])]
    assert same == []


def test_a_function_of_your_own_draws_from_either_generator() -> None:
    def draw(model: nn.Module, generator: torch.Generator) -> None:
        for layer in model.modules():
            if isinstance(layer, Conv1D):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.uniform_(layer.bias, generator=generator)

    models = [Conv1D(3, 4), Conv1D(3, 4)]
    rng = torch.get_rng_state()
    for model in models:
        lottery.reinitialize(model, seed=7, initialization=draw)
    assert equal(state_of(models[0]), state_of(models[1]))
    assert float(models[0].weight.detach().abs().max()) < 0.2
    assert torch.equal(torch.get_rng_state(), rng)


def test_a_mistake_is_an_error() -> None:
    with pytest.raises(UsageError, match="either seed= or generator="):
        lottery.reinitialize(network())
    with pytest.raises(UsageError, match="either seed= or generator="):
        lottery.reinitialize(network(), seed=1, generator=torch.Generator())
    with pytest.raises(UsageError, match="did you mean 'kaiming-normal'"):
        lottery.reinitialize(network(), seed=1, initialization="kaiming")
    with pytest.raises(UsageError, match=r"the model itself \(Embedded\)"):
        lottery.reinitialize(Embedded((1, 3, 4), 3), seed=1)
    lottery.reinitialize(Embedded((1, 3, 4), 3), seed=1, initialization="kaiming-normal")
