"""Augmentation against the same thing done to one image at a time."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.data import AugmentationConfig
from lottery.data.augment import augment, center_crop, crop_and_flip, random_boxes, resize_boxes

quick = settings(max_examples=50, deadline=None)


def batch(
    count: int, channels: int, height: int, width: int, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, channels, height, width, generator=generator, dtype=dtype)


def one_shifted(
    image: torch.Tensor, down: int, right: int, flip: bool, padding: int
) -> torch.Tensor:
    """An image ``[C, H, W]`` padded, cropped and flipped, pixel by pixel."""
    height, width = image.shape[1:]
    found = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            y, x = row + down - padding, column + right - padding
            if 0 <= y < height and 0 <= x < width:
                found[:, row, width - 1 - column if flip else column] = image[:, y, x]
    return found


@given(
    count=st.integers(1, 5),
    channels=st.integers(1, 3),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    padding=st.integers(0, 4),
    data=st.data(),
)
@quick
def test_shifts_as_one_image_at_a_time(
    count: int, channels: int, height: int, width: int, padding: int, data: st.DataObject
) -> None:
    inputs = batch(count, channels, height, width)
    offset = st.integers(0, 2 * padding)
    offsets = data.draw(st.lists(st.tuples(offset, offset), min_size=count, max_size=count))
    flips = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))

    found = crop_and_flip(inputs, torch.tensor(offsets), torch.tensor(flips), padding)

    expected = [
        one_shifted(image, *where, flip, padding)
        for image, where, flip in zip(inputs, offsets, flips, strict=True)
    ]
    assert torch.equal(found, torch.stack(expected))
    assert found.is_contiguous()


def test_flipping_twice_is_nothing() -> None:
    inputs = batch(4, 3, 5, 7)
    flips, nowhere = torch.tensor([True, False, True, True]), torch.zeros(4, 2, dtype=torch.int64)

    once = crop_and_flip(inputs, nowhere, flips, 0)

    assert torch.equal(once[0], inputs[0].flip(-1))
    assert torch.equal(once[1], inputs[1])
    assert torch.equal(crop_and_flip(once, nowhere, flips, 0), inputs)


@pytest.mark.parametrize(
    "config",
    [
        AugmentationConfig(flip=True),
        AugmentationConfig(crop_padding=3),
        AugmentationConfig(flip=True, crop_padding=2),
        AugmentationConfig(resized_crop=6),
        AugmentationConfig(flip=True, resized_crop=4),
    ],
    ids=str,
)
def test_augmenting_leaves_the_images_and_changes_some(config: AugmentationConfig) -> None:
    inputs = batch(32, 3, 8, 8)
    before = inputs.clone()

    found = augment(inputs, config, torch.Generator().manual_seed(0))

    assert torch.equal(inputs, before)
    size = config.resized_crop or 8
    assert found.shape == (32, 3, size, size)
    if size == 8:
        same = (found == before).flatten(1).all(1)
        assert int((~same).sum()) > 0
    assert torch.equal(found, augment(inputs, config, torch.Generator().manual_seed(0)))


def test_half_are_flipped_and_every_offset_comes_as_often() -> None:
    """The first pixel tells the offset, the order of two neighbours the flip."""
    place = torch.arange(1.0, 26.0).view(1, 1, 5, 5).repeat(9_000, 1, 1, 1)
    config = AugmentationConfig(flip=True, crop_padding=1)

    found = augment(place, config, torch.Generator().manual_seed(0))

    flipped = found[:, 0, 2, 1] > found[:, 0, 2, 3]
    assert abs(float(flipped.double().mean()) - 0.5) < 5 * math.sqrt(0.25 / 9_000)
    offsets = torch.bincount(found[:, 0, 2, 2].long())
    offsets = offsets[offsets > 0]
    assert len(offsets) == 9
    assert (offsets - 1_000).abs().max() < 5 * math.sqrt(1_000)


def test_without_flip_nothing_is_mirrored() -> None:
    inputs = torch.arange(10.0).expand(50, 1, 10, 10)

    found = augment(inputs, AugmentationConfig(crop_padding=1), torch.Generator())

    assert (found[:, 0, 5, 1:-1].diff(dim=1) == 1).all()


def one_resized(image: torch.Tensor, box: list[int], size: int) -> torch.Tensor:
    """A box of an image, resized by torch's own function, which sees that box alone."""
    top, left, high, wide = box
    part = image[None, :, top : top + high, left : left + wide]
    return F.interpolate(part, (size, size), mode="bilinear", align_corners=False)[0]


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    size=st.integers(1, 9),
    data=st.data(),
)
@quick
def test_resizes_as_one_image_at_a_time(
    height: int, width: int, size: int, data: st.DataObject
) -> None:
    inputs = batch(3, 2, height, width, torch.float64)
    boxes = []
    for _ in inputs:
        high, wide = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
        top, left = (data.draw(st.integers(0, n)) for n in (height - high, width - wide))
        boxes.append([top, left, high, wide])

    found = resize_boxes(inputs, torch.tensor(boxes), size)

    expected = [one_resized(image, box, size) for image, box in zip(inputs, boxes, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-10)


def test_the_whole_image_at_its_own_size_is_itself() -> None:
    inputs = batch(2, 3, 7, 7)

    found = resize_boxes(inputs, torch.tensor([[0, 0, 7, 7]] * 2), 7)

    torch.testing.assert_close(found, inputs)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    least=st.floats(0.01, 1),
    stretch=st.floats(1, 5),
    seed=st.integers(0, 2**32),
)
@quick
def test_boxes_lie_inside(height: int, width: int, least: float, stretch: float, seed: int) -> None:
    config = AugmentationConfig(resized_crop=4, least_area=least, most_stretch=stretch)

    boxes = random_boxes(20, height, width, config, torch.Generator().manual_seed(seed))

    top, left, high, wide = boxes.unbind(1)
    assert boxes.dtype == torch.int64
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (high >= 1).all()
    assert (wide >= 1).all()
    assert (top + high <= height).all()
    assert (left + wide <= width).all()


