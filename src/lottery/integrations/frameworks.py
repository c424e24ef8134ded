"""Functions that the tasks of all training frameworks use."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Measured of the machine, not of the network; and what skorch notes beside its losses.
_NOT_SCORES = ("_runtime", "_per_second", "_preparation_time", "_batch_count", "_best")


def seed_all(seed: int) -> None:
    """Seed the global random generators of torch, numpy and Python.

    Args:
        seed: in ``[0, 2**32)``.
    """
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def select_metrics(metrics: Mapping[str, Any], prefixes: Iterable[str]) -> dict[str, Any]:
    """The metrics whose names begin with one of the prefixes, which is cut off.

    Values that are not a single number, such as a list of one score a class, are left out, as are
    durations and the like, which say nothing of the network.

    >>> select_metrics({"eval_loss": 0.5, "eval_f1": [1.0, 0.0], "eval_runtime": 2.0}, ["eval_"])
    {'loss': 0.5}
    """
    return {
        name.removeprefix(prefix): float(value)
        for prefix in prefixes
        for name, value in metrics.items()
        if name.startswith(prefix) and not name.endswith(_NOT_SCORES)
        if isinstance(value, Real) or (isinstance(value, Tensor) and value.numel() == 1)
    }
