"""Versions and hardware that a run was made with, for its record."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from lottery.blas import blas_kernels

# Packages that training runs without, but that may decode images, build a network or trace it.
_OPTIONAL = (
    "numba",
    "pillow",
    "torch-pruning",
    "timm",
    "torchvision",
    "transformers",
    "datasets",
)


def environment() -> dict[str, str | int | None]:
    """Versions and hardware: what can make the same job give other bytes elsewhere.

    Packages that are not always there have their version wherever they are installed, used or
    not: what a network or a criterion of one's own imports is not known. Else they have None.
    """
    return {
        "lottery": version("lottery"),
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        **{name: _installed(name) for name in _OPTIONAL},
        "blas": blas_kernels(),
        "platform": platform.platform(terse=True),
        "processor": _processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """The versions that, with engine and device, decide how a job's numbers are rounded."""
    return {
        "lottery": version("lottery"),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "blas": blas_kernels(),
        "processor": _processor(),
    }


def _processor() -> str:
    """The processor's name and widest vector instructions, which decide how sums are rounded."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        pass  # not Linux, or a processor that does not say
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def _installed(package: str) -> str | None:
    """A package's version, or None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The git commit of this package's source, if it lies in a checkout of its own."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
