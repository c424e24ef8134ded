"""What a worker makes of a device that is too small."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bound import bound
from tiny import tiny

from lottery.data import load_dataset
from lottery.errors import UsageError
from lottery.experiments.workers import WorkerSettings
from lottery.experiments.workers.worker import Worker
from lottery.store import JobKey, Store


def test_too_little_memory_is_one_message_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 8.00 GiB")

    monkeypatch.setattr("lottery.experiments.workers.worker.run_jobs", fails)
    experiment = bound(tiny(), load_dataset(tiny().data))
    settings = WorkerSettings(
        remake=lambda: experiment, store=Store(tmp_path), device="cpu", checkpoint_seconds=30.0
    )
    worker = Worker(settings, experiment, lambda: False, lambda key, iteration, points: None)
    with pytest.raises(UsageError, match=r"main, level 0: .*8\.00 GiB.*training\.batch_size"):
        worker.run([JobKey(0, "main", 0)])
