"""Broken criteria and datasets fail the check that is for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lottery.core import (
    CRITERIA,
    Criterion,
    Mask,
    Probe,
    ScoreContext,
    Scores,
    scored_network,
)
from lottery.data import Dataset, Split
from lottery.testing import (
    CRITERION_CHECKS,
    CRITERION_CHECKS_RUNNING_STATISTICS,
    DATASET_CHECKS,
    DatasetCheck,
    tiny_dataset,
)

ALL_CRITERION_CHECKS = CRITERION_CHECKS + CRITERION_CHECKS_RUNNING_STATISTICS
CRITERION_CHECK = {check.__name__: check for check in ALL_CRITERION_CHECKS}
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


def probe_of(context: ScoreContext) -> Probe:
    assert context.probe is not None
    return context.probe


def scores_matrices_alone(context: ScoreContext) -> Scores:
    return {n: s if s.dim() == 2 else s * math.nan for n, s in magnitudes(context).items()}


def leaves_a_hook(context: ScoreContext) -> Scores:
    probe_of(context).model.register_forward_hook(lambda *_: None)
    return magnitudes(context)


def leaves_gradients(context: ScoreContext) -> Scores:
    probe = probe_of(context)
    inputs, targets = probe.batches[0]
    last = [*probe.model.parameters()][-1]
    last.grad = torch.autograd.grad(probe.loss(probe.model(inputs), targets), last)[0]
    return magnitudes(context)


def takes_the_gradients_away(context: ScoreContext) -> Scores:
    probe_of(context).model.zero_grad()
    return magnitudes(context)


def leaves_the_mode(context: ScoreContext) -> Scores:
    probe_of(context).model.train()
    return magnitudes(context)


def asks_for_gradients(context: ScoreContext) -> Scores:
    probe_of(context).model.requires_grad_(True)
    return magnitudes(context)


def moves_running_statistics(context: ScoreContext) -> Scores:
    model = probe_of(context).model
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module(torch.rand(3, 4, 2, 2))
    return magnitudes(context)


def multiplies_the_examples(context: ScoreContext) -> Scores:
    probe_of(context).batches[0][0].mul_(2)
    return magnitudes(context)


def gradient_magnitudes(model: torch.nn.Module, context: ScoreContext) -> dict[str, Tensor]:
    """Of a sum of batches' mean losses, with what the model holds, in the mode it is in."""
    parameters = [model.get_parameter(name).requires_grad_(True) for name in context.mask]
    losses = [
        probe_of(context).loss(model(inputs), targets)
        for inputs, targets in probe_of(context).batches
    ]
    found = torch.autograd.grad(torch.stack(losses).mean(), parameters)
    return {name: g.abs() for name, g in zip(context.mask, found, strict=True)}


def forgets_the_mask(context: ScoreContext) -> Scores:
    dense = replace(context, mask=Mask.dense(context.weights))
    return gradient_magnitudes(scored_network(dense), context)


def averages_batches(context: ScoreContext) -> Scores:
    return gradient_magnitudes(scored_network(context), context)


def uses_batch_statistics(context: ScoreContext) -> Scores:
    assert context.probe is not None
    probe = replace(context.probe, batch_statistics=True)
    return CRITERIA["snip"].score(replace(context, probe=probe))


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
        (scores_matrices_alone, "check_scores_every_weight"),
        (leaves_a_hook, "check_network_is_not_changed"),
        (leaves_gradients, "check_network_is_not_changed"),
        (takes_the_gradients_away, "check_network_is_not_changed"),
        (leaves_the_mode, "check_network_is_not_changed"),
        (asks_for_gradients, "check_network_is_not_changed"),
        (moves_running_statistics, "check_network_is_not_changed"),
        (multiplies_the_examples, "check_network_is_not_changed"),
        (forgets_the_mask, "check_network_is_masked"),
        (averages_batches, "check_cut_of_batches_means_nothing"),
        (uses_batch_statistics, "check_cut_with_batch_norm"),
    ],
)
def test_a_broken_criterion_is_caught(criterion: Criterion, check: str) -> None:
    with pytest.raises(AssertionError):
        CRITERION_CHECK[check](criterion)


@pytest.mark.parametrize("check", ALL_CRITERION_CHECKS, ids=lambda check: check.__name__)
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
        (split_of(INPUTS.int(), TARGETS), "check_shapes_and_types", "expected uint8, floats or"),
        (split_of(INPUTS, TARGETS.int()), "check_shapes_and_types", "expected int64"),
        (split_of(INPUTS, TARGETS[:, None]), "check_shapes_and_types", r"expected \[N\]"),
        (split_of(INPUTS[1:], TARGETS), "check_shapes_and_types", "12 inputs for 13 targets"),
        (split_of(INPUTS[:0], TARGETS[:0]), "check_shapes_and_types", "no examples"),
        (split_of(INPUTS.mT, TARGETS), "check_shapes_and_types", "one example has shape"),
        (
            split_of(INPUTS[:, 0, 0, 0], TARGETS),
            "check_shapes_and_types",
            r"expected \[N, \.\.\.\]",
        ),
        (split_of(INPUTS * math.nan, TARGETS), "check_values", "not finite"),
        (split_of(INPUTS, TARGETS + 1), "check_values", "targets span"),
        (split_of(INPUTS * 255, TARGETS), "check_values", "those of the inputs"),
        (replace(SOUND, mean=(99.0,)), "check_values", "those of the inputs"),
        (replace(SOUND, mean=(0.0, 0.0), deviation=(1.0, 1.0)), "check_values", "got 2"),
        (replace(SOUND, mean=(), deviation=()), "check_values", "got 0"),
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
