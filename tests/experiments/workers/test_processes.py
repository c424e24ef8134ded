"""Several processes of which one is killed at the worst moment: an error, no wait for ever."""

from __future__ import annotations

import ctypes
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from looking import look_until_asked
from tiny import tiny

from lottery.errors import LotteryError
from lottery.experiments import RunOptions
from lottery.experiments.run import bind
from lottery.experiments.workers import WorkerSettings, processes
from lottery.experiments.workers.processes import process_pool
from lottery.store import JobKey, Store

KEY = JobKey(0, "main", 0)


@pytest.fixture
def open_pool(tmp_path: Path) -> Callable[[], Any]:
    """A pool of two processes."""
    settings = WorkerSettings(
        remake=partial(bind, tiny(), RunOptions(device="cpu", engine="torch"), progress=False),
        store=Store(tmp_path),
        device="cpu",
        checkpoint_seconds=30.0,
    )
    return lambda: process_pool(settings, 2, threading.Event(), lambda key, iteration, points: None)


@pytest.fixture(autouse=True)
def no_children() -> Iterator[None]:
    """What a test that fails leaves behind does not go on."""
    yield
    kill(multiprocessing.active_children())


def kill(children: list[BaseProcess]) -> None:
    for child in children:
        child.kill()
        child.join()


@pytest.mark.parametrize("noticed_by", ["submit", "finished"])
def test_a_killed_worker_is_one_error_and_the_others_end(
    open_pool: Callable[[], Any], noticed_by: str
) -> None:
    with open_pool() as pool:
        try:
            pool.submit([KEY])
            pool.submit([KEY])
            first, second = multiprocessing.active_children()
            first.kill()
            # Its pool knows of it before any of its jobs does.
            assert not wait(pool._running, timeout=600).not_done
            with pytest.raises(LotteryError, match="a worker process was killed"):
                pool.submit([KEY]) if noticed_by == "submit" else pool.finished()
            # Not by joining it: the pool's own thread does so too, and one of the two sees nothing.
            assert wait_for_any([second.sentinel], timeout=600)
        finally:
            # The end of the block waits for them.
            kill(multiprocessing.active_children())


def test_the_others_end_too_where_nobody_asks_for_results_any_more(
    open_pool: Callable[[], Any],
) -> None:
    """As at a stop. From Python 3.12 on, a broken pool would wait for them for ever."""
    killed: Future[Any] = Future()
    killed.set_exception(BrokenProcessPool("a process was terminated abruptly"))
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(3600,))
    with open_pool() as pool:
        pool._running.add(killed)
        other.start()
    other.join(120)
    assert not other.is_alive()


def test_workers_killed_while_they_look_do_not_hold_up_the_stop(
    open_pool: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    class NoPool:
        def __init__(self, *_: Any, initargs: tuple[Any, ...], **__: Any) -> None:
            given.extend(initargs)

        def shutdown(self, **_: Any) -> None:
            pass

    monkeypatch.setattr(processes, "ProcessPoolExecutor", NoPool)
    pool = open_pool()
    pool.__enter__()
    _, asked, _ = given
    assert isinstance(asked, ctypes.c_byte), "a lock would sometimes be kept by who is killed"
    context = multiprocessing.get_context("spawn")
    begun = [context.Value("b", 0, lock=False) for _ in range(3)]
    workers = [context.Process(target=look_until_asked, args=(asked, each)) for each in begun]
    for worker in workers:
        worker.start()
    while not all(each.value for each in begun):
        assert all(worker.is_alive() for worker in workers)
        time.sleep(0.01)
    assert all(worker.is_alive() for worker in workers)
    # The last goes on, so that it can be seen to hear of the stop.
    *killed, last = workers
    kill(list(killed))

    # In a thread, since what waits for a dead process's lock waits for ever.
    end = threading.Thread(target=pool.__exit__, args=(None, None, None), daemon=True)
    end.start()
    end.join(120)
    assert not end.is_alive()
    last.join(120)
    assert last.exitcode == 0
