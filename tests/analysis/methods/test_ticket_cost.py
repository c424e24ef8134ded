"""What tickets cost, against sums by hand over trainings of a network without convolutions."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from lottery.analysis import compare_runs, comparison_text
from lottery.analysis.methods.comparison_rows import cost_rows
from lottery.analysis.methods.cost import ticket_costs
from lottery.experiments import ExperimentConfig, Run, RunOptions, open_run, run_experiment
from lottery.methods import (
    AnyMethod,
    AtStep,
    ControlsConfig,
    Dynamic,
    EarlyBird,
    GradualPruning,
    Iterative,
)
from lottery.report.comparison import render_comparison
from lottery.store import MAIN, JobKey
from lottery.tickets import PruneConfig
from lottery.training import Length

STEPS = 30


def config(name: str, method: AnyMethod | None = None, **prune: Any) -> ExperimentConfig:
    return tiny(
        name=name,
        replicates=1,
        method=method or Iterative(),
        prune=PruneConfig(fraction=0.5, **prune),
        controls=ControlsConfig(reinit=0),
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("costs")


def made(of: ExperimentConfig, out: Path) -> Run:
    return open_run(run_experiment(of, RunOptions(out=out, jobs=1, device="cpu")).run)


def level(run: Run, number: int) -> tuple[float, float]:
    """What finding a ticket cost, and its training."""
    cost = ticket_costs(run)[JobKey(0, MAIN, number)]
    assert cost.finding is not None
    assert cost.training is not None
    return cost.finding, cost.training


def making_of(run: Run, number: int, branch: str = MAIN) -> float:
    """What making a level's ticket took, as its manifest says."""
    seconds: float = run.store.about(JobKey(0, branch, number))["ticket_seconds"]
    assert seconds > 0
    return seconds


def densities(run: Run) -> list[float]:
    return [run.results[JobKey(0, MAIN, n)].density for n in range(3)]


def test_iterative_tickets_need_every_training_before_them(out: Path) -> None:
    run = made(config("iterative"), out)
    d = densities(run)
    # Each weight of a linear layer is used once, so that density is the share of the products.
    assert level(run, 0) == pytest.approx((0, 1))
    assert level(run, 1) == pytest.approx((1, d[1]))
    assert level(run, 2) == pytest.approx((1 + d[1], d[2]))
    cost, making = ticket_costs(run)[JobKey(0, MAIN, 2)], making_of(run, 1) + making_of(run, 2)
    assert cost.making == pytest.approx(making)
    trained = sum(result.seconds for result in run.results.values())
    assert cost.seconds == pytest.approx(trained + making)
    assert ticket_costs(run)[JobKey(0, MAIN, 0)].making == 0


def test_one_shot_tickets_need_the_dense_network_alone(out: Path) -> None:
    run = made(config("one-shot", schedule="one-shot"), out)
    assert level(run, 2) == pytest.approx((1, densities(run)[2]))
    assert ticket_costs(run)[JobKey(0, MAIN, 2)].making == pytest.approx(making_of(run, 2))


def test_tickets_of_the_initialization_need_their_scores_alone(out: Path) -> None:
    run = made(config("snip", AtStep(), criterion="snip", schedule="one-shot", examples=300), out)
    batch = run.config.training.batch_size  # type: ignore[attr-defined]
    assert level(run, 2) == pytest.approx((300 / (STEPS * batch), densities(run)[2]))
    cost = ticket_costs(run)[JobKey(0, MAIN, 2)]
    trained = run.results[JobKey(0, MAIN, 2)].seconds
    assert cost.seconds == pytest.approx(trained + making_of(run, 2))


def test_criteria_of_second_order_count_every_pass(out: Path) -> None:
    """Of ten outputs the Hessian's diagonal takes one backward pass each."""
    asked = {"schedule": "one-shot", "examples": 30}
    runs = {
        name: made(config(name, AtStep(), criterion=name, **asked), out)
        for name in ("hessian", "grasp")
    }
    batch = runs["grasp"].config.training.batch_size  # type: ignore[attr-defined]
    found = {name: level(run, 1)[0] * 3 * STEPS * batch / 30 for name, run in runs.items()}
    assert found == pytest.approx({"hessian": 1 + 2 * 10, "grasp": 12})


def test_tickets_of_a_later_step_need_the_steps_before_it(out: Path) -> None:
    run = made(config("late", AtStep(step=Length(amount=6))), out)
    found, trained = level(run, 1)
    assert found == pytest.approx(6 / STEPS)
    assert trained == pytest.approx(densities(run)[1] * (STEPS - 6) / STEPS)


