"""Compilation before the first training, so that it can be announced."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

import torch
from torch import nn

from lottery.core import Mask, prunable_weights
from lottery.data import Dataset, Split
from lottery.rng import Streams
from lottery.training.config import TrainingConfig
from lottery.training.engines.sparse_cpu.compiled import cache_directory
from lottery.training.engines.sparse_cpu.costs import machine_costs
from lottery.training.engines.sparse_cpu.training import Training
from lottery.training.interface import TrainingJob
from lottery.training.length import Length

_log = logging.getLogger("lottery")
_one_at_a_time = threading.Lock()
_done = threading.Event()
_MARK = "complete"


def is_compiled() -> bool:
    """Whether `compile_all` has been run, by this process or by one with the same code cache."""
    directory = cache_directory()
    return _done.is_set() or (directory is not None and (directory / _MARK).exists())


def compile_all() -> None:
    """Compile everything that a training in float32 needs, and measure the machine's costs.

    Unless the code is cached, a warning is logged first, since this takes a while.
    """
    with _one_at_a_time:
        if not is_compiled():
            _log.warning("compiling the training loop for this machine (once; about 20 seconds)")
        if not _done.is_set():
            _compile()


def _compile() -> None:
    machine_costs()
    with torch.random.fork_rng(devices=[]):
        training = Training(_smallest_job())
    training.advance(1)
    _done.set()
    directory = cache_directory()
    if directory is not None:
        # On a full disk the code is compiled all the same, and once more next time.
        with suppress(OSError):
            (directory / _MARK).touch()


def _smallest_job() -> TrainingJob:
    def make_model() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 2))

    model = make_model()
    split = Split(torch.eye(2), torch.arange(2))
    data = Dataset(name="smallest", train=split, validation=split, test=split, classes=2)
    return TrainingJob(
        make_model=make_model,
        mask=Mask.dense(prunable_weights(model)),
        start={name: value.clone() for name, value in model.state_dict().items()},
        data=data,
        config=TrainingConfig(length=Length(amount=1)),
        streams=Streams(0, 0),
    )
