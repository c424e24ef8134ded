"""What recipes say, against what the papers say."""

from __future__ import annotations

import re

import pytest

from lottery.experiments import RECIPE_ENTRIES, RECIPES, differences, plan, smoke, to_plain
from lottery.methods import EarlyBird, Iterative
from lottery.tasks.schedule import fine_tuning
from lottery.training import learning_rate

# Iterations, batch, optimizer, momentum, weight decay, and the learning rate at some iterations.
# arXiv:1803.03635, figure 2; an epoch of 45,000 examples has 704 batches of 64.
PAPER = {
    "conv-2/cifar-10": (20_000, 60, "adam", 0.0, 0.0, {0: 2e-4, 19_999: 2e-4}),
    "conv-4/cifar-10": (25_000, 60, "adam", 0.0, 0.0, {0: 3e-4, 24_999: 3e-4}),
    "conv-6/cifar-10": (30_000, 60, "adam", 0.0, 0.0, {0: 3e-4, 29_999: 3e-4}),
    "resnet-20/cifar-10": (
        *(30_000, 128, "sgd", 0.9, 1e-4),
        {0: 0.1, 19_999: 0.1, 20_000: 0.01, 24_999: 0.01, 25_000: 0.001, 29_999: 0.001},
    ),
    "resnet-20/cifar-10/low-rate": (
        *(30_000, 128, "sgd", 0.9, 1e-4),
        {0: 0.01, 19_999: 0.01, 20_000: 0.001, 25_000: 0.0001},
    ),
    "resnet-20/cifar-10/warmup": (
        *(30_000, 128, "sgd", 0.9, 1e-4),
        {0: 0.03 / 20_000, 9_999: 0.015, 19_999: 0.03, 20_000: 0.003, 25_000: 0.0003},
    ),
    "vgg-19/cifar-10": (
        *(112_000, 64, "sgd", 0.9, 1e-4),
        {0: 0.1, 56_319: 0.1, 56_320: 0.01, 84_479: 0.01, 84_480: 0.001, 111_999: 0.001},
    ),
    "vgg-19/cifar-10/low-rate": (
        *(112_000, 64, "sgd", 0.9, 1e-4),
        {0: 0.01, 56_320: 0.001, 84_480: 0.0001},
    ),
    "vgg-19/cifar-10/warmup": (
        *(112_000, 64, "sgd", 0.9, 1e-4),
        {0: 0.1 / 10_000, 4_999: 0.05, 10_000: 0.1, 56_320: 0.01, 84_480: 0.001},
    ),
}


