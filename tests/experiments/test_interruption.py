"""Real signals to real processes: what is finished stays, what was begun goes on, to the bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest
from forked_command import Forked, Forks
from tiny import contents

CONFIG = """
name = "killed"
replicates = 1
levels = 2
model = "mlp-100"
[data]
name = "mnist-5k"
validation = 500
[training]
batch_size = 60
length = { amount = LENGTH }
evaluate_every = { amount = 50 }
[prune]
fraction = 0.5
[method.rewind]
to = { amount = 30 }
[controls]
reinit = 1
random_mask = 1
"""
# Long enough that a signal falls inside a training more often than not.
LENGTHS = {"torch": 500, "sparse_cpu": 2000}
# For what must not end before it is killed, however busy the machine is.
ENDLESS = 1_000_000

# One job after another, several processes, several threads.
MODES = [("torch", "1"), ("torch", "2"), ("sparse_cpu", "2")]


def states(group: int) -> Iterator[str]:
    """The state of each process of a group, as Linux's letter for it."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            # What stands before, the name in parentheses, may hold anything.
            state, _, its_group, *_ = file.read_bytes().rpartition(b")")[2].split()
        except OSError:  # it has gone since
            continue
        if int(its_group) == group:
            yield state.decode()


class Command:
    """``lottery run`` in a process group of its own."""

    forks: ClassVar[Forks | None] = None
    """What starts it at once; None: a new Python does."""

    process: Forked | subprocess.Popen[str]

    def __init__(
        self, folder: Path, out: Path, engine: str, *extra: str, length: int | None = None
    ) -> None:
        config = folder / "killed.toml"
        config.write_text(CONFIG.replace("LENGTH", str(length or LENGTHS[engine])))
        arguments = ["run", str(config), "--out", str(out), "--device", "cpu", "--engine", engine]
        arguments += ["--checkpoint-seconds", "0.1", *extra]
        if self.forks is not None:
            self.process = self.forks.start(arguments)
            return
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lottery", *arguments],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, announced: str) -> None:
        """Read on until a line holds these words."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if announced in line:
                return
        raise AssertionError(f"ended with {self.process.wait()} before '{announced}'")

    def wait_for_progress(self, run: Path) -> None:
        """Wait until something is written: a checkpoint, or a finished level."""

        def written() -> set[str]:
            # Unlike rglob, walk does not mind a directory that goes away under it.
            return {at for at, _, files in os.walk(run) if "manifest.json" in files}

        before = written()
        while self.process.poll() is None and written() == before:
            time.sleep(0.005)

    def end(self) -> tuple[int, str]:
        """Wait for the end; the exit code and what was said."""
        assert self.process.stderr is not None
        hangs = threading.Timer(1200, os.killpg, (self.process.pid, signal.SIGKILL))
        hangs.start()
        try:
            with self.process.stderr as stream:
                said = stream.read()
            return self.process.wait(), said
        finally:
            hangs.cancel()

    def processes_left(self) -> bool:
        """Whether any process of the group still runs two minutes after its end."""
        last = time.monotonic() + 120
        while self._runs():
            if time.monotonic() > last:
                return True
            time.sleep(0.1)
        return False

    def _runs(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        # What has ended is listed as a zombie until its parent asks, which not every init does.
        return sys.platform != "linux" or any(state != "Z" for state in states(self.process.pid))


def the_run(out: Path) -> Path:
    (run,) = out.iterdir()
    return run


def finished_levels(run: Path) -> dict[Path, int]:
    """Every finished job and when it was committed: a retrained one would be newer."""
    return {
        path: path.stat().st_mtime_ns
        for path in run.glob("replicate-*/**/manifest.json")
        if not path.parent.name.startswith(".")
    }


@pytest.fixture(scope="module", autouse=True)
def forks() -> Iterator[None]:
    """Forks, where a process that has imported torch can be forked."""
    if sys.platform != "linux":
        yield
        return
    Command.forks = Forks()
    yield
    Command.forks.close()
    Command.forks = None


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run that an engine makes if nothing comes between, one job after another."""

    @cache
    def made(engine: str) -> Path:
        folder = tmp_path_factory.mktemp("reference")
        code, said = Command(folder, folder / "runs", engine, "--jobs", "1").end()
        assert code == 0, said
        return the_run(folder / "runs")

    return made


