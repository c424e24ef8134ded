"""What is known of a dataset before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """A dataset's facts.

    Args:
        description: one line for a listing.
        input_shape: shape of one example, such as ``(1, 28, 28)``.
        classes: number of classes.
        training_examples: how many there are before validation examples are held out of them.
        test_examples: how many only measure.
    """

    description: str
    input_shape: tuple[int, ...]
    classes: int
    training_examples: int
    test_examples: int