@pytest.mark.parametrize("name", sorted(PAPER))
def test_training_is_the_papers(name: str) -> None:
    length, batch, optimizer, momentum, decay, rates = PAPER[name]
    config = RECIPES[name]()
    training, steps = config.training, -(-45_000 // batch)

    assert training.length.iterations(steps) == length
    assert training.batch_size == batch
    found = training.optimizer
    assert (found.name, found.momentum, found.weight_decay) == (optimizer, momentum, decay)
    for iteration, rate in rates.items():
        assert learning_rate(
            training.learning_rate, iteration, total=length, steps_per_epoch=steps
        ) == pytest.approx(rate, rel=1e-12)
    assert training.evaluate_every.iterations(steps) == 100
    assert config.initialization == "glorot-normal"
    assert (config.replicates, config.controls.reinit) == (5, 3)
    assert (config.data.name, config.data.validation) == ("cifar-10", 5_000)
    augmented = config.data.augmentation
    assert (augmented.flip, augmented.crop_padding) == (
        (True, 4) if optimizer == "sgd" else (False, 0)
    )


def test_resnet_50_is_trained_as_the_paper_says() -> None:
    config, steps = RECIPES["resnet-50/imagenet"](), 1_242
    rate = config.training.learning_rate

    found = [
        learning_rate(rate, iteration, total=90 * steps, steps_per_epoch=steps)
        for epoch in (5, 30, 60, 80)
        for iteration in (epoch * steps - 1, epoch * steps)
    ]

    assert found == pytest.approx([0.4, 0.4, 0.4, 0.04, 0.04, 0.004, 0.004, 0.0004])
    assert config.training.length.iterations(steps) == 90 * steps
    assert config.training.batch_size == 1024
    assert config.method.start.iterations(steps) == 4 * steps
    assert config.prune.schedule == "one-shot"


def test_inception_v3_is_trained_as_the_paper_says() -> None:
    config, steps = RECIPES["inception-v3/imagenet"](), 10
    rates = [
        learning_rate(
            config.training.learning_rate, iteration, total=171 * steps, steps_per_epoch=steps
        )
        for iteration in range(171 * steps)
    ]

    assert config.training.length.iterations(steps) == 171 * steps
    assert [rates[0], rates[-1]] == pytest.approx([0.03, 0.005])
    assert rates == sorted(rates, reverse=True)
    assert config.method.start.iterations(steps) == 6 * steps


def test_rigl_is_trained_as_the_paper_says() -> None:
    training, prune = (config := RECIPES["resnet-20/cifar-10/rigl"]()).training, config.prune
    rates = [
        learning_rate(training.learning_rate, at, total=97_656, steps_per_epoch=352)
        for drop in (30_000, 60_000, 90_000)
        for at in (drop - 1, drop)
    ]

    assert rates == pytest.approx([0.1, 0.02, 0.02, 0.004, 0.004, 0.0008])
    assert (training.length.iterations(352), training.batch_size) == (97_656, 128)
    optimizer = training.optimizer
    assert (optimizer.name, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.9, 5e-4)
    updates = config.method.updates
    assert (updates.method, updates.every.iterations(352), updates.fraction) == ("rigl", 100, 0.3)
    assert updates.ends(97_656) == 75_000
    assert (prune.criterion, prune.scope, config.method.start.amount) == ("random", "erk", 0)


def test_set_moves_a_share_after_each_epoch_that_training_follows() -> None:
    updates = RECIPES["resnet-20/cifar-10/set"]().method.updates
    due = [i for i in range(97_656) if updates.due(i, start=0, total=97_656, steps_per_epoch=352)]
    assert due == list(range(352, 97_656, 352))
    assert updates.fraction == 0.3


def test_set_leaves_the_mask_at_the_end_of_the_last_epoch() -> None:
    """What grew there would never be trained; the authors' code changes nothing there either."""
    updates = RECIPES["resnet-20/cifar-10/set"]().method.updates
    due = [i for i in range(41) if updates.due(i, start=0, total=40, steps_per_epoch=10)]
    assert due == [10, 20, 30]


def test_early_bird_is_trained_and_drawn_as_the_paper_says() -> None:
    training, prune = (config := RECIPES["resnet-20/cifar-10/early-bird"]()).training, config.prune
    rates = [
        learning_rate(
            training.learning_rate, epoch * 176 - 1 + past, total=28_160, steps_per_epoch=176
        )
        for epoch in (80, 120)
        for past in (0, 1)
    ]

    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001])
    assert (training.length.iterations(176), training.batch_size) == (160 * 176, 256)
    assert (training.optimizer.momentum, training.optimizer.weight_decay) == (0.9, 1e-4)
    bird = config.method
    assert isinstance(bird, EarlyBird)
    assert (bird.every.iterations(176), bird.window, bird.distance) == (176, 5, 0.1)
    assert (prune.criterion, prune.scope, prune.densities) == (
        "bn-scale",
        "global",
        (0.7, 0.5, 0.3),
    )
    assert bird.rewind.kind == "drawn"
    assert (config.controls.reinit, config.controls.scratch_epochs) == (1, 1)