def test_boxes_have_the_areas_and_shapes_that_are_asked_for() -> None:
    config = AugmentationConfig(resized_crop=4)

    boxes = random_boxes(20_000, 500, 500, config, torch.Generator().manual_seed(0)).double()

    top, left, high, wide = boxes.unbind(1)
    area, ratio = high * wide / 500**2, wide / high
    assert area.min() > 0.079
    assert ratio.log().abs().max() < math.log(4 / 3) + 0.02
    # Uniform up to where the longest shapes no longer fit.
    small = area[area < 0.7]
    assert abs(float(small.mean()) - 0.39) < 0.01
    assert abs(float(ratio.log().mean())) < 0.01
    assert abs(float((top - (500 - high) / 2).mean())) < 5
    assert abs(float((left - (500 - wide) / 2).mean())) < 5
    assert top.min() == left.min() == 0


def test_a_box_that_never_fits_is_the_largest_in_the_middle() -> None:
    """The whole area of a long image has a shape that is not allowed."""
    config = AugmentationConfig(resized_crop=4, least_area=1.0)

    boxes = random_boxes(5, 30, 90, config, torch.Generator())

    assert boxes.tolist() == [[0, 25, 30, 40]] * 5
    assert random_boxes(1, 90, 30, config, torch.Generator()).tolist() == [[25, 0, 40, 30]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("side", "size"), [(256, 224), (500, 64)])
def test_types_of_16_bits_see_what_others_see(dtype: torch.dtype, side: int, size: int) -> None:
    config = AugmentationConfig(resized_crop=size)
    boxes = random_boxes(4, side, side, config, torch.Generator().manual_seed(0))
    inputs = batch(4, 1, side, side).to(dtype)

    for found, expected in (
        (resize_boxes(inputs, boxes, size), resize_boxes(inputs.float(), boxes, size)),
        (center_crop(inputs, size), center_crop(inputs.float(), size)),
    ):
        assert found.dtype == dtype
        assert torch.equal(found, expected.to(dtype))


def test_the_size_that_is_usual_is_cropped_alone() -> None:
    inputs = batch(2, 3, 256, 300)

    assert torch.equal(center_crop(inputs, 224), inputs[..., 16:240, 38:262])
    assert torch.equal(
        center_crop(batch(1, 1, 342, 342), 299), batch(1, 1, 342, 342)[..., 21:320, 21:320]
    )


@given(height=st.integers(4, 90), width=st.integers(4, 90), data=st.data())
@quick
def test_objects_are_of_the_size_of_the_usual_preparation(
    height: int, width: int, data: st.DataObject
) -> None:
    """As after the shorter side was resized to size / 0.875: here of ramps, which stay straight."""
    size = data.draw(st.integers(4, min(height, width)))
    down, right = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    ramps = torch.stack(
        [(down - height / 2)[:, None].expand(-1, width), (right - width / 2).expand(height, -1)]
    )[None].double()

    found = center_crop(ramps, size)[0]

    scale = min(height, width) / round(size / 0.875)
    expected = (torch.arange(size).double() + 0.5 - size / 2) * scale
    # A crop of whole pixels can be half of one beside the middle.
    for ramp in (found[0].T, found[1]):
        shift = ramp[0] - expected
        torch.testing.assert_close(shift, shift[:1].expand(size), rtol=0, atol=1e-4)
        assert abs(float(shift[0])) <= (0.5 if scale == 1 else 1e-4)


def test_evaluation_sees_a_large_image_as_a_small_one() -> None:
    """What is seen does not depend on the size at which images are stored."""
    small = torch.linspace(0, 1, 32, dtype=torch.float64).expand(1, 1, 32, 32)
    large = F.interpolate(small, size=(256, 256), mode="bilinear", align_corners=False)

    torch.testing.assert_close(center_crop(large, 28), center_crop(small, 28), rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"crop_padding": -1}, "crop_padding: must be from 0 to 4096, got -1"),
        ({"resized_crop": -3}, "resized_crop: must be from 0 to 4096, got -3"),
        ({"crop_padding": 4, "resized_crop": 32}, "crop_padding: goes without resized_crop"),
        ({"least_area": 0.0}, "least_area: must be above 0 and at most 1, got 0.0"),
        ({"least_area": 1.5}, "least_area: must be above 0"),
        ({"most_stretch": 0.5}, "most_stretch: must be from 1 to 4096, got 0.5"),
        ({"most_stretch": math.inf}, "most_stretch: must be from 1 to 4096"),
        ({"crop_padding": 2**62}, "crop_padding: must be from 0 to 4096"),
    ],
)
def test_problems(changes: dict[str, float], problem: str) -> None:
    (found,) = AugmentationConfig(**changes).problems()  # type: ignore[arg-type]

    assert found.startswith(problem)


def test_by_default_nothing_is_done() -> None:
    assert not AugmentationConfig().active
    assert AugmentationConfig().problems() == []
    assert {field.name for field in fields(AugmentationConfig)} >= {"flip", "crop_padding"}
