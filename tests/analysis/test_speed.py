"""Time to the dense network's accuracy, from curves made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lottery.analysis.speed import moving_average, target_score, time_to_reach
from lottery.score import ACCURACY
from lottery.training import CurvePoint


def curve(accuracies: list[float], *, every: int = 100, start: int = 0) -> list[CurvePoint]:
    points = []
    for number, accuracy in enumerate(accuracies):
        at = start + number * every
        points.append(CurvePoint.measured(iteration=at, split="validation", loss=1.0, accuracy=0.0))
        points.append(CurvePoint.measured(iteration=at, split="test", loss=1.0, accuracy=accuracy))
    return points


def test_smoothing_is_the_plain_mean_of_five() -> None:
    values = np.random.default_rng(0).random((2, 9))
    expected = [[np.mean(row[max(0, i - 2) : i + 3]) for i in range(len(row))] for row in values]
    np.testing.assert_allclose(moving_average(values), expected)


def test_the_dense_network_reaches_its_own_target_by_its_early_stop() -> None:
    dense = curve([0.1, 0.5, 0.7, 0.8, 0.85, 0.88, 0.9, 0.9, 0.9])
    target = target_score(dense, 600, replace(ACCURACY, margin=0.01))
    assert target is not None
    assert target == pytest.approx(np.mean([0.85, 0.88, 0.9, 0.9, 0.9]) - 0.01)
    assert time_to_reach(dense, target) <= 600


def test_time_is_that_of_the_first_evaluation_whose_mean_is_there() -> None:
    line = curve([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert time_to_reach(line, 0.4) == 400.0
    assert time_to_reach(line, 0.4001) == 500.0


def test_initialization_is_no_evaluation_to_reach_it_at() -> None:
    """However wide the margin, no network is there before its first step: a time of 0."""
    assert time_to_reach(curve([0.5, 0.6, 0.7]), 0.1) == 100.0


def test_a_ticket_from_a_later_point_counts_from_initialization() -> None:
    assert time_to_reach(curve([0.5, 0.9, 0.9], start=500), 0.4) == 500.0


def test_never_reached_is_infinity_and_no_curve_is_no_target() -> None:
    assert time_to_reach(curve([0.1, 0.2]), 0.5) == math.inf
    assert time_to_reach([], 0.5) == math.inf
    assert target_score(curve([0.1, 0.2]), 150, replace(ACCURACY, margin=0.0)) is None
