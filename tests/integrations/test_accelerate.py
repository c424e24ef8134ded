"""A loop with accelerate: held, resumed, and as if accelerate were not there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from own_loops import INPUTS, TARGETS, Kept, dense, equal, own_task, same_result, train_once
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lottery.core import Mask
from lottery.errors import Preempted
from lottery.tasks.session import LoopSession
from lottery.tickets import Ticket

accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")

EPOCHS = 3


def parts(model: nn.Module) -> tuple[Any, ...]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.5)
    return optimizer, schedule, DataLoader(TensorDataset(INPUTS, TARGETS), 20, shuffle=True)


def train(model: nn.Module, session: LoopSession) -> None:
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model, optimizer, schedule, loader = accelerator.prepare(model, *parts(model))
    for epoch in range(session.resume(optimizer, schedule), EPOCHS):
        for x, y in loader:
            with accelerator.accumulate(model):
                accelerator.backward(F.cross_entropy(model(x), y))
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
        session.checkpoint(epoch + 1)


def train_plainly(model: nn.Module) -> None:
    optimizer, schedule, loader = parts(model)
    for _ in range(EPOCHS):
        for number, (x, y) in enumerate(loader, 1):
            (F.cross_entropy(model(x), y) / 2).backward()
            if number % 2 == 0:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()


def half() -> Ticket:
    ticket = dense(own_task())
    return Ticket(
        mask=Mask({name: ticket.weights[name] > 0 for name in ticket.mask}), weights=ticket.weights
    )


def test_it_goes_on_to_the_same_bytes() -> None:
    task, ticket = own_task(train=train), half()
    whole = train_once(task, ticket, monitor=Kept())
    assert not any(whole.final[name][~kept].any() for name, kept in ticket.mask.items())
    for stop_after in range(1, EPOCHS + 1):
        stopped = Kept(stop_after=stop_after)
        with pytest.raises(Preempted):
            train_once(task, ticket, monitor=stopped)
        assert same_result(whole, train_once(task, ticket, monitor=Kept(newest=stopped.newest)))


def test_it_is_the_loop_without_accelerate() -> None:
    ticket = half()
    one, other = (train_once(own_task(train=loop), ticket) for loop in (train, train_plainly))
    assert equal(one.final, other.final)
