"""What measurements need beforehand; in processes of its own, so that the parent stays small.

A child's peak memory counts that of the process it was forked from.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

LEVELS = 16
"""Prunings in the run that masks are taken from: down to 2.9% of the weights."""


def masks(scratch: Path, *, engine: str, data_dir: Path | None, quick: bool) -> Path:
    """A run of the paper's LeNet experiment, shortened to 2,000 iterations a level.

    Args:
        scratch: where to put it.
        engine: an engine's name.
        data_dir: where MNIST lies.
        quick: 20 iterations a level.

    Returns:
        The run's directory.
    """
    iterations = 20 if quick else 2_000
    command = [sys.executable, "-m", "lottery", "run", "lenet-300-100/mnist", "--out"]
    command += [str(scratch), "--levels", str(LEVELS), "--replicates", "1", "--engine", engine]
    command += ["--set", "controls.reinit=0", "--set", f"training.length.amount={iterations}"]
    command += ["--set", f"training.evaluate_every.amount={iterations}", "--quiet"]
    command += [] if data_dir is None else ["--data-dir", str(data_dir)]
    _run(command)
    return next(scratch.glob("lenet-300-100-mnist-*"))


def examples(scratch: Path, *, data_dir: Path | None) -> Path:
    """MNIST as an .npz that an environment without torch can read, see `benchmarks.jax_scan`."""
    path = scratch / "mnist.npz"
    command = [sys.executable, "-m", "benchmarks.prepare", str(path)]
    command += [] if data_dir is None else ["--data-dir", str(data_dir)]
    _run(command)
    return path


def _run(command: list[str]) -> None:
    """Run a command that says itself what is wrong, and end if something is."""
    code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    if code:
        raise SystemExit(code)


def _write_examples(path: Path, data_dir: Path | None) -> None:
    import numpy as np

    from benchmarks.workload import flat, load

    data = load(data_dir)
    np.savez(
        path,
        train_inputs=flat(data.normalized(data.train.inputs)).numpy(),
        train_targets=data.train.targets.numpy().astype(np.int32),
        test_inputs=flat(data.normalized(data.test.inputs)).numpy(),
        test_targets=data.test.targets.numpy().astype(np.int32),
    )


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare")
    parser.add_argument("path", type=Path)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    _write_examples(options.path, options.data_dir)


if __name__ == "__main__":
    _main()
