"""What loss and error do on a line whose every point is known."""

from __future__ import annotations

import pytest
import torch

from lottery.inside.evaluation import Quality
from lottery.inside.line import are_equal, barrier, instability, interpolate_states, measure_line
from lottery.training import State

INPUTS = torch.tensor([-2.0, -1.0, 1.0, 2.0])


def two_units(first: float, second: float) -> State:
    """A network of one input, two hidden units and one output."""
    weights = torch.tensor([first, second])
    return {"hidden": weights, "output": weights.clone(), "batches": torch.tensor(7)}


def loss(state: State, part: str = "test") -> Quality:
    """The mean squared difference between the network and the identity, over the input's square."""
    del part
    hidden = torch.relu(INPUTS[:, None] * state["hidden"])
    difference = hidden @ state["output"] - INPUTS
    return Quality(None, float((difference / INPUTS).square().mean()))


def test_a_network_and_its_permuted_self_have_the_barrier_that_algebra_gives() -> None:
    network, permuted = two_units(1.0, -1.0), two_units(-1.0, 1.0)
    assert loss(network) == loss(permuted) == Quality(None, 0.0)
    line = measure_line(network, permuted, 31, ["test"], loss)["test"]
    # Between them both units shrink to 1 - 2a of what they were, the output by its square.
    expected = [(1 - (1 - 2 * a) ** 2) ** 2 for a in line.shares]
    assert line.errors == pytest.approx(expected, abs=1e-6)
    assert instability(line.errors) == barrier(line.errors) == pytest.approx(1)
    assert line.losses is None


def test_the_ends_of_a_line_are_the_networks_to_the_bit() -> None:
    generator = torch.Generator().manual_seed(1)
    one, other = ({"w": torch.randn(50, generator=generator), "n": torch.tensor(n)} for n in (3, 4))
    one["w"][:20] = other["w"][:20] = 0.0
    assert are_equal(interpolate_states(one, other, 0), one)
    assert are_equal(interpolate_states(one, other, 1), other)
    half = interpolate_states(one, other, 0.5)
    assert half["n"] == 3
    assert not half["w"][:20].any(), "what both masks prune is zero on the line"
    torch.testing.assert_close(half["w"], (one["w"] + other["w"]) / 2)
    assert all(are_equal(interpolate_states(one, one, share / 7), one) for share in range(8))


def test_a_line_between_equal_networks_is_flat() -> None:
    network = two_units(0.3, 0.4)
    line = measure_line(network, network, 30, ["train", "test"], loss)
    assert instability(line["train"].errors) == instability(line["test"].errors) == 0
