"""Runs of a loop of one's own that are killed again and again, each time at a given moment.

Arguments: a folder, and for each run rising numbers of checkpoints, joined by commas. A run without
interruption is made in ``whole``; the others, in folders of their numbers' names, are killed right
after so many calls of ``session.checkpoint``, all processes together, and gone on with each time.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count, pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from lottery import find_tickets
from lottery.tasks.session import LoopSession

INPUTS = torch.randn(90, 6, generator=torch.Generator().manual_seed(7))
TARGETS = (INPUTS[:, 0] > 0).long()


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 2))


def evaluate(model: nn.Module) -> float:
    return float((model.eval()(INPUTS).argmax(1) == TARGETS).float().mean())


def run(out: Path, kill_after: int) -> None:
    """Two levels and two controls; killed after so many checkpoints, if there are as many."""
    calls = count(1)

    def train(model: nn.Module, session: LoopSession) -> None:
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        for step in range(session.resume(optimizer), 8):
            batch = torch.randperm(len(INPUTS))[:20]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(INPUTS[batch]), TARGETS[batch])
            loss.backward()
            optimizer.step()
            session.log(step + 1, loss=loss)
            session.checkpoint(step + 1)
            if next(calls) == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)

    find_tickets(  # what it counts is no part of what it does
        make_model,
        train,
        evaluate,
        levels=2,
        replicates=1,
        rewind=3,
        fingerprint={"train": "counted"},
        out=out,
        checkpoint_seconds=0.0,
        verbose=False,
    )


def in_a_process(out: Path, kill_after: int) -> int:
    """The signal or code that a process ended with."""
    child = os.fork()
    if not child:
        try:
            run(out, kill_after)
        except BaseException:  # noqa: BLE001 - a child must end here
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    torch.set_num_threads(1)
    # What is imported here need not be in every process.
    torch.optim.AdamW(make_model().parameters())
    folder, *runs = sys.argv[1:]
    ended, expected = [in_a_process(Path(folder, "whole"), 0)], [0]
    for numbers in runs:
        # Each process goes on right after the checkpoint that the one before was killed at.
        calls = [now - before for before, now in pairwise([0, *map(int, numbers.split(","))])]
        ended += [in_a_process(Path(folder, numbers), number) for number in (*calls, 0)]
        expected += [*[signal.SIGKILL] * len(calls), 0]
    sys.exit(0 if ended == expected else f"processes ended with {ended}")
