"""``lottery ticket train``: from a run or from files to one verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command import Cli
from small_run import SmallRun

from lottery.data import NotHereError, load_dataset
from lottery.experiments import open_run, to_plain
from lottery.experiments.toml import to_toml
from lottery.store import Store


def test_a_run_s_tickets_are_trained_on_other_data(cli: Cli, small_run: SmallRun) -> None:
    words = ["ticket", "train", small_run.path, "--level", "1", "--jobs", "1", "--engine", "torch"]
    words += ["--set", "data.random_labels=0.5", "--device", "cpu"]
    code, out, err = cli(*words)
    assert code == 0
    assert out.startswith("Not tested: no dense network there learned more than guessing")
    flat = " ".join(out.split())
    assert "1 ticket of small (level 1, " in flat
    assert "are trained on mlp-4 on idx:" in flat
    assert "with data.random_labels=0.5: " in flat
    for against in (
        "the dense network - - 0/1 as good",
        "masks, new weights - - 0/1 better",
        "shuffled masks - - 0/1 better",
        "tickets found there - - 0/1 as good",
        "lead where found - - 0/1 smaller",
    ):
        assert f"{against} untested" in flat
    assert "small-transferred" in err
    # The same again trains nothing, and says the same.
    code, again, err = cli(*words, "--json")
    assert (code, err) == (0, "")
    told = json.loads(again)
    assert [one["missing"] for one in told["comparisons"]] == [1] * 5, "half the labels are random"
    assert told["dense_missing"]["guessing"] == 1
    runs = sorted(path.name.rpartition("-")[0] for path in Path("runs").iterdir())
    assert runs == ["small-found-there", "small-transferred"]


def test_a_file_is_trained_by_a_recipe(cli: Cli, small_run: SmallRun) -> None:
    open_run(small_run.path).ticket(1).save("t.safetensors")
    Path("mine.toml").write_text(to_toml(to_plain(small_run.config)))
    words = ["ticket", "train", "t.safetensors", "--recipe", "mine.toml", "--no-found-there"]
    words += ["--set", "training.length=300 iterations"]
    code, out, _ = cli(*words, "--replicates", "2", "--jobs", "1", "--quiet")
    assert code == 0
    assert " 2   as good " in out
    assert "one ticket in all replicates" in " ".join(out.split())
    assert "found there" not in out
    # Of one ticket that two replicates share nothing is said of where it was found.
    assert "where found" not in out
    (run,) = Path("runs").iterdir()
    assert len(list((run / "given").iterdir())) == 1
    assert open_run(run).config.replicates == 2

    # Named twice it is one ticket as well, and the same run.
    code, again, _ = cli("ticket", "train", "t.safetensors", *words[2:], "--jobs", "1", "--quiet")
    assert (code, again) == (0, out)
    assert [*Path("runs").iterdir()] == [run]


def test_a_dry_run_says_what_both_runs_would_train_and_writes_nothing(
    cli: Cli, small_run: SmallRun
) -> None:
    words = ["ticket", "train", small_run.path, "--level", "1", "--jobs", "1", "--engine", "torch"]
    words += ["--device", "cpu", "--set", "data.random_labels=0.5"]
    code, planned, _ = cli(*words, "--dry-run")
    assert code == 0
    assert not Path("runs").exists()
    first, given, found = planned.splitlines()
    assert first.startswith("1 ticket of small (level 1, ")
    kinds = "dense networks: 1, tickets: 1, reinit: 1, random-mask: 1"
    assert given.endswith(f"4 trainings for 20 iterations ({kinds}); 0 are there already")
    assert found.endswith("; 0 are there already, 1 are those of the run above")
    assert cli(*words, "--quiet", "--checkpoint-seconds", "9")[0] == 0
    files = sorted(Path("runs").rglob("*"))
    assert {path.name for path in Path("runs").iterdir()} == {
        Path(line.partition(":")[0]).name for line in (given, found)
    }
    code, planned, _ = cli(*words, "--dry-run", "--json")
    assert [one["finished"] for one in json.loads(planned)["planned"]] == [4, 2]
    assert sorted(Path("runs").rglob("*")) == files


def test_a_smoke_run_takes_every_step_with_fewer_tickets(cli: Cli, small_run: SmallRun) -> None:
    files = [f"{number}.safetensors" for number in range(3)]
    for iteration, file in enumerate(files):
        replace(open_run(small_run.path).ticket(1), iteration=iteration).save(file)
    Path("mine.toml").write_text(to_toml(to_plain(small_run.config)))
    words = ["ticket", "train", *files, "--recipe", "mine.toml", "--smoke", "--jobs", "1"]
    code, out, err = cli(*words, "--quiet")
    assert code in (0, 1), err
    assert "2 tickets of small" in " ".join(out.split())
    assert out.rstrip().endswith("its numbers mean nothing.") or "diverged" in err
    assert len(list(Path("runs").glob("small-smoke-*"))) == 2
    # What is refused at full size is refused here.
    code, _, err = cli(*words, "--replicates", "2", "--quiet")
    assert (code, "expected 3 or more, one for each ticket" in err) == (2, True)


def test_a_dry_run_downloads_nothing(
    cli: Cli, small_run: SmallRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **how: object) -> None:
        assert how["download"] is False
        raise NotHereError("idx", [Path("here")])

    monkeypatch.setattr("lottery.cli.dry_run.load_dataset", gone)
    monkeypatch.setattr("lottery.cli.dry_run.placeholder_dataset", load_dataset)
    words = ["ticket", "train", small_run.path, "--level", "1", "--dry-run", "--device", "cpu"]
    code, planned, _ = cli(*words)
    assert code == 0
    said = "The data are not here yet: idx was looked for in here; a run downloads it."
    assert said in planned.splitlines()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["t.safetensors"], "name an experiment by --recipe"),
        (["t.safetensors", "nothing"], "got 'nothing', which is no file"),
        (["nothing"], "no run 'nothing'"),
        (["RUN", "--level", "7"], "no ticket of level 7"),
        (["RUN", "--level", "1", "--set", "model=mlp-5"], "the ticket does not fit the network"),
        (["t.safetensors", "d.safetensors", "--recipe", "RECIPE", "--replicates", "1"], "one for"),
        (
            ["RUN", "--level", "1", "--set", "method.kind=given"],
            "make such a run by lottery ticket",
        ),
        (["CODE", "--level", "1"], "names code (own_nets:make)"),
    ],
)
def test_a_mistake_is_one_message(
    cli: Cli, small_run: SmallRun, words: list[str], message: str
) -> None:
    for name, level in (("t", 1), ("d", 0)):
        open_run(small_run.path).ticket(level).save(f"{name}.safetensors")
    Path("mine.toml").write_text(to_toml(to_plain(small_run.config)))
    places = {"RUN": str(small_run.path), "RECIPE": "mine.toml", "CODE": "code"}
    named(small_run, Path("code"))
    code, _, err = cli("ticket", "train", *(places.get(word, word) for word in words), "--quiet")
    assert code in (1, 2)
    assert message in " ".join(err.split())
    assert not Path("runs").exists()


def named(small_run: SmallRun, path: Path) -> None:
    """A run whose network is code of somebody's."""
    from lottery.experiments.config import plain_hash

    experiment = Store(small_run.path).read_experiment()
    assert experiment is not None
    experiment.pop("record_sha256")
    experiment["config"] = {**experiment["config"], "model": "own_nets:make"}
    experiment["config_sha256"] = plain_hash(experiment["config"], experiment["schema"])
    Store(path).write_experiment(experiment)
