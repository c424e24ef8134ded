"""The suite catches dropout that is not what it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
import torch
from rewired import (
    Lossy,
    Rewired,
    SharesRandomness,
    with_dropout_for_good,
    with_modules,
    without_randomness,
)
from torch import Tensor, nn

from lottery.core import Mask
from lottery.testing import ENGINE_CHECKS
from lottery.training import TrainingJob

CHECKS = {check.__name__: check for check in ENGINE_CHECKS}

JobChange = Callable[[TrainingJob], TrainingJob]


class Drops(nn.Module):
    """Dropout by a rule.

    Args:
        factors: shape of the inputs and share to drop -> what they are multiplied by.
        share: to drop.
    """

    def __init__(self, factors: Callable[[torch.Size, float], Tensor], share: float) -> None:
        super().__init__()
        self.factors, self.share = factors, share

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return inputs
        return inputs * self.factors(inputs.shape, self.share).to(inputs.dtype)


class DropsForwardOnly(nn.Dropout):
    """Passes the gradients of dropped units on."""

    def forward(self, input: Tensor) -> Tensor:
        return input + (super().forward(input) - input).detach()


def by_rule(factors: Callable[[torch.Size, float], Tensor]) -> JobChange:
    return with_modules(nn.Dropout, lambda dropout: Drops(factors, dropout.p))


def unscaled(shape: torch.Size, share: float) -> Tensor:
    return torch.rand(shape) >= share


def too_often(shape: torch.Size, share: float) -> Tensor:
    return (torch.rand(shape) >= min(0.99, 1.1 * share)) / (1 - share)


def the_same_in_all_examples(shape: torch.Size, share: float) -> Tensor:
    return (torch.rand(1, shape[1]) >= share) / (1 - share)


def in_pairs(shape: torch.Size, share: float) -> Tensor:
    halves = torch.rand(shape[0], (shape[1] + 1) // 2).repeat_interleave(2, dim=1)
    return (halves[:, : shape[1]] >= share) / (1 - share)


def seeded_by_layer(job: TrainingJob) -> TrainingJob:
    """The same units in every step."""
    layers = count()

    def make(dropout: nn.Dropout) -> nn.Module:
        layer = next(layers)
        return Drops(seeded(lambda: layer), dropout.p)

    return with_modules(nn.Dropout, make)(job)


def seeded_by_step(job: TrainingJob) -> TrainingJob:
    """The same units in every layer."""

    def make(dropout: nn.Dropout) -> nn.Module:
        steps = count()
        return Drops(seeded(lambda: next(steps)), dropout.p)

    return with_modules(nn.Dropout, make)(job)


def seeded(seed: Callable[[], int]) -> Callable[[torch.Size, float], Tensor]:
    def factors(shape: torch.Size, share: float) -> Tensor:
        generator = torch.Generator().manual_seed(seed())
        return (torch.rand(shape, generator=generator) >= share) / (1 - share)

    return factors


CAUGHT_BY: list[tuple[str, Rewired]] = [
    (
        "check_dropout_has_its_stream",
        Rewired(job=with_modules(nn.Dropout, lambda _: nn.Identity())),
    ),
    ("check_dropout_resume", Rewired(job=with_dropout_for_good)),
    ("check_dropout_resume", Rewired(monitor=lambda m: Lossy(m, without_randomness))),
    ("check_groups", SharesRandomness()),
    (
        "check_dropout_resume",
        Rewired(job=lambda job: replace(job, mask=Mask.dense(job.mask))),
    ),
    (
        "check_settings_with_dropout_resume",
        Rewired(monitor=lambda m: Lossy(m, without_randomness)),
    ),
    ("check_dropped_units", Rewired(job=by_rule(unscaled))),
    ("check_dropped_units", Rewired(job=by_rule(too_often))),
    ("check_dropped_units", Rewired(job=with_modules(nn.Dropout, lambda d: DropsForwardOnly(d.p)))),
    ("check_dropped_units", Rewired(job=by_rule(the_same_in_all_examples))),
    ("check_dropped_units", Rewired(job=by_rule(in_pairs))),
    ("check_dropped_units_of_layers_and_steps", Rewired(job=seeded_by_layer)),
    ("check_dropped_units_of_layers_and_steps", Rewired(job=seeded_by_step)),
    ("check_dropped_units_of_layers_and_steps", Rewired(job=by_rule(unscaled))),
]


@pytest.mark.parametrize(
    ("check", "broken"), CAUGHT_BY, ids=[f"{check}-{n}" for n, (check, _) in enumerate(CAUGHT_BY)]
)
def test_a_broken_engine_is_caught(check: str, broken: Rewired) -> None:
    with pytest.raises(AssertionError) as caught:
        CHECKS[check](broken)

    assert len(str(caught.value)) > 20, "a failure should say what is wrong"


def test_every_check_of_this_kind_can_fail() -> None:
    names = {name for name in CHECKS if "dropout" in name or "dropped" in name}

    assert {*names, "check_groups"} == {check for check, _ in CAUGHT_BY}
