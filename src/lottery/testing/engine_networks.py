"""Checks on every kind of fully connected network, of any width, and on both losses."""

from __future__ import annotations

import math
from dataclasses import replace

from lottery.testing.expect import expect, expect_same_state
from lottery.testing.plain import follows_plain_loop
from lottery.testing.running import measure, train_done
from lottery.testing.samples import OPTIMIZERS, mlp_job, tiny_config, tiny_dataset
from lottery.training import Engine

_TWO = ("Adam", "SGD with Nesterov momentum and weight decay")


def check_tanh(engine: Engine) -> None:
    """A network of tanh units takes the steps of the plain loop, also where tanh is flat."""
    for name in _TWO:
        job = mlp_job((10, 7), tiny_config(OPTIMIZERS[name]), activation="tanh")
        follows_plain_loop(engine, job, f"tanh, {name}")
        steep = {weight: 8 * value for weight, value in job.start.items()}
        follows_plain_loop(engine, replace(job, start=steep), f"tanh of large sums, {name}")


def check_squared_error(engine: Engine) -> None:
    """The squared error is what is minimized, what the curve holds and what early stop looks at."""
    for name in _TWO:
        config = tiny_config(OPTIMIZERS[name], loss="mse")
        follows_plain_loop(engine, mlp_job((10, 7), config), f"squared error, {name}")

    config = tiny_config(base=0.05, length=24, evaluate_every=2, loss="mse")
    job = mlp_job((10, 7), config, density=0.9, snapshots_at=tuple(range(25)))
    result = train_done(engine, job)
    for point in result.curve:
        loss, _ = measure(job, result.snapshots[point.iteration], job.data.split(point.data_split))
        expect(
            math.isclose(point.loss, loss, rel_tol=1e-4),
            f"{point.split} loss at iteration {point.iteration}: {point.loss}, measured {loss}",
        )
    validation = [point for point in result.curve if point.split == "validation"]
    best = min(validation, key=lambda point: point.loss).iteration
    expect(
        result.early_stop_iteration == best,
        f"early stop at {result.early_stop_iteration}, least squared error at {best}",
    )
    expect_same_state(result.early_stop, result.snapshots[best], "the state at early stop")


def check_tanh_and_squared_error(engine: Engine) -> None:
    """Both at once, with every optimizer."""
    for name, optimizer in OPTIMIZERS.items():
        job = mlp_job((10, 7), tiny_config(optimizer, loss="mse"), activation="tanh")
        follows_plain_loop(engine, job, f"tanh and squared error, {name}")


def check_no_hidden_layer(engine: Engine) -> None:
    """A network of the output layer alone, which is logistic or linear regression."""
    for name in _TWO:
        for density in (1.0, 0.4):
            what = f"no hidden layer, density {density}, {name}"
            config = tiny_config(OPTIMIZERS[name])
            follows_plain_loop(engine, mlp_job((), config, density=density), what)
            config = replace(config, loss="mse")
            follows_plain_loop(engine, mlp_job((), config, density=density), f"{what}, mse")


def check_layers_of_any_width(engine: Engine) -> None:
    """Layers of one unit, and of a few more or less than what a processor takes at once."""
    config = tiny_config(OPTIMIZERS["SGD with Nesterov momentum and weight decay"], length=6)
    for inputs, hidden, classes in (
        (12, (1, 1), 3),
        (12, (15, 15), 3),
        (16, (16, 16), 16),
        (17, (17, 17), 10),
        (12, (130, 130), 17),
        (1, (5,), 2),
        (65, (33, 1, 20), 3),
        (130, (4, 5, 6), 2),
    ):
        data = tiny_dataset(input_shape=(inputs,), classes=classes)
        what = f"widths {inputs}, {', '.join(map(str, hidden))}, {classes}"
        follows_plain_loop(engine, mlp_job(hidden, config, data=data), what)
