"""Loops that keep checkpoints go on, after being stopped anywhere, to the same bytes."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from own_loops import (
    INPUTS,
    LOSS,
    TARGETS,
    Kept,
    dense,
    loss_of,
    own_task,
    same_result,
    train,
    train_once,
)
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lottery.core import Mask
from lottery.errors import Preempted, UsageError
from lottery.tasks.own import OwnTask
from lottery.tasks.session import LoopSession
from lottery.tickets import Ticket
from lottery.training import Checkpoint, Observer

STEPS = 60


def full_train(model: nn.Module, session: LoopSession) -> None:
    """Dropout, momentum, a schedule, an average, two optimizers and a generator of its own."""
    first, last = model[0], model[3]  # type: ignore[index]
    optimizers = [
        torch.optim.AdamW(first.parameters(), lr=0.01),
        torch.optim.SGD(last.parameters(), lr=0.05, momentum=0.9),
    ]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizers[0], [20, 40])
    average = AveragedModel(model)
    order = torch.Generator().manual_seed(session.seed("order"))
    seen: list[int] = []
    start = session.resume(*optimizers, schedule, average, order, seen)
    for step in range(start, STEPS):
        batch = torch.randperm(len(INPUTS), generator=order)[:20]
        seen.append(int(batch[0]))
        F.cross_entropy(model(INPUTS[batch]), TARGETS[batch]).backward()
        for one in optimizers:
            one.step()
            one.zero_grad()
        schedule.step()
        average.update_parameters(model)
        if (step + 1) % 12 == 0:
            session.log(step + 1, loss=loss_of(model), average=loss_of(average))
        session.checkpoint(step + 1)
    assert len(seen) == STEPS


def note(iteration: int, state: Any, notes: Any) -> Any:
    return {**notes, str(iteration): state["0.bias"]}


WORK: dict[str, Any] = {"snapshots_at": (0, 10, 45), "observer": Observer(at=(5, 30), note=note)}


def full_task() -> OwnTask:
    return own_task(train=full_train, evaluate=loss_of, score=LOSS)


def half(task: OwnTask) -> Ticket:
    ticket = dense(task)
    random_half = torch.Generator().manual_seed(1)
    mask = Mask(
        {n: torch.rand(k.shape, generator=random_half) < 0.5 for n, k in ticket.mask.items()}
    )
    return Ticket(mask=mask, weights=ticket.weights)


def through_files(kept: Checkpoint) -> Checkpoint:
    """As a store would give it back."""
    values = json.loads(json.dumps(kept.values, allow_nan=False, sort_keys=True))
    tensors = {name: tensor.clone() for name, tensor in sorted(kept.tensors.items())}
    return Checkpoint(iteration=kept.iteration, tensors=tensors, values=values)


def test_stopped_at_twenty_random_points_it_ends_with_the_same_bytes() -> None:
    task = full_task()
    ticket = half(task)
    whole = train_once(task, ticket, monitor=Kept(), **WORK)
    assert whole.early_stop_iteration is not None
    assert [*whole.snapshots] == [0, 10, 45]
    assert [*whole.notes] == ["5", "30"]
    rolls = random.Random(2803)
    for stop_after in rolls.sample(range(1, STEPS + 1), 20):
        monitor = Kept(stop_after=stop_after)
        with pytest.raises(Preempted):
            train_once(task, ticket, monitor=monitor, **WORK)
        assert monitor.newest is not None
        assert monitor.newest.iteration == stop_after
        again = Kept(newest=through_files(monitor.newest))
        result = train_once(full_task(), ticket, monitor=again, **WORK)
        assert same_result(whole, result), f"stopped after {stop_after}"
        assert {n: v.tolist() for n, v in whole.notes.items()} == {
            n: v.tolist() for n, v in result.notes.items()
        }


def test_stopped_many_times_it_ends_with_the_same_bytes() -> None:
    task = full_task()
    ticket = half(task)
    whole = train_once(task, ticket, monitor=Kept(), **WORK)
    newest, rolls = None, random.Random(3)
    for _ in range(5):
        monitor = Kept(stop_after=rolls.randint(1, 11), newest=newest)
        with pytest.raises(Preempted):
            train_once(task, ticket, monitor=monitor, **WORK)
        assert monitor.newest is not None
        newest = through_files(monitor.newest)
    assert same_result(whole, train_once(task, ticket, monitor=Kept(newest=newest), **WORK))


def test_checkpoints_change_nothing() -> None:
    def without(model: nn.Module, session: LoopSession) -> None:
        session.checkpoint = lambda step: None  # type: ignore[method-assign]
        full_train(model, session)

    plain = train_once(own_task(train=without, evaluate=loss_of, score=LOSS), **WORK)
    assert same_result(plain, train_once(full_task(), monitor=Kept(), **WORK))


def test_optimizers_that_step_in_turns_keep_their_counts() -> None:
    """A snapshot falls after both have taken the step, wherever it was interrupted."""

    def trains(model: nn.Module, session: LoopSession) -> None:
        layers = [model[0], model[3]]  # type: ignore[index]
        optimizers = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in layers]
        biases = torch.optim.SGD([model[0].bias], lr=0.1)  # type: ignore[index]
        start = session.resume(*optimizers, biases)
        for turn in range(start, 30):
            model.zero_grad()
            F.cross_entropy(model(INPUTS), TARGETS).backward()
            (*optimizers, biases)[turn % 3].step()
            session.checkpoint(turn + 1)

    task = own_task(train=trains)
    whole = train_once(task, monitor=Kept(), snapshots_at=(4, 7))
    for stop_after in range(1, 30):
        monitor = Kept(stop_after=stop_after)
        with pytest.raises(Preempted):
            train_once(task, monitor=monitor, snapshots_at=(4, 7))
        assert monitor.newest is not None
        again = train_once(
            task, monitor=Kept(newest=through_files(monitor.newest)), snapshots_at=(4, 7)
        )
        assert same_result(whole, again), f"stopped after {stop_after}"


def test_without_a_checkpoint_it_starts_where_the_ticket_does() -> None:
    starts: list[tuple[int, int]] = []

    def trains(model: nn.Module, session: LoopSession) -> None:
        starts.append((session.start_step, session.resume()))
        train(model)

    for starts_at_step in (False, True):
        task = own_task(train=trains, starts_at_step=starts_at_step)
        ticket = dense(task)
        train_once(task, Ticket(mask=ticket.mask, weights=ticket.weights, iteration=4))
    assert starts == [(0, 0), (4, 4)]


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        (lambda s: s.checkpoint(3), "nothing could start again from it; call `start = session.res"),
        (lambda s: (s.resume(), s.resume()), "session.resume: expected one call, before the first"),
        (lambda s: (s.resume(), s.checkpoint(-1)), "expected a whole number of steps, got -1"),
        (lambda s: (s.resume(), s.checkpoint(1.5)), "expected a whole number of steps, got 1.5"),
        (lambda s: s.resume(3), "expected objects with state_dict and load_state_dict, .* got int"),
        (
            lambda s: (s.resume([print]), s.checkpoint(1)),
            r"object 1 \(list\) > 0 is of type builtin_function_or_method",
        ),
    ],
)
def test_mistakes_are_told_in_words(calls: Any, message: str) -> None:
    def trains(model: nn.Module, session: LoopSession) -> None:
        calls(session)

    with pytest.raises(UsageError, match=message):
        train_once(own_task(train=trains), monitor=Kept())


def test_resuming_after_the_first_step_is_told() -> None:
    def trains(model: nn.Module, session: LoopSession) -> None:
        train(model)
        session.resume()

    with pytest.raises(UsageError, match="expected one call, before the first step"):
        train_once(own_task(train=trains))


def test_other_objects_than_those_of_the_checkpoint_are_told() -> None:
    monitor = Kept(stop_after=1)

    def trains(model: nn.Module, session: LoopSession) -> None:
        session.resume(*([[]] if monitor.newest is None else [{}]))
        train(model)
        session.checkpoint(1)

    with pytest.raises(Preempted):
        train_once(own_task(train=trains), monitor=monitor)
    with pytest.raises(UsageError, match=r"of the model, object 1 \(list\); got the model, object"):
        train_once(own_task(train=trains), monitor=monitor)


def test_a_loop_stopped_after_its_last_step_was_held_all_the_same() -> None:
    task = full_task()
    monitor = Kept(stop_after=STEPS)
    with pytest.raises(Preempted):
        train_once(task, monitor=monitor)
    assert train_once(task, monitor=Kept(newest=monitor.newest)).status == "done"
