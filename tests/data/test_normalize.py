"""From what is stored to what a network sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.data.normalize import normalized, value_table

BYTES = torch.arange(256, dtype=torch.uint8)
SCALES = [
    ((0.1307,), (0.3081,)),
    ((0.2860,), (0.3530,)),
    ((0.5,), (0.25,)),
    ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
]


def as_in_the_first_version(images: torch.Tensor, mean: float, deviation: float) -> torch.Tensor:
    """How a whole dataset was normalized once and for all, when it was kept as float32."""
    inputs = torch.empty(images.shape)
    inputs.copy_(images)
    inputs.div_(255).sub_(mean).div_(deviation)
    return inputs


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("mean", "deviation"), SCALES)
def test_bytes_become_the_same_bits_as_ever(
    mean: tuple[float, ...], deviation: tuple[float, ...], dtype: torch.dtype
) -> None:
    images = BYTES.flip(0).repeat(5).view(5, 1, 16, 16).repeat(1, len(mean), 1, 1)

    found = normalized(images, mean, deviation, dtype)

    for channel, scale in enumerate(zip(mean, deviation, strict=True)):
        expected = as_in_the_first_version(images[:, channel], *scale).to(dtype)
        assert torch.equal(found[:, channel], expected)


@given(
    mean=st.floats(0, 1), deviation=st.floats(0.01, 1), count=st.integers(1, 70), seed=st.integers()
)
@settings(deadline=None)
def test_same_bits_for_any_scale_and_any_size(
    mean: float, deviation: float, count: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed % 2**32)
    images = torch.randint(0, 256, (count, 1, 3, 5), generator=generator, dtype=torch.uint8)

    found = normalized(images, (mean,), (deviation,))

    assert torch.equal(found, as_in_the_first_version(images, mean, deviation))
    assert images.dtype == torch.uint8


def test_the_table_holds_what_bytes_become() -> None:
    mean, deviation = SCALES[-1]
    for dtype in (torch.float32, torch.float64):
        table = value_table(mean, deviation, dtype)
        images = BYTES.view(1, 1, 16, 16).repeat(2, 3, 1, 1)

        assert table.shape == (3, 256)
        assert torch.equal(normalized(images, mean, deviation, dtype)[1].flatten(1), table)
    one = value_table((0.5,), (0.25,), torch.float32)
    assert torch.equal(one[0], normalized(BYTES[:, None], (0.5,), (0.25,))[:, 0])


def test_floats_with_mean_0_and_deviation_1_are_given_back() -> None:
    inputs = torch.tensor([[-0.0, 3.5, float("nan")]])

    assert normalized(inputs, (0.0,), (1.0,)).data_ptr() == inputs.data_ptr()
    assert normalized(inputs, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).data_ptr() == inputs.data_ptr()


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 3, 5, 2)])
def test_floats_are_normalized_by_channel(shape: tuple[int, ...]) -> None:
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = inputs.clone()
    mean, deviation = (0.5, -1.0, 2.0), (2.0, 0.5, 3.0)

    found = normalized(inputs, mean, deviation, torch.float64)

    for channel in range(3):
        expected = (before[:, channel].numpy() - mean[channel]) / deviation[channel]
        np.testing.assert_allclose(found[:, channel].numpy(), expected, rtol=1e-15)
    assert torch.equal(inputs, before)


def test_works_in_and_after_inference_mode() -> None:
    inputs = torch.randint(0, 256, (2, 1, 2, 2), dtype=torch.uint8)
    with torch.inference_mode():
        normalized(inputs, (0.111,), (0.222,))

    weight = torch.ones(1, requires_grad=True)
    (normalized(inputs, (0.111,), (0.222,)) * weight).sum().backward()

    assert weight.grad is not None
