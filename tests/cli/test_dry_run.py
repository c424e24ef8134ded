"""What a dry run says of how long each training is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pictures import fill, pictures
from tiny import tiny

from lottery.cli.dry_run import print_dry_run
from lottery.cli.progress import progress_listener
from lottery.data import DATASETS, AugmentationConfig, DataConfig, Dataset, NotHereError, Request
from lottery.experiments import ExperimentConfig, RunOptions, run_experiment
from lottery.methods import (
    AtStep,
    ControlsConfig,
    EarlyBird,
    GradualPruning,
    Iterative,
    RewindConfig,
)
from lottery.tickets import PruneConfig
from lottery.training import Length

NONE = ControlsConfig(reinit=0)
FINE_TUNING = Iterative(rewind=RewindConfig(kind="fine-tune", length=Length(amount=12)))
SCRATCH = ControlsConfig(reinit=0, scratch_epochs=1)
EARLY = EarlyBird(every=Length(amount=2), window=3)
LATE = Iterative(rewind=RewindConfig(to=Length(amount=6)))


def one(**changes: Any) -> ExperimentConfig:
    """One replicate and two levels of 30 iterations."""
    return tiny(**({"replicates": 1, "controls": NONE} | changes))


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("lottery.experiments.estimate")  # the function has its name
    monkeypatch.setattr(module, "measure", lambda *_: {1.0: (0.0, 0.0)})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (one(), "3 trainings of 30 iterations each;"),
        (one(method=FINE_TUNING), "3 trainings, 1 of 30 iterations and 2 of 12 iterations;"),
        (one(method=LATE), "3 trainings, 1 of 30 iterations and 2 of 24 iterations;"),
        (
            one(method=FINE_TUNING, controls=replace(NONE, scratch_epochs=1, scratch_flops=2)),
            "9 trainings, 3 of 30 iterations, 2 of 12 iterations and 4 of at most 60 iterations;",
        ),
        (
            one(method=EARLY, prune=PruneConfig(fraction=0.5), controls=SCRATCH),
            "5 trainings, 3 of 30 iterations and 2 of at most 24 iterations;",
        ),
    ],
    ids=["rewound", "fine-tuned", "rewound-late", "from-scratch", "drawn"],
)
def test_trainings_are_counted_by_their_length(
    config: ExperimentConfig, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_dry_run(config, RunOptions(device="cpu", engine="torch"), as_json=False)
    assert said in capsys.readouterr().out.replace("\n", " ")


def test_searches_have_a_place_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where a control needs the search of another replicate, which comes before it."""
    config = one(
        replicates=2,
        method=GradualPruning(then="rewind", every=Length(amount=5)),
        controls=replace(NONE, moved=1),
    )
    print_dry_run(config, RunOptions(device="cpu", engine="torch"), as_json=False)
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if "main" in line]
    assert [row[2:-2] for row in rows] == [
        ["main", "0", "to", "1", "2"],
        ["search-1,", "main,", "moved-1", "0", "to", "1", "6"],
        ["search-1,", "main,", "moved-1", "0", "to", "1", "6"],
    ]
    assert "14 trainings of 30 iterations each" in printed


def test_json_has_the_iterations_of_every_job(capsys: pytest.CaptureFixture[str]) -> None:
    config = one(method=FINE_TUNING, controls=replace(NONE, scratch_flops=1))
    print_dry_run(config, RunOptions(device="cpu", engine="torch"), as_json=True)
    jobs = json.loads(capsys.readouterr().out)["jobs"]
    assert {(job["branch"], job["level"]): job["iterations"] for job in jobs} == {
        ("main", 0): 30,
        ("main", 1): 12,
        ("main", 2): 12,
        ("scratch-flops-1", 1): 60,
        ("scratch-flops-1", 2): 60,
    }


FILTERS = one(
    model="tiny:NormalizedConvolutions", prune=PruneConfig(granularity="filter", scope="global")
)


