"""The rows: what is measured, what it is compared with, and the targets."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One side of a comparison.

    Args:
        label: what it is called in the row.
        arguments: those of ``python -m benchmarks.measure``.
        python: the interpreter.
    """

    label: str
    arguments: tuple[str, ...]
    python: str = sys.executable


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is said of a measurement.

    Args:
        of: the measurement's label.
        against: the label that it is compared with; None when the figure itself is to be low.
        target: how many times better than ``against`` it should be at least, or the most that the
            figure may be, in its unit; None states the figure alone.
        density: what the mask's density should be near to.
    """

    of: str
    against: str | None = None
    target: float | None = None
    density: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """Measurements that are taken in turn, and what is said of them.

    Args:
        name: for the command line.
        about: one line.
        measurements: in the order in which they are taken, again and again.
        claims: what the row is there for.
        missing: why it cannot be measured; empty when it can.
        once: one process is enough unless the user says otherwise.
    """

    name: str
    about: str
    measurements: tuple[Measurement, ...]
    claims: tuple[Claim, ...]
    missing: str = ""
    once: bool = False


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user chose.

    Args:
        engine: the name of our engine.
        data_dir: where MNIST lies.
        run: the run that masks are taken from.
        examples: MNIST as an .npz.
        jax_python: the interpreter of an environment with JAX.
        sparseprop_python: the same with SparseProp.
        overhead_model: the network that the engine torch is held against a bare loop with.
        quick: a smoke run.
    """

    engine: str = "sparse_cpu"
    data_dir: Path | None = None
    run: Path = Path("masks")
    examples: Path = Path("mnist.npz")
    jax_python: str | None = None
    sparseprop_python: str | None = None
    overhead_model: str = "resnet-20"
    quick: bool = False


NEED_MASKS: Final = frozenset({"density", "density-random-inputs"})
"""The rows that take masks from a run."""
NEED_EXAMPLES: Final = frozenset({"two-jobs"})
"""The rows that need MNIST as an .npz."""
ROW_NAMES: Final = (
    "dense-step",
    "two-jobs",
    "density",
    "density-random-inputs",
    "sparse-layer",
    "demo",
    "overhead",
    "hold",
    "memory",
    "protocol",
)
"""All rows, in the order in which they are measured."""

# (label, density, target)
_DENSITIES: Final = (("20%", 0.20, 3.0), ("10%", 0.10, 5.0), ("3%", 0.03, 10.0))


def make_rows(settings: Settings) -> dict[str, Row]:
    """Every row by its name."""
    rows = (
        _dense_step(settings),
        _two_jobs(settings),
        _density(settings),
        _density_random_inputs(settings),
        _sparse_layer(settings),
        _overhead(settings),
        _hold(settings),
        *_whole(settings),
    )
    return {row.name: row for row in rows}


def _measurement(
    settings: Settings, label: str, *arguments: str, python: str | None = None
) -> Measurement:
    quick = ("--quick",) if settings.quick else ()
    return Measurement(label=label, arguments=(*arguments, *quick), python=python or sys.executable)


def _mnist(settings: Settings) -> tuple[str, ...]:
    return () if settings.data_dir is None else ("--data-dir", str(settings.data_dir))


def _ours(settings: Settings, *, threads: int | None = 1) -> tuple[str, ...]:
    limit = () if threads is None else ("--threads", str(threads))
    return ("--engine", settings.engine, *limit)


def _eager(settings: Settings, threads: int, inputs: str) -> Measurement:
    return _measurement(
        settings,
        f"eager PyTorch, {threads} thread{'s'[: threads != 1]}",
        *("eager-step", *_mnist(settings), "--threads", str(threads), "--inputs", inputs),
    )


def _dense_step(settings: Settings) -> Row:
    ours = ("engine-step", *_mnist(settings), *_ours(settings))
    return Row(
        name="dense-step",
        about="a dense training step, ours on 1 thread, against eager PyTorch",
        measurements=(
            _measurement(settings, "ours", *ours),
            _eager(settings, 2, "mnist"),
            _eager(settings, 1, "mnist"),
        ),
        claims=(
            Claim(of="ours", against="eager PyTorch, 2 threads", target=2.0),
            Claim(of="ours", against="eager PyTorch, 1 thread", target=2.0),
        ),
    )