# A variant, what it is a variant of, and all that it changes.
VARIANTS = [
    (
        "lenet-300-100/mnist/signs",
        "lenet-300-100/mnist",
        {
            "method.rewind.kind",
            *(f"controls.{kind}" for kind in ("reinit", "trained_signs", "initial_signs")),
        },
    ),
    ("resnet-20/cifar-10/low-rate", "resnet-20/cifar-10", {"training.learning_rate.base"}),
    (
        "resnet-20/cifar-10/warmup",
        "resnet-20/cifar-10",
        {"training.learning_rate.base", "training.learning_rate.warmup.amount"},
    ),
    ("vgg-19/cifar-10/low-rate", "vgg-19/cifar-10", {"training.learning_rate.base"}),
    ("vgg-19/cifar-10/warmup", "vgg-19/cifar-10", {"training.learning_rate.warmup.amount"}),
    ("conv-4-dropout0.5/cifar-10", "conv-4/cifar-10", {"model"}),
    (
        "resnet-20/cifar-10/rewind-500",
        "resnet-20/cifar-10",
        {"method.rewind.to.amount", "controls.reinit", "controls.random_mask"},
    ),
    (
        "vgg-19/cifar-10/rewind-100",
        "vgg-19/cifar-10",
        {"method.rewind.to.amount", "controls.reinit", "controls.random_mask"},
    ),
    (
        "resnet-20/cifar-10/rewind-learning-rate",
        "resnet-20/cifar-10",
        {"method.rewind.kind", "controls.reinit"},
    ),
    (
        "resnet-20/cifar-10/fine-tune",
        "resnet-20/cifar-10/rewind-learning-rate",
        {"method.rewind.kind", "method.rewind.length.amount"},
    ),
    (
        "resnet-20/cifar-10/synflow",
        "resnet-20/cifar-10/magnitude",
        {"prune.criterion", "prune.rounds", "prune.examples", "prune.batch_size"},
    ),
    (
        "resnet-20/cifar-10/snip",
        "resnet-20/cifar-10/magnitude",
        {"prune.criterion", "prune.examples", "prune.batch_size"},
    ),
    (
        "resnet-20/cifar-10/grasp",
        "resnet-20/cifar-10/magnitude",
        {"prune.criterion", "prune.examples"},
    ),
    (
        "resnet-20/cifar-10/random",
        "resnet-20/cifar-10/magnitude",
        {"prune.criterion", "controls.reinit", "controls.random_mask"},
    ),
    (
        "resnet-20/cifar-10/set",
        "resnet-20/cifar-10/rigl",
        {
            *(f"method.{key}" for key in ("update", "until", "every.amount", "every.unit")),
        },
    ),
]


@pytest.mark.parametrize(("name", "base", "changed"), VARIANTS, ids=[name for name, *_ in VARIANTS])
def test_a_variant_changes_what_it_says_and_nothing_else(
    name: str, base: str, changed: set[str]
) -> None:
    found = differences(to_plain(RECIPES[base]()), to_plain(RECIPES[name]()))
    assert {key for key, _, _ in found} == {"name", *changed}


def test_rewinding_goes_back_to_where_the_paper_says() -> None:
    assert RECIPES["resnet-20/cifar-10/rewind-500"]().method.start.iterations(352) == 500
    assert RECIPES["vgg-19/cifar-10/rewind-100"]().method.start.iterations(704) == 100


def test_fine_tuning_is_as_long_as_the_training_at_its_last_rate() -> None:
    config = RECIPES["resnet-20/cifar-10/fine-tune"]()
    assert isinstance(config.method, Iterative)

    tuned = fine_tuning(config.training, config.method.rewind.length, 352)

    assert tuned.length.iterations(352) == 60_000
    assert tuned.learning_rate.base == pytest.approx(0.001)


def test_synflow_prunes_in_a_hundred_rounds() -> None:
    prune = RECIPES["resnet-20/cifar-10/synflow"]().prune
    assert (prune.rounds, prune.round_schedule) == (100, "exponential")


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"demo"}))
def test_a_recipe_is_called_after_its_network_and_its_data(name: str) -> None:
    config = RECIPES[name]()
    model, data, *variant = name.split("/")
    assert model == config.model
    assert data in (config.data.name, config.data.name.removeprefix("folder:"))
    assert len(variant) <= 1


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_says_where_it_comes_from_and_what_it_shows(name: str) -> None:
    entry = RECIPE_ENTRIES[name]
    assert re.search(r"arXiv:\d{4}\.\d{5}", entry.source)
    assert entry.shows.endswith(".")
    assert entry.title.endswith(".")
    assert "\n" not in entry.title + entry.source + entry.shows


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_smoke_run_is_tiny_and_keeps_what_the_recipe_is_about(name: str) -> None:
    config = RECIPES[name]()
    small = smoke(config)
    training, rate = small.training, small.training.learning_rate

    assert len(plan(small)) <= 24
    assert training.length.iterations(10) * training.batch_size <= 100
    assert small.data.validation <= 20
    assert small.data.name == f"few:{config.data.name}"
    assert smoke(small).data.name == small.data.name
    assert bool(rate.warmup.amount) == bool(config.training.learning_rate.warmup.amount)
    assert len(rate.drops) == len(config.training.learning_rate.drops)
    assert bool(small.method.start.amount) == bool(config.method.start.amount)
    assert small.method.start.iterations(10) < training.length.iterations(10)
