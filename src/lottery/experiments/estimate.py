"""What an experiment will take, from a short measurement."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from lottery.core import Mask, planned_densities, prunable_weights
from lottery.data import Dataset, steps_per_epoch
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.execute import initialized, iterations, rewind_iteration, training_job
from lottery.experiments.plan import branches, plan
from lottery.experiments.workers import one_thread
from lottery.rng import Streams
from lottery.store import MAIN, JobKey
from lottery.tickets import Ticket
from lottery.training import Length, NullMonitor, TrainingConfig, make_engine, resolve_device

_STEPS = 200
# Two splits, each with a loss and an accuracy written out to the last digit.
_CURVE_BYTES_PER_EVALUATION = 120


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What an experiment will take on this machine.

    Args:
        densities: the exact density of every level; controls have their level's.
        seconds_per_step: of training, measured.
        seconds_per_evaluation: of validation and test together, measured.
        seconds_per_job: of one training from its start to its end.
        seconds: of the whole, with ``workers`` jobs at once.
        bytes_on_disk: of the whole.
        workers: jobs at once.
    """

    densities: tuple[float, ...]
    seconds_per_step: float
    seconds_per_evaluation: float
    seconds_per_job: float
    seconds: float
    bytes_on_disk: int
    workers: int


def estimate(
    config: ExperimentConfig, data: Dataset, *, device: str, engine: str, workers: int
) -> Estimate:
    """Measure a few hundred steps of the dense network and reckon up the plan.

    Args:
        config: the experiment.
        data: its data.
        device, engine: names, as for a run.
        workers: jobs at once.
    """
    streams = Streams(config.seed, 0)
    model = initialized(config, data, streams, "init")
    weights = prunable_weights(model)
    ticket = Ticket(mask=Mask.dense(weights), weights=model.state_dict())
    step, evaluation = _measure(config, data, ticket, device, engine)

    jobs = plan(config)
    steps = steps_per_epoch(len(data.train), config.training.batch_size)
    every = config.training.evaluate_every.iterations(steps)
    evaluations = math.ceil(iterations(config, data) / every) + 1
    per_job = iterations(config, data) * step + evaluations * evaluation
    # The levels of one replicate follow one another, however many jobs run at once.
    longest = (config.levels + 1 + bool(config.levels and branches(config))) * per_job
    state = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    job_bytes = 3 * state + ticket.mask.total + evaluations * _CURVE_BYTES_PER_EVALUATION
    rewound = config.replicates * state if rewind_iteration(config, data) else 0
    return Estimate(
        densities=tuple(
            planned_densities(
                {name: weight.numel() for name, weight in weights.items()},
                config.levels,
                scope=config.prune.scope,
                fraction=config.prune.fraction,
                fractions=config.prune.fractions,
            )
        ),
        seconds_per_step=step,
        seconds_per_evaluation=evaluation,
        seconds_per_job=per_job,
        seconds=max(len(jobs) * per_job / workers, longest),
        bytes_on_disk=len(jobs) * job_bytes + rewound,
        workers=workers,
    )


def _measure(
    config: ExperimentConfig, data: Dataset, ticket: Ticket, device: str, engine: str
) -> tuple[float, float]:
    """Seconds of one step and of one evaluation."""
    short = replace(
        config.training,
        length=Length(amount=_STEPS),
        evaluate_every=Length(amount=_STEPS),
    )
    trainer = make_engine(engine, resolve_device(device))
    key, streams = JobKey(0, MAIN, 0), Streams(config.seed, 0)

    def seconds(training: TrainingConfig) -> float:
        job = training_job(
            key,
            ticket,
            config=replace(config, training=training),
            data=data,
            streams=streams,
        )
        started = time.perf_counter()
        trainer.train([job], [NullMonitor()])
        return time.perf_counter() - started

    with one_thread():
        seconds(short)  # first calls also load and warm things up
        whole = seconds(short)
        denser = seconds(replace(short, evaluate_every=Length(amount=_STEPS // 4)))
    # Five evaluations against two; noise can make a small difference negative.
    evaluation = max((denser - whole) / 3, 0.0)
    return max(whole - 2 * evaluation, 0.0) / _STEPS, evaluation
