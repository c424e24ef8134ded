"""What tasks of training frameworks have in common."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

# Measured of the machine, not of the network.
_NOT_SCORES = ("_runtime", "_per_second", "_preparation_time")


def seed_all(seed: int) -> None:
    """Seed the global generators, which a script may have seeded with a number of its own.

    Args:
        seed: in ``[0, 2**32)``.
    """
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def named(metrics: Mapping[str, Any], prefixes: Iterable[str]) -> dict[str, Any]:
    """The measurements whose names begin with one of the prefixes, without it.

    >>> named({"eval_loss": 0.5, "eval_runtime": 2.0, "epoch": 1.0}, ["eval_"])
    {'loss': 0.5}
    """
    return {
        name.removeprefix(prefix): float(value)
        for prefix in prefixes
        for name, value in metrics.items()
        if name.startswith(prefix) and not name.endswith(_NOT_SCORES)
    }
