"""Compilation by numba: settings, and where compiled code is cached.

numba decides whether cached code is still valid by the file of the function alone, not by the files
of the functions that it calls. So the cache is a directory named by a hash of all sources.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function when it is first called; the code is cached on disk if possible.

    ``error_model="numpy"`` gives infinity where Python would raise ZeroDivisionError; without it
    no loop that divides is vectorized. ``contract`` lets a product and a sum be rounded once; sums
    keep their order.
    """
    directory = cache_directory()
    settings: Any = numba.config
    before = settings.CACHE_DIR
    try:
        # Read while the function is being decorated.
        settings.CACHE_DIR = str(directory or "")
        decorate: Any = numba.njit(
            nogil=True,
            error_model="numpy",
            fastmath={"contract"},
            cache=directory is not None,
        )
        result: Function = decorate(function)
        return result
    finally:
        settings.CACHE_DIR = before


def compiles() -> bool:
    """Whether numba compiles the functions that it decorates, or leaves them to Python."""
    settings: Any = numba.config
    return not settings.DISABLE_JIT


@cache
def cache_directory() -> Path | None:
    """The directory of compiled code and measured costs; None if nothing can be written there.

    ``NUMBA_CACHE_DIR`` if it is set, else the user's directory for caches.
    """
    sources = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        sources.update(source.read_bytes())
    try:
        directory = _base() / f"compiled-{sources.hexdigest()[:16]}"
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except (OSError, RuntimeError):
        # The second where the user has no home at all.
        return None


def _base() -> Path:
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen) / "lottery"
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "lottery"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "lottery"
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has a relative path ignored.
    return Path(cache if os.path.isabs(cache) else home / ".cache") / "lottery"
