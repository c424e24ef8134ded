"""Averages of tickets where they are known: of equal networks, and of linear ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command import Cli
from small_run import SmallRun
from torch import Tensor

from lottery.core import Mask
from lottery.errors import UsageError
from lottery.experiments import open_run
from lottery.inside import ANALYSES, analyse
from lottery.inside.evaluation import Quality
from lottery.inside.pools import FACTORS, greedy_pool, interpolate
from lottery.store import MAIN, JobKey
from lottery.training import State

KEPT = Mask({"weight": torch.tensor([[True, True, False, True]])})


def linear(*weights: float, count: int = 3) -> State:
    return {"weight": torch.tensor([weights]), "bias": torch.zeros(1), "count": torch.tensor(count)}


def squared_distance(target: Tensor) -> tuple[list[State], Callable[[State], Quality]]:
    """The mean square error of a linear network on inputs that are white, but for a constant."""
    asked: list[State] = []

    def quality(state: State) -> Quality:
        asked.append(state)
        return Quality(loss=0.0, error=float((state["weight"] - target).square().sum()))

    return asked, quality


def test_the_average_of_equal_networks_is_that_network() -> None:
    ticket = linear(1.0, -2.0, 0.0, 3.0)
    quality = squared_distance(torch.zeros(1, 4))[1]
    pool = greedy_pool(ticket, [(1, ticket), (3, ticket)], KEPT, quality)
    assert all(torch.equal(pool.state[name], ticket[name]) for name in ticket)


def test_of_a_linear_model_the_best_factor_is_that_of_the_projection() -> None:
    """Error (w - t)^2: on the line to another network it is least at the foot of the plumb line."""
    ticket, other = linear(0.0, 0.0, 0.0, 0.0), linear(2.0, 0.0, 9.0, 0.0, count=9)
    target = torch.tensor([[0.6, 1.0, 0.0, 0.0]])  # the foot lies at 0.3
    pool = greedy_pool(ticket, [(4, other)], KEPT, squared_distance(target)[1])
    assert pool.members == ((4, 0.3),)
    torch.testing.assert_close(pool.state["weight"], torch.tensor([[0.6, 0.0, 0.0, 0.0]]))
    assert int(pool.state["count"]) == 3, "what is no float is the ticket's"


def test_a_candidate_that_makes_it_worse_is_left_out_and_the_next_is_tried() -> None:
    ticket = linear(1.0, 1.0, 0.0, 1.0)
    away, towards = linear(1.0, 1.0, 0.0, 9.0), linear(1.0, 2.0, 0.0, 1.0)
    target = torch.tensor([[1.0, 1.5, 0.0, 1.0]])
    asked, quality = squared_distance(target)
    pool = greedy_pool(ticket, [(1, away), (3, towards)], KEPT, quality)
    assert pool.members == ((3, 0.5),)
    torch.testing.assert_close(pool.state["weight"], target)
    assert len(asked) == 1 + 2 * len(FACTORS)
    assert all(float(state["weight"][0, 2]) == 0 for state in asked), "the mask is the ticket's"


def test_what_is_held_while_it_is_pruned_stays_there() -> None:
    held = {"weight": torch.full((1, 4), 0.7)}
    found = interpolate(linear(0.0, 1.0, 0.7, 2.0), linear(1.0, 1.0, 5.0, 1.0), 0.5, KEPT, held)
    torch.testing.assert_close(found["weight"], torch.tensor([[0.5, 1.0, 0.7, 1.5]]))


def test_a_run_is_pooled_and_judged_on_test_data(
    cli: Cli, small_run: SmallRun, tmp_path: Path
) -> None:
    path = small_run.copied(tmp_path)
    code, text, _ = cli("analyse", "pools", "small", "--out", tmp_path)
    assert code == 0
    assert "nothing says whether a difference is chance" in text
    settings = {"candidates": 4, "recalibrate": 1_000}
    run = open_run(path)
    found = analyse(run, ANALYSES["pools"], settings=settings)
    assert found["levels"].column("level") == [0, 1]
    for row in found["members"].records():
        result = run.results[JobKey(0, MAIN, int(str(row["level"])))]
        assert result.score_final is not None
        assert row["ticket"] == pytest.approx(1 - result.score_final)
    with pytest.raises(UsageError, match="1 candidate or more"):
        analyse(run, ANALYSES["pools"], settings=settings | {"candidates": 0})
