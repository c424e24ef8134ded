"""When a network counts as guessing, so that there is nothing that a ticket could match."""

from __future__ import annotations

import math

_LEAST_SKILL = 0.05
_DEVIATIONS = 2.0


def guessing_limit(classes: int | None, examples: int | None) -> float:
    """The test accuracy below which a network is taken to guess.

    Guessing one of k equally frequent classes is right for 1/k of the examples. A network must do
    better by 5% of the way from there to 1, which is a Cohen's kappa of 0.05 (Cohen 1960,
    Educational and Psychological Measurement 20), and by two standard deviations of the accuracy
    that guessing has on so many examples.

    Args:
        classes: how many there are; None when unknown, and then the limit is 0.
        examples: size of the test set, 1 or more; None when unknown.

    Returns:
        A fraction in [0, 1).

    >>> round(guessing_limit(10, 10_000), 3), round(guessing_limit(10, 100), 3)
    (0.145, 0.16)
    """
    if classes is None or classes < 2:
        return 0.0
    guess = 1 / classes
    luck = _DEVIATIONS * math.sqrt(guess * (1 - guess) / examples) if examples else 0.0
    return min(guess + max(_LEAST_SKILL * (1 - guess), luck), math.nextafter(1, 0))
