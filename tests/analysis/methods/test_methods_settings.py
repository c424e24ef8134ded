"""Settings that differ, labels, and warnings of what is not comparable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from methods_samples import DATA, compared, criterion, method_run, results_of

from lottery.analysis.methods.settings import (
    changed_settings,
    distinguishing_settings,
    labels,
    setting_differences,
)
from lottery.analysis.methods.types import MethodRun
from lottery.experiments import ExperimentConfig, VerdictConfig, to_plain
from lottery.experiments.config import OwnConfig
from lottery.methods import ControlsConfig
from lottery.store.jobs import JobKey
from lottery.tickets import PruneConfig
from lottery.training import Length, TrainingConfig

quick = settings(max_examples=60, deadline=None)
values = st.one_of(st.integers(0, 2), st.sampled_from(["a", "b"]), st.lists(st.integers(0, 1)))
configs = st.dictionaries(
    st.sampled_from(["seed", "model", "x"]),
    st.one_of(values, st.dictionaries(st.sampled_from(["p", "q"]), values, max_size=2)),
    max_size=4,
)


def run(config: ExperimentConfig, *, directory: str = "demo-00000000", **changes: Any) -> MethodRun:
    return method_run(results_of(levels=1), config=config, run=directory, **changes)


def named(*configs: ExperimentConfig, directories: tuple[str, ...] = ()) -> tuple[str, ...]:
    directories = directories or tuple(f"demo-{i}" for i in range(len(configs)))
    runs = [run(c, directory=d) for c, d in zip(configs, directories, strict=True)]
    return labels(runs, setting_differences([to_plain(config) for config in configs]))


def at(config: dict[str, Any], key: str) -> Any:
    """What a dotted key holds; None where there is nothing, or a table."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return None if isinstance(value, dict) else value


@quick
@given(st.lists(configs, min_size=2, max_size=4))
def test_a_setting_is_listed_just_where_not_all_have_the_same(made: list[dict[str, Any]]) -> None:
    named = [{**config, "name": f"run {i}"} for i, config in enumerate(made)]
    found = {one.key: one.values for one in setting_differences(named)}
    keys = [f"{top}{inner}" for top in ("seed", "model", "x") for inner in ("", ".p", ".q")]
    expected = {key: tuple(at(config, key) for config in made) for key in keys}
    assert found == {
        key: of_key for key, of_key in expected.items() if any(v != of_key[0] for v in of_key)
    }


OWN = OwnConfig(name="mine", title="letters", task={"train": {"is": "a function", "code": "sha"}})


def test_what_only_own_loops_or_recipes_have_is_one_difference() -> None:
    recipe = ExperimentConfig(name="demo", seed=1, training=TrainingConfig(batch_size=9))
    found = setting_differences([to_plain(OWN), to_plain(recipe)])
    assert [(one.key, one.part, one.values) for one in found] == [
        ("task", "conditions", ("own loop", "recipe")),
        ("seed", "evidence", (0, 1)),
    ]
    assert changed_settings(to_plain(OWN), to_plain(recipe)) == "task=own loop, seed=0"


def test_beside_an_own_loop_settings_in_which_recipes_differ_are_listed() -> None:
    one = ExperimentConfig(name="demo")
    made = [OWN, one, replace(one, training=TrainingConfig(batch_size=9)), replace(OWN, title="x")]
    found = {one.key: one.values for one in setting_differences([*map(to_plain, made)])}
    assert found == {
        "task": ("own loop", "recipe", "recipe", "own loop"),
        "training.batch_size": (None, one.training.batch_size, 9, None),
        "title": ("letters", None, None, "x"),
    }


def test_what_is_not_recorded_of_an_own_loop_is_not_said_to_differ() -> None:
    own = replace(run(ExperimentConfig(name="mine")), config=to_plain(OWN), data={})
    first, *others = compared(own, run(ExperimentConfig(name="demo"))).warnings
    assert first == (
        "mine is a loop of the user's own: whether data, splits and training are the same as in "
        "the rest is not recorded."
    )
    assert not any(word in " ".join(others) for word in ("data", "splits", "trained in"))
    assert "user's own" not in " ".join(compared(own, replace(own, schema=2)).warnings)


def test_what_decides_the_method_comes_first() -> None:
    one = ExperimentConfig(name="one")
    other = ExperimentConfig(
        name="other", seed=1, model="mlp-30", prune=PruneConfig(scope="global")
    )
    found = setting_differences([to_plain(one), to_plain(other)])
    assert [(setting.key, setting.part) for setting in found] == [
        ("prune.scope", "method"),
        ("model", "conditions"),
        ("seed", "evidence"),
    ]
    assert found[0].values == ("layer", "global")


def test_names_are_enough_where_they_differ() -> None:
    assert named(criterion("magnitude", name="a"), criterion("random", name="b")) == ("a", "b")


def test_equal_names_are_told_apart_by_what_differs_and_no_more() -> None:
    assert named(criterion("magnitude"), criterion("random", seed=3)) == (
        "demo (criterion=magnitude)",
        "demo (criterion=random)",
    )
    assert named(
        criterion("magnitude"),
        criterion("random"),
        criterion("random", seed=3),
        criterion("x", name="y"),
    ) == (
        "demo (criterion=magnitude, seed=0)",
        "demo (criterion=random, seed=0)",
        "demo (criterion=random, seed=3)",
        "y",
    )