@pytest.mark.parametrize("stop", [False, True])
def test_early_bird_tickets_need_the_steps_until_their_mask_settled(stop: bool, out: Path) -> None:
    bird = EarlyBird(every=Length(amount=5), window=2, distance=0.2, stop=stop)
    run = made(config(f"early-{stop}", bird), out)
    result = run.results[JobKey(0, MAIN, 2)]
    dense = run.results[JobKey(0, MAIN, 0)]
    at = int(result.provenance["drawn_at"])
    share = at / dense.iterations
    trained = densities(run)[2] * (STEPS - at) / STEPS
    assert level(run, 2) == pytest.approx((at / STEPS, trained))
    assert ticket_costs(run)[result.key].seconds == pytest.approx(
        dense.seconds * share + result.seconds + making_of(run, 2)
    )


def test_early_bird_scores_all_levels_at_every_look(out: Path) -> None:
    bird = EarlyBird(every=Length(amount=10), window=2, distance=0.9)
    run = made(config("early-taylor", bird, criterion="taylor", examples=60), out)
    result = run.results[JobKey(0, MAIN, 1)]
    at, batch = int(result.provenance["drawn_at"]), 60
    assert level(run, 1)[0] == pytest.approx(at / STEPS + 2 * (at // 10) * 60 / (STEPS * batch))


def test_gradual_pruning_costs_what_is_there_at_each_step(out: Path) -> None:
    gradual = GradualPruning(every=Length(amount=6), until=0.8, shape="linear")
    run = made(config("gradual", gradual, schedule="one-shot"), out)
    last = densities(run)[2]
    # Four prunings, at 0 of nothing, and at 6, 12, 18 and 24.
    there = [1 - (1 - last) * part / 4 for part in range(4)]
    expected = (6 * sum(there) + (STEPS - 24) * last) / STEPS
    assert level(run, 2) == pytest.approx((0, expected))


def test_rigl_costs_a_look_at_all_gradients_at_each_update(out: Path) -> None:
    rigl = Dynamic(update="rigl", every=Length(amount=6), until=0.7)
    run = made(config("rigl", rigl, criterion="random", schedule="one-shot"), out)
    density = densities(run)[2]
    # Updates at 6, 12 and 18, each with the gradients of the weights that are pruned besides.
    expected = density + 3 * (1 - density) / 3 / STEPS
    assert level(run, 2) == pytest.approx((0, expected))


def test_a_comparison_shows_them_where_they_are_asked_for(out: Path) -> None:
    runs = [made(config("iterative"), out), made(config("one-shot", schedule="one-shot"), out)]
    shown = compare_runs(runs, cost=True)
    assert "What a ticket cost" in comparison_text(shown)
    assert "Cost to a ticket" in render_comparison(shown)
    plain = compare_runs(runs)
    assert "What a ticket cost" not in comparison_text(plain)
    assert "Cost to a ticket" not in render_comparison(plain)


def test_a_mask_that_was_found_and_rewound_costs_the_search_too(out: Path) -> None:
    stays = Dynamic(update="set", every=Length(amount=6))
    kept = made(config("set", stays, criterion="random", schedule="one-shot"), out)
    rewound = made(
        config("found", replace(stays, then="rewind"), criterion="random", schedule="one-shot"), out
    )
    found, trained = level(rewound, 2)
    assert (found, trained) == pytest.approx((level(kept, 2)[1], level(kept, 2)[1]))
    making = making_of(rewound, 2) + making_of(rewound, 2, "search-1")
    assert ticket_costs(rewound)[JobKey(0, MAIN, 2)].making == pytest.approx(making)


def test_what_making_tickets_took_is_said_to_be_missing_where_it_is(
    out: Path, tmp_path: Path
) -> None:
    one = made(config("iterative"), out)
    older = Path(shutil.copytree(one.store.path, tmp_path / one.name))
    for path in older.rglob("manifest.json"):
        manifest = json.loads(path.read_text())
        manifest.get("about", {}).pop("ticket_seconds", None)
        path.write_text(json.dumps(manifest))
    cost = ticket_costs(open_run(older))[JobKey(0, MAIN, 2)]
    assert cost.making is None
    assert cost.seconds == pytest.approx(sum(r.seconds for r in one.results.values()))
    other = made(config("one-shot", schedule="one-shot"), out)
    for found in (compare_runs([open_run(older), other], cost=True), compare_runs([one, other])):
        told = " ".join(comparison_text(found).split())
        assert ("Of iterative it is not recorded how long making" in told) is bool(cost_rows(found))
    assert "Of iterative it is not recorded" in render_comparison(
        compare_runs([open_run(older), other], cost=True)
    )
