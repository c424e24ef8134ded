"""Test images made worse, and who loses more by it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_run import SmallRun

from lottery.data.dataset import Split
from lottery.errors import UsageError
from lottery.experiments import open_run
from lottery.inside.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from lottery.inside.shifts import _interval, _lost_more, _mean_of
from lottery.store import MAIN, JobKey


def images(count: int = 40, channels: int = 2) -> Split:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 256, (count, channels, 20, 24), generator=generator).byte()
    return Split(inputs, torch.arange(count) % 3)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_stronger_corruption_moves_images_further_and_always_alike(kind: str) -> None:
    whole = images()
    far = []
    for strength in STRENGTHS:
        worse = corrupt(whole, kind, strength)
        assert torch.equal(worse.inputs, corrupt(whole, kind, strength).inputs)
        assert worse.inputs.dtype == torch.uint8
        assert worse.inputs.shape == whole.inputs.shape
        assert torch.equal(worse.targets, whole.targets)
        far.append(float((worse.inputs.float() - whole.inputs.float()).square().mean()))
    assert far == sorted(far)
    assert far[0] > 0


def test_noise_has_the_deviation_it_says() -> None:
    grey = Split(torch.full((50, 1, 40, 40), 128, dtype=torch.uint8), torch.zeros(50).long())
    worse = corrupt(grey, "noise", 1).inputs.float() / 255
    assert float(worse.std()) == pytest.approx(0.08, rel=0.02)


def test_blur_keeps_what_is_even_and_spreads_a_point_by_its_gaussian() -> None:
    even = Split(torch.full((1, 3, 9, 30), 77, dtype=torch.uint8), torch.zeros(1).long())
    assert torch.equal(corrupt(even, "blur", 5).inputs, even.inputs)
    point = torch.zeros(1, 1, 50, 50, dtype=torch.uint8)
    point[0, 0, 25, 25] = 255
    worse = corrupt(Split(point, torch.zeros(1).long()), "blur", 1).inputs[0, 0].float() / 255
    # A deviation of 2% of 50 pixels is one pixel: 0.1592 in the middle, by exp(-1/2) less beside.
    assert float(worse[25, 25]) == pytest.approx(0.159, abs=0.004)
    assert float(worse[25, 26]) == pytest.approx(0.159 * 0.607, abs=0.004)
    assert torch.equal(worse, worse.T)


def test_contrast_is_that_share_of_the_distance_from_the_mean() -> None:
    pixels = torch.tensor([[0, 200]], dtype=torch.uint8).reshape(1, 1, 1, 2)
    worse = corrupt(Split(pixels, torch.zeros(1).long()), "contrast", 4)
    assert worse.inputs.reshape(-1).tolist() == [90, 110]


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(UsageError, match="expected images as bytes"):
        corrupt(Split(torch.zeros(3, 7), torch.zeros(3).long()), "blur", 1)


def test_what_is_lost_more_is_counted_against_the_own_dense_network() -> None:
    keys = [JobKey(replicate, MAIN, level) for replicate in (0, 1) for level in (0, 1)]
    accuracies = {
        ("none", 0): (0.9, 0.8, 0.7, 0.75),
        ("noise", 1): (0.8, 0.5, 0.7, 0.65),
        ("noise", 2): (0.8, 0.7, 0.7, 0.75),
    }
    measured = {s: dict(zip(keys, values, strict=True)) for s, values in accuracies.items()}
    lost = _lost_more(measured, keys, 1)
    assert lost["noise", 1] == pytest.approx({0: 0.2, 1: 0.1})
    assert lost["noise", 2] == pytest.approx({0: 0.0, 1: 0.0})
    assert _mean_of(lost) == pytest.approx({0: 0.1, 1: 0.05})


def test_replicates_that_lose_the_same_have_the_interval_that_the_test_set_allows() -> None:
    n, *estimate = _interval([0.25] * 9, 0.125)
    assert n == 9
    assert estimate == pytest.approx([0.25, 0.125, 0.375])
    assert _interval([0.25], 0.125) == (1, 0.25, None, None)


def test_a_run_is_measured_on_worse_images(small_run: SmallRun, tmp_path: Path) -> None:
    run = open_run(small_run.copied(tmp_path))
    found = run.analyse("shifts")
    rows = list(found["shifts"].records())
    assert len(rows) == 16 * 2
    clean = {row["level"]: row["accuracy"] for row in rows if row["corruption"] == "none"}
    for level, accuracy in clean.items():
        assert isinstance(level, int)
        assert accuracy == run.results[JobKey(0, MAIN, level)].score_final
    assert [row["n"] for row in found["means"].records()] == [1]
    assert "One replicate alone shows nothing: level 1" in found.found[0]
    with pytest.raises(UsageError, match="look at level 0 as well"):
        run.analyse("shifts", levels=[1])
    with pytest.raises(UsageError, match="expected 1 or more, got 0"):
        run.analyse("shifts", settings={"examples": 0})
