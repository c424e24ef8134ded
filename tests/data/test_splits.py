"""Holding examples out, and standardization."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lottery.data.dataset import Dataset
from lottery.data.idx import Bytes
from lottery.data.normalize import normalized
from lottery.data.splits import Examples, Scale, as_split, assemble, exchanges, scale_of
from lottery.errors import DataError

images = arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=5))


def numbered(count: int) -> Examples:
    """Examples told apart by their one pixel pair, labelled by its sum's parity."""
    number = np.arange(count)
    pixels = np.stack([number // 256, number % 256], axis=1).astype(np.uint8)
    return Examples(pixels.reshape(count, 1, 2), (number % 2).astype(np.uint8))


def unlabelled(images: Bytes) -> Examples:
    return Examples(images, np.zeros(len(images), np.uint8))


def numbers(examples: Examples) -> list[int]:
    pixels = examples.inputs.reshape(-1, 2).astype(int)
    return (pixels[:, 0] * 256 + pixels[:, 1]).tolist()  # type: ignore[no-any-return]


def assembled(examples: Examples, validation: int, stream: str = "any") -> Dataset:
    return assemble(
        "numbered",
        examples,
        examples,
        validation=validation,
        classes=2,
        scale=Scale((0.0,), (1.0,)),
        stream=stream,
    )


@given(
    labels=st.lists(st.integers(0, 6), min_size=2, max_size=40),
    rare=st.lists(st.integers(7, 12), max_size=4),
    data=st.data(),
)
def test_exchanges_leave_no_class_out_that_could_be_in(
    labels: list[int], rare: list[int], data: st.DataObject
) -> None:
    whole = np.array(data.draw(st.permutations(labels + rare)))
    first = data.draw(st.integers(1, len(whole) - 1))
    before = whole.copy()

    pairs = exchanges(whole, first)

    assert np.array_equal(whole, before), "what is given is left as it is"
    for one, other in pairs:
        assert one < first <= other
        whole[[one, other]] = whole[[other, one]]
    held, rest = whole[:first].tolist(), whole[first:].tolist()
    classes = set(before.tolist())
    if len(rest) >= len(classes):
        assert set(rest) == classes
    twice = {label for label in classes if before.tolist().count(label) > 1}
    if len(rest) >= len(classes) and len(held) >= len(classes):
        assert twice <= set(held)
    # No class was lost that a part had, but a single example to learn from.
    assert set(before[:first].tolist()) & twice <= set(held)
    assert set(before[first:].tolist()) <= set(rest)
    sound = set(before[first:].tolist()) == classes and twice <= set(before[:first].tolist())
    assert bool(pairs) <= (not sound)


def test_of_classes_that_are_few_each_is_in_both_parts() -> None:
    """Of 300 examples in 3 classes the last two have 2 and 1, wherever these lie."""
    for seed in range(20):
        labels = np.zeros(300, np.uint8)
        labels[np.random.default_rng(seed).permutation(300)[:3]] = (1, 1, 2)
        examples = Examples(numbered(300).inputs, labels)
        held, rest = examples.split_off(30, "any", every_class=True)
        assert set(held.labels.tolist()) >= {0, 1}
        assert set(rest.labels.tolist()) == {0, 1, 2}
        assert sorted(numbers(held) + numbers(rest)) == list(range(300))


class TestParted:
    @given(count=st.integers(2, 600), data=st.data())
    def test_disjoint_and_complete_with_labels_kept(self, count: int, data: st.DataObject) -> None:
        first = data.draw(st.integers(0, count))

        part, rest = numbered(count).split_off(first, "stream")

        assert len(part) == first
        assert sorted(numbers(part) + numbers(rest)) == list(range(count))
        for examples in (part, rest):
            assert [number % 2 for number in numbers(examples)] == examples.labels.tolist()

    @given(count=st.integers(2, 200), data=st.data())
    def test_a_larger_part_holds_every_smaller(self, count: int, data: st.DataObject) -> None:
        small, large = sorted(data.draw(st.tuples(*[st.integers(0, count)] * 2)))

        first, second = (numbered(count).split_off(size, "stream")[0] for size in (small, large))

        assert numbers(second)[:small] == numbers(first)

    def test_does_not_depend_on_the_global_generator(self) -> None:
        torch.manual_seed(1)
        before = torch.random.get_rng_state()

        one = numbers(numbered(50).split_off(10, "stream")[0])
        torch.testing.assert_close(torch.random.get_rng_state(), before)
        torch.manual_seed(2)

        assert numbers(numbered(50).split_off(10, "stream")[0]) == one

    def test_each_stream_has_a_shuffle_of_its_own(self) -> None:
        one, two = (numbers(numbered(50).split_off(50, stream)[0]) for stream in ("a", "b"))

        assert one != two

    def test_golden(self) -> None:
        # A change here moves examples between the splits of every experiment ever run.
        held_out, _ = numbered(60_000).split_off(8, "mnist", "validation")

        assert numbers(held_out) == [24913, 11283, 45757, 45326, 11157, 3687, 23908, 20654]


class TestStored:
    @given(images=images, mean=st.floats(0, 1), deviation=st.floats(0.01, 1))
    def test_agrees_with_numpy(self, images: Bytes, mean: float, deviation: float) -> None:
        expected = (images[:, np.newaxis].astype(np.float64) / 255 - mean) / deviation

        found = normalized(as_split(unlabelled(images)).inputs, (mean,), (deviation,))

        torch.testing.assert_close(found, torch.from_numpy(expected).float())

    def test_leaves_the_images_as_they_were(self) -> None:
        images = np.full((2, 3, 3), 7, dtype=np.uint8)

        split = as_split(unlabelled(images))
        split.inputs.add_(1)

        assert images.tolist() == np.full((2, 3, 3), 7).tolist()

    @given(images=images)
    def test_scale_agrees_with_numpy(self, images: Bytes) -> None:
        scale = scale_of(images)

        np.testing.assert_allclose(scale.mean, [(images / 255).mean()], atol=1e-12)
        np.testing.assert_allclose(scale.deviation, [(images / 255).std()], atol=1e-12)

    def test_scale_over_more_images_than_are_counted_at_once(self) -> None:
        images = np.zeros((10_000, 1, 1), dtype=np.uint8)
        images[::2] = 255

        assert scale_of(images) == Scale((0.5,), (0.5,))


class TestAssemble:
    def test_own_scale_standardizes_the_training_split(self) -> None:
        examples = numbered(200)

        dataset = assemble(
            "own", examples, examples, validation=20, classes=2, scale=None, stream="any"
        )

        inputs = dataset.normalized(dataset.train.inputs, torch.float64)
        torch.testing.assert_close(inputs.mean().item(), 0.0, atol=1e-6, rtol=0)
        torch.testing.assert_close(inputs.std(correction=0).item(), 1.0, atol=1e-6, rtol=0)

    def test_each_channel_has_a_scale_of_its_own(self) -> None:
        images = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 5), dtype=np.uint8)
        images[:, 1] //= 3
        examples = Examples(images, np.zeros(50, np.uint8))

        dataset = assemble(
            "colours", examples, examples, validation=1, classes=2, scale=None, stream="any"
        )

        seen = dataset.normalized(dataset.train.inputs, torch.float64)
        flat = seen.transpose(0, 1).flatten(1)
        torch.testing.assert_close(flat.mean(1).tolist(), [0.0] * 3, atol=1e-6, rtol=0)
        torch.testing.assert_close(flat.std(1, correction=0).tolist(), [1.0] * 3, atol=1e-6, rtol=0)
        np.testing.assert_array_equal(dataset.test.inputs.numpy(), images)

    def test_all_but_one_example_may_be_held_out(self) -> None:
        dataset = assembled(numbered(10), 9)

        assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (1, 9, 10)
        assert dataset.input_shape == (1, 1, 2)
        assert dataset.train.targets.dtype == torch.int64

    @pytest.mark.parametrize("validation", [10, 11, 5_000])
    def test_nothing_left_to_learn_from(self, validation: int) -> None:
        with pytest.raises(DataError, match=f"hold {validation:,} .* 10 training .* at most 9"):
            assembled(numbered(10), validation)

    def test_images_that_are_all_the_same(self) -> None:
        flat = Examples(np.full((5, 2, 2), 9, np.uint8), np.arange(5, dtype=np.uint8))

        with pytest.raises(DataError, match="expected images that differ"):
            assemble("flat", flat, flat, validation=1, classes=5, scale=None, stream="any")
