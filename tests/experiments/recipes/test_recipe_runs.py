"""Every recipe, tiny, from its beginning to its end on images made of noise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
import torch
from bound import dense_state, drawn
from PIL import Image

from lottery.core import Mask
from lottery.data import DATASETS, Dataset, Request
from lottery.data.splits import Examples, Scale, assemble
from lottery.experiments import (
    RECIPES,
    ExperimentConfig,
    RunOptions,
    RunSummary,
    plan,
    run_experiment,
    smoke,
    to_plain,
)
from lottery.methods import ControlsConfig
from lottery.store import MAIN, JobKey, Store

# Side of the stored images and of crops; the least that the network takes, and a few pixels more.
SIDES = {"resnet-50": (40, 32), "inception-v3": (80, 75)}

# Pruned at initialization, and from masks that change in training: half of all weights stay.
AT_INITIALIZATION = ("snip", "grasp", "synflow", "magnitude", "random")
CHANGING = ("rigl", "set")

# Their files alone take seconds to write.
LARGE = ("vgg-19", "resnet-50", "inception-v3")


def noise(request: Request) -> Dataset:
    """Few images of the shape of CIFAR-10's."""
    random = np.random.default_rng(0)

    def examples(count: int) -> Examples:
        images = random.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        return Examples(images, np.arange(count, dtype=np.uint8) % 10)

    return assemble(
        "cifar-10",
        examples(60),
        examples(12),
        validation=request.validation,
        classes=10,
        scale=Scale(mean=(0.5,) * 3, deviation=(0.3,) * 3),
        stream="cifar-10",
    )


def folder_of_noise(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for split, count in (("train", 14), ("val", 3)):
        for label in ("cat", "dog"):
            below = folder / split / label
            below.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (45, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(below / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data under the names that recipes give."""
    monkeypatch.setitem(DATASETS, "cifar-10", replace(DATASETS["cifar-10"], load=noise))
    for name in ("mnist", "fashion-mnist"):
        digits = replace(DATASETS[name], load=DATASETS["mnist-5k"].load)
        monkeypatch.setitem(DATASETS, name, digits)


def tiny(name: str, folder: Path) -> ExperimentConfig:
    """A recipe's smoke run, made smaller still: one replicate, one pruning, few controls."""
    config = smoke(RECIPES[name]())
    config = replace(
        config,
        replicates=1,
        levels=1,
        prune=replace(config.prune, densities=config.prune.densities[:1]),
        controls=ControlsConfig(reinit=0) if config.model in LARGE else config.controls,
    )
    if "folder:" not in config.data.name:
        return config
    stored, seen = SIDES[config.model]
    data = replace(
        config.data,
        name=f"few:folder:{folder_of_noise(folder)}",
        validation=8,
        image_size=stored,
        augmentation=replace(config.data.augmentation, resized_crop=seen),
    )
    return replace(config, data=data)


def unlike() -> list[str]:
    """The recipes, but for those that are like one before in all but the learning rate."""
    found = dict[str, str]()
    for name, recipe in RECIPES.items():
        values = to_plain(smoke(recipe()))
        values["training"].pop("learning_rate")
        found.setdefault(json.dumps({**values, "name": ""}, sort_keys=True), name)
    return [*found.values()]


@pytest.mark.parametrize("name", unlike())
def test_a_recipe_runs_to_its_end_and_prunes_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(name, tmp_path / "images")
    if "folder:" in config.data.name:
        # Decoded images go there; compiled kernels stay where they are found again.
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    options = RunOptions(out=tmp_path / "runs", jobs=1, device="cpu")
    summary = run_experiment(config, options)

    assert {result.status for result in summary.results.values()} == {"done"}
    assert set(summary.results) == set(plan(config))
    pruned = summary.results[JobKey(0, MAIN, 1)]
    assert {key: kept for key, (kept, _) in pruned.layers.items()} == pytest.approx(
        kept_by_layer(name, pruned.layers)
    )
    if config.prune.granularity == "filter":
        assert_whole_filters(Store(summary.run).ticket(JobKey(0, MAIN, 1)).mask, density=0.7)
    else:
        assert pruned.weights_kept == kept_in_all(name, pruned.layers)
    assert began_where_it_should(config, summary)


def assert_whole_filters(mask: Mask, density: float) -> None:
    """That a share of all convolutions' filters stays, whole, and all of the output layer."""
    filters = torch.cat([kept.flatten(1).any(dim=1) for kept in mask.values() if kept.dim() == 4])
    assert int(filters.sum()) == round(density * len(filters))
    assert all(
        kept.flatten(1).any(dim=1).equal(kept.flatten(1).all(dim=1)) for kept in mask.values()
    )
    assert bool(mask["output.weight"].all())


def kept_by_layer(name: str, layers: Mapping[str, tuple[int, int]]) -> dict[str, object]:
    """How many weights of each layer are left, where the recipe says so; else those there are."""
    half, whole = published(name)
    expected: dict[str, object] = {}
    for layer, (kept, total) in layers.items():
        fraction = next((f for pattern, f in half.items() if fnmatchcase(layer, pattern)), whole)
        expected[layer] = kept if fraction is None else total - round(fraction * total)
    return expected


def kept_in_all(name: str, layers: Mapping[str, tuple[int, int]]) -> int:
    """How many weights are left of the network."""
    totals = {layer: total for layer, (_, total) in layers.items()}
    everything = sum(totals.values())
    if name.endswith("/imagenet"):
        return round(0.4 * everything)
    if name.rpartition("/")[2] in AT_INITIALIZATION + CHANGING:
        return round(0.5 * everything)
    if name.startswith(("resnet-20/", "vgg-19/")):
        competing = sum(
            total
            for layer, total in totals.items()
            if "shortcut" not in layer and layer != "output.weight"
        )
        return everything - round(0.2 * competing)
    return sum(kept for kept, _ in layers.values())


def published(name: str) -> tuple[dict[str, float], float | None]:
    """Fractions of a level by layer, and of the other layers; None where layers compete."""
    convolutions = 0.15 if name.startswith("conv-6") else 0.1
    match name.split("-")[0]:
        case "demo":
            return {"output.weight": 0.25}, 0.5
        case "lenet":
            return {"output.weight": 0.1}, 0.2
        case "conv":
            return {"conv*": convolutions, "output.weight": 0.1}, 0.2
    match name.rpartition("/")[2]:
        case variant if variant in (*AT_INITIALIZATION, "early-bird"):
            return {}, None
        case variant if variant in CHANGING:
            return {"conv1.weight": 0.0}, None
    return {"output.weight": 0.0, "*shortcut*": 0.0}, None


def began_where_it_should(config: ExperimentConfig, summary: RunSummary) -> bool:
    """Whether the ticket's weights are those that the way of rewinding says."""
    store = Store(summary.run)
    dense, ticket = (JobKey(0, MAIN, level) for level in (0, 1))
    begins = store.ticket(ticket)
    late = config.method.start.amount > 0
    if config.method.rewinding == "drawn":
        at = begins.provenance["drawn_at"]
        state = drawn(store, 1).state or {}
        same = all(begins.weights[name].equal(state[name]) for name in begins.weights)
        return same and begins.iteration == at and 5 <= begins.iteration < 8
    if config.method.rewinding != "weights":
        source = store.weights(dense)
    else:
        source = dense_state(store, int(late))
    same = all(begins.weights[name].equal(source[name]) for name in begins.mask)
    iteration = 8 if config.method.rewinding == "fine-tune" else int(late)
    return same and begins.iteration == iteration
