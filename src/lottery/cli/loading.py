"""A word before PyTorch is imported, which takes a quarter of a minute from a cold disk."""

from __future__ import annotations

import sys

_WORDS = "loading PyTorch"


def load(*, line: bool = False, silent: bool = False) -> None:
    """Import PyTorch, and say so first.

    Args:
        line: leave a line, on a terminal or not; else the words stand on a terminal only, and go
            when they are no longer true.
        silent: say nothing.
    """
    if silent or "torch" in sys.modules or not (line or sys.stderr.isatty()):
        return
    sys.stderr.write(f"{_WORDS}\n" if line else _WORDS)
    sys.stderr.flush()
    import torch  # noqa: F401 - imported for those that come after

    if not line:
        sys.stderr.write(f"\r{' ' * len(_WORDS)}\r")
        sys.stderr.flush()
