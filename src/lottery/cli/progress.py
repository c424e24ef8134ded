"""Progress of a run: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

from lottery.cli.pace import Pace, duration
from lottery.core import OutsideMask
from lottery.errors import format_names, printable
from lottery.experiments import ExperimentConfig, Listener
from lottery.score import ACCURACY
from lottery.store import JobKey, JobResult, LookKey

LINE_SECONDS: Final = 30.0
"""Between lines that say how far something is, where there is no terminal."""


@contextmanager
def progress_listener(config: ExperimentConfig, *, silent: bool) -> Iterator[Listener]:
    """A listener that shows how the run goes on, on standard error."""
    console = Console(stderr=True, highlight=False)
    with ExitStack() as stack:
        listener = Listener()
        if not silent and console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[note]}"),
                _Rate(),
            )
            progress = Progress(*columns, console=console, transient=True, expand=True)
            listener = _Bars(config, console, stack.enter_context(progress))
        elif not silent:
            listener = _Lines(config, console)
        stack.enter_context(forward_log(listener))
        yield listener


@contextmanager
def forward_log(listener: Listener) -> Iterator[None]:
    """Let a listener hear what the library logs, and nobody else."""
    logger, handler = logging.getLogger("lottery"), _ListenerHandler(listener)
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


class _ListenerHandler(logging.Handler):
    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        self._listener.preparing(record.getMessage())


class _Lines(Listener):
    """One line per event, and one now and then in between.

    Args:
        config: the experiment.
        console: where lines go.
        clock: tells seconds.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._console, self._clock = config, console, clock
        self._planned = self._done = 0
        self._pace, self._said = Pace({}, 0.0), 0.0

    def started(self, run: Path, planned: int, finished: int, workers: int) -> None:
        self._planned, self._done = planned, finished
        self._say(f"{run}: {planned} trainings, {finished} done already, {workers} at once")

    def reused(self, run: Path, number: int, planned: int) -> None:
        self._say(f"{number} of {planned} trainings found in {run}, and taken from it")

    def set_aside(self, key: JobKey | LookKey, path: Path, reason: str) -> None:
        self._say(f"damaged: {key} is done anew, since {reason}; what was there is kept in {path}")

    def record_rebuilt(self, path: Path, reason: str) -> None:
        self._say(
            f"damaged: {reason}. It is made anew from this command's config, which is the run's; "
            f"the old one is kept in {path}. Whether the run was begun with the same data and in "
            "the same environment cannot be told any more"
        )

    def environment_changed(self, changes: list[tuple[str, Any, Any]]) -> None:
        what = "; ".join(f"{path} is {now}, was {then}" for path, now, then in changes)
        self._say(
            f"note: this run was begun in another environment ({what}). "
            "Its results stay valid, but need not be equal to the last bit"
        )

    def left_out(self, units: int, reasons: Mapping[str, str]) -> None:
        self._say(describe_left_out(self._config.prune.granularity, units, reasons))

    def noted(self, note: str) -> None:
        self._say(f"note: {note}")

    def outside_mask(self, covered: int, outside: Sequence[OutsideMask]) -> None:
        self._say(describe_outside_mask(covered, outside))

    def preparing(self, message: str) -> None:
        self._say(message)

    def to_train(self, spans: Mapping[JobKey, tuple[int, int]]) -> None:
        self._said = self._clock()
        self._pace = Pace(spans, self._said)

    def progressed(self, key: JobKey, iteration: int) -> None:
        self._pace.update(key, iteration)
        if self._clock() - self._said >= LINE_SECONDS:
            self._said = self._clock()
            jobs = (
                f"{job} at {at:,} of {last:,}" for job, (at, last) in self._pace.running().items()
            )
            told = [text for text in (self._left(), *jobs) if text]
            self._say(f"[{self._done}/{self._planned}] {'; '.join(told)}")

    def _left(self) -> str:
        seconds = self._pace.seconds_left(self._clock())
        return "" if seconds is None else f"about {duration(seconds)} left"

    def finished(self, result: JobResult) -> None:
        self._pace.ended(result.key)
        self._done += 1
        self._say(f"[{self._done}/{self._planned}] {summary(result)}")

    def skipped(self, key: JobKey, reason: str) -> None:
        self._pace.ended(key)
        self._done += 1
        self._say(f"[{self._done}/{self._planned}] {key}: not run, since {reason}")

    def _say(self, line: str) -> None:
        self._console.print(escape(printable(line)), soft_wrap=True)


