"""Nothing is computed twice: runs grow, and share what they have in common."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from bound import bound
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny

from lottery.data import load_dataset
from lottery.errors import StoreError
from lottery.experiments import (
    ExperimentConfig,
    Listener,
    RunOptions,
    RunSummary,
    VerdictConfig,
    open_run,
    plan,
    run_experiment,
    run_name,
    verify_run,
)
from lottery.methods import (
    ControlsConfig,
    DrawnRewindConfig,
    EarlyBird,
    Iterative,
    RewindConfig,
)
from lottery.store import JobKey, LookKey, Store
from lottery.tickets import PruneConfig
from lottery.training import Length

GROWN = tiny(replicates=2, levels=2, controls=ControlsConfig(reinit=2, random_mask=1))
DRAWN = EarlyBird(every=Length(amount=2), window=2, distance=0.5)
EARLY = replace(DRAWN, rewind=DrawnRewindConfig(kind="weights"))


class Counting(Listener):
    """What is trained, and where the rest comes from."""

    def __init__(self) -> None:
        self.trained: list[JobKey] = []
        self.taken: dict[Path, int] = {}
        self.notes: list[str] = []

    def finished(self, result: Any) -> None:
        self.trained.append(result.key)

    def reused(self, run: Path, number: int, planned: int) -> None:
        self.taken[run] = number

    def noted(self, note: str) -> None:
        self.notes.append(note)


def go(config: ExperimentConfig, out: Path, **options: Any) -> tuple[RunSummary, Counting]:
    heard = Counting()
    options = {"jobs": 1, "engine": "torch", "device": "cpu", **options}
    return run_experiment(config, RunOptions(out=out, **options), listener=heard), heard


def contents(run: Path, config: ExperimentConfig) -> dict[str, str]:
    """Job or look -> the hash of what it gives to others, and its curve's and states' bytes."""
    store = Store(run)
    keys: list[JobKey | LookKey] = [*plan(config)]
    for number in range(config.replicates):
        keys += store.looks(number)
    return {str(key): store.contents_hash(key) for key in keys}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of ``GROWN``, made at once."""
    return go(GROWN, tmp_path_factory.mktemp("whole"))[0].run


def test_a_run_that_grew_is_the_one_made_at_once(whole: Path, tmp_path: Path) -> None:
    small = replace(GROWN, replicates=1, levels=1, controls=ControlsConfig(reinit=1))
    first, _ = go(small, tmp_path / "grown")
    grown, heard = go(GROWN, tmp_path / "grown")

    assert grown.run == first.run, "the same run"
    assert set(heard.trained) == {*plan(GROWN)} - {*plan(small)}
    assert contents(grown.run, GROWN) == contents(whole, GROWN)
    assert open_run(grown.run).experiment["earlier_looks"] == [1]
    assert open_run(grown.run).config == GROWN


LISTED = PruneConfig(schedule="one-shot", scope="global", densities=(0.5, 0.25))


def test_densities_can_become_more_and_not_others(tmp_path: Path) -> None:
    config = replace(GROWN, replicates=1, levels=2, prune=LISTED, controls=ControlsConfig(reinit=0))
    run = go(config, tmp_path)[0].run
    before = (run / "experiment.json").read_bytes()
    for levels, densities in ((1, (0.4,)), (2, (0.5, 0.2)), (3, (0.5, 0.2, 0.1)), (2, ())):
        other = replace(config, levels=levels, prune=replace(LISTED, densities=densities))
        with pytest.raises(StoreError, match=r"prune.densities is \[0.5, 0.25\] there"):
            go(other, tmp_path)
    assert (run / "experiment.json").read_bytes() == before
    more = replace(config, levels=3, prune=replace(LISTED, densities=(0.5, 0.25, 0.1)))
    assert len(go(more, tmp_path)[1].trained) == 1
    assert go(config, tmp_path)[1].trained == []


def test_a_damaged_look_that_nothing_needs_is_set_aside(tmp_path: Path) -> None:
    config = replace(GROWN, replicates=1, levels=0, controls=ControlsConfig(reinit=0))
    run = go(config, tmp_path)[0].run
    store, look = Store(run), LookKey(0, "state", 9)
    store.directory(look).mkdir(parents=True)
    assert verify_run(run)[look]
    assert go(config, tmp_path)[1].trained == []
    assert not any(verify_run(run).values())


