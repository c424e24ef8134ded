"""Arrays and tensors of any origin as a dataset, after checks that say what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lottery.data.dataset import Dataset
from lottery.data.splits import Examples, assemble
from lottery.errors import DataError, describe_error

_NUMBER = "Number the classes from 0 on, as torch.unique(targets, return_inverse=True)[1] does."
_OWN_LOOP = "For other targets use a loop of your own: lottery.find_tickets."


def as_examples(what: str, inputs: object, targets: object) -> Examples:
    """Check inputs and targets, and convert them to the types that a dataset stores.

    Args:
        what: which examples they are, for messages.
        inputs: tensor, array or lists, ``[N, ...]``. Unsigned bytes stay so; floats and booleans
            become float32, other integers int64. Bytes ``[N, H, W, C]`` of 1, 3 or 4 channels
            become ``[N, C, H, W]``, unless ``H`` is 1, 3 or 4.
        targets: class numbers, ``[N]`` or ``[N, 1]``; whole, of any integer or float type.

    Raises:
        DataError: they are no such numbers.
    """
    values, labels = as_array(f"{what} inputs", inputs), as_array(f"{what} targets", targets)
    if values.dtype != np.uint8:
        if values.dtype.kind not in "biuf":
            raise DataError(f"{what} inputs: expected numbers, got type {values.dtype}.")
        values = values.astype(np.int64 if values.dtype.kind in "iu" else np.float32, copy=False)
    if values.ndim < 2:
        raise DataError(
            f"{what} inputs: expected a first dimension of examples and more of their values, got "
            f"shape {values.shape}."
        )
    channels = (1, 3, 4)
    if values.dtype == np.uint8 and values.ndim == 4 and values.shape[1] not in channels:
        values = values.transpose(0, 3, 1, 2) if values.shape[3] in channels else values
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(
            f"{what} targets: expected the number of a class for each example, [N], got shape "
            f"{labels.shape}. Of one number for each class take argmax(1). {_OWN_LOOP}"
        )
    return Examples(values, _whole_numbers(f"{what} targets", labels))


def as_array(what: str, values: object) -> NDArray[Any]:
    """A tensor, array, image or nested list as a NumPy array; bfloat16 becomes float32.

    Args:
        what: what it is, for messages.
        values: what to convert.

    Raises:
        DataError: it cannot become one array.
    """
    try:
        if isinstance(values, torch.Tensor):
            values = values.detach().cpu()
            values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{what}: expected numbers of one shape, but they cannot become one array "
            f"({describe_error(error)})."
        ) from error


def _whole_numbers(what: str, labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.dtype.kind in "biu":
        return labels.astype(np.int64)
    if labels.dtype.kind != "f":
        raise DataError(f"{what}: expected numbers of classes, got type {labels.dtype}.")
    bad = np.flatnonzero(~np.isfinite(labels) | (labels != np.trunc(labels)))
    if len(bad):
        raise DataError(
            f"{what}: expected numbers of classes, which are whole, got {labels[bad[0]]} for "
            f"example {bad[0]:,}. {_OWN_LOOP}"
        )
    return labels.astype(np.int64)


def checked_dataset(
    name: str,
    training: Examples,
    test: Examples,
    held_out: Examples | None = None,
    *,
    validation: int,
    stream: str,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Check examples of unknown origin and make a dataset of them.

    Its classes are 0 to the largest training label.

    Args:
        name: what it is called in configs and reports.
        training: training examples.
        test: test examples.
        held_out: validation examples; None: hold some of the training examples out.
        validation: how many to hold out then.
        stream: names the random order, see `lottery.data.splits.shuffled_rows`.
        notes: see `Dataset`.

    Raises:
        DataError: a part is empty, inputs and targets do not fit each other or those of training,
            some inputs are not finite, or a class of validation or test does not occur in training.
    """
    parts = {"train": training, "test": test}
    if held_out is not None:
        parts["validation"] = held_out
    for part, examples in parts.items():
        _check_part(f"{name}: {part}", examples, training)
    classes = int(training.labels.max()) + 1
    if classes < 2:
        raise DataError(f"{name}: expected targets of at least 2 classes, got only 0.")
    if classes > len(training):
        raise DataError(
            f"{name}: expected numbers of classes from 0 on, fewer than the {len(training):,} "
            f"training examples, got {classes - 1}. {_NUMBER}"
        )
    for part, examples in parts.items():
        strange = np.setdiff1d(examples.labels, training.labels)
        if len(strange):
            raise DataError(
                f"{name}: {part}: expected the classes of the training examples, from 0 to "
                f"{classes - 1}, got {', '.join(map(str, strange[:5]))}, which nothing is learned "
                "of. Use parts of one dataset."
            )
    return assemble(
        name,
        training,
        test,
        validation=validation,
        classes=classes,
        scale=None,
        stream=stream,
        held_out=held_out,
        notes=notes,
    )


def _check_part(what: str, examples: Examples, training: Examples) -> None:
    inputs, labels = examples.inputs, examples.labels
    if len(inputs) != len(labels):
        raise DataError(
            f"{what}: expected one label for each example, got {len(inputs):,} inputs and "
            f"{len(labels):,} targets. Use files of one dataset."
        )
    if inputs.size == 0:
        raise DataError(
            f"{what}: expected one example or more, got inputs of shape {inputs.shape}."
        )
    if inputs.shape[1:] != training.inputs.shape[1:] or inputs.dtype != training.inputs.dtype:
        raise DataError(
            f"{what}: expected inputs as in train, {_kind(training.inputs)}, got {_kind(inputs)}. "
            "Use parts of one dataset."
        )
    if labels.min() < 0:
        raise DataError(
            f"{what}: expected numbers of classes, 0 or more, got {labels.min()}. {_NUMBER}"
        )
    if inputs.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1))
        if len(bad):
            raise DataError(
                f"{what}: expected numbers, but {len(bad):,} of {len(inputs):,} examples hold NaN "
                f"or infinity, the first is example {bad[0]:,}. Fill these values, or leave the "
                "examples out."
            )


def _kind(inputs: NDArray[Any]) -> str:
    return f"{inputs.dtype} of {' x '.join(map(str, inputs.shape[1:]))}"
