"""The machine that golden runs were recorded on, and what it rounds otherwise."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

import torch

from golden_case import Case
from golden_hashes import Jobs, hash_tensors
from lottery.blas import blas_kernels


@lru_cache(maxsize=1)
def machine() -> dict[str, str]:
    """What the bits of results depend on besides the code; results are compared where it is equal.

    The probe is a hash of what torch computes here, whatever names its kernels have.
    """
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(37, 53, generator=generator)
    images = torch.randn(5, 3, 12, 12, generator=generator)
    kernels = torch.randn(7, 3, 3, 3, generator=generator)
    computed = {
        "matrix": matrix,
        "product": matrix @ matrix.T,
        "exponential": matrix.exp(),
        "softmax": matrix.log_softmax(dim=1),
        "convolution": torch.nn.functional.conv2d(images, kernels, padding=1),
    }
    return {
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "platform": f"{platform.system()} {platform.machine()}",
        "numba": _version("numba"),
        "llvmlite": _version("llvmlite"),
        "processor": _processor(),
        "probe": hash_tensors(computed),
        "blas": str(blas_kernels()),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _processor() -> str:
    """The processor by the name that LLVM has for it."""
    try:
        from llvmlite import binding
    except ImportError:
        return "unknown"
    return str(binding.get_host_cpu_name())


def other_machine(recorded: Mapping[str, str], case: Case) -> str:
    """How this machine differs from the one that hashes were recorded on; empty if it does not.

    The engine torch brings its own BLAS.
    """
    here, own = machine(), {"blas"} if case.engine == "torch" else set[str]()
    return ", ".join(
        f"{name} {here.get(name)} instead of {recorded.get(name)}"
        for name in sorted({*here, *recorded} - own)
        if here.get(name) != recorded.get(name)
    )


def rounded_the_same(case: Case, jobs: Jobs) -> Jobs:
    """What is the same on every machine: how each job ended, and how many weights it keeps.

    Where units differ in size, or a mask is learned, even the number kept depends on rounding; and
    masks drawn at random do not.
    """
    config = case.config()
    names = {"status"}
    if config.prune.granularity == "weight":
        names |= {"kept"}
        if config.prune.criterion == "random":
            names |= {"ticket mask"}
    return {
        job: {part: value for part, value in parts.items() if part in names}
        for job, parts in jobs.items()
        if "supermask" not in job
    }


# Comparing
