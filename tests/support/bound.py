"""Parts of an experiment that is bound to its data, for tests of one of them."""

from __future__ import annotations

from torch import nn

from lottery.core import Mask, OutsideMask, Units
from lottery.data import Dataset
from lottery.experiments import Experiment, ExperimentConfig, planned_span
from lottery.experiments.checks import check_against_data
from lottery.experiments.execute import make_request
from lottery.experiments.execute import make_ticket as _make_ticket
from lottery.experiments.inputs import Replicate
from lottery.experiments.plan import training_variant
from lottery.methods import EarlyBird
from lottery.rng import Streams
from lottery.store import MAIN, JobKey, LookKey, Store
from lottery.tasks.supervised import Supervised
from lottery.tickets import EarlyBirdMask, Ticket
from lottery.training import State, TrainingConfig, TrainingJob


def task_of(config: ExperimentConfig, data: Dataset) -> Supervised:
    return Supervised(config, data)


def bound(config: ExperimentConfig, data: Dataset, engine: str = "auto") -> Experiment:
    return Experiment(config, Supervised(config, data, engine=engine))


def check(config: ExperimentConfig, data: Dataset) -> None:
    """What a run checks before it begins."""
    experiment = bound(config, data)
    check_against_data(config, task_of(config, data), experiment.context)


def make_model(config: ExperimentConfig, data: Dataset) -> nn.Module:
    return task_of(config, data).make_model()


def initialized(
    config: ExperimentConfig, data: Dataset, streams: Streams, *purpose: str | int
) -> nn.Module:
    return task_of(config, data).initial(streams, *purpose)


def experiment_units(config: ExperimentConfig, data: Dataset) -> Units | None:
    return task_of(config, data).units(config.prune)


def left_out(config: ExperimentConfig, data: Dataset) -> dict[str, str]:
    return task_of(config, data).left_out(config.prune)


def coverage(config: ExperimentConfig, data: Dataset) -> tuple[int, tuple[OutsideMask, ...]]:
    return task_of(config, data).coverage()


def make_ticket(
    key: JobKey, *, config: ExperimentConfig, store: Store, data: Dataset, streams: Streams
) -> Ticket:
    del streams  # they are the replicate's
    experiment = bound(config, data)
    return _make_ticket(key, experiment, Replicate(experiment, store, key.replicate))


def job_training(
    key: JobKey, mask: Mask, *, config: ExperimentConfig, data: Dataset
) -> TrainingConfig:
    return task_of(config, data).training(training_variant(key, config), mask)


def training_job(
    key: JobKey, ticket: Ticket, *, config: ExperimentConfig, data: Dataset, streams: Streams
) -> TrainingJob:
    """A job as an engine takes it, with all that is kept on the way."""
    del streams  # they are the replicate's
    experiment = bound(config, data)
    looks = experiment.looks(key.replicate) if not key.level and key.branch == "main" else ()
    return task_of(config, data).job(make_request(key, ticket, experiment, looks))


def dense_state(store: Store, iteration: int) -> State:
    """The dense network's state that a finished run kept; 0 is its initialization."""
    if not iteration:
        return store.ticket(JobKey(0, MAIN, 0)).weights
    found = store.look(LookKey(0, "state", iteration))
    assert not isinstance(found, EarlyBirdMask)
    return found


def drawn(store: Store, level: int) -> EarlyBirdMask:
    """The Early-Bird mask of a level that a finished run kept."""
    found = store.look(LookKey(0, "drawn", level))
    assert isinstance(found, EarlyBirdMask)
    return found


def planned_iterations(key: JobKey, config: ExperimentConfig, data: Dataset) -> int:
    span = planned_span(key, bound(config, data))
    assert span is not None
    return span[1] - span[0]


def rewind_iteration(config: ExperimentConfig, data: Dataset) -> int:
    return bound(config, data).context.rewind_iteration


def mask_looks(config: ExperimentConfig, data: Dataset) -> tuple[int, ...]:
    assert isinstance(config.method, EarlyBird)
    return config.method.check_iterations(bound(config, data).context)


def iterations(config: ExperimentConfig, data: Dataset) -> int:
    return task_of(config, data).steps().total
