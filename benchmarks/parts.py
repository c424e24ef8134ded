"""Where the time of a step goes, and how far each part is from its floor.

    python -m benchmarks.parts --data-dir data --run runs/lenet-300-100-mnist-xxxxxxxx

The floor of a product is its multiplications at the speed of a large product of BLAS, on one
thread; of the optimizer, its bytes at the speed at which four arrays as large as the first layer's
can be read and three of them written. It looks inside the engine ``sparse_cpu``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.workload import BATCH, Start, dense_start, load, ticket_start, training_jobs
from lottery.blas import one_blas_thread
from lottery.training.engines.sparse_cpu import loop
from lottery.training.engines.sparse_cpu.batches import prefetch_batch
from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.kernels import Floats, Integers
from lottery.training.engines.sparse_cpu.layers import BACKGROUND, SPARSE, Network
from lottery.training.engines.sparse_cpu.optimizers import Optimizer, update
from lottery.training.engines.sparse_cpu.ragged import Ragged, aligned, array_at
from lottery.training.engines.sparse_cpu.training import Training

_FORMS = {BACKGROUND: "background", SPARSE: "sparse"}
_REPEATS = 9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="where MNIST lies")
    parser.add_argument("--run", type=Path, required=True, help="a run to take masks from")
    options = parser.parse_args()
    data = load(options.data_dir)
    starts = [dense_start()] + [ticket_start(options.run, d) for d in (0.2, 0.1, 0.03)]
    with one_blas_thread():
        flops, bytes_a_second = _peak_flops(), _peak_bytes()
        print(f"products: {flops / 1e9:.0f} GFLOP/s; memory: {bytes_a_second / 1e9:.0f} GB/s")
        for start in starts:
            (job,) = training_jobs([start], data)(1_000_000)
            Console(width=100).print(_table(start, Training(job), flops, bytes_a_second))


def _table(start: Start, training: Training, flops: float, bytes_a_second: float) -> Table:
    forms = ", ".join(_FORMS.get(form, "dense") for form in training.forms)
    table = Table(title=f"density {start.mask.density:.1%}: {forms}")
    for column in ("part", "us", "floor us", "times"):
        table.add_column(column, justify="left" if column == "part" else "right")
    floors = _floors(training, flops, bytes_a_second)
    measured = _measured(training)
    for name, microseconds in measured.items():
        floor = floors.get(name)
        times = [f"{floor:.1f}", f"{microseconds / floor:.1f}"] if floor else ["-", "-"]
        table.add_row(name, f"{microseconds:.1f}", *times)
    total, floor = sum(measured.values()), sum(floors.values())
    table.add_row("step", f"{total:.1f}", f"{floor:.1f}", f"{total / floor:.1f}")
    return table


def _measured(training: Training) -> dict[str, float]:
    """Microseconds of each part of a step."""
    training.progress.every = 10**9
    training.advance(50)
    network, trained, task, workspace = (
        training.network,
        training.trained,
        training.task,
        training.workspace,
    )
    order, parameters = training.rest_of_epoch().numpy(), trained.parameters
    return {
        "batch": _microseconds(lambda n: _loads(network, task, order, workspace, n)),
        "forward": _microseconds(lambda n: _predicts(network, parameters, task, workspace, n)),
        "loss": _microseconds(lambda n: _losses(network, task, workspace, n)),
        "backward": _microseconds(lambda n: _learns(network, parameters, task, workspace, n)),
        "optimizer": _microseconds(lambda n: _updates(task.optimizer, trained, workspace, n)),
    }


def _floors(training: Training, flops: float, bytes_a_second: float) -> dict[str, float]:
    """Microseconds that each part takes at least."""
    inputs = training.inputs["train"]
    entries = len(inputs.codes) / len(inputs.targets)
    weights = 0
    forward = backward = 0.0
    for number, (form, kept) in enumerate(zip(training.forms, training.kept, strict=True)):
        survivors = int(kept.sum())
        pairs = entries * kept.shape[0] if form == BACKGROUND else survivors
        forward += 2 * pairs * BATCH
        backward += 2 * pairs * BATCH * (1 if number == 0 else 2)
        weights += survivors if form == SPARSE else kept.size
    # Four arrays are read and three written.
    moved = weights * 4 * 7
    return {
        "forward": forward / flops * 1e6,
        "backward": backward / flops * 1e6,
        "optimizer": moved / bytes_a_second * 1e6,
    }


def _microseconds(repeat: Callable[[int], object], calls: int = 200) -> float:
    """The least time of one of ``calls`` repetitions within compiled code, over several tries."""
    repeat(1)
    tries = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        repeat(calls)
        tries.append((time.perf_counter() - start) / calls * 1e6)
    return min(tries)


def _peak_flops() -> float:
    left, right = (np.ones((1024, 1024), np.float32) for _ in range(2))
    out = np.empty_like(left)
    return (
        2 * 1024**3 / (_microseconds(lambda n: [left.dot(right, out) for _ in range(n)], 3) / 1e6)
    )


def _peak_bytes() -> float:
    size = 784 * 300
    a, b, c, d = (aligned(size, np.dtype(np.float32)) for _ in range(4))
    return size * 4 * 7 / (_microseconds(lambda n: _stream(a, b, c, d, n)) / 1e6)


@compiled
def _stream(a: Floats, b: Floats, c: Floats, d: Floats, n: int) -> None:
    for _ in range(n):
        for i in range(len(a)):
            b[i] += a[i]
            c[i] += b[i]
            d[i] += c[i]


@compiled
def _loads(
    network: Network, task: loop.Task, order: Integers, workspace: loop.Workspace, n: int
) -> None:
    for step in range(n):
        first = step * BATCH
        loop.load(network, task.inputs, order[first : first + BATCH], workspace.batch)
        prefetch_batch(task.inputs, order[first + BATCH : first + 2 * BATCH])


@compiled
def _predicts(
    network: Network, parameters: Ragged, task: loop.Task, workspace: loop.Workspace, n: int
) -> None:
    for step in range(n):
        loop.predict(network, parameters, task, BATCH, step, workspace)


@compiled
def _losses(network: Network, task: loop.Task, workspace: loop.Workspace, n: int) -> None:
    for _ in range(n):
        loop.output_gradients(network, task, BATCH, workspace)


@compiled
def _learns(
    network: Network, parameters: Ragged, task: loop.Task, workspace: loop.Workspace, n: int
) -> None:
    for step in range(n):
        loop.backward(network, parameters, task, BATCH, step, workspace)


@compiled
def _updates(
    optimizer: Optimizer, trained: loop.Trained, workspace: loop.Workspace, n: int
) -> None:
    for step in range(n):
        for number in range(len(workspace.gradients.starts)):
            update(
                optimizer,
                1e-6,
                step,
                array_at(trained.parameters, number),
                array_at(workspace.gradients, number),
                array_at(trained.first, number),
                array_at(trained.second, number),
            )


if __name__ == "__main__":
    main()
