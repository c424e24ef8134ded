"""Broken criteria and datasets fail the check that is for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lottery.core import Criterion, ScoreContext, Scores
from lottery.data import Dataset, Split
from lottery.testing import CRITERION_CHECKS, DATASET_CHECKS, DatasetCheck, tiny_dataset

CRITERION_CHECK = {check.__name__: check for check in CRITERION_CHECKS}
DATASET_CHECK = {check.__name__: check for check in DATASET_CHECKS}


def magnitudes(context: ScoreContext) -> dict[str, Tensor]:
    return {name: weight.abs() for name, weight in context.weights.items()}


def forgets_a_layer(context: ScoreContext) -> Scores:
    return {name: score for name, score in magnitudes(context).items() if name != "fc2.weight"}


def flattens(context: ScoreContext) -> Scores:
    return {name: score.flatten() for name, score in magnitudes(context).items()}


def ranks(context: ScoreContext) -> Scores:
    return {n: s.flatten().argsort().view(s.shape) for n, s in magnitudes(context).items()}


def normalizes_by_layer(context: ScoreContext) -> Scores:
    return {name: score / score.sum() for name, score in magnitudes(context).items()}


def scores_in_place(context: ScoreContext) -> Scores:
    return {name: weight.abs_() for name, weight in context.weights.items()}


def gives_the_weights_back(context: ScoreContext) -> Scores:
    return context.weights


def uses_the_global_generator(context: ScoreContext) -> Scores:
    return {name: torch.rand_like(weight) for name, weight in context.weights.items()}


def draws_in_the_order_given(context: ScoreContext) -> Scores:
    return {
        name: torch.rand(weight.shape, generator=context.generator)
        for name, weight in context.weights.items()
    }


def keeps_count() -> Criterion:
    calls = 0

    def criterion(context: ScoreContext) -> Scores:
        nonlocal calls
        calls += 1
        return {name: score + calls for name, score in magnitudes(context).items()}

    return criterion


@pytest.mark.parametrize(
    ("criterion", "check"),
    [
        (forgets_a_layer, "check_scores_every_weight"),
        (flattens, "check_scores_every_weight"),
        (ranks, "check_scores_every_weight"),
        (normalizes_by_layer, "check_degenerate_weights"),
        (scores_in_place, "check_context_is_not_changed"),
        (gives_the_weights_back, "check_context_is_not_changed"),
        (uses_the_global_generator, "check_same_context_same_scores"),
        (keeps_count(), "check_same_context_same_scores"),
        (draws_in_the_order_given, "check_order_of_names_means_nothing"),
    ],
)
def test_a_broken_criterion_is_caught(criterion: Criterion, check: str) -> None:
    with pytest.raises(AssertionError):
        CRITERION_CHECK[check](criterion)


@pytest.mark.parametrize("check", CRITERION_CHECKS, ids=lambda check: check.__name__)
def test_a_sound_criterion_passes(check: Callable[[Criterion], None]) -> None:
    check(magnitudes)


def split_of(inputs: Tensor, targets: Tensor) -> Dataset:
    return replace(tiny_dataset(), test=Split(inputs, targets))


SOUND = tiny_dataset()
INPUTS, TARGETS = SOUND.test.inputs, SOUND.test.targets


@pytest.mark.parametrize(
    ("dataset", "check", "message"),
    [
        (replace(SOUND, name=""), "check_shapes_and_types", "no name"),
        (split_of(INPUTS.long(), TARGETS), "check_shapes_and_types", "expected uint8 or floats"),
        (split_of(INPUTS, TARGETS.int()), "check_shapes_and_types", "expected int64"),
        (split_of(INPUTS, TARGETS[:, None]), "check_shapes_and_types", r"expected \[N\]"),
        (split_of(INPUTS[1:], TARGETS), "check_shapes_and_types", "12 inputs for 13 targets"),
        (split_of(INPUTS[:0], TARGETS[:0]), "check_shapes_and_types", "no examples"),
        (split_of(INPUTS.mT, TARGETS), "check_shapes_and_types", "one example has shape"),
        (split_of(INPUTS * math.nan, TARGETS), "check_values", "not finite"),
        (split_of(INPUTS, TARGETS + 1), "check_values", "targets span"),
        (split_of(INPUTS * 255, TARGETS), "check_values", "those of the inputs"),
        (replace(SOUND, mean=(99.0,)), "check_values", "those of the inputs"),
        (replace(SOUND, mean=(0.0, 0.0), deviation=(1.0, 1.0)), "check_values", "got 2"),
        (replace(SOUND, classes=1), "check_values", "two classes"),
        (replace(SOUND, deviation=(0.0,)), "check_values", "deviations above 0"),
        (
            replace(SOUND, train=Split(SOUND.train.inputs, SOUND.train.targets.clamp(max=1))),
            "check_every_class_is_learned",
            r"classes \[2\]",
        ),
        (replace(SOUND, validation=SOUND.train), "check_splits_are_apart", "27 of 27"),
    ],
)
def test_a_broken_dataset_is_caught(dataset: Dataset, check: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        DATASET_CHECK[check](dataset)


class ForgetsTheEnd(Dataset):
    """Fingerprints the training examples alone."""

    def fingerprint(self) -> str:
        return replace(self, validation=self.train, test=self.train).name


def test_a_fingerprint_that_misses_something_is_caught() -> None:
    broken = ForgetsTheEnd(**vars(SOUND))

    with pytest.raises(AssertionError, match="last test example changed"):
        DATASET_CHECK["check_fingerprint"](broken)


@pytest.mark.parametrize("check", DATASET_CHECKS, ids=lambda check: check.__name__)
def test_a_sound_dataset_passes(check: DatasetCheck) -> None:
    before = SOUND.fingerprint()

    check(SOUND)

    assert SOUND.fingerprint() == before