@pytest.mark.parametrize(
    ("engine", "jobs", "kills"), [("torch", "1", 5), ("torch", "2", 3), ("sparse_cpu", "2", 6)]
)
def test_killed_at_random_points_it_ends_with_the_same_bytes(
    uninterrupted: Callable[[str], Path], tmp_path: Path, engine: str, jobs: str, kills: int
) -> None:
    chance = random.Random(17)
    killed = inside = runs = 0
    while killed < kills:
        runs += 1
        out = tmp_path / f"runs-{runs}"
        done: dict[Path, int] = {}
        while True:
            command = Command(tmp_path, out, engine, "--jobs", jobs)
            command.wait_for("trainings,")
            if killed < kills:
                command.wait_for_progress(the_run(out))
                time.sleep(chance.uniform(0.0, 0.4))
                if command.process.poll() is None:
                    command.process.kill()
                    killed += 1
            code, said = command.end()
            assert not command.processes_left()
            now = finished_levels(the_run(out))
            assert now.items() >= done.items(), "a finished level was trained again"
            done = now
            inside += bool(list(the_run(out).rglob(".checkpoint-*")))
            if code == 0:
                break
            assert code == -signal.SIGKILL, said
        assert contents(the_run(out)) == contents(uninterrupted(engine))
        leftovers = [
            p.name for p in the_run(out).rglob(".*") if p.name not in (".lock", ".owner.json")
        ]
        assert leftovers == []
    assert inside >= kills // 4, "hardly any kill fell inside a level; the test would prove little"


@pytest.mark.parametrize(
    ("number", "engine", "jobs"),
    [(signal.SIGTERM, *mode) for mode in MODES] + [(signal.SIGINT, "torch", "2")],
)
def test_asked_to_stop_it_keeps_a_checkpoint_and_exits_75(
    uninterrupted: Callable[[str], Path],
    tmp_path: Path,
    engine: str,
    jobs: str,
    number: signal.Signals,
) -> None:
    # Checkpoints only on request, so that the one found was made by the signal.
    options = ("--jobs", jobs, "--checkpoint-seconds", "1000")
    command = Command(tmp_path, tmp_path / "runs", engine, *options)
    command.wait_for("[1/")
    time.sleep(0.15)
    os.killpg(command.process.pid, number)
    code, said = command.end()
    assert code == 75, said
    assert "Run the same command again to go on" in said
    assert "Traceback" not in said
    assert not command.processes_left()
    # A signal can also come in the instant between two jobs.
    kept = list((tmp_path / "runs").rglob(".checkpoint-*"))
    assert said.count(": iteration ") == len(kept)
    assert kept or "none was under way" in said
    done = finished_levels(the_run(tmp_path / "runs"))
    code, said = Command(tmp_path, tmp_path / "runs", engine, *options).end()
    assert code == 0, said
    assert finished_levels(the_run(tmp_path / "runs")).items() >= done.items()
    assert contents(the_run(tmp_path / "runs")) == contents(uninterrupted(engine))


@pytest.mark.parametrize(("engine", "jobs"), MODES)
def test_interrupted_twice_it_ends_at_once(tmp_path: Path, engine: str, jobs: str) -> None:
    command = Command(tmp_path, tmp_path / "runs", engine, "--jobs", jobs)
    command.wait_for("trainings,")
    command.wait_for_progress(the_run(tmp_path / "runs"))
    for _ in range(2):
        os.killpg(command.process.pid, signal.SIGINT)
        time.sleep(0.02)
    code, said = command.end()
    # Between the two it may have stopped in good order.
    assert code in (75, 130), said
    assert "Traceback" not in said
    assert not command.processes_left()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_killed_worker_ends_the_run_with_a_clear_error(tmp_path: Path) -> None:
    command = Command(tmp_path, tmp_path / "runs", "torch", "--jobs", "2", length=ENDLESS)
    command.wait_for("trainings,")
    command.wait_for_progress(the_run(tmp_path / "runs"))
    me = command.process.pid
    children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
    workers = [
        pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(int(workers[0]), signal.SIGKILL)
    code, said = command.end()
    assert code == 1
    assert "a worker process was killed" in said
    assert "Traceback" not in said
    assert not command.processes_left()


def test_a_second_process_is_told_who_owns_the_run(tmp_path: Path) -> None:
    first = Command(tmp_path, tmp_path / "runs", "torch", "--jobs", "1", length=ENDLESS)
    try:
        first.wait_for("trainings,")
        second = Command(tmp_path, tmp_path / "runs", "torch", "--jobs", "1", length=ENDLESS)
        code, said = second.end()
    finally:
        first.process.kill()
        first.end()
    assert code == 1
    assert f"process {first.process.pid}" in said
