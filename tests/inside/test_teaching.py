"""What tickets teach: sizes by hand, distributions drawn again, and a tiny run's verdict."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from scipy import stats
from small_run import SmallRun
from typer.testing import CliRunner

from lottery.cli.main import app
from lottery.core import Mask
from lottery.errors import StoreError, UsageError
from lottery.experiments import Run, RunOptions, bind, open_run, run_experiment
from lottery.experiments.learned import find_initialization, read_learned
from lottery.inside.teaching import Weights, lesson, small_widths
from lottery.models import build_model
from lottery.models.families import with_widths
from lottery.models.learned import LearnedInitialization, SignedQuantiles
from lottery.rng import Streams
from lottery.store import MAIN, JobKey


@pytest.fixture(scope="module")
def run(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three replicates and one level."""
    config = replace(small_run.config, replicates=3)
    options = RunOptions(out=tmp_path_factory.mktemp("teach"), jobs=1, device="cpu", engine="torch")
    return open_run(run_experiment(config, options).run)


def weights() -> np.ndarray[Any, np.dtype[np.float64]]:
    """A lopsided distribution without weights near 0: three quarters are negative."""
    random = np.random.default_rng(0)
    return np.concatenate([-1 - random.exponential(size=3000), 0.5 + random.random(1000)])


def drawn(seed: int = 1) -> torch.Tensor:
    quantiles = SignedQuantiles.of(weights())
    assert quantiles is not None
    model = build_model("mlp-200", (100,), 4)
    learned = LearnedInitialization("glorot-normal", {"fc1.weight": quantiles})
    learned(model, torch.Generator().manual_seed(seed))
    state = model.state_dict()
    assert state["fc1.bias"].count_nonzero() == 0
    assert 0 < state["output.weight"].std() < 0.2, "as the usual initialization has it"
    drawn_weight: torch.Tensor = state["fc1.weight"]
    return drawn_weight


# Sizes


