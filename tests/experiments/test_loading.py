"""Configs from TOML and overrides: strict, and every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.errors import ConfigError, UsageError
from lottery.experiments import (
    RECIPES,
    ExperimentConfig,
    config_hash,
    load_config,
    merge,
    parse_override,
    plan,
    read_toml,
    run_name,
    smoke,
    to_plain,
)
from lottery.experiments.schema import schema_rows
from lottery.experiments.toml import to_toml


def problems(values: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(values)
    return list(caught.value.problems)


def test_an_empty_config_is_the_defaults() -> None:
    assert load_config({}) == ExperimentConfig()


def test_all_problems_are_reported_at_once_each_with_its_place() -> None:
    found = problems(
        {
            "replicats": 3,
            "levels": -1,
            "model": "lenet-300-10",
            "training": {
                "batch_size": "60",
                "optimizer": {"name": "adamx", "momentum": 2.0},
                "learning_rate": {"drops": [{"amount": 5}, {"amount": 1.5}]},
            },
            "prune": {"fraction": 1.0, "fractions": {"output.weight": "half"}},
            "data": {"name": "mnits"},
        }
    )
    text = "\n".join(found)
    assert "replicats: no such key; did you mean 'replicates'?" in text
    assert "training.batch_size: expected a whole number, got '60'" in text
    assert "training.optimizer.name: expected one of 'adam', 'adamw', 'sgd', got 'adamx'" in text
    assert "training.learning_rate.drops[1].amount: expected a whole number, got 1.5" in text
    assert "prune.fractions.'output.weight': expected a number, got 'half'" in text
    assert "did you mean 'mnist'?" in text
    assert len(found) >= 6


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"levels": 100}, "levels"),
        ({"replicates": 0}, "replicates"),
        ({"replicates": True}, "replicates"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"model": "mlp-0"}, "model"),
        ({"model": "mlp-"}, "model"),
        ({"prune": {"fraction": 0}}, "prune.fraction"),
        ({"prune": {"fraction": float("nan")}}, "prune.fraction"),
        ({"prune": {"fractions": {"a": 1.0}}}, "prune.fractions.'a'"),
        (
            {"prune": {"fractions": {"fc1": {"weight": 0.5}}}},
            "prune.fractions.fc1: expected a value, got a table; a name with dots",
        ),
        ({"rewind": {"to": 500}}, "rewind.to: expected a table with amount, unit, got 500"),
        ({"prune": {"criterion": "magnitud"}}, "prune.criterion"),
        ({"prune": {"rounds": 0}}, "prune.rounds"),
        ({"prune": {"round_schedule": "cubic"}}, "prune.round_schedule"),
        ({"controls": {"reinit": -1}}, "controls.reinit"),
        ({"verdict": {"margin": 1.0}}, "verdict.margin"),
        ({"verdict": {"confidence": 0.5}}, "verdict.confidence"),
        ({"training": {"length": {"amount": 0}}}, "training.length.amount"),
        ({"training": {"length": {"amount": -3}}}, "training.length"),
        ({"training": {"length": {"unit": "steps"}}}, "training.length.unit"),
        ({"training": {"length": "ep10"}}, "training.length"),
        ({"training": {"length": {"unit": "epochs"}}}, "training.length.amount: is missing"),
        ({"training": {"learning_rate": {"base": 0}}}, "training.learning_rate.base"),
        ({"training": {"learning_rate": {"schedule": "step"}}}, "training.learning_rate.drops"),
        ({"training": {"optimizer": {"nesterov": True}}}, "training.optimizer.momentum"),
        ({"training": {"loss": "crossentropy"}}, "training.loss: expected one of 'cross-entropy'"),
        ({"rewind": {"to": {"amount": 50_000}}}, "rewind.to"),
        ({"data": 3}, "data"),
    ],
)
def test_a_wrong_value_names_its_place(values: dict[str, Any], place: str) -> None:
    assert any(found.startswith(place) for found in problems(values))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_survive_toml_and_are_named_after_themselves(name: str, tmp_path: Path) -> None:
    config = RECIPES[name]()
    assert config.name == name
    path = tmp_path / "config.toml"
    path.write_text(to_toml(to_plain(config)))
    assert load_config(read_toml(path)) == config
    assert load_config(to_plain(smoke(config))) == smoke(config)


def test_lenet_is_the_papers() -> None:
    """Frankle & Carbin (arXiv:1803.03635), figure 2, the column LeNet, and section 2."""
    config = RECIPES["lenet-300-100/mnist"]()
    training = config.training
    assert training.length.iterations(917) == 50_000
    assert training.batch_size == 60
    assert (training.optimizer.name, training.learning_rate.base) == ("adam", 1.2e-3)
    assert training.learning_rate.schedule == "constant"
    assert training.evaluate_every.iterations(917) == 100
    assert (config.prune.fraction, config.prune.fractions) == (0.2, {"output.weight": 0.1})
    assert (config.prune.scope, config.prune.schedule) == ("layer", "geometric")
    assert config.rewind.to.amount == 0
    assert (config.replicates, config.controls.reinit) == (5, 3)
    assert config.data.validation == 5_000
    assert len(plan(config)) == 5 * (13 + 12 * 3)


simple = st.recursive(
    st.integers(-(2**62), 2**62)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.text(max_size=6), simple | st.dictionaries(st.text(max_size=6), simple), max_size=4
    )
)
def test_toml_comes_back(values: dict[str, Any]) -> None:
    import tomllib

    surrogates = any("\ud800" <= c <= "\udfff" for c in repr(values))
    if not surrogates:
        assert tomllib.loads(to_toml(values)) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=3", {"seed": 3}),
        ("prune.fraction = 0.1", {"prune": {"fraction": 0.1}}),
        ('prune.fractions."output.weight"=0.1', {"prune": {"fractions": {"output.weight": 0.1}}}),
        ("data.name=idx:some/dir=x", {"data": {"name": "idx:some/dir=x"}}),
        ('name="quoted"', {"name": "quoted"}),
        ("controls.continued=true", {"controls": {"continued": True}}),
        (r"name=back\slash", {"name": r"back\slash"}),
    ],
)
def test_overrides(text: str, values: dict[str, Any]) -> None:
    assert parse_override(text) == values


@pytest.mark.parametrize("text", ["seed", "=3", "a..b=1", "a b=1"])
def test_overrides_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"KEY\.PATH=VALUE"):
        parse_override(text)


def test_merging_goes_table_by_table() -> None:
    below = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert merge(below, {"a": {"c": 3}, "d": [2]}) == {"a": {"b": 1, "c": 3}, "d": [2]}
    assert below == {"a": {"b": 1, "c": 2}, "d": [1]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a =\nb = 1\n", "line 1"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"\xff", "UTF-8"),
        (b"a = 1 #" + b"x" * 1_000_001, "bytes"),
    ],
)
def test_bad_files_say_where(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_toml(tmp_path / "c.toml")
    with pytest.raises(UsageError, match="cannot read"):
        read_toml(tmp_path / "missing.toml")


# Identity


def test_the_identity_is_of_the_whole_config_with_defaults() -> None:
    assert config_hash(load_config({})) == config_hash(load_config({"seed": 0, "levels": 12}))
    rows = schema_rows()
    assert {row["key"] for row in rows} >= {"seed", "training.optimizer.beta1", "prune.fractions"}
    changed = {
        config_hash(load_config(values))
        for values in (
            {},
            {"seed": 1},
            {"training": {"optimizer": {"beta1": 0.8}}},
            {"prune": {"fractions": {"output.weight": 0.1}}},
        )
    }
    assert len(changed) == 4


def test_the_identity_does_not_change_by_accident() -> None:
    """A golden value: changing it changes the meaning of every run that exists.

    CONTRIBUTING.md says when SCHEMA has to rise as well; either way, say so in the changelog.
    """
    assert config_hash(RECIPES["lenet-300-100/mnist"]())[:8] == "d9e95ce4"


@given(st.text(min_size=1, max_size=30))
def test_run_names_are_safe_directory_names(name: str) -> None:
    directory = run_name(ExperimentConfig(name=name))
    assert Path(directory).name == directory
    assert directory.isascii()
    assert directory.isprintable()
    assert not directory.startswith(".")


def test_every_key_has_a_meaning() -> None:
    for row in schema_rows():
        assert row["meaning"].endswith("."), row["key"]
