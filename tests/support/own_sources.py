"""Data and networks of a user's, by their import paths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Pair = tuple[Tensor, Tensor]
VOCABULARY = 20


def points() -> tuple[Pair, Pair]:
    """Of 8 numbers, two of which decide the class."""
    inputs = torch.randn(400, 8)
    targets = (inputs[:, 0] + inputs[:, 1] > 0).long()
    return (inputs[:300], targets[:300]), (inputs[300:], targets[300:])


def tokens() -> tuple[Pair, Pair]:
    """Of 6 token ids, one of which decides the class."""
    ids = torch.randint(0, VOCABULARY, (400, 6))
    targets = (ids == 3).any(dim=1).long()
    return (ids[:300], targets[:300]), (ids[300:], targets[300:])


class BagOfTokens(nn.Module):
    """An embedding, averaged, and two layers."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 16)
        self.hidden = nn.Linear(16, 32)
        self.output = nn.Linear(32, classes)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = torch.relu(self.hidden(self.embedding(ids).mean(dim=1)))
        found: Tensor = self.output(hidden)
        return found


def bag_of_tokens(_input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return BagOfTokens(classes)
