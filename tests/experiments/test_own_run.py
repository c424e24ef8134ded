"""From functions of the user's to an experiment: what is guessed, and what is refused in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import own_loops
import pytest
import torch
from own_loops import evaluate, loss_of, make_model, train
from torch import nn

from lottery.errors import UsageError
from lottery.experiments.config import config_hash, to_plain
from lottery.experiments.own import OwnRun, changed_code, prepare_own_run, run_prepared
from lottery.methods import AtStep, ControlsConfig, EarlyBird, Iterative, RewindConfig
from lottery.rng import Streams
from lottery.score import ACCURACY, Score
from lottery.tickets import PruneConfig
from lottery.training import Length


def asked(**settings: Any) -> OwnRun:
    functions = {"make_model": make_model, "train": train, "evaluate": evaluate}
    return prepare_own_run(**{**functions, **settings})


def test_five_lines_ask_for_levels_replicates_and_one_control() -> None:
    run = asked(levels=4, replicates=2, out="runs/mine")
    config = run.config
    assert (config.levels, config.replicates, config.seed) == (4, 2, 0)
    assert (config.prune, config.controls, config.score) == (
        PruneConfig(),
        ControlsConfig(reinit=1),
        ACCURACY,
    )
    assert (run.out, run.jobs, run.notes) == (Path("runs/mine"), 1, ())
    assert {*config.task} >= {"make_model", "train", "evaluate", "fingerprint"}


@pytest.mark.parametrize(
    ("settings", "score"),
    [
        ({}, ACCURACY),
        ({"margin": 0.01}, Score(name="accuracy", unit="%", margin=0.01)),
        ({"score": "perplexity"}, Score(name="perplexity", higher=False)),
        ({"score": "test loss", "margin": 0.1}, Score(name="test loss", higher=False, margin=0.1)),
        ({"score": "macro F1"}, Score(name="macro F1")),
        ({"score": "F-1"}, Score(name="F-1")),
        ({"score": "calm", "lower_is_better": True}, Score(name="calm", higher=False)),
        ({"score": Score(name="x", higher=False)}, Score(name="x", higher=False)),
    ],
)
def test_scores_have_a_direction(settings: Any, score: Score) -> None:
    name = score.name
    run = asked(evaluate=lambda model: {name: 0.5}, **settings)
    assert run.config.score == run.task.score == score


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"controls": {"random_mask": 2}}, {"controls": ControlsConfig(reinit=0, random_mask=2)}),
        ({"controls": {}}, {"controls": ControlsConfig(reinit=0)}),
        (
            {"fraction": 0.5, "scope": "global"},
            {"prune": PruneConfig(fraction=0.5, scope="global")},
        ),
        ({"rewind": 20}, {"method": Iterative(rewind=RewindConfig(to=Length(amount=20)))}),
        (
            {"rewind": "1,000 iterations"},
            {"method": Iterative(rewind=RewindConfig(to=Length(amount=1000)))},
        ),
        (
            {"rewind": "learning-rate"},
            {"method": Iterative(rewind=RewindConfig(kind="learning-rate"))},
        ),
    ],
)
def test_short_forms(settings: Any, expected: Any) -> None:
    config = asked(**settings).config
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"score": "calm"}, "whether more of 'calm' is better is not known; pass lower_is_better="),
        ({"score": 3}, "score: expected a name or a Score, got int"),
        ({"lower_is_better": True}, "of accuracy more is better; give a score of another kind"),
        ({"margin": -1.0}, "score.margin: must be 0 or more"),
        ({"controls": {"reinitt": 1}}, "unknown control 'reinitt'; did you mean 'reinit'"),
        ({"controls": {"edge_popup": 1}}, "controls.edge_popup: it trains a mask, which needs a"),
        ({"controls": {"scratch_flops": 1}}, "controls.scratch_flops: it trains until"),
        (
            {"controls": ControlsConfig(continued=True), "method": AtStep()},
            "controls.continued: with method.kind = 'at-step' no trained weights",
        ),
        ({"fraction": 0.1, "prune": PruneConfig()}, "fraction: said by prune= already"),
        ({"rewind": 3, "method": Iterative()}, "rewind: said by method= already"),
        ({"fraction": 1.5}, "prune.fraction: must lie between 0 and 1"),
        ({"criterion": "magnitud"}, "did you mean 'magnitude'"),
        ({"criterion": "snip"}, "criterion: 'snip' looks at data; pass batches="),
        (
            {"rewind": "2 epochs"},
            "nobody knows how long an epoch of a loop of your own is, got '2 e",
        ),
        ({"rewind": "soon"}, "rewind: expected a number of optimizer steps, or 'learning-rate'"),
        ({"rewind": "fine-tune"}, "'iterative', with 'fine-tune', looks into the middle of a"),
        ({"rewind": 30, "steps": 30}, "method: 30 is not before the end of the training, 30"),
        ({"method": EarlyBird()}, "method: 'early-bird', with 'drawn', looks into the middle of a"),
        (
            {"prune": PruneConfig(schedule="listed", scope="global", densities=(0.5,))},
            "levels: prune.densities lists 1 levels, got 5",
        ),
        ({"prune": PruneConfig(granularity="neuron")}, "pass example_input="),
        ({"prune": PruneConfig(fractions={"conv*": 0.0})}, "conv"),
        ({"replicates": 0}, "replicates: must be between 1 and 1000"),
        ({"jobs": 0}, "jobs: expected a whole number, 1 or more"),
        ({"jobs": "2"}, "jobs: expected a whole number, 1 or more, got '2'"),
        ({"checkpoint_seconds": "1"}, "checkpoint_seconds: expected a number, 0 or more, got '1'"),
        ({"checkpoint_seconds": -1}, "checkpoint_seconds: expected a number, 0 or more, got -1"),
        ({"example_input": [0.5]}, "example_input: expected a tensor of one batch, got list"),
        ({"margin": 1}, "score.margin: must be below 1, got 1.0; 0.01 is one percentage point"),
        ({"margin": "1%"}, "score.margin: expected a number, got '1%'"),
        ({"rewind": -1}, "method.rewind.to.amount: must be between 0 and"),
        ({"levels": 1.5}, "levels: expected a whole number, got 1.5"),
        ({"levels": True}, "find_tickets has 1 problem:\n  - levels: expected a whole number"),
        ({"replicates": "3"}, "replicates: expected a whole number, got '3'"),
        ({"seed": 1.5}, "seed: expected a whole number, got 1.5"),
        ({"fraction": "0.2"}, "prune.fraction: expected a number, got '0.2'"),
        ({"criterion": len}, "prune.criterion: expected a string"),
        ({"prune": {"fraction": 0.2}, "levels": "1"}, "levels: expected a whole number"),
        ({"controls": {"reinit": 1.5}}, "controls.reinit: expected a whole number"),
        ({"controls": ["reinit"]}, "controls: expected a dict of kinds and numbers"),
        ({"steps": "30"}, "steps: expected a whole number, 1 or more, got '30'"),
        ({"out": 5}, "out: expected the path of a directory, got 5"),
        ({"out": "a\0b"}, "out: expected the path of a directory"),
        ({"title": "a\x1b"}, "title: expected a string of at most 4,096 characters, none of them"),
        ({"title": "a" * 101}, "name: must be 1 to 100 printable characters"),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(settings: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(**settings)
    assert message in str(caught.value)


def test_an_experiment_is_the_same_however_its_numbers_are_written() -> None:
    one, other = (asked(score="perplexity", margin=margin).config for margin in (1, 1.0))
    assert config_hash(one) == config_hash(other)


def test_a_damaged_record_is_set_aside_and_the_run_goes_on(tmp_path: Path) -> None:
    settings = {"levels": 0, "replicates": 1, "verbose": False, "out": tmp_path / "run"}
    run_prepared(asked(**settings))
    trained = (tmp_path / "run/replicate-0/level-00/manifest.json").read_bytes()
    (tmp_path / "run/experiment.json").write_text("{")
    run = run_prepared(asked(**settings))
    assert len(run.results) == 1
    assert (tmp_path / "run/.corrupt-experiment.json-1").read_text() == "{"
    assert (tmp_path / "run/replicate-0/level-00/manifest.json").read_bytes() == trained


def test_nothing_is_written_among_files_that_are_no_runs(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(UsageError, match=r"which holds notes\.md; name a directory inside it"):
        run_prepared(asked(levels=0, replicates=1, out=tmp_path, verbose=False))
    assert [one.name for one in tmp_path.iterdir()] == ["notes.md"]
    inside = run_prepared(asked(levels=0, replicates=1, out=tmp_path / "run", verbose=False))
    (tmp_path / "run" / "notes.md").write_text("mine")
    again = run_prepared(asked(levels=0, replicates=1, out=tmp_path / "run", verbose=False))
    assert again.results == inside.results


def test_loaded_weights_are_refused_where_a_control_draws_new_ones() -> None:
    loaded = make_model().state_dict()

    def pretrained() -> nn.Module:
        model = make_model()
        model.load_state_dict(loaded)
        return model

    with pytest.raises(UsageError, match="reinit would start from the ticket's own weights"):
        asked(make_model=pretrained, replicates=1)
    asked(make_model=pretrained, replicates=1, controls={"random_mask": 1})
    task = asked(make_model=pretrained, reinitialize=True).task
    drawn = [task.initial(Streams(0, n), "reinit-1", 1).state_dict()["0.weight"] for n in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], loaded["0.weight"])
    with pytest.raises(UsageError, match="all 2 replicates would start from the same weights"):
        asked(make_model=pretrained, replicates=2, controls={"random_mask": 1})


def test_functions_that_cannot_be_sent_run_in_this_process_and_that_is_said() -> None:
    run = asked(train=lambda model: train(model), jobs=2, out="runs")
    assert run.jobs == 1
    assert run.notes[0].startswith("trainings run one after another in this process, since they ")


def test_several_at_once_where_functions_can_be_sent() -> None:
    assert asked(make_model=own_loops.make_model, jobs=2, out="runs").jobs == 2


def test_what_fingerprints_say_nothing_of_is_said() -> None:
    generator = torch.Generator()

    def trains(model: nn.Module) -> None:
        generator.manual_seed(0)
        train(model)

    (note,) = asked(train=trains).notes
    assert note == (
        "whether these change is not noticed when a run is gone on with: train: generator "
        "(Generator). fingerprint= can tell"
    )
    assert asked(train=trains, fingerprint="v1").notes == ()


def test_a_change_of_the_code_is_told_with_the_difference() -> None:
    rate = 0.1

    def trains(model: nn.Module) -> float:
        return rate

    before = to_plain(asked(train=trains).config.task)
    assert changed_code(before, asked(train=trains).config.task) is None
    rate = 0.2
    said = changed_code(before, asked(train=trains).config.task)
    assert said is not None
    assert said.startswith("the code changed since this run was begun: train: rate, which ")
    assert said.endswith("uses, was 0.1 and is 0.2. Put it back, or use another out=")
    assert changed_code(before, asked(train=trains, evaluate=loss_of).config.task) != said


def test_a_script_that_would_begin_anew_in_every_process_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import runpy, sys\n"
        "from own_loops import evaluate, make_model, train\n"
        "from lottery.errors import UsageError\n"
        "from lottery.experiments.own import prepare_own_run\n"
        "if __name__ == '__main__':\n"
        "    runpy.run_path(__file__, run_name='__mp_main__')\n"
        "else:\n"
        "    try:\n"
        "        prepare_own_run(make_model, train, evaluate)\n"
        "    except UsageError as error:\n"
        "        print(error)\n",
        encoding="utf-8",
    )
    code = f"import sys; sys.path[:] = {sys.path!r}; sys.argv = [{str(script)!r}]; import runpy; "
    done = subprocess.run(
        [sys.executable, "-c", code + f"runpy.run_path({str(script)!r}, run_name='__main__')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "put the call under `if __name__ == " in done.stdout


def test_in_memory_trainings_run_one_after_another_and_it_is_said() -> None:
    run = prepare_own_run(make_model, train, evaluate, jobs=2)
    assert run.jobs == 1
    assert "other processes do not see its memory; pass out=" in run.notes[0]
