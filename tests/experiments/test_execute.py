"""What a job's monitor keeps, and for whom."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import contents, tiny

from lottery.errors import Preempted
from lottery.experiments import Listener, RunOptions, run_experiment
from lottery.experiments.execute import JobMonitor
from lottery.store import JobKey, Store
from lottery.training import Checkpoint

KEY = JobKey(0, "main", 1)


def monitor(store: Store, engine: str, *, device: str = "cpu", stopping: bool = True) -> JobMonitor:
    return JobMonitor(
        store,
        KEY,
        engine=engine,
        device=device,
        every=1000.0,
        stop=lambda: stopping,
        report=lambda iteration, points: None,
    )


def checkpoint() -> Checkpoint:
    return Checkpoint(iteration=7, tensors={"a": torch.arange(3)}, values={"b": 1})


def test_a_checkpoint_comes_back_to_its_engine_and_is_dropped_for_another(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Preempted, match="iteration 7"):
        monitor(store, "fast").step(7, checkpoint)
    kept = monitor(store, "fast").restore()
    assert kept is not None
    assert (kept.iteration, kept.values["b"]) == (7, 1)
    assert torch.equal(kept.tensors["a"], torch.arange(3))
    assert monitor(store, "torch").restore() is None
    # What is left would take the place of a checkpoint at the same iteration.
    assert list(tmp_path.rglob(".checkpoint-*")) == []


def test_a_checkpoint_that_names_no_engine_is_from_when_there_was_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_checkpoint(KEY, checkpoint())
    assert monitor(store, "torch").restore() is not None
    assert monitor(store, "fast").restore() is None


def test_a_checkpoint_is_not_carried_to_another_device(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Preempted, match="iteration 7"):
        monitor(store, "torch", device="cuda").step(7, checkpoint)
    assert monitor(store, "torch", device="cuda").restore() is not None
    assert monitor(store, "torch").restore() is None
    assert list(tmp_path.rglob(".checkpoint-*")) == []


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_checkpoint_that_names_no_device_says_it_by_its_random_states(
    tmp_path: Path, device: str
) -> None:
    state = {"random-cuda": torch.zeros(1, dtype=torch.uint8)} if device == "cuda" else {}
    for asked in ("cpu", "cuda"):
        store = Store(tmp_path / asked)
        kept = checkpoint()
        store.write_checkpoint(KEY, replace(kept, tensors={**kept.tensors, **state}))
        restored = monitor(store, "torch", device=asked).restore()
        assert (restored is not None) == (asked == device)


def test_nothing_is_kept_before_it_is_due(tmp_path: Path) -> None:
    watching = monitor(Store(tmp_path), "torch", stopping=False)
    watching.step(7, checkpoint)
    assert watching.restore() is None


@pytest.mark.parametrize(("first", "then"), [("torch", "sparse_cpu"), ("sparse_cpu", "torch")])
def test_a_job_stopped_under_one_engine_starts_over_under_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, then: str
) -> None:
    monkeypatch.setattr(JobMonitor, "_REPORT_SECONDS", 0.0)
    config, stop = tiny(replicates=1, levels=0), threading.Event()

    class Stop(Listener):
        def progressed(self, key: JobKey, iteration: int) -> None:
            stop.set()

    def options(out: str, engine: str) -> RunOptions:
        return RunOptions(out=tmp_path / out, jobs=1, device="cpu", engine=engine)

    with pytest.raises(Preempted):
        run_experiment(config, options("both", first), listener=Stop(), stop=stop)
    assert list(tmp_path.rglob(".checkpoint-*"))
    both = run_experiment(config, options("both", then))
    alone = run_experiment(config, options("alone", then))
    assert contents(both.run) == contents(alone.run)
    assert {result.engine for result in both.results.values()} == {then}
