"""A trial of a network on its data, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lottery.data import Dataset
from lottery.errors import LotteryError, UsageError, said
from lottery.training.evaluate import input_dtype

_EXAMPLES = 2  # batch norm in training needs more than one


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
    with torch.random.fork_rng(devices=[]):
        model = make_model()
        inputs, _ = data.batch("train", slice(0, _EXAMPLES), input_dtype(model))
        for training in (False, True):
            model.train(training)
            with torch.set_grad_enabled(training):
                _check_outputs(name, model, inputs, data.classes)


def _check_outputs(name: str, model: nn.Module, inputs: Tensor, classes: int) -> None:
    expected = (len(inputs), classes)

    def wrong(found: str) -> UsageError:
        return UsageError(
            f"model '{name}': expected outputs of shape {expected}, for {classes} classes, from a "
            f"batch of shape {tuple(inputs.shape)}, and in "
            f"{'training' if model.training else 'evaluation'} mode it {found}; choose a network "
            f"for examples of shape {tuple(inputs.shape[1:])}, or other data"
        )

    try:
        outputs: object = model(inputs)
    except LotteryError:
        raise
    except Exception as error:
        raise wrong(f"fails with {said(error)}") from error
    if not isinstance(outputs, Tensor):
        raise wrong(f"gives an object of type {type(outputs).__name__}")
    if not outputs.is_floating_point():
        raise wrong(f"gives numbers of type {outputs.dtype}")
    if outputs.shape != expected:
        raise wrong(f"gives outputs of shape {tuple(outputs.shape)}")
