"""Dropout: how much, what is left, and that no decision depends on another.

All follows from keys, so that the statistics below come out the same every time.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lottery.training.engines.sparse_cpu.dropout import apply_dropout, backward_dropout, stream_key

KEY = 0x1234_5678_9ABC_DEF0
ROWS = 300
SHARES = [0.001, 0.2, 0.5, 0.999]


def key_of(key: int, iteration: int, layer: int) -> Any:
    """The stream's key in the type that compiled code has it in."""
    return np.uint64(stream_key(key, iteration, layer))


def kept_by(key: Any, share: float = 0.5, block: int = 0, rows: int = ROWS) -> NDArray[np.bool_]:
    outputs = np.ones((rows, 64), np.float32)
    apply_dropout(key, share, block, outputs)
    kept: NDArray[np.bool_] = outputs != 0
    return kept


def most_by_chance(share: float, places: int) -> float:
    """How far a share among so many places is from its mean, at most: five standard deviations."""
    return float(5 * np.sqrt(share * (1 - share) / places))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", SHARES)
def test_a_share_is_dropped_and_the_rest_is_scaled_up(
    share: float, dtype: type[np.floating[Any]]
) -> None:
    before = np.random.default_rng(0).normal(size=(ROWS, 64)).astype(dtype)
    outputs = before.copy()

    apply_dropout(key_of(KEY, 7, 1), share, 0, outputs)

    dropped = outputs == 0
    assert abs(dropped.mean() - share) < most_by_chance(share, outputs.size)
    np.testing.assert_allclose(
        outputs[~dropped], before[~dropped] / (1 - share), rtol=4 * float(np.finfo(dtype).eps)
    )


@pytest.mark.parametrize("share", SHARES[:3])
def test_the_way_back_drops_the_same(share: float) -> None:
    before = np.random.default_rng(0).normal(size=(ROWS, 64))
    grad_outputs = np.random.default_rng(1).normal(size=(ROWS, 64))
    outputs, through, key = before.copy(), grad_outputs.copy(), key_of(KEY, 7, 1)

    apply_dropout(key, share, 3, outputs)
    dropped = outputs == 0
    backward_dropout(key, share, 3, outputs, through)

    np.testing.assert_allclose(
        through, np.where(dropped, 0, grad_outputs / (1 - share)), rtol=1e-14
    )
    assert (through[dropped] == 0).all()
    # The activation's slope is then taken at what the activation gave.
    np.testing.assert_allclose(outputs, np.where(dropped, 0, before), rtol=1e-14)


def test_the_key_decides_alone() -> None:
    first = kept_by(key_of(KEY, 7, 1))

    np.testing.assert_array_equal(kept_by(key_of(KEY, 7, 1)), first)
    double = np.ones((ROWS, 64))
    apply_dropout(key_of(KEY, 7, 1), 0.5, 0, double)
    np.testing.assert_array_equal(double != 0, first)


def test_what_a_larger_share_keeps_a_smaller_one_keeps() -> None:
    """Each place has one number, which the share is compared with."""
    key = key_of(KEY, 7, 1)

    assert (kept_by(key, 0.2) >= kept_by(key, 0.5)).all()
    assert kept_by(key, 1e-12).all()
    assert not kept_by(key, 1 - 1e-12).any()


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_keys_steps_layers_and_blocks_are_independent(share: float) -> None:
    masks = {
        "as it is": kept_by(key_of(KEY, 7, 1), share),
        "another key": kept_by(key_of(KEY + 2, 7, 1), share),
        "the next step": kept_by(key_of(KEY, 8, 1), share),
        "a step much later": kept_by(key_of(KEY, 7 + 64, 1), share),
        "the next layer": kept_by(key_of(KEY, 7, 2), share),
        "the next step, the layer before": kept_by(key_of(KEY, 8, 0), share),
        "the next block": kept_by(key_of(KEY, 7, 1), share, block=1),
    }
    agree = share**2 + (1 - share) ** 2
    for one, other in combinations(masks, 2):
        found = (masks[one] == masks[other]).mean()
        assert abs(found - agree) < most_by_chance(agree, ROWS * 64), f"{one}, {other}"


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_places_are_independent(share: float) -> None:
    kept = kept_by(key_of(KEY, 7, 1), share)
    agree = share**2 + (1 - share) ** 2
    for rows, lanes in ((0, 1), (1, 0), (1, 1), (0, 32), (2, 0), (64, 0)):
        one, other = kept[rows:, lanes:], kept[: ROWS - rows, : 64 - lanes]
        found = (one == other).mean()
        assert abs(found - agree) < most_by_chance(agree, one.size), f"{rows} down, {lanes} right"
    # No unit and no example fares better than others.
    for axis, places in ((0, ROWS), (1, 64)):
        means = kept.mean(axis)
        assert np.abs(means - (1 - share)).max() < most_by_chance(share, places)


def test_blocks_of_a_layer_do_not_repeat_one_another() -> None:
    """Two blocks of few units, which a hash of too little of the place would make overlap."""
    blocks = [kept_by(key_of(KEY, 7, 1), block=block, rows=3) for block in range(40)]

    assert len({block.tobytes() for block in blocks}) == len(blocks)
    for one, other in combinations(np.concatenate(blocks), 2):
        assert (one != other).any()
