"""Loops as users write them, and the method around them in a few lines, without files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core import Mask, prunable_weights
from lottery.errors import Preempted
from lottery.rng import Streams
from lottery.score import Score
from lottery.tasks.own import OwnTask
from lottery.tasks.own_code import OwnCode
from lottery.tasks.protocol import TrainingRequest, TrainingVariant
from lottery.tickets import PruneConfig, Ticket, prune_mask
from lottery.training import Checkpoint, NullMonitor, State, TrainingResult

LOSS = Score(name="loss", higher=False)

_generator = torch.Generator().manual_seed(7)
INPUTS = torch.randn(120, 6, generator=_generator)
TARGETS = (INPUTS[:, 0] * INPUTS[:, 1] > 0).long()


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))


def train(model: nn.Module) -> None:
    """Thirty steps, in an order drawn from the global generator."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(3):
        for batch in torch.randperm(len(INPUTS)).split(12):
            loss = F.cross_entropy(model(INPUTS[batch]), TARGETS[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def evaluate(model: nn.Module) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(INPUTS).argmax(1) == TARGETS).float().mean())


def loss_of(model: nn.Module) -> Tensor:
    model.eval()
    with torch.no_grad():
        loss = F.cross_entropy(model(INPUTS), TARGETS)
    model.train()
    return loss


def own_task(**changes: Any) -> OwnTask:
    code: dict[str, Any] = {"make_model": make_model, "train": train, "evaluate": evaluate}
    return OwnTask(OwnCode(**{**code, **changes}))


def dense(task: OwnTask, replicate: int = 0, *, seed: int = 0) -> Ticket:
    """The ticket of level 0."""
    model = task.initial(Streams(seed, replicate), "init")
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    return Ticket(mask=Mask.dense(prunable_weights(model)), weights=weights)


def train_once(
    task: OwnTask,
    ticket: Ticket | None = None,
    *,
    replicate: int = 0,
    monitor: Any = None,
    **request: Any,
) -> TrainingResult:
    """One training, that of the dense network unless a ticket is given."""
    it = TrainingRequest(
        ticket=dense(task, replicate) if ticket is None else ticket,
        variant=TrainingVariant(),
        streams=Streams(0, replicate),
        **request,
    )
    (result,) = task.train([it], [monitor or NullMonitor()])
    return result


def levels_of(
    task: OwnTask, levels: int, *, replicate: int = 0, prune: PruneConfig | None = None
) -> list[tuple[Ticket, TrainingResult]]:
    """Iterative pruning with rewinding to the initialization: every level's ticket and training."""
    prune, streams = prune or PruneConfig(fraction=0.5), Streams(0, replicate)
    first = dense(task, replicate)
    found = [(first, train_once(task, first, replicate=replicate))]
    for level in range(1, levels + 1):
        ticket, trained = found[-1]
        probe = None
        if task.code.batches is not None:
            probe = task.probe(prune, level, ticket.mask, trained=trained.final, streams=streams)
        mask = prune_mask(
            prune,
            level,
            ticket.mask,
            trained=trained.final,
            initial=first.weights,
            streams=streams,
            probe=probe,
        )
        pruned = Ticket(mask=mask, weights=first.weights)
        found.append((pruned, train_once(task, pruned, replicate=replicate)))
    return found


@dataclass
class Kept:
    """A monitor that keeps every checkpoint, and stops at one of them.

    Args:
        stop_after: the number of the call that ends in being stopped, from 1; None: none does.
        newest: the checkpoint to begin from.
    """

    stop_after: int | None = None
    newest: Checkpoint | None = None
    calls: int = field(default=0, init=False)
    steps_at_once = 100

    def restore(self) -> Checkpoint | None:
        return self.newest

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        self.calls += 1
        self.newest = checkpoint()
        assert self.newest.iteration == iteration
        if self.calls == self.stop_after:
            raise Preempted("asked to stop")


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two states are the same to the bit."""
    return one.keys() == other.keys() and all(
        torch.equal(value, other[name]) and value.dtype == other[name].dtype
        for name, value in one.items()
    )


def same_result(one: TrainingResult, other: TrainingResult) -> bool:
    """Whether two trainings gave the same, but for the time they took."""
    states: list[tuple[State, State]] = [
        (one.final, other.final),
        (one.early_stop, other.early_stop),
        *((one.snapshots[at], other.snapshots.get(at, {})) for at in one.snapshots),
    ]
    plain = [
        (r.status, r.reason, r.curve, r.early_stop_iteration, r.scores, [*r.snapshots])
        for r in (one, other)
    ]
    return plain[0] == plain[1] and all(equal(a, b) for a, b in states)
