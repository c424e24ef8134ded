"""Which form is the fastest for a layer, from speeds measured on this machine."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import timeit
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lottery.blas import one_blas_thread
from lottery.training.config import OptimizerConfig
from lottery.training.engines.sparse_cpu.compiled import cache_directory
from lottery.training.engines.sparse_cpu.layers import (
    BACKGROUND,
    DENSE,
    SPARSE,
    make_layer,
    pack,
    panels,
)
from lottery.training.engines.sparse_cpu.network import LinearLayer
from lottery.training.engines.sparse_cpu.optimizers import optimizer_numbers, update
from lottery.training.engines.sparse_cpu.passes import add_gradients, forward
from lottery.training.engines.sparse_cpu.ragged import aligned
from lottery.training.engines.sparse_cpu.vectors import LANES


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Measured times in nanoseconds per weight, on one thread.

    Args:
        dense: forward or backward with 64 examples by BLAS, of all weights.
        sparse: the same by the sparse kernels, of each surviving weight.
        update: one step of the optimizer.
    """

    dense: float
    sparse: float
    update: float


def fastest_form(
    costs: Costs, kept: NDArray[np.bool_], *, entries: float | None, batch_size: int
) -> int:
    """The form in which a layer trains fastest.

    Args:
        costs: this machine's.
        kept: the layer's mask, ``[outputs, inputs]``.
        entries: for the first layer, the mean number of an example's inputs that differ from the
            background; None for others, and where there is no background.
        batch_size: examples a step.
    """
    lanes = -(-batch_size // LANES) * LANES
    both_ways = 2 * lanes / LANES
    nanoseconds = {
        DENSE: (both_ways * costs.dense + costs.update) * kept.size,
        SPARSE: (both_ways * costs.sparse + costs.update) * int(kept.sum()),
    }
    if entries is not None:
        # Here the examples' entries are what is sparse; each meets every output.
        padded = panels(len(kept)) * LANES
        met = entries / LANES * batch_size * padded
        # The entries are sorted by input as well, and copied.
        sorting = 2 * costs.sparse * entries * batch_size
        nanoseconds[BACKGROUND] = 2 * costs.sparse * met + costs.update * kept.size + sorting
    return min(nanoseconds, key=nanoseconds.__getitem__)


def machine_costs() -> Costs:
    """This machine's costs: measured once, then read from the directory of compiled code.

    All processes on a machine must make the same choice, or the same job would not give the same
    bytes.
    """
    with _lock:
        return _machine_costs()


_lock = threading.Lock()


@cache
def _machine_costs() -> Costs:
    directory = cache_directory()
    if directory is None:
        return measure()
    path = directory / "costs.json"
    found = _read(path)
    if found is not None:
        return found
    measured = measure()
    _write_first(path, measured)
    return _read(path) or measured


def _read(path: Path) -> Costs | None:
    """The costs in a file; None if it is not there, or not whole."""
    try:
        found = json.loads(path.read_text())
        return Costs(**{name: float(found[name]) for name in ("dense", "sparse", "update")})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_first(path: Path, costs: Costs) -> None:
    """Write the file whole, unless another process was faster; then its costs hold.

    If the file cannot be written, such as on a full disk, each process uses its own.
    """
    with suppress(OSError), tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        written = Path(scratch) / path.name
        written.write_text(json.dumps(asdict(costs)))
        try:
            os.link(written, path)
        except FileExistsError:
            pass
        except OSError:
            # Not every file system has links.
            os.replace(written, path)


def measure() -> Costs:
    """Measure on a layer like the first of LeNet-300-100: a fraction of a second."""
    linear = LinearLayer(name="measured", inputs=784, outputs=300)
    everywhere = np.ones((linear.outputs, linear.inputs), bool)
    some = np.random.default_rng(0).random(everywhere.shape) < 0.25
    with one_blas_thread():
        dense = _least_seconds(_pass(DENSE, linear, everywhere)) / everywhere.size / 2
    sparse = _least_seconds(_pass(SPARSE, linear, some)) / int(some.sum()) / 2
    adam = _least_seconds(_adam_step(everywhere.size)) / everywhere.size
    # Two digits: it is not known better.
    return Costs(
        **{
            name: float(f"{seconds * 1e9:.2g}")
            for name, seconds in (("dense", dense), ("sparse", sparse), ("update", adam))
        }
    )


def _pass(form: int, linear: LinearLayer, kept: NDArray[np.bool_]) -> Callable[[], None]:
    """One forward and one backward pass."""
    layer = make_layer(form, linear, kept)
    dtype = np.dtype(np.float32)
    weights = pack(layer, kept.astype(dtype))
    gradient, scratch = aligned(weights.size, dtype), aligned(weights.size, dtype)
    bias, bias_gradient = aligned(linear.outputs, dtype), aligned(linear.outputs, dtype)
    inputs, outputs = (
        aligned((linear.inputs, LANES), dtype),
        aligned((linear.outputs, LANES), dtype),
    )

    def both() -> None:
        forward(layer, weights, bias, inputs, outputs)
        add_gradients(layer, outputs, inputs, 0, scratch, gradient, bias_gradient)

    return both


def _adam_step(weights: int) -> Callable[[], None]:
    optimizer = optimizer_numbers(OptimizerConfig())
    arrays = [aligned(weights, np.dtype(np.float32)) for _ in range(4)]
    return lambda: update(optimizer, 1e-3, 10, *arrays)


def _least_seconds(function: Callable[[], None]) -> float:
    """Of several times; the first compiles."""
    return min(timeit.repeat(function, number=1, repeat=40))
