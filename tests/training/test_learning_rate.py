"""The learning rate against closed forms and torch's own schedulers."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.training import LearningRateConfig, Length, learning_rate

quick = settings(max_examples=60, deadline=None)


def rates(config: LearningRateConfig, total: int, steps_per_epoch: int = 10) -> list[float]:
    return [
        learning_rate(config, iteration, total=total, steps_per_epoch=steps_per_epoch)
        for iteration in range(total)
    ]


def of_torch(
    base: float, total: int, make: type[torch.optim.lr_scheduler.LRScheduler], **settings: object
) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
    scheduler = make(optimizer, **settings)  # type: ignore[arg-type]
    found = []
    for _ in range(total):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler.step()
    return found


@given(st.floats(1e-6, 10), st.integers(1, 40))
@quick
def test_constant(base: float, total: int) -> None:
    assert rates(LearningRateConfig(base=base), total) == [base] * total


@given(st.floats(1e-6, 10), st.integers(1, 60))
@quick
def test_cosine_is_that_of_torch(base: float, total: int) -> None:
    ours = rates(LearningRateConfig(schedule="cosine", base=base), total)

    theirs = of_torch(base, total, torch.optim.lr_scheduler.CosineAnnealingLR, T_max=total)

    assert ours[0] == base
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9 * base)


@given(
    st.floats(1e-6, 10),
    st.lists(st.integers(0, 50), min_size=1, max_size=4),
    st.floats(0.05, 0.95),
)
@quick
def test_step_is_that_of_torch(base: float, drops: list[int], factor: float) -> None:
    config = LearningRateConfig(
        schedule="step",
        base=base,
        factor=factor,
        drops=tuple(Length(amount=drop) for drop in drops),
    )

    theirs = of_torch(
        base,
        60,
        torch.optim.lr_scheduler.MultiStepLR,
        milestones=[drop for drop in drops if drop > 0],
        gamma=factor,
    )
    at_once = factor ** drops.count(0)

    assert rates(config, 60) == pytest.approx([rate * at_once for rate in theirs], rel=1e-9)


def test_a_drop_applies_to_the_step_from_its_iteration_on() -> None:
    config = LearningRateConfig(
        schedule="step",
        base=1.0,
        factor=0.5,
        drops=(Length(amount=2, unit="epochs"), Length(amount=25)),
    )

    found = rates(config, 30, steps_per_epoch=10)

    assert found == [1.0] * 20 + [0.5] * 5 + [0.25] * 5


def test_the_paper_s_resnet_schedule() -> None:
    """0.1, 0.01 and 0.001, with drops at 20,000 and 25,000 of 30,000 iterations."""
    config = LearningRateConfig(
        schedule="step", base=0.1, drops=(Length(amount=20_000), Length(amount=25_000))
    )
    found = rates(config, 30_000)

    corners = [found[at] for at in (0, 19_999, 20_000, 24_999, 25_000, 29_999)]
    assert corners == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_the_paper_s_warm_up_of_a_resnet() -> None:
    """0.03, reached at 20,000 iterations, where the first drop falls as well."""
    config = LearningRateConfig(
        schedule="step",
        base=0.03,
        warmup=Length(amount=20_000),
        drops=(Length(amount=20_000), Length(amount=25_000)),
    )
    found = rates(config, 30_000)

    assert config.problems() == []
    assert found[:20_000] == pytest.approx([0.03 * (i + 1) / 20_000 for i in range(20_000)])
    assert found[20_000:25_000] == pytest.approx([0.003] * 5_000)
    assert found[25_000:] == pytest.approx([0.0003] * 5_000)


@given(st.integers(1, 30), st.floats(1e-6, 10))
@quick
def test_warm_up_is_a_line_whose_last_step_has_the_full_rate(warmup: int, base: float) -> None:
    config = LearningRateConfig(base=base, warmup=Length(amount=warmup))

    found = rates(config, warmup + 3)

    assert found == [base * (i + 1) / warmup for i in range(warmup)] + [base] * 3
    assert found[0] > 0


def test_warm_up_in_epochs() -> None:
    config = LearningRateConfig(base=1.0, warmup=Length(amount=2, unit="epochs"))

    assert rates(config, 9, steps_per_epoch=4)[:9] == [i / 8 for i in range(1, 9)] + [1.0]


def test_cosine_falls_from_the_end_of_the_warm_up() -> None:
    config = LearningRateConfig(schedule="cosine", base=2.0, warmup=Length(amount=4))

    found = rates(config, 14)

    assert found[3:5] == [2.0, 2.0]
    assert found[4:] == [1 + math.cos(math.pi * i / 10) for i in range(10)]
    assert found[9] == pytest.approx(1.0)


def test_warm_up_may_last_the_whole_training() -> None:
    config = LearningRateConfig(schedule="cosine", base=1.0, warmup=Length(amount=5))

    assert rates(config, 5) == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert learning_rate(config, 0, total=3, steps_per_epoch=1) == 0.2
