"""Named streams of randomness.

Each use of randomness has a stream of its own, named by what it is for, so that adding a use never
shifts another. A stream's seed is a SHA-256 of its name: the same in every process and on every
platform, unlike ``hash()``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Streams:
    """The streams of one replicate.

    Args:
        seed: the experiment's seed, any integer.
        replicate: the replicate's number, from 0.
        path: what every stream's name begins with; empty for the streams that everything draws
            from unless it is to draw otherwise.
    """

    seed: int
    replicate: int
    path: tuple[str | int, ...] = ()

    def seed_of(self, *purpose: str | int) -> int:
        """The seed of the stream with this name, in ``[0, 2**63)``.

        >>> Streams(0, 0).seed_of("init") == Streams(0, 0).seed_of("init")
        True
        >>> Streams(0, 0).seed_of("order", 1) == Streams(0, 0).seed_of("order", "1")
        False
        """
        name = json.dumps([self.seed, self.replicate, *self.path, *purpose], separators=(",", ":"))
        digest = hashlib.sha256(name.encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def below(self, *path: str | int) -> Streams:
        """Other streams of the same replicate, with the same names below one of their own."""
        return Streams(self.seed, self.replicate, (*self.path, *path))

    def generator(self, *purpose: str | int) -> torch.Generator:
        """A fresh CPU generator at the start of the stream with this name."""
        return torch.Generator().manual_seed(self.seed_of(*purpose))
