"""Reading runs back: those of older versions, and those that someone has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from lottery.errors import ConfigError, LotteryError, StoreError, UsageError
from lottery.experiments import (
    SCHEMA,
    ExperimentConfig,
    find_run,
    load_config,
    open_run,
    plan,
    to_plain,
)
from lottery.experiments.config import plain_hash
from lottery.store import Store


def written(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A run without results whose config was changed before it was first written."""
    config = to_plain(tiny())
    change(config)
    Store(path).write_experiment(
        {
            "schema": SCHEMA,
            "config": config,
            "config_sha256": plain_hash(config, SCHEMA),
            "data": {
                "sha256": "",
                "training_examples": 1,
                "validation_examples": 1,
                "test_examples": 1,
                "input_shape": [1],
                "classes": 2,
            },
            "environment": dict.fromkeys(("lottery", "torch", "engine", "device"), ""),
            "command": "",
            "begun": "2026-11-28T15:10:13+00:00",
        }
    )
    return path


def test_a_run_from_before_a_key_existed_stays_readable(tmp_path: Path) -> None:
    run = open_run(written(tmp_path / "run", lambda config: config["training"].pop("loss")))

    assert run.config == tiny()
    assert run.config.training.loss == "cross-entropy"


def test_a_config_changed_afterwards_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "run", lambda config: None)
    text = (path / "experiment.json").read_text()
    (path / "experiment.json").write_text(text.replace('"batch_size": 60', '"batch_size": 61'))

    with pytest.raises(StoreError, match="SHA-256 differs"):
        open_run(path)


# Runs of other rules, and of no rules


def test_a_run_that_rules_refuse_today_is_read_as_it_was_made(tmp_path: Path) -> None:
    def break_rules(config: dict[str, Any]) -> None:
        config["prune"]["fraction"] = 1.5
        config["model"] = "a network of the past"

    config = open_run(written(tmp_path / "run", break_rules)).config
    assert isinstance(config, ExperimentConfig)
    assert (config.prune.fraction, config.model) == (1.5, "a network of the past")
    with pytest.raises(ConfigError, match="2 problems"):
        load_config(to_plain(config))


EXTREMES = (
    *("NaN", "Infinity", "-Infinity", "1e999", "1e308", "-0.0", "true", "null", "-1", '""', "[]"),
    *("{}", "9" * 400, "9" * 5_000, "[" * 50_000, '"\\ud800"', '"\\u001b[31m"', '"3 epochs"'),
)
"""JSON of a value, some of which only somebody who forges a run would write."""


@pytest.mark.parametrize("value", EXTREMES, ids=lambda value: value[:20])
@pytest.mark.parametrize(
    "key",
    [
        *("seed", "name", "replicates", "controls.continued", "verdict.margin", "prune.fraction"),
        *("prune.fractions", "training.length", "training.length.amount"),
        "training.learning_rate.drops",
    ],
)
def test_a_forged_value_is_read_or_refused_in_words(tmp_path: Path, key: str, value: str) -> None:
    mark = "the value stands here"

    def forge(config: dict[str, Any]) -> None:
        *tables, last = key.split(".")
        for table in tables:
            config = config[table]
        config[last] = mark

    path = written(tmp_path / "run", forge) / "experiment.json"
    path.write_text(path.read_text().replace(f'"{mark}"', value))
    try:
        assert plan(open_run(tmp_path / "run").config)
    except LotteryError as error:
        assert len(str(error)) < 5_000


# Finding runs


def named(path: Path, name: str) -> Path:
    return written(path, lambda config: config.update(name=name))


def test_a_run_is_found_by_the_name_of_its_experiment(tmp_path: Path) -> None:
    ticket = named(tmp_path / "experiment-00000001", "🎟️")
    dashed = named(tmp_path / "x-00000002", "-x")
    recipe = named(tmp_path / "lenet-mnist-00000003", "lenet/mnist")
    assert find_run("🎟️", tmp_path) == ticket
    assert find_run("-x", tmp_path) == dashed == find_run("x", tmp_path)
    assert find_run("lenet/mnist", tmp_path) == recipe == find_run("lenet/m", tmp_path)
    assert find_run("lenet-mnist", tmp_path) == recipe == find_run(recipe, Path("elsewhere"))


def test_a_name_that_several_runs_have_lists_them(tmp_path: Path) -> None:
    named(tmp_path / "a-b-00000001", "a/b")
    named(tmp_path / "a-b-00000002", "a-b")
    named(tmp_path / "one", "copied")
    named(tmp_path / "two", "copied")
    with pytest.raises(UsageError, match=r"2 runs in .*: a-b-00000001, a-b-00000002"):
        find_run("a-b", tmp_path)
    with pytest.raises(UsageError, match=r"2 runs in .*: one \(copied\), two \(copied\)\."):
        find_run("copied", tmp_path)
    assert find_run("a/b", tmp_path).name == "a-b-00000001"
    assert find_run("one", tmp_path).name == "one"


def test_the_name_of_a_directory_comes_before_that_of_an_experiment(tmp_path: Path) -> None:
    made = named(tmp_path / "a-00000001", "a")
    named(tmp_path / "copy-of-a", "a")
    assert find_run("a", tmp_path) == made


def test_a_whole_name_comes_before_the_beginning_of_another_experiments(tmp_path: Path) -> None:
    whole = named(tmp_path / "first", "a/b")
    named(tmp_path / "second", "a/b/c")
    assert find_run("a/b", tmp_path) == whole
    with pytest.raises(UsageError, match="2 runs"):
        find_run("a/", tmp_path)


def test_a_run_that_cannot_be_read_is_found_by_its_directory(tmp_path: Path) -> None:
    named(tmp_path / "good-00000001", "good")
    (tmp_path / "bad-00000002").mkdir()
    (tmp_path / "bad-00000002" / "experiment.json").write_text('{"config": ')
    assert find_run("bad", tmp_path).name == "bad-00000002"
    assert find_run("good", tmp_path).name == "good-00000001"


def test_a_name_too_long_for_a_path_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run 'aaa"):
        find_run("a" * 5_000, tmp_path)
