"""The loop that our engine is compared with: eager PyTorch, as fast as it gets without tricks.

The training examples are one tensor in memory, batches are taken from it by a permutation, Adam is
fused, and all masks are multiplied in one call.
"""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.figure import Figure
from benchmarks.timing import seconds
from benchmarks.workload import BATCH, LEARNING_RATE, Inputs, dense_start, flat, load, network
from lottery.data.dataset import Dataset, Split

# Seconds after which no further epoch is begun: beside other work, two threads that wait for each
# other take minutes for one.
_ENOUGH = 30.0


def step(*, data_dir: Path | None, inputs: Inputs, quick: bool) -> Figure:
    """Seconds of one training step, dense.

    Args:
        data_dir: where MNIST lies.
        inputs: see `benchmarks.workload.load`.
        quick: hardly any steps.
    """
    data = load(data_dir, inputs)
    model = network()
    start = dense_start()
    model.load_state_dict(dict(start.weights))
    masks = {name: kept.float() for name, kept in start.mask.items()}
    train = _seen(data, data.train)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)

    limit, epochs = (20, 1) if quick else (None, 5)
    steps = limit or -(-len(train) // BATCH)
    times: list[float] = []
    while len(times) < 2 or (len(times) <= epochs and sum(times) < _ENOUGH):
        times.append(seconds(lambda: _epoch(model, masks, optimizer, train, limit)))
    samples = tuple(time / steps for time in times[1:])  # the first one warms up
    details = {
        "threads": torch.get_num_threads(),
        "iterations": steps * len(times),
        "test_accuracy": _accuracy(model, _seen(data, data.test)),
    }
    return Figure(value=statistics.median(samples), unit="s", samples=samples, details=details)


def _seen(data: Dataset, split: Split) -> Split:
    """Examples as the network sees them, as vectors."""
    return Split(flat(data.normalized(split.inputs)).contiguous(), split.targets)


def _epoch(
    model: nn.Module,
    masks: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    train: Split,
    limit: int | None,
) -> None:
    """One pass over the examples in a new order, or its first ``limit`` steps."""
    parameters = dict(model.named_parameters())
    weights: list[Tensor] = [parameters[name] for name in masks]
    kept = tuple(masks.values())
    for batch in itertools.islice(torch.randperm(len(train)).split(BATCH), limit):
        loss = F.cross_entropy(model(train.inputs[batch]), train.targets[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_mul_(weights, kept)


def _accuracy(model: nn.Module, split: Split) -> float:
    with torch.inference_mode():
        right = model(split.inputs).argmax(dim=1) == split.targets
    return float(right.float().mean())
