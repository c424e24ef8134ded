"""A loop that does by hand what the built-in training does gives the same bytes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from own_loops import Kept, equal, own_task, train_once
from torch import nn

from lottery.core import Mask, prunable_weights
from lottery.data import DataConfig, Dataset, load_dataset
from lottery.models import INITIALIZATIONS, build_model
from lottery.rng import Streams
from lottery.tasks.session import LoopSession
from lottery.tickets import Ticket
from lottery.training import (
    LearningRateConfig,
    Length,
    NullMonitor,
    OptimizerConfig,
    TrainingConfig,
    TrainingJob,
    evaluate,
    make_engine,
)

SIZE, EVERY, TOTAL = 60, 10, 40


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset(DataConfig(name="mnist-5k", validation=500))


def by_hand(
    data: Dataset, optimizer: OptimizerConfig, model: nn.Module, session: LoopSession
) -> None:
    """The built-in training, written out; orders come from the streams it takes them from."""
    streams = Streams(0, session.replicate)
    torch.manual_seed(streams.seed_of("dropout", session.start_step))
    kinds: dict[str, Any] = {
        "adam": partial(torch.optim.Adam, fused=True),
        "sgd": partial(torch.optim.SGD, momentum=0.9, weight_decay=1e-3, fused=True),
    }
    made = kinds[optimizer.name](model.parameters(), lr=3e-3)
    per_epoch = -(-len(data.train) // SIZE)
    start = session.resume(made)
    model.train()
    for step in range(start, TOTAL):
        epoch, batch = divmod(step, per_epoch)
        order = torch.randperm(len(data.train), generator=streams.generator("order", epoch))
        chosen = order[batch * SIZE : (batch + 1) * SIZE]
        inputs, targets = data.batch("train", chosen, torch.float32)
        made.zero_grad(set_to_none=True)
        F.cross_entropy(model(inputs), targets).backward()
        made.step()
        if (step + 1) % EVERY == 0:
            loss, accuracy = evaluate(model, data, "validation", "cross-entropy")
            session.log(step + 1, loss=loss, accuracy=accuracy)
        session.checkpoint(step + 1)


@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize(
    "optimizer",
    [
        OptimizerConfig(),
        OptimizerConfig(name="sgd", momentum=0.9, weight_decay=1e-3),
    ],
)
def test_the_same_bytes(data: Dataset, optimizer: OptimizerConfig, start: int) -> None:
    def make_model() -> nn.Module:
        return build_model("mlp-20", data.input_shape, data.classes)

    model = make_model()
    INITIALIZATIONS["glorot-normal"](model, Streams(0, 1).generator("init"))
    dense = Mask.dense(prunable_weights(model))
    halves = torch.Generator().manual_seed(2)
    mask = Mask({n: torch.rand(k.shape, generator=halves) < 0.5 for n, k in dense.items()})
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    config = TrainingConfig(
        length=Length(amount=TOTAL),
        batch_size=SIZE,
        evaluate_every=Length(amount=EVERY),
        learning_rate=LearningRateConfig(base=3e-3),
        optimizer=optimizer,
    )
    job = TrainingJob(
        make_model=make_model,
        mask=mask,
        start=weights,
        start_iteration=start,
        data=data,
        config=config,
        streams=Streams(0, 1),
        snapshots_at=(20,),
    )
    engine = make_engine("torch", torch.device("cpu"), model=model, config=config)
    (built_in,) = engine.train([job], [NullMonitor()])

    task = own_task(
        make_model=make_model,
        train=partial(by_hand, data, optimizer),
        evaluate=lambda model: evaluate(model, data, "test", "cross-entropy")[1],
        starts_at_step=True,
        steps=TOTAL,
    )
    ticket = Ticket(mask=mask, weights=weights, iteration=start)
    own = train_once(task, ticket, replicate=1, monitor=Kept(), snapshots_at=(20,))
    assert equal(own.final, built_in.final)
    assert equal(own.snapshots[20], built_in.snapshots[20])
    assert own.early_stop_iteration == built_in.early_stop_iteration
    assert equal(own.early_stop, built_in.early_stop)
    of_both = [
        {p.iteration: p.loss for p in r.curve if p.split == "validation" and p.iteration > start}
        for r in (own, built_in)
    ]
    assert of_both[0] == of_both[1]
