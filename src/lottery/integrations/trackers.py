"""Experiment trackers that follow a run: TensorBoard, Weights & Biases, Trackio, MLflow.

Each training is a run of the tracker, named by its place in ours: what every evaluation measured,
by iteration, such as ``validation/loss``, and at the end the numbers of its result. A training that
goes on after an interruption is one more run of the same name. A tracker that fails, at its start
or later, is dropped with a warning of the logger ``lottery``, and the run goes on without it.
"""

from __future__ import annotations

import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from contextvars import Context
from dataclasses import asdict
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lottery.errors import UsageError, describe_error, printable, unknown_name
from lottery.experiments.listener import Listener
from lottery.integrations.extra import import_extra

if TYPE_CHECKING:
    from lottery.store import JobKey, JobResult
    from lottery.training import CurvePoint

_PLACE: Final = ("replicate", "branch", "level")


class Tracker(Listener, ABC):
    """Follows a run with a tracker; a subclass says how one training is begun, logged and ended."""

    def __init__(self) -> None:
        self._run = Path()
        self._trainings: dict[JobKey, Any] = {}
        self._dropped = False

    @abstractmethod
    def _begin(self, name: str, config: Mapping[str, Any]) -> Any:
        """The tracker's run for a training, with its place and the config of the experiment."""

    @abstractmethod
    def _log(self, training: Any, values: Mapping[str, float], step: int) -> None: ...

    @abstractmethod
    def _end(self, training: Any, status: str) -> None:
        """End a training: with the status of its result, or ``stopped``."""

    def started(self, run: Path, planned: int, finished: int, workers: int) -> None:
        """Remember where the run lies."""
        del planned, finished, workers
        self._run = run

    def measured(self, key: JobKey, point: CurvePoint) -> None:
        """Log what was measured on one split."""
        values = {f"{point.split}/{name}": value for name, value in point.values.items()}
        self._attempt(self._log_to, key, values, point.iteration)

    def finished(self, result: JobResult) -> None:
        """Log the numbers of a result, and end its training."""
        values = {
            f"result/{name}": value
            for name, value in asdict(result).items()
            if name not in _PLACE and isinstance(value, int | float)
        }
        self._attempt(self._log_to, result.key, values, result.iterations)
        self._attempt(self._end_of, result.key, result.status)

    def close(self) -> None:
        """End the trainings that were stopped."""
        for key in list(self._trainings):
            self._attempt(self._end_of, key, "stopped")

    def _log_to(self, key: JobKey, values: Mapping[str, float], step: int) -> None:
        if key not in self._trainings:
            experiment = json.loads((self._run / "experiment.json").read_text(encoding="utf-8"))
            config = {**experiment["config"], **{name: getattr(key, name) for name in _PLACE}}
            name = f"{self._run.name}/{key.path.as_posix()}"
            self._trainings[key] = self._begin(name, config)
        self._log(self._trainings[key], values, step)

    def _end_of(self, key: JobKey, status: str) -> None:
        self._end(self._trainings.pop(key), status)

    def _attempt(self, action: Callable[..., None], *what: Any) -> None:
        """Do something with the tracker; drop it if that fails in any way."""
        if self._dropped:
            return
        try:
            # Some print lines for every training, and standard output is for results.
            with redirect_stdout(StringIO()):
                action(*what)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code
            self._dropped = True
            logging.getLogger("lottery").warning(
                "%s failed and is not told any more; the run goes on (%s)",
                type(self).__name__,
                printable(describe_error(error)),
            )


class TensorBoard(Tracker):
    """Writes event files for TensorBoard.

    Args:
        directory: where to; None for the folder ``tensorboard`` in the run's directory.

    Raises:
        MissingPackageError: the package ``tensorboard`` is not installed.
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        super().__init__()
        self._directory = directory
        self._tensorboard = import_extra(
            "torch.utils.tensorboard", extra="tensorboard", what="the tracker TensorBoard"
        )

    def _begin(self, name: str, config: Mapping[str, Any]) -> Any:
        del config
        if self._directory is None:
            place = self._run / "tensorboard" / name.partition("/")[2]
        else:
            place = Path(self._directory) / name
        return self._tensorboard.SummaryWriter(str(place))

    def _log(self, training: Any, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            training.add_scalar(name, value, step)
        training.flush()

    def _end(self, training: Any, status: str) -> None:
        del status
        training.close()


class Wandb(Tracker):
    """Logs to Weights & Biases, or a package with the same ``init``, ``log`` and ``finish``.

    Args:
        project: where runs go.
        package: ``wandb`` or ``trackio``.
        options: further arguments of the package's ``init``, such as ``entity`` or ``mode``.

    Raises:
        MissingPackageError: the package is not installed.
    """

    def __init__(self, project: str = "lottery", *, package: str = "wandb", **options: Any) -> None:
        super().__init__()
        self._module = import_extra(package, extra=package, what=f"the tracker {package}")
        # Several trainings go on at once. What this process prints is no part of any of them.
        own = {"reinit": "create_new", "settings": {"console": "off", "quiet": True}}
        self._options = {"project": project, **(own if package == "wandb" else {}), **options}

    def _begin(self, name: str, config: Mapping[str, Any]) -> Any:
        group = name.partition("/")[0]
        init = partial(self._module.init, name=name, group=group, config=dict(config))
        # Trackio would end the training that was begun before in the same context.
        return Context().run(init, **self._options)

    def _log(self, training: Any, values: Mapping[str, float], step: int) -> None:
        training.log(dict(values), step=step)

    def _end(self, training: Any, status: str) -> None:
        del status
        training.finish()


class MLflow(Tracker):
    """Logs to MLflow 3: an experiment for each run of ours, in it a run for each training.

    Args:
        tracking_uri: of the server or the database; None for MLflow's own choice.

    Raises:
        MissingPackageError: the package ``mlflow`` is not installed.
    """

    def __init__(self, tracking_uri: str | None = None) -> None:
        super().__init__()
        self._uri = tracking_uri
        self._mlflow = import_extra("mlflow", extra="mlflow", what="the tracker MLflow")
        self._client: Any = None

    def _begin(self, name: str, config: Mapping[str, Any]) -> Any:
        experiment, _, place = name.partition("/")
        client = self._client = self._client or self._mlflow.MlflowClient(self._uri)
        known = client.get_experiment_by_name(experiment)
        there = known.experiment_id if known else client.create_experiment(experiment)
        training = client.create_run(there, run_name=place).info.run_id
        params = [self._mlflow.entities.Param(key, str(config[key])) for key in _PLACE]
        client.log_batch(training, params=params)
        client.log_dict(training, dict(config), "config.json")
        return training

    def _log(self, training: Any, values: Mapping[str, float], step: int) -> None:
        now, metric = int(1000 * time.time()), self._mlflow.entities.Metric
        metrics = [metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(training, metrics)

    def _end(self, training: Any, status: str) -> None:
        outcome = {"done": "FINISHED", "stopped": "KILLED"}.get(status, "FAILED")
        self._client.set_terminated(training, outcome)


TRACKERS: Final[Mapping[str, Callable[[], Tracker]]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
    "trackio": partial(Wandb, package="trackio"),
    "mlflow": MLflow,
}
"""Name on the command line -> the tracker as it is without settings."""


def make_tracker(name: str) -> Tracker:
    """A tracker by its name.

    Raises:
        UsageError: there is none of that name.
        MissingPackageError: its package is not installed.
    """
    if name not in TRACKERS:
        raise UsageError(unknown_name("tracker", name, TRACKERS))
    return TRACKERS[name]()
