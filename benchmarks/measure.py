"""One measurement in this process: ``python -m benchmarks.measure WHAT ...`` prints one JSON line.

Every interpreter of the benchmarks runs this file. So it imports nothing but the standard library
until it knows what to measure, and nothing that reads the number of threads before it is set.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.elsewhere import cores_elsewhere, moment
from benchmarks.figure import Figure

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments say and print the figure."""
    options = vars(make_parser().parse_args(arguments))
    module, _, function = options.pop("function").partition(":")
    start = moment()
    _set_threads(options.pop("threads"))
    if options.pop("kernels"):
        # As the command does, before anything loads NumPy.
        from lottery.blas import prefer_kernels

        prefer_kernels()
    figure: Figure = getattr(importlib.import_module(f"benchmarks.{module}"), function)(**options)
    busy = {"cores_elsewhere": cores_elsewhere(start, moment())}
    print(replace(figure, details={**figure.details, **busy}).to_line())


def _set_threads(number: int | None) -> None:
    """Set what math libraries read when they are imported; None leaves the choice to them."""
    for name in _THREADS:
        os.environ.pop(name, None)
        if number is not None:
            os.environ[name] = str(number)


def make_parser() -> argparse.ArgumentParser:
    """The options of every measurement; ``function`` is what measures, as ``module:name``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure", description=__doc__)
    kinds = parser.add_subparsers(metavar="WHAT", required=True)

    def kind(name: str, function: str, text: str) -> argparse.ArgumentParser:
        added = kinds.add_parser(name, help=text, description=text)
        added.set_defaults(function=function, kernels=False)
        added.add_argument("--quick", action="store_true", help="hardly any work: a smoke run")
        added.add_argument("--threads", type=int, help="threads of the math libraries")
        return added

    def on_mnist(name: str, function: str, text: str) -> argparse.ArgumentParser:
        added = kind(name, function, text)
        added.add_argument("--data-dir", type=Path, help="where MNIST lies")
        return added

    one = on_mnist("engine-step", "engines:step", "a training step of our engine")
    one.add_argument("--run", type=Path, help="a run to take the mask from; dense without")
    one.add_argument("--density", type=float, help="take the run's level nearest to it")
    eager = on_mnist("eager-step", "eager:step", "a training step of eager PyTorch")
    for step in (one, eager):
        step.add_argument("--inputs", choices=("mnist", "normal"), default="mnist")
    two = on_mnist("two-jobs", "engines:two_jobs", "steps a second of two of our jobs at once")
    jax = kind("jax-step", "jax_scan:step", "steps a second of JAX")
    jax.add_argument("--examples", type=Path, required=True, help="MNIST as an .npz")
    our_layer = kind("our-layer", "our_layer:step", "one sparse layer of ours")
    theirs = kind("sparseprop-layer", "sparseprop_layer:step", "one sparse layer of SparseProp")
    theirs.add_argument("--through", choices=("kernels", "module"), default="kernels")
    for layer in (our_layer, theirs):
        layer.add_argument("--density", type=float, default=0.1)
        layer.add_argument("--batch", type=int, default=64)
    for side in ("engine", "bare"):
        text = f"a step of the row overhead: {side}"
        overhead = kind(f"overhead-{side}", f"overhead:{side}", text)
        overhead.add_argument("--model", default="resnet-20", help="the network's name")
    holding = kind("hold-step", "holding:step", "a step of a plain loop, with a mask or without")
    holding.add_argument("--held", action="store_true", help="with a mask that is held")
    protocol = on_mnist("protocol", "commands:protocol", "the paper's LeNet experiment")
    demo = kind("demo", "commands:demo", "lottery demo")
    demo.add_argument("--first", action="store_true", help="with nothing compiled yet")
    memory = on_mnist("memory", "commands:memory", "the most memory that a job takes")
    our_layer.set_defaults(kernels=True)
    for ours in (one, two, protocol, demo, memory):
        ours.set_defaults(kernels=True)
        ours.add_argument("--engine", default="sparse_cpu", help="an engine's name")
    return parser


if __name__ == "__main__":
    main()
