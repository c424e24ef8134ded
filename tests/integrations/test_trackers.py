"""Trackers: what they are told, that they never change a run, and the real ones if there."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from command import Cli
from tiny import contents, tiny

from lottery.errors import MissingPackageError, UsageError
from lottery.experiments import RunOptions, open_run, plan, run_experiment
from lottery.integrations.trackers import (
    TRACKERS,
    MLflow,
    TensorBoard,
    Tracker,
    Wandb,
    make_tracker,
)
from lottery.methods import ControlsConfig
from lottery.store import JobKey, Store

CONFIG = tiny(replicates=1, levels=1, controls=ControlsConfig(reinit=1))
PACKAGES = {
    "tensorboard": "torch.utils.tensorboard",
    "wandb": "wandb",
    "trackio": "trackio",
    "mlflow": "mlflow",
}


class Record:
    """What a tracker of any kind has been told: training -> step -> name -> value."""

    def __init__(self) -> None:
        self.values: dict[str, dict[int, dict[str, float]]] = {}
        self.ended: dict[str, str] = {}
        self.configs: dict[str, Mapping[str, Any]] = {}
        self.fails: Callable[[str], None] = lambda what: None

    def begin(self, name: str, config: Mapping[str, Any]) -> None:
        self.fails("begin")
        sys.stdout.write("view your run at ...\n")
        assert name not in self.values
        self.values[name], self.configs[name] = {}, config

    def log(self, name: str, values: Mapping[str, float], step: int) -> None:
        self.fails("log")
        assert name not in self.ended
        self.values[name].setdefault(step, {}).update(values)

    def end(self, name: str, status: str = "") -> None:
        self.fails("end")
        self.ended[name] = status


def fake_tensorboard(record: Record) -> Any:
    class SummaryWriter:
        def __init__(self, directory: str) -> None:
            self.name = Path(directory).as_posix().rpartition("tensorboard/")[2]
            record.begin(self.name, {})

        def add_scalar(self, name: str, value: float, step: int) -> None:
            record.log(self.name, {name: value}, step)

        def flush(self) -> None:
            pass

        def close(self) -> None:
            record.end(self.name)

    return SimpleNamespace(SummaryWriter=SummaryWriter)


def fake_wandb(record: Record) -> Any:
    """As Trackio does, it ends what was begun before in the same context."""
    current = ContextVar[str]("current", default="")

    def init(*, project: str, name: str, group: str, config: dict[str, Any], **_: Any) -> Any:
        assert project == "lottery"
        assert name.startswith(f"{group}/")
        place = name.removeprefix(f"{group}/")
        if current.get():
            record.end(current.get())
        current.set(place)
        record.begin(place, config)
        return SimpleNamespace(
            log=lambda values, step: record.log(place, values, step),
            finish=lambda: record.end(place),
        )

    return SimpleNamespace(init=init)


def fake_mlflow(record: Record) -> Any:
    class MlflowClient:
        def __init__(self, uri: str | None) -> None:
            self.experiments = dict[str, str]()

        def get_experiment_by_name(self, name: str) -> Any:
            known = self.experiments.get(name)
            return known and SimpleNamespace(experiment_id=known)

        def create_experiment(self, name: str) -> str:
            return self.experiments.setdefault(name, f"id of {name}")

        def create_run(self, experiment: str, run_name: str) -> Any:
            assert experiment in self.experiments.values()
            record.begin(run_name, {})
            return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

        def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
            for name, value, _, step in metrics:
                record.log(run, {name: value}, step)

        def log_dict(self, run: str, values: dict[str, Any], name: str) -> None:
            record.configs[run] = values

        def set_terminated(self, run: str, status: str) -> None:
            record.end(run, status)

    entities = SimpleNamespace(Metric=lambda *what: what, Param=lambda *what: what)
    return SimpleNamespace(MlflowClient=MlflowClient, entities=entities)


FAKES = {
    "tensorboard": fake_tensorboard,
    "wandb": fake_wandb,
    "trackio": fake_wandb,
    "mlflow": fake_mlflow,
}


@pytest.fixture(params=FAKES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def record(name: str, monkeypatch: pytest.MonkeyPatch) -> Record:
    made, module = Record(), ModuleType(PACKAGES[name])
    module.__dict__.update(vars(FAKES[name](made)))
    monkeypatch.setitem(sys.modules, PACKAGES[name], module)
    return made


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that no tracker follows."""
    return run(tmp_path_factory.mktemp("reference"))