def test_two_replicates_and_three_levels_grow_to_five_and_five(tmp_path: Path) -> None:
    """With what late rewinding keeps of the dense networks."""
    late = RewindConfig(to=Length(amount=4))
    big = tiny(
        replicates=5, levels=5, method=Iterative(rewind=late), controls=ControlsConfig(reinit=1)
    )
    for replicates, levels in ((2, 3), (5, 3), (5, 5)):
        config = replace(big, replicates=replicates, levels=levels)
        grown, _ = go(config, tmp_path / "grown", engine="sparse_cpu")
    whole, heard = go(big, tmp_path / "whole", engine="sparse_cpu")
    assert len(heard.trained) == 55
    assert contents(grown.run, big) == contents(whole.run, big)


def test_asking_for_less_trains_nothing_and_takes_nothing_away(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / whole.name)
    small = replace(GROWN, replicates=1, levels=1, controls=ControlsConfig(reinit=0))
    again, heard = go(replace(small, verdict=VerdictConfig(margin=0.05)), tmp_path)
    assert heard.trained == []
    assert heard.notes == [
        f"{name}: 1 asked for, but the run has 2, which all count"
        for name in ("replicates", "levels")
    ]
    assert {*again.results} == {*plan(GROWN)}
    config = open_run(again.run).config
    assert (config.replicates, config.levels, config.controls) == (2, 2, GROWN.controls)
    assert config.verdict.margin == 0.05


def test_a_name_a_margin_and_a_further_control_cost_nothing_of_what_is_there(
    tmp_path: Path,
) -> None:
    small = replace(GROWN, replicates=1)
    there, _ = go(small, tmp_path)
    other = replace(
        small,
        name="another",
        verdict=VerdictConfig(margin=0.1),
        controls=replace(small.controls, random_signs=1),
    )
    grown, heard = go(other, tmp_path)
    assert grown.run != there.run
    assert {key.kind for key in heard.trained} == {"random-signs"}
    assert heard.taken == {there.run: len(plan(small))}
    assert verify_run(grown.run).values()
    assert not any(verify_run(grown.run).values()), "each run is whole in itself"


def test_criteria_side_by_side_train_the_dense_networks_once(tmp_path: Path) -> None:
    criteria = ("magnitude", "random", "small-final", "large-init", "small-init", "snip")
    trained: list[JobKey] = []
    for criterion in criteria:
        prune = PruneConfig(fraction=0.5, criterion=criterion)
        controls = ControlsConfig(reinit=1)
        config = tiny(replicates=2, levels=1, name=criterion, prune=prune, controls=controls)
        trained += go(config, tmp_path)[1].trained
    dense = [key for key in trained if key.level == 0]
    assert sorted(dense) == [JobKey(0, "main", 0), JobKey(1, "main", 0)]
    assert len(trained) == 2 + len(criteria) * 2 * 2


def test_without_reuse_and_with_another_engine_everything_is_trained(tmp_path: Path) -> None:
    config = tiny(replicates=1, levels=1)
    go(config, tmp_path)
    for name, options in (("no reuse", {"reuse": False}), ("engine", {"engine": "sparse_cpu"})):
        _, heard = go(replace(config, name=name), tmp_path, **options)
        assert len(heard.trained) == len(plan(config))
        assert heard.taken == {}


