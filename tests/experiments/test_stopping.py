"""From when on a request to stop is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import tiny

from lottery.errors import Preempted
from lottery.experiments import Listener, RunOptions, StopRequest, run_experiment
from lottery.store import JobResult


def test_a_run_says_from_when_on_it_looks_at_a_request(tmp_path: Path) -> None:
    stop = StopRequest()
    heard: list[tuple[str, bool]] = []

    class Hear(Listener):
        def started(self, run: Path, planned: int, finished: int, workers: int) -> None:
            heard.append(("started", stop.under_way))

        def finished(self, result: JobResult) -> None:
            heard.append(("finished", stop.under_way))

    config = tiny(replicates=1, levels=0)
    options = RunOptions(out=tmp_path, jobs=1, device="cpu", engine="torch")
    run_experiment(config, options, listener=Hear(), stop=stop)
    assert heard == [("started", False), ("finished", True)]

    again = StopRequest()
    run_experiment(config, options, stop=again)
    assert not again.under_way, "there was no training to stop"


def test_a_request_from_before_is_looked_at_before_the_first_training(tmp_path: Path) -> None:
    stop = StopRequest()
    stop.set()
    options = RunOptions(out=tmp_path, jobs=1, device="cpu", engine="torch")
    with pytest.raises(Preempted, match="between trainings"):
        run_experiment(tiny(), options, stop=stop)
    assert not list(tmp_path.rglob("result.json"))
