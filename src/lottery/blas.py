"""Which kernels the linear algebra below NumPy and SciPy runs, and on how many threads.

OpenBLAS reads its environment when it is loaded, so the command sets it first of all. In a process
where it is loaded already, only the number of threads can still be changed.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

# What OpenBLAS needs for the kernels that it calls SkylakeX.
_SKYLAKEX = frozenset({"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"})


def prefer_kernels() -> None:
    """Ask for one thread and for AVX-512 kernels where the processor has them.

    Some versions of OpenBLAS do not know a new processor by its number, and take kernels for half
    as wide vectors. Variables that are set already stay; once NumPy is loaded, so does everything.
    """
    if "numpy" in sys.modules:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if _processor_flags() >= _SKYLAKEX:
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let every BLAS that is loaded by now compute on the thread that calls it alone.

    This holds for the whole process. Where several threads are in such a block, it holds until the
    last of them leaves.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


class _Limit:
    """The limit of BLAS's threads. Most builds have one for the process, some one a thread."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._before: Any = None

    def enter(self) -> None:
        from threadpoolctl import OpenBLASController, threadpool_limits

        with self._lock:
            if not self._inside:
                # Loops that numba compiled load SciPy's at their first product: too late.
                if "numba" in sys.modules:
                    _load_scipy_blas()
                # Only the thread that changed the process's limit first may change it, unless it
                # is made to give that up.
                OpenBLASController.clear_controlling_thread(force=True)
            limits = threadpool_limits(limits=1, user_api="blas")
            if not self._inside:
                self._before = limits
            self._inside += 1

    def leave(self) -> None:
        from threadpoolctl import OpenBLASController

        with self._lock:
            self._inside -= 1
            if not self._inside:
                OpenBLASController.clear_controlling_thread(force=True)
                self._before.restore_original_limits()
                OpenBLASController.clear_controlling_thread(force=True)


_limit = _Limit()


def blas_kernels() -> str:
    """The kernels in use, as OpenBLAS calls them, such as ``SkylakeX``; ``unknown`` without it."""
    from threadpoolctl import threadpool_info

    _load_scipy_blas()
    names = {pool.get("architecture") for pool in threadpool_info()} - {None}
    return ", ".join(sorted(map(str, names))) or "unknown"


def _load_scipy_blas() -> None:
    """Load the OpenBLAS that compiled loops call; NumPy has another."""
    import_module("scipy.linalg.cython_blas")


def _processor_flags() -> frozenset[str]:
    """The first processor's features by their names on x86; empty where Linux does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(flags.split())
