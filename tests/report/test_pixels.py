from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lottery.report import ReportData, input_pixels
from lottery.report.figure import Gallery
from lottery.report.page import draw
from lottery.report.pixels import FAINTEST, MOST_PICTURES, block_side, mask_picture, pictures


def test_shares_are_means_over_outputs_and_channels() -> None:
    mask = torch.zeros(4, 2 * 2 * 3, dtype=torch.bool)
    mask[:, 0] = True
    mask[0, 6] = True
    mask[:3, 11] = True
    expected = [[(4 + 1) / 8, 0, 0], [0, 0, 3 / 8]]
    np.testing.assert_array_equal(input_pixels(mask, (2, 2, 3)), expected)


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_their_mean_is_the_density(outputs: int, channels: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(outputs)
    mask = torch.rand(outputs, channels * height * width, generator=generator) < 0.5
    share = input_pixels(mask, (channels, height, width))
    assert share is not None
    assert share.shape == (height, width)
    assert share.mean() == pytest.approx(mask.float().mean().item())


@pytest.mark.parametrize(
    ("mask_shape", "input_shape"),
    [
        ((10, 784), (784,)),
        ((10, 784), (3, 28, 28)),
        ((6, 1, 5, 5), (1, 28, 28)),
        ((0, 4), (1, 2, 2)),
    ],
)
def test_what_reads_no_image_has_no_picture(
    mask_shape: tuple[int, ...], input_shape: tuple[int, ...]
) -> None:
    assert input_pixels(torch.ones(mask_shape, dtype=torch.bool), input_shape) is None


def test_a_picture_is_a_png_whose_opacity_is_scaled_to_its_own_peak() -> None:
    share = np.array([[0.0, 0.1], [0.2, np.nan]])
    (picture,) = pictures({3: share}, {3: 0.512}, None)
    file = base64.b64decode(picture.data.removeprefix("data:image/png;base64,"))
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(file)) as image:
        opacity = np.asarray(image.convert("RGBA"))[:, :, 3]
    half = round(FAINTEST + (255 - FAINTEST) / 2)
    assert opacity.tolist() == [[FAINTEST, half], [255, 0]]
    assert picture.label == "51.2%"
    assert picture.note == "up to 20% kept; none at 1 of 3 pixels"
    assert picture.peak == 0.2


def test_a_matrix_is_shown_as_it_is_and_a_large_one_by_blocks() -> None:
    mask = torch.zeros(3, 4, dtype=torch.bool)
    mask[1, 2] = True
    picture, what = mask_picture(mask) or (np.zeros(0), "")
    assert what == "matrix"
    np.testing.assert_array_equal(picture, mask.double().numpy())
    large = torch.zeros(300, 700, dtype=torch.bool)
    large[:, :350] = True
    blocks, _ = mask_picture(large) or (np.zeros(0), "")
    assert max(blocks.shape) <= 280
    assert blocks.mean() == pytest.approx(0.5, abs=0.01)


def test_filters_stand_side_by_side_with_gaps() -> None:
    mask = torch.zeros(3, 2, 1, 2, dtype=torch.bool)
    mask[0, 0, 0, 0] = True
    mask[2] = True
    picture, what = mask_picture(mask) or (np.zeros(0), "")
    assert what == "filters"
    gap = np.nan
    expected = [[0.5, 0, gap, 0, 0], [gap] * 5, [1, 1, gap, gap, gap]]
    np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize("shape", [(4,), (0, 3), (8, 4, 1, 1), (2, 2, 2)])
def test_other_shapes_have_no_mask_picture(shape: tuple[int, ...]) -> None:
    assert mask_picture(torch.ones(shape, dtype=torch.bool)) is None


def test_few_levels_are_chosen_with_the_winning_one_and_without_dense() -> None:
    shares = {level: np.ones((2, 2)) for level in range(30)}
    for winning in range(1, 30):
        chosen = pictures(shares, {level: level / 100 for level in shares}, winning)
        labels = [picture.label for picture in chosen]
        assert len(labels) == MOST_PICTURES
        assert f"{winning}%" in labels
        assert labels[0] == "1%"
        assert labels[-1] == "29%"
        assert len(set(labels)) == MOST_PICTURES


def test_masks_have_the_levels_of_pixels_and_say_how_many_are_left_out(data: ReportData) -> None:
    figures = {drawn.figure.name: drawn for drawn in draw(data)}
    masks, pixels = figures["first-layer"], figures["pixels"]
    assert isinstance(masks.content, Gallery)
    assert isinstance(pixels.content, Gallery)
    labels = [picture.label for picture in masks.content.pictures]
    assert labels == [picture.label for picture in pixels.content.pictures]
    assert len(labels) == MOST_PICTURES
    assert masks.content.left_out == 11 - MOST_PICTURES
    assert "3 levels in between not shown" in masks.caption


def test_points_of_a_large_mask_are_called_blocks_and_their_size_is_said(data: ReportData) -> None:
    for block, point in ((1, "weight"), (3, "block")):
        figures = {d.figure.name: d for d in draw(replace(data, masks_block=block))}
        content = figures["first-layer"].content
        assert isinstance(content, Gallery)
        assert all(f" {point}" in picture.note for picture in content.pictures)
        assert ("3 by 3 weights" in figures["first-layer"].caption) == (block == 3)
    assert [block_side((300, 784)), block_side((300, 784), 80), block_side((9, 8))] == [3, 10, 1]


def test_empty_and_dense_pictures() -> None:
    nothing = pictures({1: np.zeros((2, 2))}, {}, None)[0]
    assert (nothing.label, nothing.note) == ("Level 1", "up to 0% kept; none at 4 of 4 pixels")
    assert len(pictures({0: np.ones((2, 2))}, {0: 1.0}, None)) == 1
    assert pictures({}, {}, None) == []
