"""Dense trainings that end where Early-Bird masks have settled."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import contents, tiny

from lottery.errors import Preempted
from lottery.experiments import ExperimentConfig, Listener, RunOptions, open_run, run_experiment
from lottery.methods import ControlsConfig, EarlyBird
from lottery.store import MAIN, JobKey
from lottery.tickets import PruneConfig
from lottery.training import CurvePoint, Length

DENSE = JobKey(0, MAIN, 0)


def early(*, stop: bool) -> ExperimentConfig:
    """A mask every five iterations of thirty, of which the second is like the first."""
    return tiny(
        replicates=1,
        levels=2,
        method=EarlyBird(every=Length(amount=5), window=2, distance=0.2, stop=stop),
        prune=PruneConfig(fraction=0.5),
        controls=ControlsConfig(reinit=1),
    )


def options(out: Path, engine: str = "torch") -> RunOptions:
    return RunOptions(out=out, jobs=1, device="cpu", engine=engine)


@pytest.mark.parametrize("engine", ["torch", "sparse_cpu"])
def test_tickets_are_those_of_a_run_that_does_not_stop(engine: str, tmp_path: Path) -> None:
    whole = run_experiment(early(stop=False), options(tmp_path, engine))
    short = run_experiment(early(stop=True), options(tmp_path, engine))
    drawn = [
        int(result.provenance["drawn_at"])
        for key, result in short.results.items()
        if key.branch == MAIN and key.level
    ]
    assert short.results[DENSE].iterations == max(drawn) < whole.results[DENSE].iterations
    for key in whole.results:
        if key.level:
            name = str(key.path / "ticket.safetensors")
            assert contents(whole.run)[name] == contents(short.run)[name]
    assert open_run(short.run).verdict.headline == "not tested"
    assert "had settled (method.stop)" in open_run(short.run).verdict.paragraph
    curve = open_run(short.run).store.curve(DENSE)
    assert curve[-1].iteration == max(drawn), "what it ended with was measured"


class _StopsAt(Listener):
    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop

    def measured(self, key: JobKey, point: CurvePoint) -> None:
        if key == DENSE and point.iteration:
            self.stop.set()


def test_one_that_is_interrupted_ends_with_the_same_bytes(tmp_path: Path) -> None:
    config = early(stop=True)
    config = replace(config, training=replace(config.training, evaluate_every=Length(amount=4)))
    at_once = run_experiment(config, options(tmp_path / "at-once"))
    stop = threading.Event()
    again = options(tmp_path / "again")
    with pytest.raises(Preempted):
        run_experiment(config, again, listener=_StopsAt(stop), stop=stop)
    assert contents(run_experiment(config, again).run) == contents(at_once.run)
