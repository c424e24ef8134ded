"""Replicates up to the order of their neurons: known answers, and a small run whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from statistics import fmean
from unittest.mock import patch

import pytest
import torch
from command import Cli
from small_run import SmallRun

from lottery.core import Mask
from lottery.core.symmetry import find_symmetry, permute
from lottery.experiments import ExperimentConfig, Run, RunOptions, open_run, run_experiment
from lottery.inside import Measurement, Subject
from lottery.inside.alignment import shared_by_chance, shared_weights
from lottery.methods import ControlsConfig
from lottery.store import MAIN, JobKey
from lottery.training import State

MOVED = ControlsConfig(reinit=1, moved=1, aligned=1)


@pytest.fixture(scope="module")
def config(small_run: SmallRun) -> ExperimentConfig:
    prune = replace(small_run.config.prune, examples=40, batch_size=20)
    return replace(small_run.config, name="moved", replicates=2, prune=prune)


@pytest.fixture(scope="module")
def run(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    options = RunOptions(out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu", engine="torch")
    # First without them: what was found then must not stay.
    plain = replace(config, controls=ControlsConfig(reinit=0))
    first = open_run(run_experiment(plain, options).run)
    found = first.analyse("alignment", settings={"examples": 40, "points": 3})
    assert [table.name for table in found.tables] == ["similarity", "barriers", "overlap"]
    assert "controls.aligned = 1" in found.found[-1]
    return open_run(run_experiment(replace(config, controls=MOVED), options).run)


@pytest.fixture(scope="module")
def found(run: Run) -> Measurement:
    return run.analyse("alignment", settings={"examples": 40, "points": 3})


def test_every_pair_is_compared_at_every_level(found: Measurement) -> None:
    assert found["similarity"].column("level") == [0, 1]
    assert found["similarity"].column("layer") == ["fc1.weight"] * 2
    for row in found["similarity"].records():
        in_place, aligned, chance = (row[n] for n in ("in_place", "aligned", "by_chance"))
        assert isinstance(in_place, float)
        assert isinstance(aligned, float)
        assert isinstance(chance, float)
        assert in_place <= aligned <= 1
        assert -1 <= chance < 0.7
    assert [row[:3] for row in found["barriers"].rows] == [(0, 0, 1), (1, 0, 1)]
    (shared,) = found["overlap"].records()
    assert (shared["level"], shared["density"]) == (1, 0.55)


def test_more_examples_than_there_are_are_all_of_them(run: Run) -> None:
    """So that the usual number is no error with a small dataset."""
    known = run.facts.test_examples
    assert known is not None
    assert known < 1_000
    tables = [
        run.analyse("alignment", levels=[0], settings={"examples": number, "points": 3}).tables
        for number in (1_000, 10**20)
    ]
    assert tables[0][:2] == tables[1][:2]


def test_moved_masks_are_compared_by_replicate(run: Run, found: Measurement) -> None:
    def score(number: int, branch: str, level: int = 1) -> float:
        value = run.results[JobKey(number, branch, level)].score
        assert value is not None
        return value

    rows = {(str(row["branch"]), str(row["against"])): row for row in found["transfer"].records()}
    assert len(rows) == 10
    branches = {
        "ticket": ("main", 1),
        "dense": ("main", 0),
        "aligned": ("aligned-1", 1),
        "moved": ("moved-1", 1),
        "reinit": ("reinit-1", 1),
    }
    for (one, other), row in rows.items():
        differences = [score(n, *branches[one]) - score(n, *branches[other]) for n in (0, 1)]
        assert row["n"] == 2
        assert row["difference"] == pytest.approx(fmean(differences))
        # Student's distribution with one degree of freedom.
        half = 12.706205 * abs(differences[0] - differences[1]) / 2
        # Two equal differences are no certainty.
        high = pytest.approx(fmean(differences) + half, abs=1e-6) if half else None
        assert row["high"] == high
    means = {(r["level"], r["branch"]): r["score"] for r in found["scores"].records()}
    assert means[1, "moved"] == pytest.approx(fmean(score(n, "moved-1") for n in (0, 1)))
    assert means[0, "dense"] == pytest.approx(fmean(score(n, MAIN, 0) for n in (0, 1)))
    said = " ".join(found.found)
    assert "The aligned mask does better than the ticket at " in said
    assert "of 1 level" in said
    assert ", n = 2)." in said


def test_a_network_and_its_permuted_self_are_the_same(run: Run) -> None:
    """The second replicate's files say what the first one's do, with other places for neurons."""
    task = Subject(run=run, levels=(0,), replicates=(0,)).experiment.task
    symmetry = find_symmetry(task.make_model(), torch.zeros(2, 1, 4, 4))
    moves = {"fc1.weight": torch.tensor([2, 0, 3, 1])}
    weights, mask = Subject.weights, Subject.mask

    def of_first(self: Subject, key: JobKey) -> State:
        state = weights(self, replace(key, replicate=0))
        return permute(state, symmetry, moves) if key.replicate else state

    def its_mask(self: Subject, key: JobKey) -> Mask:
        own = mask(self, replace(key, replicate=0))
        return Mask(permute(dict(own), symmetry, moves)) if key.replicate else own

    with patch.object(Subject, "weights", of_first), patch.object(Subject, "mask", its_mask):
        found = run.analyse("alignment", settings={"examples": 60}, again=True)
    run.analyse("alignment", settings={"examples": 40, "points": 3}, again=True)
    assert found["similarity"].column("aligned") == pytest.approx([1, 1])
    assert max(map(float, map(str, found["similarity"].column("in_place")))) < 0.9
    assert found["barriers"].column("aligned") == [0, 0]
    assert found["overlap"].column("aligned") == [1]
    assert found["overlap"].column("in_place")[0] != 1
    assert "aligned, 1 of 1 pairs have no barrier" in " ".join(found.found)


def test_what_random_masks_share_is_what_all_of_them_do_on_average() -> None:
    """Against every mask with these counts."""

    def masks(kept: int) -> list[Mask]:
        return [
            Mask({"a": torch.tensor([i in chosen for i in range(5)]), "b": torch.ones(2) > 0})
            for chosen in combinations(range(5), kept)
        ]

    shares = torch.tensor([shared_weights(a, b) for a in masks(2) for b in masks(3)])
    expected, deviation = shared_by_chance(masks(2)[0], masks(3)[0])
    assert expected == pytest.approx(float(shares.double().mean()), abs=1e-6)
    assert deviation == pytest.approx(float(shares.double().std(correction=0)), abs=1e-6)


def test_as_typed(run: Run, cli: Cli) -> None:
    name, out = run.store.path.name, run.store.path.parent
    code, said, _ = cli("analyse", "alignment", name, "--out", out, "--examples", "40",
                        "--points", "3")  # fmt: skip
    assert code == 0
    assert "Barriers between two replicates" in said
    assert "Masks on another initialization: differences" in said
    for options, expected in (
        (("--replicates", "0"), "looked at, got 1\n"),
        (("--points", "2"), "points = 3 or more"),
    ):
        code, _, err = cli("analyse", "alignment", name, "--out", out, *options)
        assert code == 2
        assert expected in err
