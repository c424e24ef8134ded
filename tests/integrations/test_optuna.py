"""A study of Optuna over experiments: one that was stopped goes on and trains nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from own_loops import evaluate, make_model, train

import lottery

optuna = pytest.importorskip("optuna", reason="optuna is not installed")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_a_study_goes_on(tmp_path: Path) -> None:
    trained: list[int] = []

    def counted(model: Any) -> None:
        trained.append(1)
        train(model)

    def objective(trial: Any) -> tuple[float, float]:
        fraction = trial.suggest_categorical("fraction", [0.3, 0.6])
        levels = trial.suggest_int("levels", 1, 2)
        run = lottery.find_tickets(
            make_model,
            counted,
            evaluate,
            fraction=fraction,
            levels=levels,
            replicates=1,
            controls={},
            fingerprint={"train": "counted"},
            out=tmp_path / f"{fraction}-{levels}",
            verbose=False,
        )
        (last,) = (one for key, one in run.results.items() if key.level == levels)
        assert last.score_final is not None
        assert last.density == pytest.approx((1 - fraction) ** levels, abs=0.01)
        return last.score_final, last.density

    def study(trials: int) -> Any:
        sampler = optuna.samplers.RandomSampler(seed=1)
        made = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        made.optimize(objective, n_trials=trials)
        return made

    study(2)
    trials = study(5).trials
    settings = {tuple(sorted(one.params.items())) for one in trials}
    assert 1 < len(settings) < 5
    assert len(trained) == sum(1 + dict(one)["levels"] for one in settings)
