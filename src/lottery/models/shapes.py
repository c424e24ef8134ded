"""Checking that inputs are images of a size that a network can take."""

from __future__ import annotations

from collections.abc import Sequence

from lottery.errors import UsageError


def check_image(network: str, input_shape: Sequence[int], *, least: int) -> tuple[int, int, int]:
    """Check the shape of one example; returns its channels, height and width.

    Args:
        network: what the network is called, for the message.
        input_shape: shape of one example.
        least: the fewest pixels that height and width may have.

    Raises:
        UsageError: it is not the shape of an image, or the image is too small.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise UsageError(
            f"{network} takes images of shape (channels, height, width), got examples of shape "
            f"{tuple(input_shape)}; for data that are not images take a network mlp-A-B-C"
        )
    channels, height, width = input_shape
    if min(height, width) < least:
        raise UsageError(
            f"{network} takes images of {least} x {least} pixels or more, got {height} x {width}: "
            "less would be left than one pixel in the end; take a network that reduces them less, "
            "or larger images"
        )
    return channels, height, width
