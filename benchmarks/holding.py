"""What `lottery.hold` costs: a step of a small encoder like BERT's, with a mask held and without.

Four layers of width 256 (BERT-mini, arXiv:1908.08962), 16 sequences of 64 tokens a batch, clipped
gradients, fused AdamW; half of all weights are pruned. In seconds of the processor, which other
work on the machine changes less than it changes the time on the clock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.figure import Figure
from lottery import hold
from lottery.core import prunable_weights

TOKENS, WIDTH, LAYERS, CLASSES = 2_000, 256, 4, 2
BATCH, LENGTH = 16, 64


class Encoder(nn.Module):
    """An embedding, layers of attention, and a classifier of the first token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, nhead=4, dim_feedforward=4 * WIDTH, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, LAYERS)
        self.classifier = nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """The classes' logits ``[N, classes]`` of tokens ``[N, length]``."""
        outputs: Tensor = self.classifier(self.encoder(self.embedding(tokens))[:, 0])
        return outputs


def step(*, held: bool, quick: bool) -> Figure:
    """Seconds of the processor for one training step.

    Args:
        held: whether a mask is held.
        quick: hardly any steps.
    """
    torch.manual_seed(0)
    model = Encoder()
    mask = {name: torch.rand(w.shape) < 0.5 for name, w in prunable_weights(model).items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    tokens = torch.randint(TOKENS, (BATCH, LENGTH))
    targets = torch.randint(CLASSES, (BATCH,))

    def one() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(tokens), targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    holding: AbstractContextManager[object] = hold(model, mask) if held else nullcontext()
    with holding:
        samples = _processor_seconds(one, *((1, 1) if quick else (5, 5)))
    return Figure(value=statistics.median(samples), unit="s", samples=samples)


def _processor_seconds(call: Callable[[], object], blocks: int, calls: int) -> tuple[float, ...]:
    """Those of one call, in blocks of ``calls`` after one block that is not counted."""
    samples = []
    for _ in range(blocks + 1):
        start = time.process_time()
        for _ in range(calls):
            call()
        samples.append((time.process_time() - start) / calls)
    return tuple(samples[1:])
