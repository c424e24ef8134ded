"""CKA where it is known: of a representation with itself, rotated, and with one apart from it."""

from __future__ import annotations

import math
import statistics
from itertools import permutations
from pathlib import Path

import pytest
import torch
from command import Cli
from small_run import SmallRun
from torch import Tensor

from lottery.experiments import open_run
from lottery.inside import ANALYSES, analyse
from lottery.inside.cka import RANDOM, cka, gram, hsic


def features(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_a_representation_is_like_itself_and_its_rotation() -> None:
    own = [features(20, 6), features(30, 6, seed=1)]
    turn, _ = torch.linalg.qr(features(6, 6, seed=2))
    grams = [gram(batch) for batch in own]

    assert cka(grams, grams) == pytest.approx(1)
    assert cka(grams, [gram(3 * batch @ turn + 5) for batch in own]) == pytest.approx(1)
    stretched = cka(grams, [gram(batch * torch.arange(1, 7)) for batch in own])
    assert stretched is not None
    assert stretched < 0.95
    assert cka(grams, [gram(torch.ones(20, 2)), gram(torch.ones(30, 2))]) is None


def test_hsic_is_the_mean_over_all_choices_of_four_examples() -> None:
    """The U-statistic that it estimates without bias, written out."""
    one, other = features(6, 2), features(6, 3, seed=1)
    x, y = gram(one), gram(other)
    every = [
        float(x[a, b] * (y[a, b] + y[c, d] - 2 * y[a, c]))
        for a, b, c, d in permutations(range(6), 4)
    ]
    assert hsic(x, y) == pytest.approx(statistics.fmean(every))
    assert hsic(x, y) == pytest.approx(hsic(gram(one + 100), y))


def test_apart_from_one_another_they_have_nothing_in_the_mean() -> None:
    """With more features than examples, where the usual estimator would say 0.7 and more."""
    found = []
    for seed in range(200):
        one, other = features(16, 40, seed=2 * seed), features(16, 40, seed=2 * seed + 1)
        found.append(hsic(gram(one), gram(other)))
    error = statistics.stdev(found) / math.sqrt(len(found))
    assert abs(statistics.fmean(found)) < 4 * error
    assert abs(cka([gram(features(200, 9))], [gram(features(200, 9, seed=1))]) or 1) < 0.02


def test_a_run_is_compared_with_what_random_networks_give(
    cli: Cli, small_run: SmallRun, tmp_path: Path
) -> None:
    path = small_run.copied(tmp_path)
    code, text, _ = cli("analyse", "cka", "small", "--out", tmp_path, "--examples", "60")
    assert code == 0
    assert "Two random networks have" in text
    found = analyse(open_run(path), ANALYSES["cka"], settings={"examples": 60})
    rows = {(row["level"], row["compared"]) for row in found["layers"].records()}
    assert rows == {
        (0, RANDOM),
        *((1, f"dense network, {what}") for what in ("ticket", "random-mask", "reinit")),
    }
    layers = {row["layer"] for row in found["layers"].records()}
    assert layers == {"fc1.weight", "output.weight"}
    assert all(-1 <= float(str(value)) <= 1 for value in found["layers"].column("cka"))
