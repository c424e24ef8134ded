"""What an experiment will take, from a short measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from lottery.core import Mask, prunable_weights
from lottery.data import Dataset, steps_per_epoch
from lottery.experiments.config import ExperimentConfig, learns_masks
from lottery.experiments.controls import mask_learning
from lottery.experiments.lengths import (
    iterations,
    mask_looks,
    planned_iterations,
    rewinds_to_snapshot,
)
from lottery.experiments.listener import Listener
from lottery.experiments.mask_updates import changes_mask
from lottery.experiments.measure import measure
from lottery.experiments.network import experiment_units, make_model
from lottery.experiments.plan import needs, plan
from lottery.store import MAIN, JobKey
from lottery.tickets import level_densities
from lottery.training import make_engine, passed_over, resolve_device

# Two splits, each with a loss and an accuracy written out to the last digit.
_CURVE_BYTES_PER_EVALUATION = 120


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What an experiment will take on this machine.

    Args:
        engine: the name of the engine that would train.
        passed_over: faster engines that ``auto`` does not take here -> why not.
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
    config: ExperimentConfig,
    data: Dataset,
    *,
    device: str,
    engine: str,
    workers: int,
    listener: Listener | None = None,
    timed: bool = True,
) -> Estimate:
    """Measure some steps at some of the levels and reckon up the plan.

    Args:
        config: the experiment.
        data: its data.
        device, engine: names, as for a run.
        workers: jobs at once.
        listener: hears what is measured.
        timed: whether anything is measured; without it all but the times is the same.
    """
    model = make_model(config, data)
    place, learns = resolve_device(device), learns_masks(config)
    what = {"augmented": data.augmentation.active, "learns_masks": learns}
    trainer = make_engine(engine, place, model=model, config=config.training, **what)
    over = passed_over(place, model, config.training, **what) if engine == "auto" else {}
    dense = Mask.dense(prunable_weights(model))
    units = experiment_units(config, data)
    densities = level_densities(config.prune, dense, config.levels, units)
    found = Estimate(
        engine=trainer.name,
        passed_over=over,
        densities=tuple(densities),
        bytes_on_disk=_bytes_on_disk(config, data, model),
        workers=workers,
    )
    if not timed:
        return found
    listener = listener or Listener()
    trainer.prepare()
    return _timed(found, config, data, measure(config, data, trainer, listener))


def _timed(
    found: Estimate,
    config: ExperimentConfig,
    data: Dataset,
    measured: Mapping[float, tuple[float, float]],
) -> Estimate:
    """The estimate with what was measured: density -> seconds of a step and of an evaluation."""
    steps, evaluations = iterations(config, data), _evaluations(config, data)
    seconds = {
        density: steps * step + evaluations * evaluation
        for density, (step, evaluation) in measured.items()
    }
    whole = _interpolated(found.densities, seconds)
    spent = {
        job: whole[job.level] * planned_iterations(job, config, data) / steps
        for job in plan(config)
    }
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


def _bytes_on_disk(config: ExperimentConfig, data: Dataset, model: nn.Module) -> int:
    """All files of a run: in every job, the weights it starts from, ends with and stops at."""
    tensors: list[Tensor] = [*model.state_dict().values()]
    state = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    mask = sum(weight.numel() for weight in prunable_weights(model).values())
    states = 3 if config.training.pruned == "zero" else 4
    job_bytes = states * state + mask + _evaluations(config, data) * _CURVE_BYTES_PER_EVALUATION
    jobs = plan(config)
    ends_with_another = sum(
        changes_mask(job, config.training) or mask_learning(job) is not None for job in jobs
    )
    rewinds = rewinds_to_snapshot(JobKey(0, MAIN, 0), config, data)
    noted = config.levels if config.prune.by == "early-bird" else 0
    dense_bytes = state * (rewinds + _noted_states(config, data)) + mask * noted
    return len(jobs) * job_bytes + ends_with_another * mask + config.replicates * dense_bytes


def _noted_states(config: ExperimentConfig, data: Dataset) -> int:
    """How many states of the dense network are noted, at most: levels may share one."""
    if config.rewind.method != "drawn":
        return 0
    draws = len(mask_looks(config, data)) - config.prune.early_bird.window + 1
    return min(config.levels, draws)


def _evaluations(config: ExperimentConfig, data: Dataset) -> int:
    """How often one training is measured, its start and its end included."""
    steps = steps_per_epoch(len(data.train), config.training.batch_size)
    every = config.training.evaluate_every.iterations(steps)
    return math.ceil(iterations(config, data) / every) + 1


def _interpolated(densities: Sequence[float], measured: Mapping[float, float]) -> tuple[float, ...]:
    """What was measured at some densities, at all of them."""
    known = sorted(measured)
    values = np.interp(densities, known, [measured[density] for density in known])
    return tuple(values.tolist())
