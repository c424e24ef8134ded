"""Configs from TOML and overrides: strict, and every problem at once."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
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
from lottery.experiments.guesses import _GUESSES, hints_and_defaults, keys_meant
from lottery.experiments.loading import load_recorded_config
from lottery.experiments.schema import schema_rows
from lottery.experiments.toml import to_toml
from lottery.methods import METHODS, AtStep, EarlyBird, Iterative, RewindConfig
from lottery.training import LearningRateConfig, Length, TrainingConfig


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
        (
            {"method": {"rewind": {"to": 0.5}}},
            "method.rewind.to: expected a whole number of iterations, a string such",
        ),
        (
            {"method": {"rewind": {"to": True}}},
            "method.rewind.to: expected a whole number of iterations, a string such",
        ),
        (
            {"method": {"rewind": {"to": 10**9 + 1}}},
            "method.rewind.to.amount: must be between 0 and 1,000,000,000",
        ),
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
        ({"method": {"rewind": {"to": {"amount": 50_000}}}}, "method: tickets start"),
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
    assert config.method.start.amount == 0
    assert (config.replicates, config.controls.reinit) == (5, 3)
    assert config.data.validation == 5_000
    assert len(plan(config)) == 5 * (13 + 12 * 3)


def test_merging_goes_table_by_table() -> None:
    below = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert merge(below, {"a": {"c": 3}, "d": [2]}) == {"a": {"b": 1, "c": 3}, "d": [2]}
    assert below == {"a": {"b": 1, "c": 2}, "d": [1]}


# Lengths


@pytest.mark.parametrize(
    ("written", "length"),
    [
        (300, Length(amount=300)),
        ("300", Length(amount=300)),
        ("300 iterations", Length(amount=300)),
        ("1 iteration", Length(amount=1)),
        ("3 epochs", Length(amount=3, unit="epochs")),
        (" 1 epoch ", Length(amount=1, unit="epochs")),
        ("50,000 iterations", Length(amount=50_000)),
        ("50_000", Length(amount=50_000)),
        ({"amount": 3, "unit": "epochs"}, Length(amount=3, unit="epochs")),
    ],
)
def test_a_length_is_a_number_a_string_or_a_table(written: Any, length: Length) -> None:
    """In every place that takes one, and with one identity whichever form it has."""
    values = {
        "training": {
            "length": written,
            "evaluate_every": written,
            "learning_rate": {"schedule": "step", "warmup": written, "drops": [written, written]},
        },
        "method": {"rewind": {"kind": "fine-tune", "length": written}},
    }
    config = load_config(values)
    training = config.training
    assert [training.length, training.evaluate_every, training.learning_rate.warmup] == [length] * 3
    assert training.learning_rate.drops == (length, length)
    assert config.method == Iterative(rewind=RewindConfig(kind="fine-tune", length=length))
    assert to_plain(config)["training"]["length"] == {"amount": length.amount, "unit": length.unit}
    assert load_config(to_plain(config)) == config
    for kind in ("early-bird", "gradual", "dynamic"):
        found = load_config({"method": {"kind": kind, "every": written}}).method
        assert found == replace(METHODS[kind](), every=length)  # type: ignore[arg-type]
    rewound = {"method": {"rewind": {"to": written}}, "training": {"length": 60_000}}
    assert load_config(rewound).method.start == length


@pytest.mark.parametrize("length", ["ten epochs", "1,5 epochs", "-3", "3 steps", "", 1.5, True, []])
def test_what_is_no_length_says_how_to_write_one(length: Any) -> None:
    (found,) = problems({"training": {"length": length}})
    assert found.startswith(
        "training.length: expected a whole number of iterations, a string such as '3 epochs', or "
        "a table with amount, unit, got "
    )
    with pytest.raises(UsageError, match="length: expected a Length, a whole number"):
        TrainingConfig(length=length)


@pytest.mark.parametrize("length", [Length(amount=0), Length(amount=7, unit="epochs")])
def test_a_printed_length_reads_back(length: Length) -> None:
    assert Length.of(str(length)) == length


def test_python_takes_every_form_of_a_length() -> None:
    rate: Any = {"warmup": "2 epochs", "drops": [5, "1 epoch"], "schedule": "step"}
    assert LearningRateConfig(**rate) == LearningRateConfig(
        warmup=Length(amount=2, unit="epochs"),
        drops=(Length(amount=5), Length(amount=1, unit="epochs")),
        schedule="step",
    )
    three: Any = "3 epochs"
    length = Length(amount=3, unit="epochs")
    assert TrainingConfig(length=three, evaluate_every=three).evaluate_every == length
    assert RewindConfig(to=three).to == length
    assert AtStep(step=three).step == EarlyBird(every=three).every == length
    with pytest.raises(UsageError, match="drops: expected an array of lengths; got '30'"):
        LearningRateConfig(drops="30")  # type: ignore[arg-type]


def test_an_amount_over_a_short_form_keeps_its_unit() -> None:
    assert merge({"to": "3 epochs"}, {"to": {"amount": 5}}) == {
        "to": {"amount": 5, "unit": "epochs"}
    }
    assert merge({"to": 3}, {"to": {"unit": "epochs"}}) == {"to": {"amount": 3, "unit": "epochs"}}
    assert merge({"to": {"amount": 3, "unit": "epochs"}}, {"to": 5}) == {"to": 5}


# Keys that people guess


@pytest.mark.parametrize(
    ("option", "written"),
    [
        ("training.lr=0.1", "training.learning_rate.base=0.1"),
        ("lr=1", "training.learning_rate.base=1"),
        ("training.optimizer.lr=0.1", "training.learning_rate.base=0.1"),
        ("lr=fast", "training.learning_rate.base=0.0012"),
        ("training.epochs=3", 'training.length="3 epochs"'),
        ("epochs=many", 'training.length="3 epochs"'),
        ("training.iterations=300", "training.length=300"),
        ("max-steps=300", "training.length=300"),
        ("batch=10", "training.batch_size=10"),
        ("batch_size=10", "prune.batch_size=10 or training.batch_size=10"),
        ("momentum=0.9", "training.optimizer.momentum=0.9"),
        ("training.weight_decay=1e-4", "training.optimizer.weight_decay=0.0001"),
        ("optimizer=sgd", 'training.optimizer.name="sgd"'),
        ("optim=adamx", 'training.optimizer.name="adam"'),
        ("training.optimizer=sgd", 'training.optimizer.name="sgd"'),
        ("training.learning_rate=0.1", "training.learning_rate.base=0.1"),
        ("training.seed=3", "seed=3"),
        ("random_seed=3", "seed=3"),
        ("data=mnist", 'data.name="mnist"'),
        ("dataset=mnist", 'data.name="mnist"'),
        ("rewind=500", "method.rewind.to=500"),
        ("rewind.epoch=2", 'method.rewind.to="2 epochs"'),
        ("prune.fractions=0.3", "prune.fraction=0.3"),
        ("milestones=[10,20]", "training.learning_rate.drops=[10, 20]"),
        ("schedule=cosine", 'training.learning_rate.schedule="cosine"'),
        ("schedule=one-shot", 'prune.schedule="one-shot"'),
        ("scope=global", 'prune.scope="global"'),
    ],
)
def test_a_guessed_key_is_answered_with_ours_and_how_to_write_it(option: str, written: str) -> None:
    (found,) = problems(parse_override(option))
    assert found.endswith(f"; write {written}")
    # What is advised does as it says, and is no advice to the next mistake.
    first = written.partition(" or ")[0]
    load_config(merge({"training": {"optimizer": {"name": "sgd"}}}, drops_at_steps(first)))


def drops_at_steps(option: str) -> dict[str, Any]:
    """An override, with the schedule that drops need, and other values one."""
    drops = "learning_rate.drops" in option
    rate = {"learning_rate": {"schedule": "step"}} if drops else {}
    single = {"levels": 1} if "one-shot" in option else {}
    return merge({"training": rate, **single}, parse_override(option))


def test_a_table_in_the_wrong_place_is_answered_with_its_own() -> None:
    (found,) = problems({"optimizer": {"name": "sgd"}})
    assert found == "optimizer: no such key; write training.optimizer"


def test_an_option_of_the_command_is_no_key() -> None:
    (found,) = problems({"training": {"device": "cuda"}})
    assert found == "training.device: no such key; it is an option of the command, --device"


def test_every_guess_leads_to_a_key() -> None:
    for key, guesses in _GUESSES.items():
        path = key.partition("=")[0]
        assert hints_and_defaults(path)
        for guess in guesses.split():
            assert path in [named for named, _ in keys_meant(guess, 3)], guess


# Values out of every range

EXTREMES: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    -0.0,
    10**30,
    -(10**30),
    10**400,
    2**70_000,
    2**63,
    -1,
    True,
    None,
    "",
    "\x1b[31m\ud800",
    "9" * 5_000,
    [],
    {},
    [[[[[[[[1]]]]]]]],
    {"\x1b[31m": {"a": {"b": {"c": {"d": 1}}}}},
]


def nested(key: str, value: object) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


KEYS = sorted(
    {".".join(row["key"].split(".")[:n]) for row in schema_rows() for n in range(1, 5)}
    | {"training.length.amount.deep", "nonsense", "training.lr", "\x1b[31m"}
)


@pytest.mark.parametrize("key", KEYS)
def test_no_extreme_value_of_any_key_gives_a_traceback(key: str) -> None:
    for value in EXTREMES:
        assert_loaded_or_refused(nested(key, value))


def assert_loaded_or_refused(values: dict[str, Any]) -> None:
    for load in (load_config, partial(load_recorded_config, source="a run")):
        try:
            config = load(values)
        except ConfigError as error:
            assert all(problem.isprintable() for problem in error.problems)
            assert len(str(error)) < 20_000
        else:
            # It has an identity, a plan with an end, and a name that can be printed.
            assert len(config_hash(config)) == 64
            assert plan(config)
            assert config.name.isprintable()


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**2000), 2**2000)
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["sgd", "step", "3 epochs", "global", "one-shot", "mlp-5"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(KEYS), anything), min_size=1, max_size=6))
def test_no_values_together_give_a_traceback(pairs: list[tuple[str, Any]]) -> None:
    values: dict[str, Any] = {}
    for key, value in pairs:
        values = merge(values, nested(key, value))
    assert_loaded_or_refused(values)


def test_zero_has_one_sign_and_one_identity() -> None:
    configs = [load_config({"verdict": {"margin": zero}}) for zero in (0, 0.0, -0.0)]
    assert len({config_hash(config) for config in configs}) == 1


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (
            {"seed": 2**70_000},
            "seed: expected a whole number of at most 64 bits, got a whole number of about 21,072 "
            "digits",
        ),
        ({"seed": "3"}, "seed: expected a whole number, got '3'"),
        (
            {"training": {"learning_rate": {"base": math.inf}}},
            "training.learning_rate.base: expected a finite number, got inf",
        ),
        (
            {"training": {"learning_rate": {"base": True}}},
            "training.learning_rate.base: expected a number, got True",
        ),
    ],
)
def test_a_value_out_of_every_range_is_said_in_words(values: dict[str, Any], found: str) -> None:
    assert problems(values) == [found]


# What was recorded


def test_a_config_that_rules_refuse_today_is_read_as_it_was_recorded() -> None:
    values = {"prune": {"fraction": 1.5}, "model": "a network of the past"}
    assert len(problems(values)) == 2
    config = load_recorded_config(values, source="a run")
    assert isinstance(config, ExperimentConfig)
    assert (config.prune.fraction, config.model) == (1.5, "a network of the past")


@pytest.mark.parametrize(
    "values",
    [
        {"levels": 10**9},
        {"replicates": 10**9},
        {"controls": {"reinit": 10**9}},
        {"name": "\x1b[31m"},
        {"training": {"batch_size": 0}},
        {"training": {"length": -1}},
        {"nonsense": 1},
    ],
)
def test_what_no_run_could_have_is_refused_even_as_recorded(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        load_recorded_config(values, source="a run")


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
    assert config_hash(RECIPES["lenet-300-100/mnist"]())[:8] == "aded4c6b"


@given(st.text(min_size=1, max_size=30))
def test_run_names_are_safe_directory_names(name: str) -> None:
    directory = run_name(ExperimentConfig(name=name))
    assert Path(directory).name == directory
    assert directory.isascii()
    assert directory.isprintable()
    assert directory[0].isalnum()


@pytest.mark.parametrize(
    ("name", "directory"),
    [("🎟️", "experiment"), ("-x", "x"), ("_x", "x"), ("..", "experiment"), ("a_b-c.d", "a_b-c.d")],
)
def test_run_names_begin_with_a_letter_or_digit(name: str, directory: str) -> None:
    assert run_name(ExperimentConfig(name=name))[:-9] == directory


def test_every_key_has_a_meaning() -> None:
    for row in schema_rows():
        assert row["meaning"].endswith("."), row["key"]