def test_a_hand_made_mask_gives_the_sizes_computed_by_hand(
    small_run: SmallRun, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 16 inputs, 4 units, 4 classes. Units 0 and 1 keep 10 weights each and are read; unit 2 keeps
    # 15 and is read by nobody; unit 3 is read and keeps none.
    first, second = torch.zeros(4, 16, dtype=torch.bool), torch.zeros(4, 4, dtype=torch.bool)
    first[:2, :10] = True
    first[2, :15] = True
    second[0, [0, 1, 3]] = True
    mask = Mask({"fc1.weight": first, "output.weight": second})
    monkeypatch.setattr(type(run.store), "final_mask", lambda *_: mask)
    small = lesson(run, 1).small
    assert small is not None
    assert (small.kept, small.alive) == ((35, 3), (2,))
    assert (small.widths, small.model, small.weights) == ((2,), "mlp-2", (32, 8)), "35 / 16 = 2.2"


def test_each_layer_is_as_large_as_the_one_before_lets_it() -> None:
    assert small_widths([4000, 600, 90], 784, [250, 80, 80]) == (5, 80, 1)
    assert small_widths([0, 0], 784, [0, 0]) == (1, 1), "a network has units"
    assert small_widths([24], 16, [9]) == (2,), "a half is rounded up"


def test_other_networks_are_refused_in_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_widths("resnet-20", [1]) is None
    assert with_widths("mlp-9-9-tanh-dropout0.5", [3, 2]) == "mlp-3-2-tanh-dropout0.5"
    monkeypatch.setattr("lottery.inside.teaching.with_widths", lambda *_: None)
    found = lesson(run, 1)
    assert found.small is None
    assert [*found.configs] == ["learned"]
    assert "only fully connected networks" in found.no_small


# Distributions


def test_drawn_weights_follow_the_quantiles_and_the_share_of_signs() -> None:
    found = drawn().flatten().double().numpy()
    assert abs((found > 0).mean() - 0.25) < 3 * math.sqrt(0.25 * 0.75 / found.size)
    assert not ((found > -1) & (found < 0.5)).any(), "none where the tickets have none"
    for sign in (-1, 1):
        ours, theirs = (values[values * sign > 0] for values in (found, weights()))
        # 20,000 draws of 257 quantiles; 4 / sqrt(n) is passed once in 10^13 times.
        assert stats.ks_2samp(ours, theirs).statistic < 0.03


def test_the_same_seed_draws_the_same_weights() -> None:
    assert torch.equal(drawn(), drawn())
    assert not torch.equal(drawn(), drawn(2))


def test_weights_of_one_sign_and_none_at_all() -> None:
    one = SignedQuantiles.of(np.array([0.25, 0.25, 0.0]))
    assert one is not None
    assert (one.positive, one.below) == (1.0, ())
    weight = torch.zeros(3, 5)
    one.draw_(weight, torch.Generator().manual_seed(0))
    assert (weight == 0.25).all()
    assert SignedQuantiles.of(np.zeros(3)) is None


def test_initial_and_trained_weights_are_those_of_the_survivors(run: Run) -> None:
    key = [JobKey(r, MAIN, 1) for r in range(3)]
    for which in get_args(Weights):
        kept = []
        for one in key:
            ticket = run.store.ticket(one)
            state = ticket.weights if which == "initial" else run.store.weights(one)
            kept.append(state["fc1.weight"][ticket.mask["fc1.weight"]])
        values = torch.cat(kept)
        found = lesson(run, 1, which).learned.layers["fc1.weight"]
        assert found.positive == pytest.approx(float((values > 0).double().mean()))
        assert (found.below[0], found.above[-1]) == (float(values.min()), float(values.max()))


# End to end


def invoke(*words: str) -> str:
    result = CliRunner().invoke(app, ["teach", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_tiny_run_ends_with_a_verdict(run: Run) -> None:
    how = ("--jobs", "1", "--device", "cpu", "--engine", "torch")
    words = (str(run.store.path), "--level", "1", *how)
    before = sorted(run.store.path.parent.iterdir())
    assert "mlp-" in invoke(*words, "--dry-run")
    assert sorted(run.store.path.parent.iterdir()) == before
    assert not (run.store.path / "analyses").exists()

    said = invoke(*words, "--quiet")
    assert said.lstrip().startswith("Not tested: whether a smaller dense"), "no lesson before it"
    assert "Not tested: whether an initialization learned from the tickets does" in said
    small, learned = (Path(line.split(": ")[1]) for line in said.splitlines() if "run: " in line)
    assert open_run(small).config.levels == 0
    again = json.loads(invoke(*words, "--json"))
    assert len(again["claims"]) == 5
    assert {one["outcome"] for one in again["claims"]} <= {
        "confirmed",
        "open",
        "against",
        "untested",
    }
    assert again["lesson"]["runs"]["learned"] == str(learned)

    # What was trained began with weights of the file, drawn by the replicate's own stream.
    config = open_run(learned).config
    task = bind(config, RunOptions(out=learned.parent, device="cpu")).task  # type: ignore[arg-type]
    model = task.initial(Streams(config.seed, 1), "init")
    start = open_run(learned).store.ticket(JobKey(1, MAIN, 0)).weights
    assert torch.equal(model.state_dict()["fc1.weight"], start["fc1.weight"])
    dense = run.store.ticket(JobKey(1, MAIN, 0)).weights
    assert not torch.equal(dense["fc1.weight"], start["fc1.weight"])


def test_wrong_levels_and_settings_are_refused_in_words(run: Run) -> None:
    with pytest.raises(UsageError, match="no trained ticket of level 7; levels: 1"):
        lesson(run, 7)
    with pytest.raises(UsageError, match="no trained ticket of level 0"):
        lesson(run, 0)
    with pytest.raises(UsageError, match="expected initial or trained, got 'both'"):
        lesson(run, 1, "both")  # type: ignore[arg-type]
    problems = replace(run.config, initialization="glorot").problems()  # type: ignore[call-arg]
    assert "unknown initialization 'glorot'" in problems[0]


# Forged files


GOOD = {"positive": 0.5, "below": [-2.0, -1.0], "above": [1, 2.0]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learned": 2}, "learned: expected a whole number"),
        ({"usual": "os.system"}, "usual: expected one of"),
        ({"layers": []}, "layers: expected a table"),
        ({"layers": {"a": 1}}, "a: expected a table"),
        ({"layers": {"a": GOOD | {"positive": 2}}}, "positive: expected"),
        ({"layers": {"a": GOOD | {"below": [-1.0, 1.0]}}}, "below: expected"),
        ({"layers": {"a": GOOD | {"above": [2.0, 1.0]}}}, "above: expected"),
        ({"layers": {"a": GOOD | {"above": ["1"]}}}, "above: expected"),
        ({"layers": {"a": GOOD | {"above": [10**400]}}}, "above: expected"),
        ({"layers": {"a": GOOD | {"above": [1.0] * 10_001}}}, "above: expected"),
        ({"layers": {"a": GOOD | {"above": []}}}, "above: expected quantiles exactly where"),
    ],
)
def test_a_forged_file_is_refused_in_words(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    whole = {"learned": 1, "usual": "glorot-normal", "layers": {"a": GOOD}}
    path = tmp_path / "forged.json"
    path.write_text(json.dumps(whole))
    assert read_learned(path).layers["a"].above == (1.0, 2.0)
    path.write_text(json.dumps(whole | change))
    with pytest.raises(StoreError, match=said):
        read_learned(path)


def test_no_file_and_no_json(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"learned": NaN}')
    for name in ("learned:none.json", "learned:x.json"):
        with pytest.raises(StoreError, match="cannot read"):
            find_initialization(name, tmp_path)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(StoreError, match="expected a table"):
        find_initialization("learned:list.json", tmp_path)
    assert find_initialization("glorot-normal", tmp_path) is None
    for name in ("learned:", "learned:\ud800", "glorot"):
        with pytest.raises(UsageError, match="unknown initialization"):
            find_initialization(name, tmp_path)


def test_a_file_for_another_network_is_refused(run: Run) -> None:
    quantiles = SignedQuantiles(positive=1.0, below=(), above=(1.0,))
    learned = LearnedInitialization("glorot-normal", {"conv1.weight": quantiles})
    with pytest.raises(UsageError, match=r"learned for another network, with conv1\.weight"):
        learned.check(build_model("mlp-4", (16,), 4))
