"""Analyses that compute, of a run with a loop of the user's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import lottery
from lottery.errors import UsageError
from lottery.experiments.own import prepare_own_run

INPUTS = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
TARGETS = (INPUTS[:, 0] * INPUTS[:, 1] > 0).long()


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def train(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(INPUTS), TARGETS).backward()
        optimizer.step()


def evaluate(model: nn.Module) -> float:
    return float((model(INPUTS).argmax(1) == TARGETS).float().mean())


def test_they_take_its_functions_and_say_what_they_lack() -> None:
    settings: dict[str, Any] = {"levels": 1, "replicates": 2, "verbose": False}
    batches = [(INPUTS[:40], TARGETS[:40])]
    run = lottery.find_tickets(make_model, train, evaluate, batches=batches, **settings)
    task = prepare_own_run(make_model, train, evaluate, batches=batches, **settings).task

    found = run.analyse("cka", settings={"examples": 40}, task=task)
    assert {row["layer"] for row in found["layers"].records()} == {"0.weight", "2.weight"}
    found = run.analyse("curvature", settings={"examples": 40, "eigenvalues": 2}, task=task)
    assert found["sharpness"].column("n") == [2, 2, 2]
    found = run.analyse("pools", settings={"candidates": 1, "recalibrate": 0}, task=task)
    assert "chosen by the same evaluate that judges them" in found.found[-1]

    halved = lambda model: evaluate(model) / 2  # noqa: E731
    other = prepare_own_run(make_model, train, halved, batches=batches, **settings).task
    pools = {"candidates": 1, "recalibrate": 0}
    again = run.analyse("pools", settings=pools, task=other)
    assert again.tables != found.tables, "what another function measures is not read back"
    assert run.analyse("pools", settings=pools).tables == again.tables

    with pytest.raises(UsageError, match="call it from the script that has its functions"):
        run.analyse("cka", again=True)
    without = prepare_own_run(make_model, train, evaluate, **settings).task
    with pytest.raises(UsageError, match="this looks at examples: pass batches="):
        run.analyse("cka", again=True, task=without)
