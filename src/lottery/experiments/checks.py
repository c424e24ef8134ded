"""What can only be checked with the data and the model at hand, before a run begins."""

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
from lottery.experiments.config import ExperimentConfig, scoring_problems
from lottery.experiments.mask_updates import check_updates_happen
from lottery.experiments.trial import (
    check_batches_of_one,
    check_forward,
    check_gradients,
    check_scoring,
    check_types,
)
from lottery.methods import Bound
from lottery.tasks.supervised import Supervised
from lottery.tickets import check_examples, criterion_problems, level_densities
from lottery.training.evaluate import input_dtype


def check_against_data(config: ExperimentConfig, task: Supervised, bound: Bound) -> None:
    """Check what can only be known with the data and the model at hand.

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
    check_coverage(config.model, model)
    check_gradients(config, task)
    check_batches_of_one(config, task)
    weights = prunable_weights(model)
    check_patterns(weights, config.prune.fractions)
    units = task.units(config.prune)
    level_densities(config.prune, Mask.dense(weights), config.levels, units)
    criterion = find_criterion(config.prune.criterion)
    found = [f"prune.{problem}" for problem in criterion_problems(config.prune, criterion)]
    for problem in found + scoring_problems(config, criterion):
        raise UsageError(problem)
    if criterion.needs_probe or config.controls.aligned:
        check_examples(config.prune, data)
    if config.controls.aligned:
        with any_numbers_as_tokens(model):
            find_symmetry(model, torch.zeros(2, *data.input_shape, dtype=input_dtype(model)))
    if config.controls.scratch_flops:
        weight_uses(model, data.input_shape)
    _check_looks(config, bound)
    rewind, steps = bound.rewind_iteration, task.steps()
    check_updates_happen(
        config.training.mask_updates, start=rewind, total=steps.total, epoch=steps.per_epoch
    )
    if rewind >= steps.total and config.rewind.method != "fine-tune":
        raise UsageError(
            f"rewind.to: {config.rewind.to} is iteration {rewind}, not before the end of "
            f"training, {steps.total}"
        )
    late = [at for at in config.connectivity.at if int(at) >= steps.total]
    if late:
        raise UsageError(
            f"connectivity.at: iteration {late[0]} is not before the end of training, {steps.total}"
        )
    if criterion.needs_probe:  # last, for it takes longest
        check_scoring(task, bound)


def _check_looks(config: ExperimentConfig, bound: Bound) -> None:
    """Check that masks are made often enough to see them settle.

    Raises:
        UsageError: fewer are made than are compared.
    """
    early = config.prune.early_bird
    if config.prune.by != "early-bird":
        return
    found, steps = len(bound.mask_looks), bound.task.steps()
    if found < early.window and steps is not None:
        where = "before the end of" if config.rewind.method == "drawn" else "in"
        raise UsageError(
            f"prune.early_bird: expected {early.window} masks or more {where} a training of "
            f"{steps.total:,} iterations, and one every {early.every} gives {found}; "
            "make them more often, or compare fewer"
        )
