"""From when on a request to stop is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from lottery.data import Dataset, load_dataset
from lottery.errors import Preempted
from lottery.experiments import RunOptions, StopRequest, run, run_experiment
from lottery.training import Engine
from lottery.training.engines.torch_engine import TorchEngine


def test_a_run_looks_at_a_request_as_soon_as_the_data_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = StopRequest()
    heard: list[tuple[str, bool]] = []

    def loading(*arguments: Any, **options: Any) -> Dataset:
        data = load_dataset(*arguments, **options)
        heard.append(("loaded", stop.under_way))
        return data

    # Compiling takes no exception: it happens in functions that LLVM calls, which lose it.
    def preparing(engine: Engine) -> None:
        heard.append(("preparing", stop.under_way))

    monkeypatch.setattr(run, "load_dataset", loading)
    monkeypatch.setattr(TorchEngine, "prepare", preparing)
    options = RunOptions(out=tmp_path, jobs=1, device="cpu", engine="torch")
    run_experiment(tiny(replicates=1, levels=0), options, stop=stop)
    assert heard == [("loaded", False), ("preparing", True)]


def test_a_request_from_before_is_looked_at_before_the_first_training(tmp_path: Path) -> None:
    stop = StopRequest()
    stop.set()
    options = RunOptions(out=tmp_path, jobs=1, device="cpu", engine="torch")
    with pytest.raises(Preempted, match="0 of 18 trainings are done, and none was under way"):
        run_experiment(tiny(), options, stop=stop)
    assert not list(tmp_path.rglob("result.json"))
