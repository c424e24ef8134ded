"""Tests of many levels at once, and of many simulated runs: arrays (..., levels, replicates).

Of an array with further axes before these two, each entry is a run of its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROUNDING: Final = 1e-9
"""How far equal sums may differ by floating-point rounding alone."""
_MOST_FLIPS: Final = 2**14


def one_sided(y: Array, step: Any, used: Flags) -> Array:
    """One-sided p-values, one a level, for the claim that the mean over replicates lies above 0.

    The variance of a level is taken as the mean of its own and of the average over the levels in
    use, each at least ``step^2 / 12``, the variance of rounding to a grid of this step. The degrees
    of freedom are Satterthwaite's for the average over levels (1946, Biometrics Bulletin 2),
    limited to between n - 1 and 2 (n - 1) and rounded down. With one level this is Student's
    t-test.

    Args:
        y: float64 (..., levels, replicates), 2 replicates or more.
        step: of the grid that ``y`` lies on, 0 or more; a number or (..., 1).
        used: bool (..., levels), the levels whose variances are averaged; where none is, all are.

    Returns:
        float64 (..., levels) in (0, 1]; 1 where nothing varies and the step is 0.
    """
    n = y.shape[-1]
    own = np.maximum(y.var(-1, ddof=1), np.asarray(step) ** 2 / 12)
    weights = np.where(used.any(-1, keepdims=True), used, True).astype(float)
    pool = own * weights
    centred = (y - y.mean(-1, keepdims=True)) * weights[..., None]
    products = np.swapaxes(centred, -1, -2) @ centred / (n - 1)
    squares = np.maximum((products**2).sum((-1, -2)), (pool**2).sum(-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (n - 1) * pool.sum(-1) ** 2 / squares
        df = np.floor(np.clip(np.nan_to_num(df), n - 1, 2 * (n - 1)) + ROUNDING)
        mean = pool.sum(-1, keepdims=True) / weights.sum(-1, keepdims=True)
        t = y.mean(-1) / np.sqrt((own + mean) / 2 / n)
    # Without any scatter and with an unknown step there is nothing to test against.
    p: Array = np.where(own + mean > 0, stdtr(df[..., None], -np.nan_to_num(t)), 1.0)
    return np.maximum(p, np.finfo(float).tiny)


def sign_flips(y: Array) -> Array:
    """Sign-flip test: the share of all sign patterns whose sum is at least the observed one.

    A p-value for the claim that the mean lies above 0, exact where differences are symmetric about
    0 (Fisher 1935, The Design of Experiments, section 21). From 15 replicates on, 2^14 patterns
    drawn at random stand for all; the observed one is among them, which keeps the test valid.

    Args:
        y: float64 (..., levels, replicates).

    Returns:
        float64 (..., levels) in (0, 1].
    """
    sums = y @ _patterns(y.shape[-1])
    shares: Array = (sums >= sums[..., :1] - ROUNDING).mean(-1)
    return shares


@cache
def _patterns(n: int) -> Array:
    """(n, patterns) of +1 and -1; the first is all +1."""
    if 2**n <= _MOST_FLIPS:
        bits = np.arange(2**n)[None, :] >> np.arange(n)[:, None] & 1
    else:
        bits = np.random.default_rng(n).integers(0, 2, (n, _MOST_FLIPS))
        bits[:, 0] = 0
    return np.where(bits == 0, 1.0, -1.0)


def hommel(p: Array) -> Array:
    """p-values adjusted for several tests, over the last axis (Hommel 1988, Biometrika 75).

    It is the closed testing procedure with Simes' test. Rejecting where the result is below alpha
    keeps the chance of even one false rejection below alpha wherever Simes' inequality holds, as it
    does for levels that share a dense network. A claim that could not be tested, with p = 1, still
    counts as a test.

    Args:
        p: float64 (..., tests) in [0, 1].

    Returns:
        The same shape; each at least ``p`` and at most 1.

    >>> hommel(np.array([0.01, 0.02, 0.9])).round(4).tolist()
    [0.03, 0.04, 0.9]
    """
    n = p.shape[-1]
    if n < 2:
        return p
    order = np.argsort(p, -1)
    s = np.take_along_axis(p, order, -1)
    best = (n * s / np.arange(1, n + 1)).min(-1, keepdims=True)
    q, adjusted = np.broadcast_to(best, s.shape).copy(), np.broadcast_to(best, s.shape).copy()
    for m in range(n - 1, 1, -1):
        split = n - m + 1
        least = (m * s[..., split:] / np.arange(2, m + 1)).min(-1, keepdims=True)
        q[..., :split] = np.minimum(m * s[..., :split], least)
        q[..., split:] = q[..., split - 1 : split]
        adjusted = np.maximum(adjusted, q)
    result = np.empty_like(s)
    np.put_along_axis(result, order, np.minimum(1, np.maximum(adjusted, s)), -1)
    return result