def test_what_is_damaged_elsewhere_is_not_taken(tmp_path: Path) -> None:
    config = tiny(replicates=1, levels=1)
    there, _ = go(config, tmp_path)
    final = Store(there.run).directory(JobKey(0, "main", 0)) / "final.safetensors"
    final.write_bytes(final.read_bytes()[:-1] + b"\x00")
    grown, heard = go(replace(config, name="other"), tmp_path)
    assert heard.trained == [JobKey(0, "main", 0)]
    assert not any(verify_run(grown.run).values())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"method": Iterative(rewind=RewindConfig(to=Length(amount=4)))}),
        ({"method": EARLY, "levels": 1}, {"method": EARLY, "levels": 2}),
        ({"method": DRAWN, "levels": 1}, {"method": DRAWN, "levels": 2}),
    ],
    ids=["late rewinding", "one more early-bird level", "and its state"],
)
def test_a_look_is_added_to_a_finished_dense_network(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """By training it again, which must end as it did."""
    plain = {"replicates": 1, "levels": 1, "controls": ControlsConfig(reinit=1)}
    plain["prune"] = PruneConfig(fraction=0.5)
    first, then = (tiny(**{**plain, **change}) for change in (before, after))
    go(first, tmp_path / "grown")
    grown, heard = go(then, tmp_path / "grown")
    whole, _ = go(then, tmp_path / "whole")
    assert JobKey(0, "main", 0) not in heard.trained
    assert any("trained again" in note for note in heard.notes)
    assert contents(grown.run, then) == contents(whole.run, then)


def test_a_dense_network_that_does_not_end_as_it_did_gives_no_looks(tmp_path: Path) -> None:
    config = tiny(replicates=1, levels=1)
    go(config, tmp_path)
    late = replace(config, method=Iterative(rewind=RewindConfig(to=Length(amount=4))))
    with (
        patch.object(Store, "weights", lambda *_: {"other": torch.zeros(1)}),
        pytest.raises(StoreError, match=r"trained again, .* and ended with other weights"),
    ):
        go(late, tmp_path)
    (run,) = tmp_path.glob(f"{run_name(late)}*")
    assert Store(run).looks(0) == []


def test_a_need_that_was_computed_anew_with_other_bytes_is_noticed(tmp_path: Path) -> None:
    config = tiny(replicates=1, levels=1, controls=ControlsConfig(reinit=1))
    done, _ = go(config, tmp_path)
    other, _ = go(config, tmp_path / "other", engine="sparse_cpu")
    store, dense = Store(done.run), JobKey(0, "main", 0)
    store.set_aside(dense)
    store.take_from(Store(other.run), dense)
    _, heard = go(replace(config, levels=2), tmp_path)
    told = [note for note in heard.notes if "was made from other files" in note]
    assert {note.split(" was")[0] for note in told} == {
        "replicate 0, main, level 1",
        "replicate 0, reinit-1, level 1",
    }


@pytest.fixture(scope="module")
def identities() -> Any:
    data = load_dataset(tiny().data)

    def of(config: ExperimentConfig) -> dict[JobKey | LookKey, str]:
        experiment = bound(config, data)
        keys: list[JobKey | LookKey] = [*plan(config), *experiment.looks(0)]
        return {key: experiment.identity(key) for key in keys}

    return of


@given(
    replicates=st.integers(1, 4),
    levels=st.integers(0, 5),
    reinit=st.integers(0, 3),
    name=st.text("ab", min_size=1),
)
def test_an_identity_does_not_depend_on_what_surrounds_a_job(
    identities: Any, replicates: int, levels: int, reinit: int, name: str
) -> None:
    config = tiny(
        replicates=replicates, levels=levels, controls=ControlsConfig(reinit=reinit), name=name
    )
    whole = identities(tiny(replicates=4, levels=5, controls=ControlsConfig(reinit=3)))
    assert identities(config).items() <= whole.items()
    assert run_name(replace(config, name="tiny")) == run_name(tiny())


@pytest.mark.parametrize(
    ("change", "levels_that_change"),
    [
        ({"seed": 3}, {0, 1, 2}),
        ({"initialization": "kaiming-normal"}, {0, 1, 2}),
        ({"training": replace(tiny().training, batch_size=30)}, {0, 1, 2}),
        ({"prune": PruneConfig(fraction=0.3)}, {1, 2}),
        ({"prune": PruneConfig(fraction=0.5, criterion="random")}, {1, 2}),
        ({"method": Iterative(rewind=RewindConfig(to=Length(amount=3)))}, {1, 2}),
        ({"method": Iterative(rewind=RewindConfig(kind="learning-rate"))}, {1, 2}),
    ],
)
def test_an_identity_depends_on_what_decides_a_jobs_bytes(
    identities: Any, change: dict[str, Any], levels_that_change: set[int]
) -> None:
    plain, other = identities(tiny(replicates=1)), identities(tiny(**{"replicates": 1, **change}))
    assert {key.level for key in plan(tiny(replicates=1)) if plain[key] != other[key]} == (
        levels_that_change
    )
    assert len(set(plain.values())) == len(plain), "no two jobs are the same"