def run(out: Path, tracker: Tracker | None = None) -> Path:
    options = RunOptions(out=out, jobs=1, device="cpu", engine="torch")
    return run_experiment(CONFIG, options, listener=tracker).run


def expected(path: Path) -> dict[str, dict[int, dict[str, float]]]:
    """The evaluations of every training, as trackers have them."""
    opened, found = open_run(path), dict[str, dict[int, dict[str, float]]]()
    for key in plan(opened.config):
        steps = found.setdefault(key.path.as_posix(), {})
        for point in opened.store.curve(key):
            values = {f"{point.split}/{name}": value for name, value in point.values.items()}
            steps.setdefault(point.iteration, {}).update(values)
    return found


def without_results(
    values: Mapping[str, Mapping[int, Mapping[str, float]]],
) -> dict[str, dict[int, dict[str, float]]]:
    return {
        training: {
            step: {n: value for n, value in values.items() if not n.startswith("result/")}
            for step, values in steps.items()
        }
        for training, steps in values.items()
    }


def test_a_tracker_has_every_evaluation_and_every_result(
    name: str, record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run(tmp_path, make_tracker(name))
    assert without_results(record.values) == expected(path)
    for key, result in open_run(path).results.items():
        last = record.values[key.path.as_posix()][result.iterations]
        assert last["result/density"] == result.density
        assert last["result/early_stop_iteration"] == result.early_stop_iteration
    assert set(record.ended) == set(record.values)
    assert set(record.ended.values()) <= {"", "FINISHED"}
    if name != "tensorboard":
        config = record.configs["replicate-0/reinit-1/level-01"]
        assert (config["branch"], config["level"]) == ("reinit-1", 1)
        assert config["training"]["batch_size"] == CONFIG.training.batch_size
    assert capsys.readouterr().out == "", "standard output is for results"


@pytest.mark.parametrize(
    ("where", "error"),
    [("begin", SystemExit(1)), ("log", RuntimeError("no \x1b[31mroute")), ("end", OSError())],
)
def test_a_tracker_that_fails_is_dropped_and_changes_nothing(
    name: str,
    record: Record,
    reference: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    where: str,
    error: BaseException,
) -> None:
    asked = list[str]()

    def fails(what: str) -> None:
        asked.append(what)
        if asked.count(where) == 2:
            raise error

    record.fails = fails
    with caplog.at_level(logging.WARNING, "lottery"):
        path = run(tmp_path, make_tracker(name))
    assert contents(path) == contents(reference)
    (told,) = [line for line in caplog.messages if "the run goes on" in line]
    assert type(error).__name__ in told
    assert str(error).partition(" ")[0] in told
    assert told.isprintable()
    assert asked[-1] == where, "it was asked again"


def test_trainings_at_once_are_kept_apart_and_ended_where_they_are_stopped(
    name: str, record: Record, reference: Path
) -> None:
    tracker, keys = make_tracker(name), [JobKey(0, "main", level) for level in (0, 1)]
    tracker.started(reference, 2, 0, 2)
    for point in Store(reference).curve(keys[0]):
        for key in keys:
            tracker.measured(key, point)
    assert not record.ended
    first, second = (record.values[key.path.as_posix()] for key in keys)
    assert first == second == expected(reference)[keys[0].path.as_posix()]
    for _ in range(2):
        tracker.close()
    status = "KILLED" if name == "mlflow" else ""
    assert record.ended == {key.path.as_posix(): status for key in keys}


def test_a_package_that_is_missing_is_named_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    with pytest.raises(MissingPackageError, match=rf"lottery\[{name}\]"):
        make_tracker(name)


def test_the_command_line_has_trackers_by_name(
    cli: Cli, name: str, record: Record, reference: Path
) -> None:
    sets = ("--set", "replicates=1", "--levels", "1", "--smoke", "--jobs", "1", "--json")
    code, out, err = cli("run", "demo", *sets, "--track", name)
    assert code == 0, err
    assert json.loads(out)["jobs_done"] == len(record.values)


def test_a_name_that_is_no_trackers_is_told_the_nearest() -> None:
    assert set(TRACKERS) == set(PACKAGES)
    with pytest.raises(UsageError, match="did you mean 'mlflow'"):
        make_tracker("mflow")


def test_nothing_of_a_tracker_is_imported_unless_one_is_asked_for() -> None:
    script = "import sys, lottery.integrations.trackers as _; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"pandas", "wandb", "trackio", "mlflow", "tensorboard"} & set(done.stdout.split())


def test_settings_reach_the_tracker(
    monkeypatch: pytest.MonkeyPatch, reference: Path, tmp_path: Path
) -> None:
    given = list[Any]()
    wandb, tensorboard, mlflow = (
        ModuleType(PACKAGES[name]) for name in ("wandb", "tensorboard", "mlflow")
    )
    wandb.__dict__["init"] = lambda **settings: given.append(settings)
    tensorboard.__dict__["SummaryWriter"] = given.append
    mlflow.__dict__["MlflowClient"] = given.append
    for module in (wandb, tensorboard, mlflow):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    key = JobKey(0, "main", 0)
    for tracker in (
        Wandb("mine", entity="us", mode="offline"),
        TensorBoard(tmp_path / "events"),
        MLflow("sqlite:///here.db"),
    ):
        tracker.started(reference, 1, 0, 1)
        tracker.measured(key, Store(reference).curve(key)[0])
    settings, directory, uri = given
    assert (settings["project"], settings["entity"], settings["mode"]) == ("mine", "us", "offline")
    assert directory == str(tmp_path / "events" / reference.name / key.path)
    assert uri == "sqlite:///here.db"


_SCRIPT = """
import json, sys
from pathlib import Path
from tiny import tiny
from lottery.experiments import RunOptions, run_experiment
from lottery.integrations.trackers import make_tracker

options = RunOptions(out=Path("runs"), jobs=2, device="cpu", engine="sparse_cpu")
run = run_experiment(tiny(levels=0), options, listener=make_tracker(sys.argv[1])).run
print(run)
"""


@pytest.fixture
def real(tmp_path: Path) -> Callable[[str], Path]:
    """Follow a run with a real tracker, in a process of its own; all it writes lies in a folder."""

    def follow(name: str, package: str = "") -> Path:
        if find_spec(package or name) is None:
            pytest.skip(f"{name} is not installed: pip install 'lottery[{name}]'")
        paths = [path for path in sys.path if path.endswith(("support", "src"))]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
            "WANDB_MODE": "offline",
            "TRACKIO_DIR": str(tmp_path / "trackio"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "WANDB_CACHE_DIR": str(tmp_path / "wandb-cache"),
            "WANDB_CONFIG_DIR": str(tmp_path / "wandb-config"),
        }
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, name],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "the run goes on" not in done.stderr
        return tmp_path / done.stdout.strip()

    return follow


