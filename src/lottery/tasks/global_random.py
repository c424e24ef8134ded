"""The global random generators of torch, numpy and Python."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed all of them for a ``with`` block, and restore their states after it.

    Args:
        seed: in ``[0, 2**63)``; numpy takes its last 32 bits.
    """
    before = random_state()
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        set_random_state(before)


def random_state() -> dict[str, Any]:
    """The states of all of them, as nested tensors, arrays and plain values."""
    version, words, gauss = random.getstate()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {
        "torch": torch.get_rng_state(),
        "cuda": on_gpus,
        "numpy": np.random.get_state(legacy=False),
        "python": [version, torch.tensor(words), gauss],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Restore states that `random_state` returned."""
    torch.set_rng_state(state["torch"])
    for device, there in enumerate(state["cuda"]):
        torch.cuda.set_rng_state(there, device)
    np.random.set_state(state["numpy"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
