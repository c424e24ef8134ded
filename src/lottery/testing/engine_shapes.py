"""Checks on batches, inputs and masks of shapes that fast kernels are easily wrong about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from lottery.core import Mask
from lottery.data import Dataset
from lottery.testing.expect import expect
from lottery.testing.plain import expect_measured, follows_plain_loop
from lottery.testing.running import train_done
from lottery.testing.samples import OPTIMIZERS, mlp_job, tiny_config, tiny_dataset, tiny_job
from lottery.training import Engine, State

_BACKGROUND = -0.4242
_BOTH = ("Adam", "SGD with momentum")


def check_batches_of_any_size(engine: Engine) -> None:
    """One example, a few more or less than what a processor takes at once, and a thousand."""
    for size, last in ((1, 1), (60, 1), (64, 3), (65, 64), (100, 50), (1000, 7)):
        config = tiny_config(OPTIMIZERS["SGD with momentum"], batch_size=size, length=4)
        data = tiny_dataset(train=2 * size + last % size)
        what = f"batches of {size}, the last of {last}"
        follows_plain_loop(engine, mlp_job((20, 17), config, data=data), what)


def check_large_splits(engine: Engine) -> None:
    """Every example of a split counts as much as any other, however many there are."""
    for loss in ("cross-entropy", "mse"):
        data = tiny_dataset(train=9, validation=1_025, test=5_003)
        job = tiny_job(tiny_config(loss=loss), data=data)
        expect_measured(job, train_done(engine, job), f"splits of thousands, {loss}")


def check_backgrounds(engine: Engine) -> None:
    """Inputs most of which are one value, as in images, and inputs constant in other ways."""
    for what, data in _inputs():
        for name in _BOTH:
            job = mlp_job((10, 7), tiny_config(OPTIMIZERS[name], length=7), data=data)
            follows_plain_loop(engine, job, f"{what}, {name}")


def _inputs() -> Iterator[tuple[str, Dataset]]:
    data = tiny_dataset(input_shape=(1, 6, 8))
    generator = torch.Generator().manual_seed(0)

    def sprinkled(share: float, value: float) -> Callable[[Tensor], Tensor]:
        def change(inputs: Tensor) -> Tensor:
            return torch.where(torch.rand(inputs.shape, generator=generator) < share, value, inputs)

        return change

    def constant_features(inputs: Tensor) -> Tensor:
        inputs = inputs.clone()
        inputs[..., 0, :] = torch.linspace(-1, 1, 8)
        inputs[..., 1, :] = _BACKGROUND
        inputs[..., 2, :] = 0.0
        return inputs

    def blank_examples(inputs: Tensor) -> Tensor:
        return torch.cat([torch.full_like(inputs[:-5], _BACKGROUND), inputs[-5:]])

    in_training = _changed(data, sprinkled(0.8, _BACKGROUND), ("train",))
    yield "no background", data
    yield "a background", _changed(data, sprinkled(0.8, _BACKGROUND))
    yield "a background of zero", _changed(data, sprinkled(0.8, 0.0))
    yield "half of them background", _changed(data, sprinkled(0.5, _BACKGROUND))
    yield "two backgrounds", _changed(_changed(data, sprinkled(0.6, 1.5)), sprinkled(0.6, 0.5))
    yield "a background in training alone", in_training
    yield "another in the test", _changed(in_training, sprinkled(0.9, 2.5), ("test",))
    yield "constant features", _changed(data, constant_features)
    yield (
        "constant features and a background",
        _changed(_changed(data, sprinkled(0.8, _BACKGROUND)), constant_features),
    )
    yield "blank examples", _changed(data, blank_examples)
    yield "nothing but background", _changed(data, sprinkled(1.1, _BACKGROUND))


def _changed(
    data: Dataset,
    change: Callable[[Tensor], Tensor],
    splits: tuple[str, ...] = ("train", "validation", "test"),
) -> Dataset:
    changed = {}
    for name in splits:
        split = getattr(data, name)
        changed[name] = replace(split, inputs=change(split.inputs))
    return replace(data, **changed)


def check_cut_off_units(engine: Engine) -> None:
    """Units without any input or without any output, whose biases may still be trained.

    With biases of zero, as a network has them at first, the sum of a ReLU unit without input is
    exactly zero, where its derivative is zero as well.
    """
    job = tiny_job(tiny_config(OPTIMIZERS["Adam"], length=7), density=0.7)
    without_biases: State = {
        name: value * (not name.endswith("bias")) for name, value in job.start.items()
    }
    for what, mask in _cut_masks(job.mask):
        cut = replace(job, mask=mask)
        follows_plain_loop(engine, cut, what)
        follows_plain_loop(engine, replace(cut, start=without_biases), f"{what}, no biases")


def _cut_masks(mask: Mask) -> Iterator[tuple[str, Mask]]:
    def cut(*units: tuple[str, slice, slice]) -> Mask:
        kept = {name: value.clone() for name, value in mask.items()}
        for layer, rows, columns in units:
            kept[f"{layer}.weight"][rows, columns] = False
        return Mask(kept)

    every = slice(None)
    yield "inputs that feed nothing", cut(("fc1", every, slice(2, 5)))
    yield "a unit without input", cut(("fc1", slice(4, 5), every))
    yield "a unit that feeds nothing", cut(("fc2", every, slice(5, 6)))
    yield "a unit neither fed nor used", cut(("fc1", slice(9, 10), every), ("fc2", every, slice(9)))
    yield "the last units without input", cut(("fc2", slice(5, 7), every))
    yield "an output without input", cut(("output", slice(1, 2), every))
    yield "a last unit that feeds nothing", cut(("output", every, slice(6, 7)))
    last = {name: torch.zeros_like(value) for name, value in mask.items()}
    for value in last.values():
        value[-1, -1] = True
    yield "one weight a layer", Mask(last)


def check_densities(engine: Engine) -> None:
    """Dense, nearly dense, sparse and very sparse layers, together and mixed in one network."""
    hidden = (40, 30)
    for name in _BOTH:
        config = tiny_config(OPTIMIZERS[name])
        jobs = {density: mlp_job(hidden, config, density=density) for density in _DENSITIES}
        for density, job in jobs.items():
            kept = job.mask.density
            expect(abs(kept - density) < 0.01, f"the check's own mask has density {kept}")
            follows_plain_loop(engine, job, f"density {density}, {name}")
        for number, densities in enumerate(((0.05, 1.0, 0.3), (1.0, 0.05, 0.9))):
            layers = ("fc1.weight", "fc2.weight", "output.weight")
            mask = {n: jobs[d].mask[n] for n, d in zip(layers, densities, strict=True)}
            job = replace(jobs[0.3], mask=Mask(mask))
            follows_plain_loop(engine, job, f"mixed densities {number}, {name}")


_DENSITIES = (1.0, 0.9, 0.3, 0.05)
