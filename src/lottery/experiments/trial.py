"""Trying a network on its data, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lottery.core import CRITERIA, Mask, prunable_weights
from lottery.data import Dataset, steps_per_epoch
from lottery.errors import LotteryError, UsageError, describe_error, format_names
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.lengths import last_iteration
from lottery.methods import FromStep, MethodContext
from lottery.rng import Streams
from lottery.tasks.supervised import Supervised
from lottery.tickets import PruneConfig
from lottery.training import State, recalibrate_batch_norm
from lottery.training.evaluate import input_dtype
from lottery.training.loss import batch_loss

_EXAMPLES = 2  # batch norm in training may need more than one
# Batches that a weight may take no part in, as in stochastic depth or a mixture of experts; and
# their size, after the first.
_MOST_PASSES, _MORE_EXAMPLES = 64, 32
_WHY = "batch norm needs 2 values or more of each channel"


def check_forward(name: str, make_model: Callable[[], nn.Module], data: Dataset) -> None:
    """Check that a network maps a batch of its data to one number for each class.

    Two training examples pass through it, in evaluation and in training mode: a network may give
    something else when it learns, such as the outputs of an auxiliary classifier. torch's global
    CPU generator is left as it was.

    Args:
        name: of the network, for messages.
        make_model: makes a network, which is used for this and nothing else.
        data: on the CPU.

    Raises:
        UsageError: the network fails, or gives something other than floats ``[batch, classes]``.
    """

    def wrong(found: str) -> UsageError:
        return UsageError(
            f"model '{name}': expected outputs of shape {(len(inputs), data.classes)}, for "
            f"{data.classes} classes, from a batch of shape {tuple(inputs.shape)}, and in "
            f"{'training' if model.training else 'evaluation'} mode it {found}; choose a network "
            f"for examples of shape {tuple(inputs.shape[1:])}, or other data"
        )

    with torch.random.fork_rng(devices=[]):
        model = make_model()
        inputs = _inputs(model, data, _EXAMPLES)
        for training in (False, True):
            model.train(training)
            with torch.set_grad_enabled(training):
                _check_outputs(model, inputs, data.classes, wrong)


def check_types(name: str, model: nn.Module) -> None:
    """Check that a network's parameters are of one type, that of floats.

    An engine trains in one precision: it brings the whole network to the type of its weights.

    Args:
        name: of the network, for messages.
        model: the network, as it is made.

    Raises:
        UsageError: they are of several types, or not of floats.
    """
    types: dict[torch.dtype, list[str]] = {}
    for parameter_name, parameter in model.named_parameters():
        types.setdefault(parameter.dtype, []).append(parameter_name)
    if len(types) > 1 or not all(dtype.is_floating_point for dtype in types):
        listed = "; ".join(f"{dtype} ({format_names(names)})" for dtype, names in types.items())
        raise UsageError(
            f"model '{name}': expected parameters of one type of real numbers, got {listed}; bring "
            "all of them to one, such as with model.float()"
        )


def check_gradients(config: ExperimentConfig, task: Supervised) -> None:
    """Check that the loss depends on every weight that is to be pruned, on some example at least.

    Two training examples pass forward and backward in training mode. If weights took no part in
    that, such as those of a block that is skipped at random, up to 63 more passes with more
    examples are tried. torch's global CPU generator is left as it was.

    Args:
        config: the experiment.
        task: its task.

    Raises:
        UsageError: weights never get a gradient, by name; or the pass fails.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(Streams(config.seed, 0).seed_of("trial"))
        model, data = task.make_model().train(), task.data
        # As engines do it, buffers and all.
        model.to(dtype=input_dtype(model))
        idle = {name: model.get_parameter(name) for name in prunable_weights(model)}
        first = 0
        for _ in range(_MOST_PASSES):
            count = _MORE_EXAMPLES if first else _EXAMPLES
            chosen = torch.arange(first, first + count) % len(data.train)
            inputs, targets = data.batch("train", chosen, input_dtype(model))
            try:
                with torch.enable_grad():
                    batch_loss(config.training.loss, model(inputs), targets).backward()
            except LotteryError:
                raise
            except Exception as error:
                raise UsageError(
                    f"model '{config.model}': a step of training fails with "
                    f"{describe_error(error)}; mend the network's forward or backward pass"
                ) from error
            idle = {name: weight for name, weight in idle.items() if weight.grad is None}
            if not idle:
                return
            first += count
    raise UsageError(
        f"model '{config.model}': the loss never depends on {format_names([*idle])} "
        f"({_MOST_PASSES} batches tried); leave out of the network what takes no part in "
        "training, or freeze it (requires_grad_(False)), which also keeps it out of the mask"
    )


