"""What a config adds to what masks cover, and leaves out of it, in runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny
from typer.testing import CliRunner

from lottery.cli.main import app
from lottery.core import OutsideMask
from lottery.errors import UsageError
from lottery.experiments import (
    ExperimentConfig,
    RunOptions,
    config_hash,
    load_config,
    open_run,
    run_experiment,
    to_plain,
)
from lottery.experiments.reading import Run
from lottery.methods import ControlsConfig
from lottery.store import JobKey
from lottery.tickets import PruneConfig
from lottery.training import Length


def one(model: str, **prune: Any) -> ExperimentConfig:
    """One replicate and two levels of three steps, each of half the weights."""
    config = tiny(
        model=model,
        replicates=1,
        prune=PruneConfig(fraction=0.5, **prune),
        controls=ControlsConfig(random_mask=1, signs_constant=True, reinit=1),
    )
    length = Length(amount=3)
    training = replace(config.training, length=length, evaluate_every=length, batch_size=20)
    return replace(config, training=training)


def run(config: ExperimentConfig, out: Path, engine: str = "torch") -> Run:
    options = RunOptions(out=out, jobs=1, device="cpu", engine=engine)
    return open_run(run_experiment(config, options).run)


def test_an_embedding_is_pruned_and_a_layer_left_out(tmp_path: Path) -> None:
    config = one(
        "kinds_of_networks:Embedded",
        also=("embedding.*", "mixing"),
        leave_out=("output.weight",),
        scope="global",
    )
    made = run(config, tmp_path)
    assert {result.status for result in made.results.values()} == {"done"}
    assert made.outside_mask == (
        OutsideMask(name="output.weight", weights=50, reason="left out by prune.leave_out"),
    )
    for key, result in made.results.items():
        assert [*result.layers] == ["embedding.weight", "mixing"]
        if key.branch == "main":
            assert result.weights_total == 24 + 30
            assert result.weights_kept == (54, 27, 27 - round(27 / 2))[key.level]
        mask, final = made.store.ticket(key).mask, made.store.weights(key)
        assert all(final[name][~mask[name]].eq(0).all() for name in mask)
        assert final["output.weight"].ne(0).all()
    # The same command goes on with it.
    assert run(config, tmp_path).results == made.results


def test_engines_agree_on_a_network_of_which_a_layer_is_left_out(tmp_path: Path) -> None:
    config = one("mlp-20-10", leave_out=("output.weight",))
    first, second = (run(config, tmp_path / e, e) for e in ("torch", "sparse_cpu"))
    key = JobKey(0, "main", 1)
    assert first.results[key].layers == second.results[key].layers
    assert [*first.results[key].layers] == ["fc1.weight", "fc2.weight"]
    assert first.store.ticket(key).mask == second.store.ticket(key).mask
    finals = [made.store.weights(key) for made in (first, second)]
    torch.testing.assert_close(finals[0], finals[1], rtol=1e-4, atol=1e-5)
    assert finals[1]["output.weight"].ne(0).all()


def test_patterns_are_part_of_what_a_run_is() -> None:
    plain, left = one("mlp-20-10"), one("mlp-20-10", leave_out=("output.weight",))
    assert config_hash(plain) != config_hash(left)
    assert load_config(to_plain(left)) == left


@pytest.mark.parametrize(
    ("prune", "message"),
    [
        (
            {"also": ("fc9.weight",)},
            r"prune\.also: no parameter .* did you mean fc2\.weight or fc1",
        ),
        ({"also": ("fc1.bias",)}, r"prune\.also: fc1\.bias is a bias, which masks cannot cover"),
        ({"leave_out": ("output",)}, r"prune\.leave_out: no weight .* did you mean output\.weight"),
        ({"leave_out": ("*",)}, r"nothing to prune.*left out by prune\.leave_out"),
    ],
)
def test_patterns_that_cannot_be_meant_stop_a_run(
    prune: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        run(one("mlp-20-10", **prune), tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_dry_run_says_what_is_left_out(tmp_path: Path) -> None:
    command = ["run", "demo", "--dry-run", "--smoke", "--out", str(tmp_path)]
    settings = ["--set", 'prune.leave_out=["fc1.*"]', "--json"]
    result = CliRunner().invoke(app, [*command, *settings])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["outside_mask"] == [
        {"name": "fc1.weight", "weights": 235200, "reason": "left out by prune.leave_out"}
    ]
