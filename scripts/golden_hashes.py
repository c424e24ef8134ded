"""What of golden runs is recorded: hashes of the parts of jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

Parts = dict[str, str]
"""Part of a job -> its hash; or, of ``status`` and ``kept``, the value itself."""
Jobs = dict[str, Parts]
"""Job -> its parts, in the order of the plan."""


def digest(content: bytes) -> str:
    """The first 16 of the hex digits of SHA-256: enough to tell results apart."""
    return hashlib.sha256(content).hexdigest()[:16]


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names, types, shapes and bytes, whatever the order."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        whole.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()[:16]
