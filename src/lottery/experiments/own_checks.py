"""Checks of an experiment on own code, made before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable

from lottery.core import Mask, check_patterns, find_criterion, prunable_weights
from lottery.core.symmetry import probe_symmetry
from lottery.errors import UsageError
from lottery.experiments.config import OwnConfig
from lottery.experiments.loading import config_problems
from lottery.methods import AtStep, Iterative, requested_controls
from lottery.rng import Streams
from lottery.tasks.own import OwnTask
from lottery.tickets import level_densities


def own_problems(config: OwnConfig, task: OwnTask) -> Iterable[str]:
    """What is wrong with an experiment on own code, one sentence each; makes no network."""
    yield from config_problems(config)
    for control in requested_controls(config.controls):
        does = "trains a mask" if control.mask_method else ""
        if control.same_multiplications:
            does = "trains until it has made as many multiplications"
        if does:
            setting = control.setting
            yield f"controls.{setting}: it {does}, which needs a training that lottery runs itself"
    if later := [at for at in config.connectivity.at if at != "0"]:
        yield (
            f"connectivity.at: from iteration {later[0]} on another data order needs a training "
            "that lottery runs itself; a loop of your own is seeded once, so use 0"
        )
    method, total = config.method, task.code.steps
    moments = {method.start, getattr(method, "step", method.start)}
    if method.rewinding == "fine-tune" or not isinstance(method, Iterative | AtStep):
        yield (
            f"method: '{method.kind}', with '{method.rewinding}', looks into the middle of a "
            "training or goes on there, which needs one that lottery runs itself; use 'iterative' "
            "or 'at-step', with a number of optimizer steps, or 'learning-rate'"
        )
    for moment in moments:
        if moment.unit == "epochs" and moment.amount:
            yield (
                f"method: nobody knows how long an epoch of a loop of your own is, got '{moment}'; "
                "say it as a number of optimizer steps"
            )
        elif total is not None and moment.amount >= total:
            yield f"method: {moment.amount} is not before the end of the training, {total}"


def check_network(config: OwnConfig, task: OwnTask) -> None:
    """Check an experiment on own code against its network.

    Raises:
        UsageError: they do not fit; says what to do.
    """
    controls = requested_controls(config.controls)
    drawing = [control.setting for control in controls if control.draws_weights]
    task.check(replicates=config.replicates, drawing=drawing)
    weights = prunable_weights(task.make_model())
    check_patterns(weights, config.prune.fractions)
    units = task.units(config.prune)
    level_densities(config.prune, Mask.dense(weights), config.levels, units)
    if find_criterion(config.prune.criterion).needs_probe and task.code.batches is None:
        raise UsageError(
            f"criterion: '{config.prune.criterion}' looks at data; pass batches=, a list or "
            "DataLoader of them, or use a criterion such as 'magnitude'"
        )
    if config.controls.aligned:
        _check_alignment(config, task)


def _check_alignment(config: OwnConfig, task: OwnTask) -> None:
    """Check that neurons of the network can be aligned."""
    if task.code.batches is None:
        raise UsageError(
            "controls.aligned: neurons are matched by their activations; pass batches=, a list or "
            "DataLoader of them, or use controls.moved"
        )
    streams, model = Streams(config.seed, 0), task.make_model()
    dense = Mask.dense(prunable_weights(model))
    probe_symmetry(task.probe(config.prune, 0, dense, trained=model.state_dict(), streams=streams))
