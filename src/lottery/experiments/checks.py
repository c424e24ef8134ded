"""Checks of a config that need the data and the model, made before a run begins."""

from __future__ import annotations

import torch

from lottery.core import (
    Mask,
    check_coverage,
    check_patterns,
    find_criterion,
    prunable_weights,
    weight_uses,
)
from lottery.core.embeddings import any_numbers_as_tokens
from lottery.core.symmetry import find_symmetry
from lottery.errors import UsageError
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.trial import (
    check_batches_of_one,
    check_forward,
    check_gradients,
    check_scoring,
    check_types,
)
from lottery.methods import ChangingMask, EarlyBird, FromStep, MethodContext
from lottery.tasks.protocol import Steps
from lottery.tasks.supervised import Supervised
from lottery.tickets import check_examples, criterion_problems, level_densities
from lottery.training import MaskUpdatesConfig
from lottery.training.evaluate import input_dtype


def check_against_data(config: ExperimentConfig, task: Supervised, context: MethodContext) -> None:
    """Check a config against its data and model.

    Raises:
        UsageError: the network has nothing to prune, or to align where that is asked for, weights
            of several types, or weights that masks cannot hold or no example reaches; it cannot
            take the examples, or learn from a batch of one; the rewind point lies after
            the end, a mask that is to change would not, a pattern fits no layer, a density cannot
            be reached, multiplications cannot be counted, a criterion cannot be imported, does not
            go with the config or cannot score the network, or there are fewer examples than are to
            be looked at.
        MaskError: the scores of a criterion of your own are not what selection can use.
    """
    model, data = task.make_model(), task.data
    check_forward(config.model, task.make_model, data)
    check_types(config.model, model)
    if task.learned:
        task.learned.check(model)
    check_coverage(config.model, model)
    check_gradients(config, task)
    check_batches_of_one(config, task)
    weights = prunable_weights(model)
    check_patterns(weights, config.prune.fractions)
    units = task.units(config.prune)
    level_densities(config.prune, Mask.dense(weights), config.levels, units)
    criterion = find_criterion(config.prune.criterion)
    found = [f"prune.{problem}" for problem in criterion_problems(config.prune, criterion)]
    found += config.method.criterion_refusals(config.prune, criterion, config.levels)
    for problem in found:
        raise UsageError(problem)
    if criterion.needs_probe or config.controls.aligned:
        check_examples(config.prune, data)
    if config.controls.aligned:
        with any_numbers_as_tokens(model):
            find_symmetry(model, torch.zeros(2, *data.input_shape, dtype=input_dtype(model)))
    if config.controls.scratch_flops:
        weight_uses(model, data.input_shape)
    _check_moments(config, context)
    late, steps = [*map(int, config.connectivity.at)], task.steps()
    if late and max(late) >= steps.total:
        raise UsageError(
            f"connectivity.at: iteration {max(late)} is not before the end of training, "
            f"{steps.total}"
        )
    if criterion.needs_probe:  # last, for it takes longest
        check_scoring(task, context)


def _check_moments(config: ExperimentConfig, context: MethodContext) -> None:
    """Check that what is to happen in the course of a training does.

    Raises:
        UsageError: tickets start at its end, or before they are made; a mask that is to change does
            not; or fewer masks are drawn than are compared.
    """
    method, steps = config.method, context.task.steps()
    assert steps is not None, "the built-in trainer knows"
    if isinstance(method, EarlyBird):
        _check_looks(method, context, steps)
    start, tuned = context.rewind_iteration, method.rewinding == "fine-tune"
    step = context.iterations(method.step) if isinstance(method, FromStep) else start
    for at, what in (start, f"tickets start at {method.start}"), (step, "method.step is late"):
        if at >= steps.total and not tuned:
            raise UsageError(
                f"method: {what}, iteration {at}, not before the end of training, {steps.total}"
            )
    if isinstance(method, ChangingMask):
        check_updates_happen(method.updates, start=step, total=steps.total, epoch=steps.per_epoch)
    elif start > step:
        raise UsageError(
            f"method.rewind.to: {method.start} is iteration {start}, after method.step, {step}"
        )


def _check_looks(method: EarlyBird, context: MethodContext, steps: Steps) -> None:
    """Check that masks are made often enough to see them settle."""
    found = len(method.check_iterations(context))
    if found < method.window:
        where = "before the end of" if method.rewinding == "drawn" else "in"
        raise UsageError(
            f"method.every: expected {method.window} masks or more {where} a training of "
            f"{steps.total:,} iterations, and one every {method.every} gives {found}; "
            "make them more often, or compare fewer"
        )


def check_updates_happen(updates: MaskUpdatesConfig, *, start: int, total: int, epoch: int) -> None:
    """Check that a changing mask is updated at all, and that gradual pruning is gradual.

    Gradual pruning needs two prunings after training has begun: the last one, and one before it. A
    pruning at the start only catches up with the schedule, all at once.

    Args:
        updates: how and when the mask changes.
        start: the iteration that the training starts at.
        total: iterations of the whole training.
        epoch: iterations of one epoch.

    Raises:
        UsageError: no update is due between the start and the end of updates.
    """
    end = updates.ends(total)
    between = range(start + 1, end)
    if any(updates.due(i, start=start, total=total, steps_per_epoch=epoch) for i in between):
        return
    if updates.method == "gradual":
        raise UsageError(
            "method: expected gradual pruning to prune one time or more between iteration "
            f"{start}, where it starts, and {end}, the last time, and with one every "
            f"{updates.every} it never does, so that nothing is gradual; make `every` shorter, "
            "`begin` or `step` earlier, or `until` later"
        )
    raise UsageError(
        f"method: from iteration {start} to {end} no update is due, of one every "
        f"{updates.every}; make `every` shorter, or `until` later"
    )