def _two_jobs(settings: Settings) -> Row:
    ours = ("two-jobs", *_mnist(settings), *_ours(settings))
    cores = str(os.cpu_count() or 1)
    jax = ("jax-step", "--examples", str(settings.examples), "--threads", cores)
    return Row(
        name="two-jobs",
        about="dense steps a second, two of our jobs in two threads, against one network in JAX",
        measurements=(
            _measurement(settings, "ours", *ours),
            _measurement(settings, "JAX", *jax, python=settings.jax_python),
        ),
        claims=(Claim(of="ours", against="JAX", target=1.5),),
        missing="" if settings.jax_python else "needs --jax-python",
    )


def _steps_at_densities(settings: Settings, inputs: str) -> tuple[Measurement, ...]:
    step = ("engine-step", *_mnist(settings), *_ours(settings), "--inputs", inputs)
    run = ("--run", str(settings.run))
    return (
        _measurement(settings, "dense", *step),
        *(
            _measurement(settings, label, *step, *run, "--density", str(density))
            for label, density, _ in _DENSITIES
        ),
    )


def _density(settings: Settings) -> Row:
    return Row(
        name="density",
        about="a step with the masks of a run, against our own dense step",
        measurements=_steps_at_densities(settings, "mnist"),
        claims=tuple(
            Claim(of=label, against="dense", target=target, density=density)
            for label, density, target in _DENSITIES
        ),
    )


def _density_random_inputs(settings: Settings) -> Row:
    eager = _eager(settings, 2, "normal")
    return Row(
        name="density-random-inputs",
        about="the same steps on normal inputs, where no two pixels have the same value",
        measurements=(*_steps_at_densities(settings, "normal"), eager),
        claims=(
            Claim(of="dense", against=eager.label),
            *(
                Claim(of=label, against="dense", density=density)
                for label, density, _ in _DENSITIES
            ),
        ),
    )


def _sparse_layer(settings: Settings) -> Row:
    shape = ("--density", "0.1", "--batch", "64", "--threads", "1")
    python = settings.sparseprop_python

    def sparseprop(through: str) -> Measurement:
        arguments = ("sparseprop-layer", *shape, "--through", through)
        return _measurement(settings, f"SparseProp, {through}", *arguments, python=python)

    return Row(
        name="sparse-layer",
        about="one layer 784 -> 300 at 10% density, batch 64: forward and both gradients",
        measurements=(
            _measurement(settings, "ours", "our-layer", *shape),
            sparseprop("kernels"),
            sparseprop("module"),
        ),
        claims=(
            Claim(of="ours", against="SparseProp, kernels", target=3.0),
            Claim(of="ours", against="SparseProp, module"),
        ),
        missing="" if python else "needs --sparseprop-python",
    )


def _overhead(settings: Settings) -> Row:
    work = ("--model", settings.overhead_model, "--threads", "1")
    return Row(
        name="overhead",
        about=f"a step of {settings.overhead_model} by the engine torch, against a bare loop",
        measurements=(
            _measurement(settings, "engine torch", "overhead-engine", *work),
            _measurement(settings, "bare loop", "overhead-bare", *work),
        ),
        claims=(Claim(of="engine torch", against="bare loop", target=0.97),),
    )


def _hold(settings: Settings) -> Row:
    return Row(
        name="hold",
        about="a step of a small encoder like BERT's in a plain loop, with a mask held and without",
        measurements=(
            _measurement(settings, "mask held", "hold-step", "--held", "--threads", "1"),
            _measurement(settings, "plain loop", "hold-step", "--threads", "1"),
        ),
        claims=(Claim(of="mask held", against="plain loop", target=0.97),),
    )


def _whole(settings: Settings) -> tuple[Row, Row, Row]:
    engine = _ours(settings, threads=None)
    return (
        Row(
            name="demo",
            about="lottery demo in an empty directory",
            measurements=(
                _measurement(settings, "as first run", "demo", *engine, "--first"),
                _measurement(settings, "again", "demo", *engine),
            ),
            claims=(Claim(of="as first run", target=30.0), Claim(of="again", target=30.0)),
        ),
        Row(
            name="memory",
            about="the most memory that a process with one dense job on MNIST holds",
            measurements=(
                _measurement(settings, "ours", "memory", *_mnist(settings), *_ours(settings)),
            ),
            claims=(Claim(of="ours", target=600.0),),
        ),
        Row(
            name="protocol",
            about="the paper's LeNet experiment, 2 replicates of 13 trainings",
            measurements=(_measurement(settings, "ours", "protocol", *_mnist(settings), *engine),),
            claims=(Claim(of="ours", target=360.0),),
            once=True,
        ),
    )