def test_what_no_unit_has_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    print_dry_run(FILTERS, RunOptions(device="cpu", engine="torch"), as_json=False)
    assert (
        "Granularity 'filter': densities are shares of 14 units; left out: output.weight (a filter "
        "is all weights of one output of a convolution; linear layers stay whole)."
    ) in capsys.readouterr().out.splitlines()

    print_dry_run(one(), RunOptions(device="cpu", engine="torch"), as_json=False)
    assert "left out" not in capsys.readouterr().out


SNIP = one(prune=PruneConfig(criterion="snip", examples=20))


def test_a_criterion_for_the_initialization_that_scores_trained_weights_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_dry_run(SNIP, RunOptions(device="cpu", engine="torch"), as_json=False)
    note = (
        "criterion 'snip' was made for networks before training (Lee et al. 2019, "
        "arXiv:1810.02340), and here it scores weights that are trained; the paper means --set "
        "method.kind=at-step"
    )
    assert f"Note: {note}." in capsys.readouterr().out.splitlines()

    print_dry_run(SNIP, RunOptions(device="cpu", engine="torch"), as_json=True)
    assert json.loads(capsys.readouterr().out)["notes"] == [note]


@pytest.mark.parametrize(
    ("config", "units", "layers"),
    [(FILTERS, 14, ["output.weight"]), (one(), None, [])],
    ids=["filters", "weights"],
)
def test_json_has_what_no_unit_has(
    config: ExperimentConfig,
    units: int | None,
    layers: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_dry_run(config, RunOptions(device="cpu", engine="torch"), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["units"] == units
    assert list(found["left_out"]) == layers


AWAY = "mnist-5k was looked for in here, there; a run downloads it"


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it makes the data be nowhere."""

    def load(request: Request) -> Dataset:
        assert not request.download, "a dry run downloads nothing"
        raise NotHereError("mnist-5k", [Path("here"), Path("there")])

    entry = DATASETS["mnist-5k"]
    return lambda: monkeypatch.setitem(DATASETS, "mnist-5k", replace(entry, load=load))


@pytest.mark.parametrize(
    "config",
    [
        one(method=LATE, controls=replace(NONE, reinit=1, scratch_flops=1)),
        one(method=EARLY, prune=PruneConfig(fraction=0.5), controls=SCRATCH),
        one(training=replace(one().training, length=Length(amount=3, unit="epochs"))),
        FILTERS,
        one(prune=PruneConfig(criterion="snip", examples=100), method=AtStep()),
        one(
            model="tiny:NormalizedConvolutions",
            data=DataConfig(
                name="few:mnist-5k",
                validation=700,
                augmentation=AugmentationConfig(resized_crop=24),
            ),
        ),
    ],
    ids=["late", "drawn", "epochs", "filters", "scored", "few, cropped"],
)
def test_without_data_the_plan_and_all_counts_are_the_same(
    config: ExperimentConfig, capsys: pytest.CaptureFixture[str], away: Callable[[], None]
) -> None:
    def asked() -> dict[str, Any]:
        print_dry_run(config, RunOptions(device="cpu"), as_json=True)
        return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]

    there = asked()
    away()
    without = asked()

    assert (there["data_missing"], without["data_missing"]) == (None, AWAY)
    times = {key for key in there["estimate"] if key.startswith("seconds")}
    assert {without["estimate"].pop(key) for key in times} == {None}
    assert None not in [there["estimate"].pop(key) for key in times]
    for told in (there, without):
        del told["data_missing"], told["notes"]
    assert without == there


def test_without_data_it_is_said_that_nothing_was_measured(
    capsys: pytest.CaptureFixture[str], away: Callable[[], None]
) -> None:
    away()

    print_dry_run(one(), RunOptions(device="cpu", engine="torch", jobs=1), as_json=False)

    said = capsys.readouterr().out.splitlines()
    assert (
        "3 trainings of 30 iterations each; time not measured, 1 at once, with engine torch on cpu."
    ) in said
    assert f"The data are not here yet: {AWAY}." in said


def test_classes_without_examples_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = {name: one for name, one in pictures().items() if not name.startswith("test/cat")}
    place = fill(tmp_path / "pets", images)
    config = one(data=DataConfig(name=f"folder:{place}", validation=5))
    note = f"folder:{place}: without examples, of 2 classes: class 0 (cat) in test"

    print_dry_run(config, RunOptions(device="cpu", engine="torch"), as_json=False)
    assert f"Note: {note}." in capsys.readouterr().out.splitlines()
    print_dry_run(config, RunOptions(device="cpu", engine="torch"), as_json=True)
    assert json.loads(capsys.readouterr().out)["notes"] == [note]

    options = RunOptions(out=tmp_path, device="cpu", engine="torch", jobs=1)
    with progress_listener(config, silent=False) as listener:
        run_experiment(config, options, listener=listener)
    assert f"note: {note}" in capsys.readouterr().err.splitlines()[:3]


@pytest.mark.parametrize(
    ("engine", "smoothing", "said"),
    [
        ("auto", 0.1, "Not with engine sparse_cpu, which would be faster: it has no label smooth"),
        ("auto", 0.0, ""),
        ("torch", 0.1, ""),
    ],
)
def test_why_auto_is_not_the_fastest_engine_is_told(
    capsys: pytest.CaptureFixture[str], engine: str, smoothing: float, said: str
) -> None:
    config = one()
    training = replace(config.training, label_smoothing=smoothing)
    options = RunOptions(device="cpu", engine=engine)
    print_dry_run(replace(config, training=training), options, as_json=False)
    printed = capsys.readouterr().out
    assert said in printed
    assert ("Not with engine" in printed) is bool(said)


@pytest.mark.parametrize(
    ("cores", "jobs", "useful"), [(2, 999, 2), (64, 999, 4), (64, 3, None), (64, None, None)]
)
def test_a_number_of_jobs_that_is_of_no_use_is_not_believed(
    cores: int,
    jobs: int | None,
    useful: int | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two replicates of three levels: their tickets, or a ticket and the control of the last."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores), raising=False)
    config = tiny(controls=ControlsConfig(reinit=1))
    print_dry_run(config, RunOptions(device="cpu", engine="torch", jobs=jobs), as_json=False)
    out = capsys.readouterr().out
    assert f", {useful or jobs or 4} at once, " in out
    assert (f"{useful} are of use here" in out) == (useful is not None)


def test_what_replicates_can_show_is_told_by_a_run_of_the_same_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = RunOptions(out=tmp_path, device="cpu", engine="torch", jobs=1)
    run = run_experiment(one(replicates=2), options).run
    here, other = f"If, as in {run.name}, the accuracy", "If, for example, the accuracy"

    def said(config: ExperimentConfig) -> str:
        print_dry_run(config, options, as_json=False)
        return capsys.readouterr().out.replace("\n", " ")

    asked = one(replicates=5, prune=PruneConfig(scope="global"))
    assert here in said(asked)
    assert other in said(replace(asked, initialization="kaiming-normal"))
    assert "If, " not in said(replace(asked, replicates=2))
    print_dry_run(asked, options, as_json=True)
    shown = json.loads(capsys.readouterr().out)["significance"]
    assert (here in shown["example"], "5 replicates" in shown["sentence"]) == (True, True)
    # A run that cannot be read tells nothing, and hinders nothing.
    (run / "experiment.json").write_text("{")
    assert other in said(asked)


@pytest.mark.parametrize(("levels", "left"), [(1, "so that nothing is left to train."), (2, "")])
def test_what_is_there_already_is_no_time_to_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], levels: int, left: str
) -> None:
    options = RunOptions(out=tmp_path, jobs=1, device="cpu")
    run_experiment(one(levels=1), options)
    print_dry_run(one(levels=levels), options, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "in all" not in said
    assert f"2 of {levels + 1} trainings are there already" in said
    assert ("nothing is left to train" in said) == bool(left)
