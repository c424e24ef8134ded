"""Measuring, within seconds, how fast an engine trains an experiment's networks here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import StatisticsError, median

from lottery.core import Mask, prunable_weights, scored_level
from lottery.data import Split
from lottery.errors import UsageError
from lottery.experiments.experiment import Experiment
from lottery.experiments.listener import Listener
from lottery.experiments.workers import one_thread
from lottery.tasks.protocol import TrainingRequest, TrainingVariant
from lottery.tasks.supervised import Supervised
from lottery.tickets import Ticket, prune_mask
from lottery.training import Checkpoint, Engine, Length, TrainingJob

# Steps of one measurement: as many as take some seconds, within these bounds.
_FEWEST, _MOST, _SECONDS = 8, 300, 3.0
# An engine may train a sparse network faster than a dense one, so several levels are measured.
_LEVELS = 4
# Where steps take longer than this, only the first and the last.
_SLOW = 0.1
# Validation and test examples that are evaluated; the time of all is in proportion.
_EXAMPLES = 1000


def measure(
    experiment: Experiment, task: Supervised, listener: Listener | None = None
) -> dict[float, tuple[float, float]]:
    """Measure the time of training steps at some of the levels, on one thread.

    Args:
        experiment: the experiment.
        task: its task.
        listener: hears what is measured.

    Returns:
        Density -> seconds of one step, and of one evaluation (validation and test together). The
        dense network is always among them.

    Raises:
        UsageError: training diverges at once.
    """
    listener = listener or Listener()
    data, engine = task.data, task.engine(TrainingVariant())
    few = replace(data, validation=_first(data.validation), test=_first(data.test))
    share = (len(data.validation) + len(data.test)) / (len(few.validation) + len(few.test))
    found: dict[float, tuple[float, float]] = {}
    steps, slow = _FEWEST, False
    with one_thread():
        for level, ticket in _tickets(experiment, task):
            if slow and level < experiment.config.levels:
                continue
            listener.preparing(f"measuring steps with {ticket.mask.density:.1%} of the weights")
            request = TrainingRequest(
                ticket=ticket, variant=TrainingVariant(), streams=experiment.context.streams(0)
            )
            job = replace(task.job(request), data=task.data_on_device(few))
            if not found:  # first calls also load and warm things up
                step, _ = _seconds(engine, job, steps)
                steps, slow = min(max(round(_SECONDS / step), _FEWEST), _MOST), step > _SLOW
            step, evaluation = _seconds(engine, job, steps)
            found[ticket.mask.density] = step, evaluation * share
    return found


def _first(split: Split) -> Split:
    return replace(split, inputs=split.inputs[:_EXAMPLES], targets=split.targets[:_EXAMPLES])


def _tickets(experiment: Experiment, task: Supervised) -> Iterator[tuple[int, Ticket]]:
    """The dense network, and networks as sparse as those of some levels up to the last.

    They are pruned by the magnitude of their initial weights, whatever the config's criterion:
    nothing is trained yet, and speed hardly depends on which weights are kept.
    """
    config = experiment.config
    prune = replace(config.prune, criterion="magnitude", rounds=1, regrow=False)
    streams = experiment.context.streams(0)
    model = task.initial(streams, "init")
    initial = model.state_dict()
    units = task.units(config.prune)
    masks = [Mask.dense(prunable_weights(model))]
    yield 0, Ticket(mask=masks[0], weights=initial)
    wanted = {round(config.levels * part / (_LEVELS - 1)) for part in range(1, _LEVELS)}
    for level in range(1, config.levels + 1):
        mask = prune_mask(
            prune,
            level,
            masks[scored_level(prune.schedule, level)],
            trained=initial,
            initial=initial,
            streams=streams,
            levels=config.levels,
            units=units,
        )
        if mask.empty_layers and not task.passes(mask, None):
            return  # nothing is trained from here on
        masks.append(mask)
        if level in wanted:
            yield level, Ticket(mask=mask, weights=initial)


class _Stopwatch:
    """A monitor that notes when it was called."""

    def __init__(self, every: int) -> None:
        self.steps_at_once = max(every // 4, 1)
        self.calls: list[tuple[int, float]] = []

    def restore(self) -> Checkpoint | None:
        return None

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        del checkpoint
        self.calls.append((iteration, time.perf_counter()))


def _seconds(engine: Engine, job: TrainingJob, steps: int) -> tuple[float, float]:
    every = max(steps // 3, 2)
    short = replace(job.config, length=Length(amount=steps), evaluate_every=Length(amount=every))
    job = replace(job, config=short)
    watch = _Stopwatch(every)
    (trained,) = engine.train([job], [watch])
    try:
        return seconds_apart(watch.calls, every)
    except StatisticsError as error:
        raise UsageError(
            f"training diverged at once, so that no step can be measured: {trained.reason}; lower "
            "training.learning_rate.base, or look at the other settings of the optimizer"
        ) from error


def seconds_apart(calls: Sequence[tuple[int, float]], every: int) -> tuple[float, float]:
    """Seconds of a step and of an evaluation, from the times at which steps were done.

    Both are medians over the intervals between calls, so that short disturbances do not count.

    Args:
        calls: (steps done, when in seconds).
        every: steps between two evaluations, 2 or more.
    """
    with_evaluation, without = list[tuple[int, float]](), list[tuple[int, float]]()
    for (last, before), (this, now) in pairwise(calls):
        evaluated = this // every > last // every
        (with_evaluation if evaluated else without).append((this - last, now - before))
    step = median(seconds / steps for steps, seconds in without)
    evaluation = median(seconds - steps * step for steps, seconds in with_evaluation)
    return step, max(evaluation, 0.0)
