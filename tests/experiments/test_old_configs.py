"""Configs from before methods had a table of their own, and settings when the kind changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import contents, tiny

from lottery.errors import ConfigError
from lottery.experiments import (
    RunOptions,
    load_config,
    merge,
    open_run,
    run_experiment,
    to_plain,
    verify_run,
)
from lottery.experiments.config import SCHEMA, plain_hash
from lottery.experiments.loading import with_kind
from lottery.experiments.old_configs import current_form
from lottery.methods import (
    METHODS,
    AnyMethod,
    AtStep,
    ControlsConfig,
    DrawnRewindConfig,
    Dynamic,
    EarlyBird,
    GradualPruning,
    Iterative,
    RewindConfig,
)
from lottery.store import Store
from lottery.training import Length

EPOCH = {"amount": 1, "unit": "epochs"}
FOUR = {"amount": 4, "unit": "iterations"}
NOT_YET = {"amount": 0, "unit": "iterations"}
OLD: dict[str, Any] = {
    "prune": {
        "by": "trained",
        "early_bird": {"every": EPOCH, "window": 5, "distance": 0.1},
        "fraction": 0.5,
    },
    "rewind": {"method": "weights", "to": NOT_YET, "length": NOT_YET},
    "training": {
        "batch_size": 60,
        "pruned": "zero",
        "mask_updates": {
            "method": "none",
            "every": {"amount": 100, "unit": "iterations"},
            "begin": 0.0,
            "until": 0.75,
            "fraction": 0.3,
            "shape": "cubic",
        },
    },
}
"""Every key that has gone, with its default, and one of each table that stays."""
REWOUND = DrawnRewindConfig(kind="weights", to=Length(amount=4))


def updating(method: str, **changes: Any) -> dict[str, Any]:
    return {
        "prune": {"by": "rewound"},
        "training": {"mask_updates": {"method": method, "every": FOUR, **changes}},
    }


@pytest.mark.parametrize(
    ("changes", "method"),
    [
        ({}, Iterative()),
        ({"rewind": {"to": FOUR}}, Iterative(rewind=RewindConfig(to=Length(amount=4)))),
        (
            {"rewind": {"method": "fine-tune", "length": FOUR}},
            Iterative(rewind=RewindConfig(kind="fine-tune", length=Length(amount=4))),
        ),
        ({"training": {"pruned": "mixed"}}, Iterative(pruned="mixed")),
        ({"prune": {"by": "rewound"}}, AtStep()),
        (
            {"prune": {"by": "rewound"}, "rewind": {"to": FOUR}, "training": {"pruned": "frozen"}},
            AtStep(step=Length(amount=4), pruned="frozen"),
        ),
        (
            {"prune": {"by": "early-bird", "early_bird": {"window": 3}}, "rewind": {"to": FOUR}},
            EarlyBird(window=3, rewind=REWOUND),
        ),
        ({"prune": {"by": "early-bird"}, "rewind": {"method": "drawn"}}, EarlyBird()),
        (
            updating("set", fraction=0.5),
            Dynamic(update="set", every=Length(amount=4), fraction=0.5),
        ),
        (updating("rigl", until=0.5), Dynamic(every=Length(amount=4), until=0.5)),
        (
            {**updating("gradual", shape="linear"), "rewind": {"to": FOUR}},
            GradualPruning(step=Length(amount=4), every=Length(amount=4), shape="linear"),
        ),
    ],
)
def test_a_config_of_before_is_read_as_it_is_written_today(
    changes: dict[str, Any], method: AnyMethod
) -> None:
    config = load_config(current_form(merge(OLD, changes)))
    assert config.method == method
    assert (config.prune.fraction, config.training.batch_size) == (0.5, 60)
    assert current_form(to_plain(config)) == to_plain(config)
    # What was recorded before a key existed lacks it.
    assert load_config(current_form(changes)).method == method


@pytest.mark.parametrize("table", ["prune", "rewind", "training"])
def test_what_is_no_table_stays_for_others_to_refuse(table: str) -> None:
    assert current_form({table: 3}) == {table: 3}


def test_a_run_of_before_is_verified_and_grown_where_it_lies(tmp_path: Path) -> None:
    options = RunOptions(out=tmp_path, jobs=1, device="cpu")
    config = tiny(replicates=1, levels=1, controls=ControlsConfig(reinit=0))
    run = run_experiment(config, options).run
    record = json.loads((run / "experiment.json").read_text())
    old = {key: value for key, value in record["config"].items() if key != "method"}
    old = merge(OLD, merge(old, {"controls": {"continued": False}}))
    record |= {"schema": 4, "config": old, "config_sha256": plain_hash(old, 4)}
    record.pop("record_sha256")
    Store(run).write_experiment(record)
    run = run.rename(tmp_path / "tiny-d1a5a26e")
    before = contents(run)

    assert not any(verify_run(run).values())
    assert open_run(run).config == config

    more = tiny(replicates=2, levels=1, controls=ControlsConfig(reinit=0))
    summary = run_experiment(more, options)
    assert summary.run == run
    assert before.items() <= contents(run).items()
    assert json.loads((run / "experiment.json").read_text())["schema"] == SCHEMA
    assert open_run(run).config == more
    # Of another method there is another run.
    other = tiny(method=AtStep(), replicates=1, levels=1, controls=ControlsConfig(reinit=0))
    assert run_experiment(other, options).run != run


@pytest.mark.parametrize(
    ("below", "kind", "kept", "dropped"),
    [
        (Iterative(), "early-bird", EarlyBird(), []),
        (
            Iterative(rewind=RewindConfig(to=Length(amount=4)), pruned="frozen"),
            "at-step",
            {"rewind": {"kind": "weights", "to": FOUR}, "pruned": "frozen"},
            [],
        ),
        (
            Iterative(rewind=RewindConfig(kind="fine-tune", length=Length(amount=9))),
            "early-bird",
            EarlyBird(),
            ["method.rewind.kind", "method.rewind.length"],
        ),
        (
            EarlyBird(every=Length(amount=2, unit="epochs"), window=3),
            "gradual",
            GradualPruning(every=Length(amount=2, unit="epochs")),
            ["method.window"],
        ),
        (Dynamic(update="set", until=0.5), "gradual", GradualPruning(until=0.5), ["method.update"]),
    ],
)
def test_another_kind_keeps_what_it_has_and_says_what_it_drops(
    below: AnyMethod, kind: str, kept: AnyMethod | dict[str, Any], dropped: list[str]
) -> None:
    values = {"method": to_plain(below), "prune": {"fraction": 0.5}}
    asked = {"method": {"kind": kind}}
    left, gone = with_kind(values, asked)
    assert list(gone) == dropped
    merged = merge(values, asked)
    assert merged["prune"] == {"fraction": 0.5}
    assert merged["method"]["kind"] == kind
    if isinstance(kept, dict):
        assert left["method"] == kept
    else:
        assert load_config(merged).method == kept


def test_the_same_kind_keeps_everything() -> None:
    values = {"method": to_plain(EarlyBird(window=3))}
    assert with_kind(values, {"method": {"kind": "early-bird", "distance": 0.5}}) == (values, {})
    assert with_kind(values, {"seed": 1}) == (values, {})
    assert with_kind(values, {"method": {"kind": "made-up"}}) == (values, {})


def problems(values: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load_config(values)
    return [*refused.value.problems]


@pytest.mark.parametrize("kind", METHODS)
def test_a_config_of_each_kind_comes_back(kind: str) -> None:
    # Given tickets are named by their contents, and there is a level of them.
    needed: dict[str, Any] = {"tickets": ["0" * 64]} if kind == "given" else {}
    method = {"kind": kind, **needed}
    config = load_config({"levels": 1, "method": method})
    assert isinstance(config.method, METHODS[kind])
    assert load_config(to_plain(config)) == config
    (found,) = problems({"levels": 1, "method": {**method, "widow": 3}})
    assert found.startswith("method.widow: no such key; ")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"method": {"window": 3}}, "method.window: no such key; method.kind = 'early-bird' has"),
        ({"method": {"kind": "at-step", "until": 0.5}}, "method.kind = 'gradual' or 'dynamic' has"),
        ({"method": {"kind": "at-stepp"}}, "got 'at-stepp'; did you mean 'at-step'?"),
        ({"method": {"kind": 3}}, "method.kind: expected one of 'iterative', 'at-step', 'early"),
        ({"method": "dynamic"}, 'write method.kind="dynamic"'),
        ({"method": {"rewind": 500}}, "write method.rewind.to=500"),
        ({"prune": {"by": "rewound"}}, 'prune.by: no such key; write method.kind="at-step"'),
        ({"prune": {"by": "trained"}}, 'prune.by: no such key; write method.kind="iterative"'),
        ({"prune": {"early_bird": {"window": 3}}}, "prune.early_bird.window: no such key; write "),
        ({"training": {"pruned": "frozen"}}, 'write method.pruned="frozen"'),
        ({"training": {"mask_updates": {"method": "set"}}}, 'write method.update="set"'),
        ({"training": {"mask_updates": {"method": "gradual"}}}, 'write method.kind="gradual"'),
        ({"training": {"mask_updates": {"until": 0.5}}}, "write method.until=0.5"),
        (
            {"rewind": {"method": "drawn"}},
            'rewind.method: no such key; write method.rewind.kind="d',
        ),
        ({"rewind": {"to": "3 epochs"}}, 'write method.rewind.to="3 epochs"'),
        ({"rewind": {"length": 30}}, "write method.rewind.length=30"),
    ],
)
def test_a_key_of_another_kind_or_of_before_is_answered(values: dict[str, Any], said: str) -> None:
    (found,) = problems(values)
    assert said in found
