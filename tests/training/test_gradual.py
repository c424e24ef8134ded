"""The config of pruning within a training."""

from __future__ import annotations

import pytest

from lottery.training import GradualConfig, Length


def test_defaults_are_right() -> None:
    assert GradualConfig().problems() == []


@pytest.mark.parametrize(
    ("config", "start"),
    [
        (GradualConfig(initial_density=1.5), "initial_density: must"),
        (GradualConfig(initial_density=0.0, final_density=0.0), "initial_density: must"),
        (GradualConfig(initial_density=0.5, final_density=0.6), "final_density: must"),
        (GradualConfig(final_density=0.0), "final_density: must"),
        (
            GradualConfig(begin=Length(amount=9), end=Length(amount=8)),
            "end: 8 iterations is before",
        ),
        (GradualConfig(every=Length(amount=0)), "every.amount: must"),
    ],
)
def test_problems_are_named(config: GradualConfig, start: str) -> None:
    assert any(problem.startswith(start) for problem in config.problems())


def test_epochs_and_iterations_mix() -> None:
    config = GradualConfig(
        shape="linear",
        initial_density=0.9,
        final_density=0.1,
        begin=Length(amount=1, unit="epochs"),
        end=Length(amount=50),
        every=Length(amount=2, unit="epochs"),
    )
    found = [config.density(i, steps_per_epoch=10) for i in (9, 10, 29, 30, 49, 50)]
    assert found == pytest.approx([1.0, 0.9, 0.9, 0.5, 0.5, 0.1])
    assert found[-1] == 0.1
