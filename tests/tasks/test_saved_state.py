"""States of all kinds of objects go to tensors and plain JSON and come back the same."""

from __future__ import annotations

import json
import math
import random
from collections import Counter, OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from lottery.errors import UsageError
from lottery.tasks.global_random import random_state, seeded, set_random_state
from lottery.tasks.saved_state import flatten, load_object_state, object_state, unflatten


def there_and_back(value: Any) -> Any:
    tensors: dict[str, Tensor] = {}
    plain = json.loads(json.dumps(flatten(value, "it", tensors), allow_nan=False, sort_keys=True))
    return unflatten(plain, tensors)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2**100,
        0.1,
        math.inf,
        "text",
        [1, [2.5, "a"], ()],
        (1, (2, [3])),
        {"a": {1: "x", (2, "b"): None}, "1": 2},
        OrderedDict(b=1, a=2),
        Counter({30: 2, 60: 1}),
        {"tensor": "0", "device": "cpu"},
        {"float": "nan"},
        {"tuple": []},
    ],
)
def test_plain_values_come_back(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_nan_comes_back() -> None:
    assert math.isnan(there_and_back(math.nan))


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(3.5),
        torch.arange(6).view(2, 3).t(),
        torch.ones(2, dtype=torch.bfloat16),
        torch.tensor([True]),
        torch.empty(0, 3),
        np.arange(4, dtype=np.uint32).reshape(2, 2),
        np.float32(0.1),
        np.uint64(2**63 + 1),
        np.bool_(True),
    ],
)
def test_tensors_arrays_and_their_numbers_come_back(value: Any) -> None:
    back = there_and_back({0: value, "0": value})
    for one in back.values():
        assert type(one) is type(value)
        assert one.dtype == value.dtype
        assert one.shape == value.shape
        assert (one == value).all()


def test_what_comes_back_is_a_copy() -> None:
    tensor = torch.ones(3)
    tensors: dict[str, Tensor] = {}
    plain = flatten(tensor, "it", tensors)
    tensor.zero_()
    back = unflatten(plain, tensors)
    back.zero_()
    assert unflatten(plain, tensors).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"hooks": [len]},
            "it > hooks > 0 is of type builtin_function_or_method; a state is saved",
        ),
        ({"who": object()}, "it > who is of type object"),
        ({"raw": b"bytes"}, "it > raw is of type bytes"),
        ({"set": {1}}, "it > set is of type set"),
    ],
)
def test_anything_else_is_told_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        there_and_back(value)


def test_an_object_without_a_state_is_told() -> None:
    with pytest.raises(UsageError, match=r"expected objects with state_dict and .* got function"):
        object_state(lambda: None)


MODEL = nn.Linear(3, 2)


def optimizer(**changes: Any) -> torch.optim.Adam:
    return torch.optim.Adam(MODEL.parameters(), lr=0.1, **changes)


def steps(optimizer: torch.optim.Optimizer, *schedulers: Any) -> None:
    for _ in range(3):
        MODEL(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        for one in schedulers:
            one.step(0.5) if isinstance(one, lr_scheduler.ReduceLROnPlateau) else one.step()


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.MultiStepLR(o, [2, 2, 5]),
        lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=20),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
        lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.5**step),
        lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)], [2]
        ),
    ],
)
def test_optimizers_and_schedulers_go_on_where_they_were(make: Any) -> None:
    first = optimizer()
    schedule = make(first)
    steps(first, schedule)
    states = [there_and_back(object_state(one)) for one in (first, schedule)]
    second = optimizer()
    other = make(second)
    for one, state in zip((second, other), states, strict=True):
        load_object_state(one, state)
    assert str(second.state_dict()) == str(first.state_dict())
    steps(first, schedule)
    steps(second, other)
    assert [g["lr"] for g in first.param_groups] == [g["lr"] for g in second.param_groups]


def test_averages_scalers_generators_dicts_and_lists_go_on_where_they_were() -> None:
    average = torch.optim.swa_utils.AveragedModel(MODEL)
    average.update_parameters(MODEL)
    objects: list[Any] = [
        average,
        torch.amp.GradScaler("cpu", init_scale=8.0),
        torch.Generator().manual_seed(3),
        np.random.default_rng(4),
        random.Random(5),
        {"best": 0.5, "state": {"w": torch.ones(2)}},
        [1, 2],
    ]
    states = [there_and_back(object_state(one)) for one in objects]
    others: list[Any] = [
        torch.optim.swa_utils.AveragedModel(MODEL),
        torch.amp.GradScaler("cpu"),
        torch.Generator(),
        np.random.default_rng(0),
        random.Random(0),
        {"worst": 1},
        [],
    ]
    for one, state in zip(others, states, strict=True):
        load_object_state(one, state)
    assert others[0].n_averaged.item() == 1
    assert others[1].get_scale() == 8.0
    assert torch.equal(torch.rand(2, generator=objects[2]), torch.rand(2, generator=others[2]))
    assert objects[3].random() == others[3].random()
    assert objects[4].random() == others[4].random()
    assert str(others[5:]) == str(objects[5:])


def draws() -> list[float]:
    return [torch.rand(()).item(), np.random.rand(), random.random(), random.gauss(0, 1)]


def test_global_generators_come_back() -> None:
    with seeded(3):
        draws()
        state = there_and_back(random_state())
        first = draws()
        set_random_state(state)
        assert draws() == first
    with seeded(3):
        draws()
        assert draws() == first
