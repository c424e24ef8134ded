"""The recording of one training of a user's loop: its curve, states and notes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

import numpy as np
from torch import Tensor, nn

from lottery.errors import UsageError
from lottery.score import Score
from lottery.tasks.protocol import TrainingRequest
from lottery.training import CurvePoint, Notes, Split, State, TrainingResult, value_problem
from lottery.training.curve import MOST_NAMES
from lottery.training.engines.torch_engine.network import state_of
from lottery.training.progress import below


class Recording:
    """The curve, snapshots, notes and duration of one training.

    Args:
        request: what is trained, and what is to be kept of it.
        model: the one that is trained.
        score: what it is judged by.
    """

    def __init__(self, request: TrainingRequest, model: nn.Module, score: Score) -> None:
        self._request, self._model, self._score = request, model, score
        self.points: dict[tuple[int, str], CurvePoint] = {}
        self.notes: Notes = {}
        self._kept: dict[str, State] = {}
        self._names: set[str] = set()
        self._best: tuple[str, float] | None = None
        self.best_iteration: int | None = None
        self._seconds, self._clock = 0.0, time.perf_counter()

    def callbacks(self) -> dict[int, Callable[[], None]]:
        """The functions that a hold is to call: steps since training began -> function."""
        first, observer = self._request.ticket.iteration, self._request.observer
        wanted = {*self._request.snapshots_at, *(observer.at if observer else ())}
        return {at - first: lambda at=at: self._look(at) for at in wanted if at >= first}  # type: ignore[misc]

    def _look(self, iteration: int) -> None:
        state, observer = state_of(self._model), self._request.observer
        if iteration in self._request.snapshots_at:
            self._kept[f"snapshot-{iteration}"] = state
        if observer and iteration in observer.at:
            self.notes = observer.note(iteration, state, self.notes)

    def log(self, iteration: int, split: str, values: Mapping[str, Any]) -> None:
        """Add a measurement of the current weights, and keep these if they are the best so far.

        Args:
            iteration: optimizer steps since the initialization.
            split: ``training``, ``validation`` or ``test``; the best state is found on validation.
            values: name -> number, or a tensor or array of one number.

        Raises:
            UsageError: the split, a name or a value is not allowed in a curve.
            FloatingPointError: a value is not finite.
        """
        numbers = measured(values, "session.log")
        self.add(iteration, split, numbers)
        if split == "validation" and self._is_best(numbers):
            self.best_iteration = iteration
            self._kept["early-stop"] = state_of(self._model)

    def add(self, iteration: int, split: str, values: Mapping[str, float]) -> None:
        """Add a measurement, without keeping any state; see `log`."""
        if split not in get_args(Split):
            raise UsageError(
                f"split: expected one of {', '.join(get_args(Split))}, got {split!r}; early stop "
                "is looked for in validation, and the score read in test"
            )
        if type(iteration) is not int or iteration < 0:
            raise UsageError(
                f"step: expected a whole number of optimizer steps, 0 or more, got {iteration!r}"
            )
        if not values:
            raise UsageError(f"step {iteration}: expected a number by its name, as in loss=0.5")
        self._names |= values.keys()
        _check_count(self._names, "all curves and scores of a training")
        before = self.points.get((iteration, split))
        everything = {**(before.values if before else {}), **values}
        point = CurvePoint(iteration, split, everything)  # type: ignore[arg-type]
        self.points[iteration, split] = point
        if self._request.on_evaluation is not None:
            self._request.on_evaluation([point])

    def _is_best(self, values: Mapping[str, float]) -> bool:
        """Whether it is, by the validation loss if there is one, else by the score."""
        if "loss" in values:
            now = ("loss", -values["loss"])
        elif self._score.name in values and (self._best is None or self._best[0] != "loss"):
            value = values[self._score.name]
            now = ("score", value if self._score.higher else -value)
        else:
            return False
        best = self._best is None or self._best[0] != now[0] or now[1] > self._best[1]
        self._best = now if best else self._best
        return best

    @property
    def curve(self) -> tuple[CurvePoint, ...]:
        """Every measurement in order of iteration, training before validation before test."""
        order = get_args(Split)
        return tuple(
            sorted(self.points.values(), key=lambda p: (p.iteration, order.index(p.split)))
        )

    @property
    def early_stop(self) -> State:
        """The state at `best_iteration`; empty without one."""
        return self._kept.get("early-stop", {})

    @property
    def snapshots(self) -> dict[int, State]:
        """Iteration -> state, of the snapshots asked for that have been taken."""
        there = {at: f"snapshot-{at}" for at in self._request.snapshots_at}
        return {at: self._kept[label] for at, label in there.items() if label in self._kept}

    def result(
        self,
        *,
        reason: str = "",
        final: State | None = None,
        stop: int | None = None,
        early_stop: State | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> TrainingResult:
        """The result of the training.

        Args:
            reason: why it diverged; empty: it did not.
            final: the state at its end.
            stop: the iteration of its early stop.
            early_stop: the state there.
            scores: name -> score at the end.
        """
        return TrainingResult(
            status="diverged" if reason else "done",
            reason=reason,
            curve=self.curve,
            final=final or {},
            early_stop=early_stop or {},
            early_stop_iteration=stop,
            snapshots=self.snapshots,
            seconds=self.seconds(),
            engine="own",
            notes=self.notes,
            scores=scores or {},
        )

    def seconds(self) -> float:
        """Seconds of training so far, those before interruptions included."""
        now = time.perf_counter()
        self._seconds, self._clock = self._seconds + now - self._clock, now
        return self._seconds

    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The whole recording as tensors and plain JSON values, for a checkpoint."""
        tensors = {
            f"kept/{label}/{name}": value
            for label, state in self._kept.items()
            for name, value in state.items()
        }
        tensors |= {f"notes/{name}": value for name, value in self.notes.items()}
        values = {
            # As lists, since tables come back from files in another order.
            "curve": [[p.iteration, p.split, [*p.values.items()]] for p in self.points.values()],
            "best": self._best and [*self._best],
            "best_iteration": self.best_iteration,
            "seconds": self.seconds(),
        }
        return tensors, values

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Restore what `checkpoint` returned."""
        self.points = {
            (at, on): CurvePoint(at, on, dict(found)) for at, on, found in values["curve"]
        }
        self._names = {name for point in self.points.values() for name in point.values}
        self._best = values["best"] and tuple(values["best"])
        self.best_iteration, self.notes = values["best_iteration"], below("notes/", tensors)
        kept: dict[str, dict[str, Tensor]] = {}
        for key, value in below("kept/", tensors).items():
            label, _, name = key.partition("/")
            kept.setdefault(label, {})[name] = value
        self._kept = {**kept}
        self._seconds, self._clock = values["seconds"], time.perf_counter()


def measured(values: Mapping[Any, Any], where: str) -> dict[str, float]:
    """Measured values as checked floats.

    Args:
        values: name -> number, or a tensor or array of one number.
        where: the function they come from, for error messages.

    Raises:
        UsageError: a name or a value is not allowed for a score, or there are too many names.
        FloatingPointError: a value is not finite.
    """
    found = {}
    _check_count(values, where)
    for name, value in values.items():
        number = as_number(value)
        if number is None:
            raise UsageError(f"{where}: expected a number as {name!r}, got {type(value).__name__}")
        if not math.isfinite(number):
            raise FloatingPointError(f"{where}: {name} was {number}")
        if problem := value_problem(str(name), number):
            hint = " (a share, not a percentage; a score of another kind has another name: score=)"
            raise UsageError(f"{where}: {problem}{hint if name == 'accuracy' else ''}")
        found[str(name)] = number
    return found


def _check_count(names: Collection[Any], where: str) -> None:
    if len(names) > MOST_NAMES:
        raise UsageError(
            f"{where}: expected at most {MOST_NAMES} different names of numbers, got {len(names)}; "
            "leave out those that nobody compares"
        )


def as_number(value: Any) -> float | None:
    """A number, or a tensor or array of one number, as a float; None for anything else."""
    if isinstance(value, str | bytes) or getattr(value, "size", 1) == 0:
        return None
    try:
        return float(value.item() if isinstance(value, Tensor | np.ndarray) else value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError, RuntimeError):
        return None
