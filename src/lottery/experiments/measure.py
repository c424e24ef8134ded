"""How fast an engine trains an experiment's networks here, measured in some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from lottery.core import Mask, prunable_weights, scored_level, signal_passes
from lottery.data import Dataset
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.execute import training_job
from lottery.experiments.network import experiment_units, initialized, make_model
from lottery.experiments.workers import one_thread
from lottery.rng import Streams
from lottery.store import MAIN, JobKey
from lottery.tickets import Ticket, prune_mask
from lottery.training import Checkpoint, Engine, Length

_STEPS, _EVERY = 300, 100
# An engine may train a sparse network faster than a dense one, so several levels are measured.
_LEVELS = 4


def measure(
    config: ExperimentConfig, data: Dataset, engine: Engine
) -> dict[float, tuple[float, float]]:
    """Train a few hundred steps at some of the levels, on one thread.

    Returns:
        Density -> seconds of one step, and of one evaluation (validation and test together). The
        dense network is always among them.
    """
    found: dict[float, tuple[float, float]] = {}
    with one_thread():
        for ticket in _tickets(config, data):
            if not found:  # first calls also load and warm things up
                _seconds(config, data, engine, ticket)
            found[ticket.mask.density] = _seconds(config, data, engine, ticket)
    return found


def _tickets(config: ExperimentConfig, data: Dataset) -> Iterator[Ticket]:
    """The dense network, and networks as sparse as those of some levels up to the last.

    They are pruned by the magnitude of their initial weights, whatever the config's criterion:
    nothing is trained yet, and speed hardly depends on which weights are kept.
    """
    prune = replace(config.prune, criterion="magnitude", rounds=1, regrow=False)
    streams = Streams(config.seed, 0)
    model = initialized(config, data, streams, "init")
    initial = model.state_dict()
    units = experiment_units(config, data)
    masks = [Mask.dense(prunable_weights(model))]
    yield Ticket(mask=masks[0], weights=initial)
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
        if mask.empty_layers and not signal_passes(
            make_model(config, data), mask, data.input_shape
        ):
            return  # nothing is trained from here on
        masks.append(mask)
        if level in wanted:
            yield Ticket(mask=mask, weights=initial)


class _Stopwatch:
    """A monitor that notes when it was called."""

    steps_at_once = _EVERY // 4

    def __init__(self) -> None:
        self.calls: list[tuple[int, float]] = []

    def restore(self) -> Checkpoint | None:
        return None

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        del checkpoint
        self.calls.append((iteration, time.perf_counter()))


def _seconds(
    config: ExperimentConfig, data: Dataset, engine: Engine, ticket: Ticket
) -> tuple[float, float]:
    short = replace(
        config.training, length=Length(amount=_STEPS), evaluate_every=Length(amount=_EVERY)
    )
    job = training_job(
        JobKey(0, MAIN, 0),
        ticket,
        config=replace(config, training=short, prune=replace(config.prune, by="trained")),
        data=data,
        streams=Streams(config.seed, 0),
    )
    watch = _Stopwatch()
    engine.train([job], [watch])
    return seconds_apart(watch.calls)


def seconds_apart(calls: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Seconds of a step and of an evaluation, from when some steps were done.

    Medians of what lies between two calls, so that a moment's other work on the machine does not
    count.
    """
    with_evaluation, without = list[tuple[int, float]](), list[tuple[int, float]]()
    for (last, before), (this, now) in pairwise(calls):
        evaluated = this // _EVERY > last // _EVERY
        (with_evaluation if evaluated else without).append((this - last, now - before))
    step = median(seconds / steps for steps, seconds in without)
    evaluation = median(seconds - steps * step for steps, seconds in with_evaluation)
    return step, max(evaluation, 0.0)
