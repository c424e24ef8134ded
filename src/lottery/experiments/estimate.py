"""The time and disk space that an experiment will take, from a short measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from lottery.core import Mask, prunable_weights
from lottery.experiments.experiment import Experiment
from lottery.experiments.lengths import planned_span
from lottery.experiments.listener import Listener
from lottery.experiments.measure import measure
from lottery.experiments.plan import needs, plan, training_variant
from lottery.store import MAIN, JobKey
from lottery.tasks.protocol import TrainingVariant
from lottery.tasks.supervised import Supervised
from lottery.tickets import level_densities

# Two splits, each with a loss and an accuracy written out to the last digit.
_CURVE_BYTES_PER_EVALUATION = 120


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The time and disk space that an experiment will take on this machine.

    Args:
        engine: the name of the engine that would train.
        passed_over: faster engines that ``auto`` does not choose here -> why not.
        densities: the exact density of every level; controls have their level's.
        seconds_per_step: of training the dense network, measured; None like all other times if
            nothing was measured.
        seconds_per_evaluation: of the dense network's validation and test together, measured.
        seconds_per_level: of one ticket's training at each level, from its start to its end.
        seconds_per_job: of one training, the mean over all.
        seconds: of the whole, with ``workers`` jobs at once.
        bytes_on_disk: of the whole.
        workers: jobs at once.
    """

    engine: str
    passed_over: Mapping[str, str]
    densities: tuple[float, ...]
    seconds_per_step: float | None = None
    seconds_per_evaluation: float | None = None
    seconds_per_level: tuple[float, ...] | None = None
    seconds_per_job: float | None = None
    seconds: float | None = None
    bytes_on_disk: int
    workers: int


def estimate(
    experiment: Experiment,
    *,
    workers: int,
    listener: Listener | None = None,
    timed: bool = True,
) -> Estimate:
    """Measure a few training steps at some levels, and add up the whole plan.

    Args:
        experiment: from `bind`.
        workers: jobs at once.
        listener: hears what is measured.
        timed: whether anything is measured; without it all but the times is the same.
    """
    config, task = experiment.config, experiment.task
    assert isinstance(task, Supervised), "nothing is known of own code before it runs"
    model, engine = task.make_model(), task.engine(TrainingVariant())
    dense = Mask.dense(prunable_weights(model))
    densities = level_densities(config.prune, dense, config.levels, task.units(config.prune))
    found = Estimate(
        engine=engine.name,
        passed_over=task.passed_over(),
        densities=tuple(densities),
        bytes_on_disk=_bytes_on_disk(experiment, task, model),
        workers=workers,
    )
    if not timed:
        return found
    engine.prepare()
    return _timed(found, experiment, task, measure(experiment, task, listener or Listener()))


def _timed(
    found: Estimate,
    experiment: Experiment,
    task: Supervised,
    measured: Mapping[float, tuple[float, float]],
) -> Estimate:
    """The estimate with what was measured: density -> seconds of a step and of an evaluation."""
    config, steps, evaluations = experiment.config, task.steps().total, _evaluations(task)
    seconds = {
        density: steps * step + evaluations * evaluation
        for density, (step, evaluation) in measured.items()
    }
    whole = _interpolated(found.densities, seconds)
    spans = {job: planned_span(job, experiment) or (0, 0) for job in plan(config)}
    spent = {job: whole[job.level] * (end - first) / steps for job, (first, end) in spans.items()}
    per_level = tuple(spent[JobKey(0, MAIN, level)] for level in range(config.levels + 1))
    # However many jobs run at once, each waits for those it needs.
    ends: dict[JobKey, float] = {}
    for job, time in spent.items():
        ends[job] = time + max((ends[need] for need in needs(job, config)), default=0.0)
    return replace(
        found,
        seconds_per_step=measured[1.0][0],
        seconds_per_evaluation=measured[1.0][1],
        seconds_per_level=per_level,
        seconds_per_job=sum(spent.values()) / len(spent),
        seconds=max(sum(spent.values()) / found.workers, *ends.values()),
    )


def _bytes_on_disk(experiment: Experiment, task: Supervised, model: nn.Module) -> int:
    """All files of a run: in every job, the weights it starts from, ends with and stops at."""
    config = experiment.config
    tensors: list[Tensor] = [*model.state_dict().values()]
    state = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    mask = sum(weight.numel() for weight in prunable_weights(model).values())
    states = 4 if experiment.holds_pruned else 3
    job_bytes = states * state + mask + _evaluations(task) * _CURVE_BYTES_PER_EVALUATION
    variants = [training_variant(job, config) for job in plan(config)]
    ends_with_another = sum(how.updates.active or how.mask_learning is not None for how in variants)
    kept = sum(
        state if look.kind == "state" else mask + state * (config.method.rewinding == "drawn")
        for look in experiment.looks(0)
    )
    return len(variants) * job_bytes + ends_with_another * mask + config.replicates * kept


def _evaluations(task: Supervised) -> int:
    """How often one training is measured, its start and its end included."""
    steps = task.steps()
    every = task.settings.training.evaluate_every.iterations(steps.per_epoch)
    return math.ceil(steps.total / every) + 1


def _interpolated(densities: Sequence[float], measured: Mapping[float, float]) -> tuple[float, ...]:
    """What was measured at some densities, at all of them."""
    known = sorted(measured)
    values = np.interp(densities, known, [measured[density] for density in known])
    return tuple(values.tolist())