class _Bars(_Lines):
    """Lines above, and bars for the whole and for every running job below."""

    def __init__(self, config: ExperimentConfig, console: Console, progress: Progress) -> None:
        super().__init__(config, console)
        self._progress = progress
        self._all: TaskID | None = None
        self._tasks: dict[JobKey, TaskID] = {}

    def to_train(self, spans: Mapping[JobKey, tuple[int, int]]) -> None:
        super().to_train(spans)
        self._all = self._progress.add_task("", note="")
        self._update_all()

    def progressed(self, key: JobKey, iteration: int) -> None:
        self._pace.update(key, iteration)
        last = self._pace.last(key)
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(escape(str(key)), total=last, note="")
        note = f"{iteration:,}/{last:,}"
        self._progress.update(self._tasks[key], completed=iteration, note=note)
        self._update_all()

    def finished(self, result: JobResult) -> None:
        super().finished(result)
        self._close(result.key)

    def skipped(self, key: JobKey, reason: str) -> None:
        super().skipped(key, reason)
        self._close(key)

    def _close(self, key: JobKey) -> None:
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))
        self._update_all()

    def _update_all(self) -> None:
        if self._all is None:
            return
        made, whole = self._pace.iterations()
        self._progress.update(
            self._all,
            description=f"{self._done:,} of {self._planned:,} trainings",
            completed=made,
            total=whole,
            note=self._left().removeprefix("about "),
        )


class _Rate(ProgressColumn):
    """Steps per second, of all trainings together or of one."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} steps/s")


def describe_left_out(granularity: str, units: int, reasons: Mapping[str, str]) -> str:
    """A sentence on what densities are shares of, and which layers are left out, whole or in part.

    >>> describe_left_out("filter", 9, {"fc.weight": "it is linear"})
    "granularity 'filter': densities are shares of 9 units; left out: fc.weight (it is linear)"
    """
    return (
        f"granularity '{granularity}': densities are shares of {units:,} units; left out: "
        f"{_by_reason(reasons)}"
    )


def describe_outside_mask(covered: int, outside: Sequence[OutsideMask]) -> str:
    """A sentence on how many weights masks cover, and which matrices of the network lie outside.

    Args:
        covered: how many weights masks cover.
        outside: from `lottery.core.outside_mask`, one or more.

    >>> describe_outside_mask(320, [OutsideMask(name="0.weight", weights=25_088, reason="frozen")])
    'masks cover 320 weights; 25,088 in 1 matrix lie outside and stay whole: 0.weight (frozen)'
    """
    weights, count = sum(one.weights for one in outside), len(outside)
    matrices = "1 matrix" if count == 1 else f"{count:,} matrices"
    return (
        f"masks cover {covered:,} weights; {weights:,} in {matrices} lie outside and stay whole: "
        f"{_by_reason({one.name: one.reason for one in outside})}"
    )


def _by_reason(reasons: Mapping[str, str]) -> str:
    """Names of one reason together, and only a few of them."""
    names_by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names_by_reason.setdefault(reason, []).append(name)
    return "; ".join(
        f"{format_names(names)} ({reason})" for reason, names in names_by_reason.items()
    )


def summary(result: JobResult) -> str:
    """One job's result in a line."""
    from lottery.analysis.score_format import ScoreFormat

    written = ScoreFormat(ACCURACY)
    head = f"{result.key}: density {result.density:.1%}"
    if result.status != "done":
        return f"{head}, {result.status}: {result.reason}"
    said = "no score"
    if result.score is not None:
        said = f"test {written.name} {written.with_unit(result.score)}"
    if result.early_stop_iteration is not None:
        said += f" at iteration {result.early_stop_iteration:,}"
    return f"{head}, {said} ({result.seconds:.1f} s)" + (
        f"; {describe_empty_layers(result)}" if result.empty_layers else ""
    )


def describe_empty_layers(result: JobResult) -> str:
    """A sentence on the layers of a finished training of which the mask keeps no weight."""
    # Masks that change in training may cut the network off after its start, so no more is promised.
    return (
        f"the mask keeps no weight of {', '.join(result.empty_layers)}: only what leads around, "
        "such as residual connections, can pass a signal"
    )
