"""Reading runs back: those of older versions, and those that someone has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from lottery.errors import StoreError
from lottery.experiments import SCHEMA, open_run, to_plain
from lottery.experiments.config import plain_hash
from lottery.store import Store


def written(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A run without results whose config was changed before it was first written."""
    config = to_plain(tiny())
    change(config)
    Store(path).write_experiment(
        {
            "schema": SCHEMA,
            "config": config,
            "config_sha256": plain_hash(config, SCHEMA),
            "data": {
                "sha256": "",
                "training_examples": 1,
                "validation_examples": 1,
                "test_examples": 1,
                "input_shape": [1],
                "classes": 2,
            },
            "environment": dict.fromkeys(("lottery", "torch", "engine", "device"), ""),
            "command": "",
            "begun": "2026-11-28T15:10:13+00:00",
        }
    )
    return path


def test_a_run_from_before_a_key_existed_stays_readable(tmp_path: Path) -> None:
    run = open_run(written(tmp_path / "run", lambda config: config["training"].pop("loss")))

    assert run.config == tiny()
    assert run.config.training.loss == "cross-entropy"


def test_a_config_changed_afterwards_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "run", lambda config: None)
    text = (path / "experiment.json").read_text()
    (path / "experiment.json").write_text(text.replace('"batch_size": 60', '"batch_size": 61'))

    with pytest.raises(StoreError, match="SHA-256 differs"):
        open_run(path)
