"""The average of weights against its closed form, and what it does not touch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lottery.testing.expect import expect_same_state, same_bytes
from lottery.testing.running import in_precision, measure, train_done
from lottery.testing.samples import OPTIMIZERS, convolutional, tiny_config, tiny_job
from lottery.training import TrainingJob
from lottery.training.engines.torch_engine import TorchEngine

DECAY = 0.7
EVERY = tuple(range(13))


def job(decay: float = DECAY) -> TrainingJob:
    config = tiny_config(OPTIMIZERS["SGD with momentum"], evaluate_every=1)
    made = tiny_job(replace(config, averaging=decay), snapshots_at=EVERY)
    return in_precision(made, torch.float64)


def averages(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    """After t steps: decay^t of the start, and (1 - decay) decay^(t - k) of the weights at k."""
    found = []
    for t in range(len(weights)):
        parts = [(1 - DECAY) * DECAY ** (t - k) * weights[k] for k in range(1, t + 1)]
        found.append(torch.stack([DECAY**t * weights[0], *parts]).sum(dim=0))
    return found


def test_what_is_measured_and_kept_is_the_average() -> None:
    made = job()
    result = train_done(TorchEngine(), made)

    expected = {
        name: averages([result.snapshots[at][name] for at in EVERY]) for name in result.final
    }
    stop = result.early_stop_iteration
    assert stop is not None
    for name, values in expected.items():
        torch.testing.assert_close(result.final[name], values[-1], rtol=0, atol=1e-12)
        torch.testing.assert_close(result.early_stop[name], values[stop], rtol=0, atol=1e-12)
    for point in result.curve:
        state = {name: values[point.iteration] for name, values in expected.items()}
        loss, accuracy = measure(made, state, made.data.split(point.data_split))
        assert point.loss == pytest.approx(loss, rel=1e-10)
        assert point.accuracy == pytest.approx(accuracy)


def test_training_and_snapshots_are_as_without_it() -> None:
    averaged, plain = (train_done(TorchEngine(), job(decay)) for decay in (DECAY, 0.0))

    for at in EVERY:
        expect_same_state(averaged.snapshots[at], plain.snapshots[at], f"iteration {at}")
    assert not same_bytes(averaged.final["fc1.weight"], plain.final["fc1.weight"])


def test_buffers_are_those_of_the_network_in_training() -> None:
    config = tiny_config(OPTIMIZERS["SGD with momentum"])
    states = [
        train_done(
            TorchEngine(), tiny_job(replace(config, averaging=decay), make_model=convolutional)
        ).final
        for decay in (DECAY, 0.0)
    ]

    for name in ("1.running_mean", "1.running_var", "1.num_batches_tracked"):
        assert same_bytes(states[0][name], states[1][name])
    assert not same_bytes(states[0]["1.weight"], states[1]["1.weight"])
