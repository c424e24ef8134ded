"""Several jobs at once in the threads of one process, with every engine that can."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import make_model
from threadpoolctl import threadpool_info, threadpool_limits
from tiny import contents, tiny

from lottery.data import load_dataset
from lottery.errors import Preempted, StoreError
from lottery.experiments import Listener, RunOptions, RunSummary, plan, run_experiment
from lottery.experiments.execute import JobMonitor
from lottery.experiments.workers.threads import _Threads
from lottery.store import JobKey, JobResult
from lottery.training import (
    ENGINES,
    Checkpoint,
    Engine,
    Monitor,
    TrainingConfig,
    TrainingJob,
    TrainingResult,
    make_engine,
)

Look = Callable[[TrainingJob, int], None]


class Watched:
    """A monitor that is looked at before every call."""

    def __init__(self, monitor: Monitor, look: Callable[[int], None]) -> None:
        self.monitor, self.look = monitor, look
        self.steps_at_once = 5

    def restore(self) -> Checkpoint | None:
        return self.monitor.restore()

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        self.look(iteration)
        self.monitor.step(iteration, checkpoint)


class Threaded:
    """An engine made to run in threads, of which each step can be looked at."""

    parallel = "threads"
    group_size = 1

    def __init__(self, engine: Engine) -> None:
        self.engine, self.name, self.augments = engine, engine.name, engine.augments
        self.holds_values, self.updates_masks = engine.holds_values, engine.updates_masks
        self.look: Look = lambda job, iteration: None

    def prepare(self) -> None:
        self.engine.prepare()

    def settings(self) -> Mapping[str, float]:
        return self.engine.settings()

    def refusal(self, model: torch.nn.Module, config: TrainingConfig) -> str | None:
        return self.engine.refusal(model, config)

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        def watched(job: TrainingJob, monitor: Monitor) -> Watched:
            return Watched(monitor, lambda iteration: self.look(job, iteration))

        return self.engine.train(jobs, list(map(watched, jobs, monitors)))


@pytest.fixture(scope="module", params=["torch", "sparse_cpu"])
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def engine(name: str, monkeypatch: pytest.MonkeyPatch) -> Threaded:
    engine = Threaded(make_engine(name, torch.device("cpu")))
    monkeypatch.setitem(ENGINES, name, lambda device: engine)
    return engine


@pytest.fixture(scope="module")
def reference(name: str, tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    """The same experiment, one job after another."""
    options = RunOptions(out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu", engine=name)
    return run_experiment(tiny(), options)


def go(engine: Threaded, out: Path, jobs: int = 2, **more: Any) -> RunSummary:
    options = RunOptions(out=out, jobs=jobs, device="cpu", engine=engine.name)
    return run_experiment(tiny(), options, **more)


def the_run(out: Path) -> Path:
    (run,) = out.iterdir()
    return run


def test_threads_give_the_same_bytes(
    engine: Threaded, reference: RunSummary, tmp_path: Path
) -> None:
    summary = go(engine, tmp_path, jobs=3)
    assert summary.failed == 0
    assert contents(summary.run) == contents(reference.run)


def test_jobs_share_the_data_and_compute_on_one_thread_each(
    engine: Threaded, tmp_path: Path
) -> None:
    together = threading.Barrier(2)
    first = set[int]()
    seen = set[tuple[int, int, frozenset[int]]]()

    def look(job: TrainingJob, iteration: int) -> None:
        if threading.get_ident() not in first:
            first.add(threading.get_ident())
            together.wait(600)  # two jobs are under way at the same time
        blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        seen.add((job.data.train.inputs.data_ptr(), torch.get_num_threads(), frozenset(blas)))

    engine.look = look
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(limits=2, user_api="blas"):
            go(engine, tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert len(first) == 2
    assert threading.get_ident() not in first
    ((_, torch_threads, blas_threads),) = seen
    assert (torch_threads, set(blas_threads)) == (1, {1})


def test_asked_to_stop_every_running_job_keeps_a_checkpoint(
    engine: Threaded, reference: RunSummary, tmp_path: Path
) -> None:
    stop, together = threading.Event(), threading.Barrier(2, action=lambda: stop.set())

    def look(job: TrainingJob, iteration: int) -> None:
        together.wait(600)

    engine.look = look
    with pytest.raises(Preempted, match="a checkpoint is kept:\n  replicate 0"):
        go(engine, tmp_path, stop=stop)
    assert len(list(the_run(tmp_path).rglob(".checkpoint-*"))) == 2
    engine.look = lambda job, iteration: None
    go(engine, tmp_path)
    assert contents(the_run(tmp_path)) == contents(reference.run)


def test_an_error_ends_the_run_after_the_others_have_kept_a_checkpoint(
    engine: Threaded, reference: RunSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, met, heard = threading.Barrier(2), threading.Event(), threading.Event()
    wait_for_all = _Threads.wait_for_all

    def told_to_end(pool: _Threads) -> None:
        heard.set()
        wait_for_all(pool)

    monkeypatch.setattr(_Threads, "wait_for_all", told_to_end)

    def look(job: TrainingJob, iteration: int) -> None:
        if not met.is_set():
            together.wait(600)
        if job.streams.replicate == 1:
            raise StoreError("the disk is gone")
        met.set()
        assert heard.wait(600), "the main thread has not heard of it"

    engine.look = look
    with pytest.raises(StoreError, match="the disk is gone"):
        go(engine, tmp_path)
    (kept,) = the_run(tmp_path).rglob(".checkpoint-*")
    assert kept.parent.name == "replicate-0"
    engine.look = lambda job, iteration: None
    go(engine, tmp_path)
    assert contents(the_run(tmp_path)) == contents(reference.run)


def test_the_listener_hears_everything_in_its_own_thread_and_in_order(
    engine: Threaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobMonitor, "_REPORT_SECONDS", 0.0)
    heard = list[tuple[str, JobKey]]()

    class Hear(Listener):
        def progressed(self, key: JobKey, iteration: int) -> None:
            assert threading.current_thread() is threading.main_thread()
            assert ("finished", key) not in heard
            heard.append(("progressed", key))

        def finished(self, result: JobResult) -> None:
            assert threading.current_thread() is threading.main_thread()
            heard.append(("finished", result.key))

    go(engine, tmp_path, listener=Hear())
    assert set(heard) == {(what, k) for what in ("progressed", "finished") for k in plan(tiny())}


def test_a_listener_that_fails_leaves_no_thread_behind(engine: Threaded, tmp_path: Path) -> None:
    class Fails(Listener):
        def finished(self, result: JobResult) -> None:
            raise RuntimeError("cannot draw")

    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="cannot draw"):
        go(engine, tmp_path, listener=Fails())
    assert set(threading.enumerate()) <= before


@pytest.fixture
def global_generator() -> Iterator[None]:
    """Put the global generator back after the test, whatever happens to it."""
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.usefixtures("global_generator")
def test_models_made_at_once_leave_the_global_generator_alone() -> None:
    config = tiny()
    data = load_dataset(config.data)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: make_model(config, data), range(200)))
    assert torch.equal(torch.get_rng_state(), before)
