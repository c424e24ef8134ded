"""Masks that one training finds, or that are drawn at one step, and that are rewound to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bound import bound, dense_state
from tiny import contents, tiny
from typer.testing import CliRunner

from lottery.analysis import judge_run
from lottery.cli.main import app
from lottery.data import load_dataset
from lottery.experiments import ExperimentConfig, RunOptions, open_run, plan, run_experiment, smoke
from lottery.methods import (
    AnyMethod,
    AtStep,
    ControlsConfig,
    DrawnRewindConfig,
    Dynamic,
    FoundRewindConfig,
    GradualPruning,
)
from lottery.report import write_report
from lottery.store import MAIN, JobKey, LookKey, Store
from lottery.testing.expect import same_bytes
from lottery.tickets import PruneConfig
from lottery.training import Length, State

EVERY: dict[str, Any] = {"every": Length(amount=4)}
TO_6 = FoundRewindConfig(to=Length(amount=6))
FINDING: dict[str, tuple[AnyMethod, AnyMethod]] = {
    "gradual": (GradualPruning(**EVERY), GradualPruning(**EVERY, then="rewind")),
    "rigl": (Dynamic(**EVERY), Dynamic(**EVERY, then="rewind", rewind=TO_6)),
}
"""Name -> what trains tickets itself, and what finds their masks so."""
CONTROLS = ControlsConfig(reinit=1, random_mask=1, shuffled_global=1, continued=True)


def one(method: AnyMethod, **changes: Any) -> ExperimentConfig:
    values = {"replicates": 1, "prune": PruneConfig(fraction=0.5, scope="global")} | changes
    return tiny(method=method, **values)


def go(config: ExperimentConfig, out: Path) -> Store:
    summary = run_experiment(config, RunOptions(out=out, jobs=1, device="cpu"))
    assert summary.failed == 0
    return Store(summary.run)


def same_states(ours: State, theirs: State) -> bool:
    return ours.keys() == theirs.keys() and all(same_bytes(ours[n], theirs[n]) for n in ours)


@pytest.mark.parametrize("name", FINDING)
def test_a_found_mask_is_rewound_and_stays(name: str, tmp_path: Path) -> None:
    trains, finds = FINDING[name]
    trained = go(one(trains, controls=ControlsConfig(reinit=0)), tmp_path / "trained")
    config = one(finds, controls=CONTROLS)
    store = go(config, tmp_path / "found")
    initial = dense_state(store, config.method.start.amount)
    for level in (1, 2):
        search, key = JobKey(0, "search-1", level), JobKey(0, MAIN, level)
        ticket, mask = store.ticket(key), store.final_mask(search)
        # The very training that would have been the ticket's.
        assert same_states(store.weights(search), trained.weights(key))
        assert ticket.mask == mask == store.final_mask(key) == trained.final_mask(key)
        assert same_states(ticket.weights, initial)
        assert ticket.iteration == config.method.start.amount
        assert store.ticket(JobKey(0, "reinit-1", level)).mask == mask
        moved = store.ticket(JobKey(0, "random-mask-1", level)).mask
        assert (moved == mask, moved.layers) == (False, mask.layers)
        assert store.ticket(JobKey(0, "shuffled-global-1", level)).mask.kept == mask.kept
        on = store.ticket(JobKey(0, "continued-1", level))
        assert same_states(on.weights, store.weights(search))
    data = load_dataset(config.data)
    identities = [
        bound(made, data).identity(JobKey(0, branch, 2))
        for made, branch in ((config, "search-1"), (one(trains), MAIN), (config, MAIN))
    ]
    assert identities[0] == identities[1] != identities[2]


def test_a_run_that_finds_its_masks_is_shown_and_judged(tmp_path: Path) -> None:
    config = smoke(one(FINDING["gradual"][1], controls=ControlsConfig(reinit=1)))
    store = go(config, tmp_path)
    again = go(config, tmp_path / "again")
    assert contents(store.path) == contents(again.path)
    verdict = judge_run(open_run(store.path))
    assert verdict.complete
    assert verdict.mask_updates == "none"
    assert set(verdict.levels[1].groups) == {MAIN, "reinit"}
    shown = CliRunner().invoke(app, ["show", str(store.path)])
    assert (shown.exit_code, "search-1" in shown.output) == (0, True)
    assert write_report(store.path, tmp_path / "page.html").is_file()


@pytest.mark.parametrize("to", [0, 4])
def test_pruned_late_and_rewound_to_before(to: int, tmp_path: Path) -> None:
    step = Length(amount=10)
    here = go(one(AtStep(step=step), controls=ControlsConfig(reinit=0)), tmp_path / "here")
    rewind = DrawnRewindConfig(kind="weights", to=Length(amount=to))
    config = one(AtStep(step=step, rewind=rewind), controls=ControlsConfig(random_mask=1))
    store = go(config, tmp_path / "rewound")
    looks = [LookKey(0, "state", at) for at in ((to, 10) if to else (10,))]
    assert store.looks(0) == looks
    for level in (1, 2):
        key = JobKey(0, MAIN, level)
        ticket = store.ticket(key)
        assert ticket.mask == here.ticket(key).mask
        assert same_states(ticket.weights, dense_state(store, to))
        assert store.result(key).start_iteration == ticket.iteration == to
        moved = store.ticket(JobKey(0, "random-mask-1", level))
        assert same_states(moved.weights, ticket.weights)
        assert moved.mask.layers == ticket.mask.layers
    assert len(plan(config)) == 1 + 2 * 3


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (AtStep(rewind=DrawnRewindConfig(kind="weights", to=Length(amount=3))), "rewind.to: 3 it"),
        (AtStep(rewind=DrawnRewindConfig(to=Length(amount=3))), "rewind.to: with kind = 'drawn'"),
        (AtStep(pruned="mixed"), "pruned: 'mixed' asks where training had moved a weight"),
        (Dynamic(rewind=TO_6), "rewind.to: with then = 'stay' nothing is rewound, got 6"),
        (GradualPruning(begin=0.8), "until: expected 0 <= begin < until <= 1"),
    ],
)
def test_what_a_kind_contradicts_itself_in_is_refused(method: AnyMethod, said: str) -> None:
    rewind: list[str] = getattr(getattr(method, "rewind", None), "problems", list)()
    found = [*method.problems(), *(f"rewind.{problem}" for problem in rewind)]
    assert any(problem.startswith(said) for problem in found), found