def check_batches_of_one(config: ExperimentConfig, task: Supervised) -> None:
    """Check that a network can learn from a batch of one example, if there will be one.

    In training, batch norm needs two values of each channel, and a channel that is a single number
    has one in each example. Such a batch may be the last of each epoch, which is tried only if the
    longest training gets that far; or each of those that `recalibrate_batch_norm` is given. torch's
    global CPU generator is left as it was.

    Args:
        config: the experiment.
        task: its task.

    Raises:
        UsageError: the network fails on a batch that there will be.
    """
    training, data = config.training, task.data
    examples = len(data.train)

    def wrong(found: str) -> UsageError:
        return UsageError(
            f"model '{config.model}': {examples:,} training examples in batches of "
            f"{training.batch_size:,} give a batch of 1, of which the network cannot learn: it "
            f"{found} ({_WHY}); change training.batch_size, or by data.validation the number of "
            "training examples"
        )

    with torch.random.fork_rng(devices=[]):
        if training.recalibrate_batch_norm == 1:
            _check_recalibration(config.model, task.make_model(), data)
        longest = last_iteration(config, examples)
        if smallest_batch(examples, training.batch_size, longest) > 1:
            return
        model = task.make_model().train()
        _check_outputs(model, _inputs(model, data, 1), data.classes, wrong)


def _check_recalibration(name: str, model: nn.Module, data: Dataset) -> None:
    try:
        recalibrate_batch_norm(model, [_inputs(model, data, 1)])
    except LotteryError:
        raise
    except Exception as error:
        raise UsageError(
            "training.recalibrate_batch_norm: expected 2 examples or more, or 0 for none, got 1; "
            f"of a batch of 1 model '{name}' has no statistics: it fails with "
            f"{describe_error(error)} ({_WHY})"
        ) from error


def smallest_batch(examples: int, batch_size: int, iterations: int) -> int:
    """The size of the smallest of a training's batches, 1 or more.

    Args:
        examples: to learn from, 1 or more.
        batch_size: of all batches but the last of an epoch.
        iterations: of the training, from its beginning; 1 or more.

    >>> smallest_batch(3_401, 100, 34), smallest_batch(3_401, 100, 35)
    (100, 1)
    """
    steps = steps_per_epoch(examples, batch_size)
    return examples - (steps - 1) * batch_size if iterations >= steps else batch_size


def _inputs(model: nn.Module, data: Dataset, count: int) -> Tensor:
    """The first training examples as a network takes them."""
    return data.batch("train", slice(0, count), input_dtype(model))[0]


def _check_outputs(
    model: nn.Module, inputs: Tensor, classes: int, wrong: Callable[[str], UsageError]
) -> None:
    """Raise what ``wrong`` makes of what is wrong with the outputs, such as "fails with ..."."""
    try:
        outputs: object = model(inputs)
    except LotteryError:
        raise
    except Exception as error:
        raise wrong(f"fails with {describe_error(error)}") from error
    if not isinstance(outputs, Tensor):
        raise wrong(f"gives an object of type {type(outputs).__name__}")
    if not outputs.is_floating_point():
        raise wrong(f"gives numbers of type {outputs.dtype}")
    if outputs.shape != (len(inputs), classes):
        raise wrong(f"gives outputs of shape {tuple(outputs.shape)}")


def check_scoring(task: Supervised, context: MethodContext) -> None:
    """Check that the criterion can score the network, by pruning once to the last level.

    A built-in criterion is given two examples, or one if the config's smallest batch has one; a
    criterion of your own is given as many as in the run. If training comes first, another
    initialization stands for its result. No random generator that anything else uses is moved.

    Args:
        task: the experiment's.
        context: the experiment; its criterion looks at the network.

    Raises:
        UsageError: the criterion fails, or gives infinite scores to weights that must be pruned.
        MaskError: its scores cannot be used by selection or the scope, such as NaN.
    """
    if not context.levels:
        return
    try:
        with torch.random.fork_rng(devices=[]):
            _prune_once(task, context)
    except LotteryError:
        raise
    except Exception as error:
        raise UsageError(
            f"prune.criterion: '{context.prune.criterion}' fails on this network, before any "
            f"training, with {describe_error(error)}; choose another, or mend it"
        ) from error


def _prune_once(task: Supervised, context: MethodContext) -> None:
    prune, level = _at_once(context.prune, context.levels)
    if prune.criterion in CRITERIA:
        smallest = prune.examples // steps_per_epoch(prune.examples, prune.batch_size)
        few = min(smallest, _EXAMPLES)
        prune = replace(prune, examples=few, batch_size=few)
    initial, deciding = _states(task, context)
    dense = Mask.dense(prunable_weights(task.make_model()))
    replace(context, prune=prune).pruned(
        level, dense, trained=deciding, initial=initial, streams=context.streams(0)
    )


def _at_once(prune: PruneConfig, levels: int) -> tuple[PruneConfig, int]:
    """A pruning of the dense network to the last level's counts in one round; and its level."""
    last = prune.densities[-1:] or ((prune.final_density,) if prune.final_density else ())
    at_once = replace(
        prune, schedule="one-shot", densities=last, final_density=0.0, rounds=1, regrow=False
    )
    return at_once, 1 if last else levels


def _states(task: Supervised, context: MethodContext) -> tuple[State, State]:
    """The first replicate's initial state, and one like that which decides."""
    initial = task.initial(context.streams(0), "init")
    if isinstance(context.method, FromStep) and not context.method.step.amount:
        return initial.state_dict(), initial.state_dict()
    # Weights have moved by then, and statistics fit the data: without them the signal of a deep
    # network can grow beyond what a float holds.
    moved = task.initial(context.streams(1), "init")
    recalibrate_batch_norm(moved, [_inputs(moved, task.data, _EXAMPLES)])
    return initial.state_dict(), moved.state_dict()
