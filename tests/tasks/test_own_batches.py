"""Criteria that look at data look at batches of the user's own, of any form."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from own_loops import INPUTS, TARGETS, dense, levels_of, make_model, own_task, train
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lottery.core import Probe, find_criterion
from lottery.core.criteria.context import ScoreContext
from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.tasks.batches import take_batches
from lottery.tickets import PruneConfig


def loss(model: nn.Module, batch: Any) -> Tensor:
    inputs, targets = batch
    return F.cross_entropy(model(inputs), targets)


def pairs(size: int = 30) -> list[tuple[Tensor, Tensor]]:
    return [*zip(INPUTS.split(size), TARGETS.split(size), strict=True)]


def snip(batches: Any, **changes: Any) -> dict[str, Tensor]:
    task = own_task(**{"batches": batches, "loss": loss, **changes})
    first = dense(task)
    prune, streams = PruneConfig(criterion="snip"), Streams(0, 0)
    probe = task.probe(prune, 1, first.mask, trained=first.weights, streams=streams)
    weights = {name: first.weights[name] for name in first.mask}
    context = ScoreContext(
        weights=weights,
        initial=weights,
        mask=first.mask,
        generator=torch.Generator(),
        probe=probe,
    )
    return dict(find_criterion("snip").score(context))


def expected() -> dict[str, Tensor]:
    """|w g| by hand."""
    model = own_task().initial(Streams(0, 0), "init").eval()
    loss(model, (INPUTS, TARGETS)).backward()
    return {
        name: (p * p.grad).abs().detach().double()
        for name, p in model.named_parameters()
        if p.dim() == 2 and p.grad is not None
    }


@pytest.mark.parametrize(
    "batches",
    [
        pairs(),
        [[inputs, targets] for inputs, targets in pairs(50)],
        DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=40),
        pairs,
        lambda: iter(pairs()),
    ],
)
def test_batches_come_from_lists_loaders_and_functions(batches: Any) -> None:
    found = snip(batches)
    for name, scores in expected().items():
        torch.testing.assert_close(found[name], scores)


class WithLoss(nn.Module):
    """A model as those of transformers: named inputs, and the loss among the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = make_model()

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        logits = self.net(x)
        return SimpleNamespace(
            logits=logits, loss=None if labels is None else F.cross_entropy(logits, labels)
        )


def test_models_of_dicts_compute_their_own_loss() -> None:
    batches = [{"x": inputs, "labels": targets} for inputs, targets in pairs()]
    task = own_task(make_model=WithLoss, train=lambda m: train(m.net), evaluate=lambda m: 0.5)
    prune = PruneConfig(criterion="snip", fraction=0.5)
    with_batches = own_task(
        make_model=WithLoss, train=lambda m: train(m.net), evaluate=lambda m: 0.5, batches=batches
    )
    (_, _), (ticket, _) = levels_of(with_batches, 1, prune=prune)
    assert ticket.mask.density == 0.5
    with pytest.raises(UsageError, match="'snip' looks at data; pass batches="):
        probe_of(task)


def probe_of(task: Any, **prune: Any) -> Probe:
    first = dense(task)
    config = PruneConfig(criterion="snip", **prune)
    probe: Probe = task.probe(config, 1, first.mask, trained=first.weights, streams=Streams(0, 0))
    return probe


def test_as_many_batches_are_taken_as_hold_the_examples() -> None:
    assert len(probe_of(own_task(batches=pairs(), loss=loss), examples=31).batches) == 2
    assert len(probe_of(own_task(batches=pairs(), loss=loss)).batches) == 4


def test_random_batches_are_the_same_for_the_same_level() -> None:
    loader = DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=40, shuffle=True)
    one, other = (probe_of(own_task(batches=loader, loss=loss)).batches for _ in range(2))
    assert torch.equal(one[0][0], other[0][0])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (iter(pairs()), "gone through again at every level"),
        (3, "expected a list, a DataLoader or a function that gives one, got int"),
    ],
)
def test_batches_that_cannot_be_used_are_told(batches: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        take_batches(batches, 10)


def test_pairs_without_a_loss_have_their_cross_entropy() -> None:
    for name, scores in expected().items():
        torch.testing.assert_close(snip(pairs(), loss=None)[name], scores)


def test_no_batch_is_told() -> None:
    with pytest.raises(UsageError, match="give batches, such as"):
        probe_of(own_task(batches=[]))