def test_a_vague_key_keeps_what_it_is_of() -> None:
    base = criterion("magnitude")
    longer = replace(base, training=replace(base.training, length=Length(amount=9)))
    assert named(base, longer) == ("demo (length.amount=50000)", "demo (length.amount=9)")


def test_equal_configs_are_told_apart_by_directory_or_number() -> None:
    same = criterion("magnitude")
    assert named(same, same) == ("demo [demo-0]", "demo [demo-1]")
    assert named(same, same, directories=("d", "d")) == ("demo [d] [no. 1]", "demo [d] [no. 2]")


ONE = run(criterion("magnitude"))


@quick
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.booleans()), min_size=2))
def test_labels_are_unique(made: list[tuple[str, int, bool]]) -> None:
    runs = [
        replace(
            ONE,
            config={"name": name, "seed": seed, "prune": {"criterion": str(random)}},
            verdict=replace(ONE.verdict, name=name),
        )
        for name, seed, random in made
    ]
    found = labels(runs, setting_differences([one.config for one in runs]))
    assert len(set(found)) == len(found)


# Warnings


def warned(other: MethodRun) -> str:
    return " ".join(compared(run(criterion("magnitude")), other).warnings)


def test_runs_of_one_kind_are_not_warned_of() -> None:
    assert warned(run(criterion("random", seed=1, controls=ControlsConfig(reinit=3)))) == ""


BASE = criterion("magnitude")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            run(
                replace(BASE, data=replace(BASE.data, name="fashion-mnist")),
                data={**DATA, "sha256": "cd"},
            ),
            "The data are not the same",
        ),
        (run(BASE, data={**DATA, "sha256": "cd"}), "other contents"),
        (
            run(BASE, data={**DATA, "sha256": "cd", "validation_examples": 500}),
            "55,000 / 5,000 / 10,000; ",
        ),
        (run(replace(BASE, model="mlp-30")), "mlp-30"),
        (
            run(replace(BASE, training=replace(BASE.training, length=Length(amount=9)))),
            "not even trained for the same length (training.length.amount)",
        ),
        (
            run(replace(BASE, training=replace(BASE.training, batch_size=9))),
            "trained in different ways (training.batch_size)",
        ),
        (run(BASE, schema=0), "schema 1"),
        (run(replace(BASE, verdict=VerdictConfig(margin=0.5))), "margin of 0.2 percentage points"),
    ],
    ids=["data", "contents", "splits", "model", "length", "batch", "schema", "margin"],
)
def test_what_makes_runs_incomparable_is_said(other: MethodRun, said: str) -> None:
    assert said in warned(other)


def test_what_a_variant_changes_is_listed_whole() -> None:
    base, many = {"a": 0, "b": {"c": 0, "d": 0}, "e": 0, "f": 1}, {"a": 1, "b": {"c": 2, "d": 3}}
    assert changed_settings(base, base) == ""
    changed = changed_settings({**base, **many, "e": 4, "name": "x"}, {**base, "name": "y"})
    assert changed == "a=1, c=2, d=3, e=4"


def test_as_many_settings_as_it_takes() -> None:
    made = [{"a": i & 1, "b": i & 2, "c": i & 4, "d": i & 8} for i in range(16)]
    differences = setting_differences(made)
    assert len(set(distinguishing_settings(["x"] * 16, differences))) == 8
    assert len(set(distinguishing_settings(["x"] * 16, differences, most=4))) == 16


# Caveats


def caveats(*runs: MethodRun) -> str:
    return " ".join(compared(*runs).caveats)


def test_an_unfinished_run_is_named() -> None:
    results = results_of(levels=1)
    planned = [*(result.key for result in results), JobKey(0, "main", 2)]
    unfinished = method_run(results, config=criterion("random"), planned=planned)
    told = compared(run(BASE), unfinished).paragraph
    assert told.startswith(
        "demo (criterion=random) is not complete: 15 of 16 trainings have ended."
    )


def test_failed_trainings_are_counted_and_named() -> None:
    failed = [JobKey(0, "main", 1), JobKey(2, "main", 1)]
    results = results_of(levels=1, failed=failed)
    told = caveats(run(BASE), method_run(results, config=criterion("random")))
    assert "demo (criterion=random): of its trainings 2 diverged." in told
    assert "demo (criterion=magnitude):" not in told


def test_early_stops_at_the_very_end_are_pointed_out() -> None:
    late = [replace(result, iterations=5000, early_stop_iteration=5000) for result in ONE.results]
    told = caveats(run(BASE), method_run(late, config=criterion("random")))
    assert "demo (criterion=random): in 10 of 10 trainings the validation loss was lowest" in told
    assert "demo (criterion=magnitude): in" not in told


def test_masks_that_never_settled_are_told_by_run() -> None:
    late = [replace(r, provenance={"drawn": "never settled"}) for r in ONE.results if r.level < 2]
    told = caveats(run(BASE), method_run(late, config=criterion("random")))
    assert "demo (criterion=random): Early-Bird masks that never settled" in told
    assert "demo (criterion=magnitude): Early" not in told


def test_runs_that_do_not_differ_are_pointed_out() -> None:
    assert "No setting differs" in caveats(run(BASE), run(BASE))
    assert "No setting differs" not in caveats(run(BASE), run(criterion("random")))


def test_two_differences_at_once_are_pointed_out() -> None:
    both = replace(BASE, prune=PruneConfig(criterion="random", scope="global", fraction=0.5))
    assert "2 settings (prune.criterion, prune.scope)" in caveats(run(BASE), run(both))
    assert "settings" not in caveats(run(BASE), run(criterion("random")))
