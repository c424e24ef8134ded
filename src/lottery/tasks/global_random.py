"""The random generators that everybody shares: torch's, numpy's and Python's own."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """All of them seeded for a block, and put back as they were after it.

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
    """Where each of them is: nested tensors, arrays and plain values."""
    version, words, gauss = random.getstate()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {
        "torch": torch.get_rng_state(),
        "cuda": on_gpus,
        "numpy": np.random.get_state(legacy=False),
        "python": [version, torch.tensor(words), gauss],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put back what `random_state` gave."""
    torch.set_rng_state(state["torch"])
    for device, there in enumerate(state["cuda"]):
        torch.cuda.set_rng_state(there, device)
    np.random.set_state(state["numpy"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