def test_tensorboard_itself(real: Callable[[str], Path]) -> None:
    path = real("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for training, steps in expected(path).items():
        events = EventAccumulator(str(path / "tensorboard" / training))
        events.Reload()
        assert "result/density" in events.Tags()["scalars"]
        for step, values in steps.items():
            for tag, value in values.items():
                logged = {event.step: event.value for event in events.Scalars(tag)}
                assert logged[step] == pytest.approx(value)


def test_mlflow_itself(real: Callable[[str], Path], tmp_path: Path) -> None:
    """Read with SQL, since importing it warns of others' deprecations."""
    path = real("mlflow")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        rows = database.execute(
            "select r.name, r.status, m.step, m.key, m.value from metrics m "
            "join runs r using (run_uuid) join experiments e using (experiment_id) "
            "where e.name = ?",
            (path.name,),
        ).fetchall()
    assert {status for _, status, *_ in rows} == {"FINISHED"}
    found = dict[str, dict[int, dict[str, float]]]()
    for training, _, step, key, value in rows:
        found.setdefault(training, {}).setdefault(step, {})[key] = value
    assert without_results(found) == expected(path)


def test_trackio_itself(real: Callable[[str], Path], tmp_path: Path) -> None:
    path = real("trackio")
    with sqlite3.connect(tmp_path / "trackio" / "lottery.db") as database:
        rows = database.execute("select run_name, step, metrics from metrics").fetchall()
    found = dict[str, dict[int, dict[str, float]]]()
    for training, step, metrics in rows:
        assert training.startswith(f"{path.name}/")
        steps = found.setdefault(training.removeprefix(f"{path.name}/"), {})
        steps.setdefault(step, {}).update(json.loads(metrics))
    assert without_results(found) == expected(path)


def test_wandb_itself(real: Callable[[str], Path], tmp_path: Path) -> None:
    path = real("wandb")
    logs = [log.read_bytes() for log in tmp_path.glob("wandb/offline-run-*/*.wandb")]
    for training in expected(path):
        (log,) = [log for log in logs if f"{path.name}/{training}".encode() in log]
        assert b"validation/loss" in log
        assert b"result/density" in log
