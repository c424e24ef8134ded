"""Two processes that hold what cannot be held; each writes the errors it got into a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lottery import hold
from lottery.errors import LotteryError


def other_masks(rank: int) -> None:
    """Each process holds a mask of its own."""
    model = DistributedDataParallel(nn.Linear(8, 8))
    kept = torch.rand(8, 8, generator=torch.Generator().manual_seed(rank)) < 0.5
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with hold(model, {"weight": kept}):
        model(torch.randn(4, 8)).sum().backward()
        optimizer.step()


def sharded(_: int) -> None:
    """The weights are DTensors."""
    from torch.distributed.fsdp import fully_shard  # takes seconds

    model = nn.Linear(8, 8)
    fully_shard(model)
    hold(model, {"weight": torch.ones(8, 8, dtype=torch.bool)})


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    mine = torch.distributed.get_rank()
    for case in (other_masks, sharded):
        try:
            case(mine)
        except LotteryError as error:
            message = f"{type(error).__name__}: {error}"
            (Path(sys.argv[1]) / f"{case.__name__}-{mine}").write_text(message, encoding="utf-8")
    torch.distributed.destroy_process_group()
