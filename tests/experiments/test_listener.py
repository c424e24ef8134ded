"""What listeners hear of evaluations, whatever trains, and several of them at once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from tiny import contents, tiny

from lottery.errors import Preempted
from lottery.experiments import Listener, Listeners, RunOptions, plan, run_experiment
from lottery.store import JobKey, JobResult, Store
from lottery.training import CurvePoint


class Hears(Listener):
    """Takes down what it hears of evaluations and ends."""

    def __init__(self) -> None:
        self.points: dict[JobKey, list[CurvePoint]] = {}
        self.ended = list[JobKey]()
        self.closed = 0

    def measured(self, key: JobKey, point: CurvePoint) -> None:
        assert key not in self.ended
        self.points.setdefault(key, []).append(point)

    def finished(self, result: JobResult) -> None:
        self.ended.append(result.key)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("engine", "jobs"), [("torch", 1), ("torch", 2), ("sparse_cpu", 2)], ids=lambda x: str(x)
)
def test_every_evaluation_is_heard_before_its_training_ends(
    tmp_path: Path, engine: str, jobs: int
) -> None:
    """One after another, in processes and in threads."""
    config, hears = tiny(replicates=1), Hears()
    options = RunOptions(out=tmp_path, jobs=jobs, device="cpu", engine=engine)
    run = run_experiment(config, options, listener=hears).run
    store = Store(run)
    assert hears.points == {key: store.curve(key) for key in plan(config)}
    assert set(hears.ended) == set(plan(config))
    assert hears.closed == 1


def test_hearing_changes_nothing_and_nothing_is_lost_by_a_stop(tmp_path: Path) -> None:
    config, stop = tiny(replicates=1, levels=1), threading.Event()

    class Stops(Hears):
        def measured(self, key: JobKey, point: CurvePoint) -> None:
            super().measured(key, point)
            if point.iteration == 10:
                stop.set()

    def run(out: str, listener: Listener | None = None, **more: Any) -> Path:
        options = RunOptions(out=tmp_path / out, jobs=1, device="cpu", engine="torch")
        return run_experiment(config, options, listener=listener, **more).run

    first, second = Stops(), Hears()
    with pytest.raises(Preempted):
        run("stopped", first, stop=stop)
    assert first.closed == 1
    stopped = run("stopped", second)
    assert contents(stopped) == contents(run("unheard"))
    dense = JobKey(0, "main", 0)
    assert first.points[dense] + second.points[dense] == Store(stopped).curve(dense)


def test_a_run_that_is_there_already_closes_its_listener_too(tmp_path: Path) -> None:
    for _ in range(2):
        hears = Hears()
        options = RunOptions(out=tmp_path, jobs=1, device="cpu", engine="torch")
        run_experiment(tiny(replicates=1, levels=0), options, listener=hears)
        assert hears.closed == 1
    assert not hears.points


def test_each_of_several_listeners_hears_every_event() -> None:
    heard = list[tuple[int, str, tuple[object, ...]]]()
    events = [name for name in vars(Listener) if not name.startswith("_")]

    def recorder(number: int) -> Listener:
        made = Listener()
        for name in events:

            def take(*what: object, name: str = name) -> None:
                heard.append((number, name, what))

            setattr(made, name, take)
        return made

    both = Listeners(recorder(1), recorder(2))
    for name in events:
        getattr(both, name)("this", name)
    assert heard == [(n, name, ("this", name)) for name in events for n in (1, 2)]
    assert {"measured", "finished", "close"} <= set(events)
