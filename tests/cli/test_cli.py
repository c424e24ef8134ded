"""Every verb, as a user types it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from command import Cli
from tiny import tiny

from lottery.cli.main import main
from lottery.experiments import (
    RECIPES,
    SCHEMA,
    RunOptions,
    load_config,
    merge,
    parse_override,
    run_experiment,
    run_name,
    to_plain,
)
from lottery.experiments.config import plain_hash
from lottery.experiments.toml import to_toml
from lottery.store import JobKey, Store, lock_run
from lottery.training import Checkpoint
from lottery.training.engines.sparse_cpu import warmup

VERBS = ("demo", "run", "list", "show", "verdict", "report", "compare", "verify", "config")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = RunOptions(out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu")
    return run_experiment(tiny(), options).run


# Help


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(cli: Cli, verb: str) -> None:
    code, out, _ = cli(verb, "--help")
    assert code == 0
    assert "Usage: lottery" in out
    assert cli(verb, "-h")[1] == out


def test_help_shows_examples_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['lottery', '--help']\n"
        "from lottery.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'numba', 'jinja2', 'threadpoolctl'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Examples" in done.stdout


def test_version(cli: Cli) -> None:
    assert re.fullmatch(r"lottery \d+\.\d+\.\d+\n", cli("--version")[1])


# Run


def test_run_from_a_file_writes_a_report_and_a_verdict(cli: Cli, tmp_path: Path) -> None:
    config = tiny(replicates=1, levels=1)
    (tmp_path / "tiny.toml").write_text(to_toml(to_plain(config)))
    code, out, err = cli("run", "tiny.toml", "--jobs", "1")
    assert code == 0
    (directory,) = (tmp_path / "runs").iterdir()
    assert f"report: {directory.relative_to(tmp_path)}/report.html" in out
    assert (directory / "report.html").stat().st_size > 100_000
    assert "[5/5]" in err
    # Again: nothing to do, the same verdict.
    _, again, err = cli("run", "tiny.toml", "--jobs", "1")
    assert again == out
    assert "5 done already" in err


def test_what_takes_a_while_before_the_first_training_is_said(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warmup, "cache_directory", lambda: None)  # as on a new machine
    (tmp_path / "tiny.toml").write_text(to_toml(to_plain(tiny(replicates=1, levels=0))))

    def said(*more: str) -> str:
        monkeypatch.setattr(warmup, "_done", threading.Event())
        code, _, err = cli("run", "tiny.toml", "--jobs", "1", "--engine", "sparse_cpu", *more)
        assert code == 0
        return err

    assert said().count("compiling the training loop") == 1
    assert said("--dry-run").count("compiling the training loop") == 1
    for silent in (("--dry-run", "--json"), ("--json",), ("--quiet",)):
        assert said(*silent, "--seed", "1") == ""


def test_run_json_is_the_verdict_and_nothing_else(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(to_toml(to_plain(tiny(replicates=1, levels=1))))
    code, out, err = cli("run", "tiny.toml", "--jobs", "1", "--json")
    assert code == 0
    assert err == ""
    assert json.loads(out)["jobs_done"] == 5


def test_a_file_can_build_on_a_recipe_and_options_go_over_both(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('recipe = "demo"\nname = "mine"\nlevels = 3\n')
    options = ("--levels", "1", "--set", "controls.random_mask=0", "--replicates", "2")
    code, out, _ = cli("run", "mine.toml", *options, "--dry-run", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["run"].startswith("mine-")
    assert [(job["replicate"], job["branch"], job["level"]) for job in found["jobs"]] == [
        (0, "main", 0),
        (1, "main", 0),
        (0, "main", 1),
        (1, "main", 1),
        (0, "reinit-1", 1),
        (1, "reinit-1", 1),
    ]
    assert found["jobs"][0]["density"] == 1.0
    assert not (tmp_path / "runs").exists()


def test_an_option_can_empty_a_table_of_the_recipe(cli: Cli) -> None:
    """The demo prunes its output layer less; with one fraction for all, fewer weights stay."""
    options = ("--dry-run", "--json", "--levels", "1")
    jobs = [
        json.loads(cli("run", "demo", *options, *more)[1])["jobs"]
        for more in ((), ("--set", "prune.fractions={}"))
    ]
    lenient, same = (next(job for job in found if job["level"] == 1)["density"] for found in jobs)
    assert same < lenient


def test_a_dry_run_says_what_it_takes_and_what_it_can_show(cli: Cli) -> None:
    code, out, _ = cli("run", "demo", "--replicates", "1", "--device", "cpu", "--dry-run")
    assert code == 0
    assert "50.09%" in out
    assert "MB" in out
    assert "time each" in out
    assert "with engine sparse_cpu on cpu" in out
    assert "ms a step" in out
    assert "whatever happens" in out


def test_a_smoke_run_goes_through_every_step(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("run", "demo", "--smoke", "--jobs", "1", "--quiet")
    assert code == 0
    assert "report:" in out


def test_jobs_that_fail_are_shown_and_exit_4(cli: Cli, tmp_path: Path) -> None:
    options = ("--set", "training.learning_rate.base=1e30", "--set", "model=mlp-5")
    code, _, err = cli("run", "demo", "--smoke", "--jobs", "1", *options)
    assert code == 4
    assert "diverged" in err
    assert "lottery show" in err
    assert "diverged, since the loss was not finite" in cli("show", "demo")[1]
    assert "diverged" in cli("list", "runs")[1]


def test_the_verdict_comes_before_a_report_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(to_toml(to_plain(tiny(replicates=1, levels=0))))
    (tmp_path / "file").touch()
    options = ("tiny.toml", "--jobs", "1", "--report", "file/r.html")
    code, out, err = cli("run", *options)
    assert code == 1
    assert "lottery ticket hypothesis" in out
    assert "error: cannot write file/r.html" in err
    assert json.loads(cli("run", *options, "--json")[1])["jobs_done"] == 1


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "lenet-300-100/mnits"), 2, "did you mean 'lenet-300-100/mnist'"),
        (("run", "missing.toml"), 2, "there is no file 'missing.toml'"),
        (("run", "nowhere/exp.toml"), 2, "no file 'nowhere/exp.toml', and no directory 'nowhere'"),
        (("run", "demo.x"), 2, "there is no file 'demo.x'"),
        (("run", "conv-2-dropout0.5"), 2, "did you mean 'conv-2-dropout0.5/cifar-10'"),
        (("run", "demo", "--track", "tensorbord"), 2, "did you mean 'tensorboard'?"),
        (("demo", "--replicates", "3"), 2, "try lottery run demo --replicates"),
        (("demo", "--replicate", "3"), 2, "no option '--replicate'"),
        (("run", "demo", "--set", "levls=3"), 2, "did you mean 'levels'?"),
        (("run", "demo", "--set", "levels"), 2, "KEY.PATH=VALUE"),
        (("run", "demo", "--jobs", "0"), 2, "--jobs"),
        (("run", "demo", "--jobs", "many"), 2, "--jobs"),
        (("run", "."), 2, ". is a directory: expected a recipe, or the path of a TOML file"),
        (("run", "demo", "--device", "gpu"), 2, "unknown device"),
        (("run", "demo", "--engine", "torhc"), 2, "did you mean 'torch'?"),
        (("run", "demo", "--dry-run", "--engine", "sparse-cpu"), 2, "did you mean 'sparse_cpu'?"),
        (("run", "demo", "--set", "model=lenet"), 2, "unknown model"),
        (("run", "demo", "--set", "data.name=idx:nowhere"), 3, "nowhere"),
        (("run", "demo", "--data-dir", "nowhere", "--set", "data.name=mnist"), 3, "nowhere"),
        (("run", "demo", "--set", "data.validation=5000"), 3, "5,000"),
        (("run", "demo", "--set", 'prune.fractions."fc7.*"=0.1'), 2, "fc1.weight"),
        (("show", "nothing"), 2, "no run 'nothing'"),
        (("verdict", "nothing"), 2, "no run 'nothing'"),
        (("report", "nothing"), 2, "no run 'nothing'"),
        (("verify", "nothing"), 2, "no run 'nothing'"),
        (("config", "show", "nothing"), 2, "unknown recipe 'nothing'"),
        (("config", "diff", "demo", "nothing"), 2, "unknown recipe 'nothing'"),
        (("list", "recipe"), 2, "unknown list 'recipe'; did you mean 'recipes'?"),
        (("runn",), 2, "no such command 'runn'"),
    ],
)
def test_a_mistake_is_one_message_with_its_exit_code(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    found, _, err = cli(*arguments)
    assert (found, message in err) == (code, True), err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("show", "x" * 400),
        ("verify", "x" * 400),
        ("run", "x" * 400),
        ("run", "demo", "--report", "x" * 400),
        ("list", "runs", "--out", "x" * 400),
        ("config", "diff", "demo", "x" * 400),
    ],
)
def test_a_path_that_cannot_be_one_is_told_as_such(cli: Cli, words: tuple[str, ...]) -> None:
    code, _, err = cli(*words)
    assert code in (1, 2)
    assert "output" not in err
    assert err.splitlines()[-1].startswith("error: ")


def test_a_run_given_for_a_recipe_is_told_as_such(cli: Cli, run: Path) -> None:
    code, _, err = cli("run", run)
    assert (code, f"{run} is a run, not a config" in err) == (2, True)
    for name in (run.name, run.name[:-9]):
        code, _, err = cli("run", name, "--out", run.parent)
        assert (code, f"{run} is a run, not a config; lottery show {run}" in err) == (2, True)
    assert "unknown recipe" in cli("run", run.name[:-10], "--out", run.parent)[2]


def test_a_file_whose_name_is_wrong_is_told_the_nearest(cli: Cli) -> None:
    Path("experiment.toml").touch()
    for name in ("experiment.tml", "experimnt.toml", "./experiment.tom"):
        code, _, err = cli("run", name)
        assert (code, "did you mean 'experiment.toml'?" in err) == (2, True), err


def test_a_directory_that_a_report_would_make_is_said(cli: Cli, run: Path) -> None:
    _, out, err = cli("report", run, "--report", "new/place/r.html")
    assert (out, err) == (
        "new/place/r.html\n",
        "note: the directory new/place is not there and will be made\nreading results\n",
    )
    assert cli("report", run, "--report", "new/place/again.html")[2] == "reading results\n"


def test_several_mistakes_are_told_at_once(cli: Cli) -> None:
    sets = ("--set", "levls=3", "--set", "replicates=0", "--set", "prune.scope=everywhere")
    _, _, err = cli("run", "demo", *sets)
    assert "3 problems" in err


def test_an_empty_file_is_no_experiment(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    code, _, err = cli("run", "empty.toml", "--dry-run")
    assert (code, "is empty" in err) == (2, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_one_message(run: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lottery", "show", str(run)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "cannot write the output" in done.stderr
    assert "Traceback" not in done.stderr


def test_letters_that_the_terminal_lacks_cost_no_result(run: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lottery", "verdict", str(run)],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        encoding="latin-1",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "lottery ticket hypothesis" in done.stdout
    assert "?????" in done.stdout  # the line below the head of the table


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from lottery.errors import UsageError

    monkeypatch.setattr(sys, "argv", ["lottery", "show", "nothing", "--debug"])
    with pytest.raises(UsageError):
        main()


# Lists


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("recipes", "lenet-300-100/mnist"),
        ("models", "lenet-300-100"),
        ("datasets", "mnist-5k"),
        ("criteria", "magnitude"),
        ("engines", "torch"),
        ("engines", "sparse_cpu"),
    ],
)
def test_lists(cli: Cli, what: str, name: str) -> None:
    code, out, _ = cli("list", what)
    assert code == 0
    assert name in out
    rows = json.loads(cli("list", what, "--json")[1])
    assert name in [row["name"] for row in rows]
    assert all(row["what"] for row in rows)


def test_datasets_are_listed_as_entries_with_their_sizes(cli: Cli) -> None:
    lines = cli("list", "datasets")[1].splitlines()
    at = lines.index("mnist-5k")
    assert lines[at + 2] == "    4,000 training and 1,000 test examples of 1x28x28, 10 classes"
    assert lines[lines.index("tar:FILE") + 1].startswith("    A tar file")


def test_the_list_of_recipes_says_source_cost_and_what_is_to_be_seen(cli: Cli) -> None:
    rows = json.loads(cli("list", "recipes", "--json")[1])
    conv = next(row for row in rows if row["name"] == "conv-2/cifar-10")
    assert (conv["trainings"], conv["length"]) == (5 * (16 + 15 * 3), "20,000 iterations")
    assert "arXiv:1803.03635" in conv["source"]
    out = cli("list", "recipes")[1]
    assert "    Cost: 305 trainings of 20,000 iterations, batches of 60\n" in out
    for row in rows:
        assert f"{row['name']}\n    {row['what']}\n    Source: {row['source']}\n" in out
        assert f"    {row['shows']}\n" in out


def test_the_list_of_models_counts_parameters(cli: Cli) -> None:
    rows = json.loads(cli("list", "models", "--json")[1])
    lenet = next(row for row in rows if row["name"] == "lenet-300-100")
    assert (lenet["parameters"], lenet["prunable"]) == (266_610, 266_200)
    large = next(row for row in rows if row["name"] == "resnet-50")
    assert (large["input"], large["classes"]) == ("3x224x224", 1000)
    assert (large["parameters"], large["prunable"]) == (25_557_032, 25_502_912)
    family = next(row for row in rows if row["name"] == "mlp-A-B-C")
    assert family["parameters"] == 784 * 100 + 100 + 100 * 10 + 10
    outside = next(row for row in rows if row["name"] == "timm:NAME")
    assert outside["parameters"] is None


def test_runs_are_listed(cli: Cli, run: Path) -> None:
    assert "no runs: no directory runs" in cli("list", "runs")[1]
    assert run.name in cli("list", "runs", "--out", run.parent)[1]
    (row,) = json.loads(cli("list", "runs", "--out", run.parent, "--json")[1])
    assert (row["done"], row["planned"], row["settings"]) == (18, 18, "")


def test_a_whole_name_comes_before_the_beginning_of_another(
    cli: Cli, run: Path, tmp_path: Path
) -> None:
    name = run.name[:-9]
    for other in (run.name, f"{name}-smoke-00000000", f"{name}-smoke-11111111"):
        shutil.copytree(run, tmp_path / "runs" / other)
    assert run.name in cli("show", name)[1]
    code, _, err = cli("show", f"{name}-s")
    assert (code, "may be any of 2 runs" in err) == (2, True)


def test_what_is_there_but_no_run_is_told_from_what_is_not(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    code, _, err = cli("show", "notes")
    assert (code, "is there, but it is no run" in err) == (2, True)
    assert "no directory nowhere" in cli("list", "runs", "--out", "nowhere")[1]


def test_runs_of_one_name_are_told_apart(cli: Cli, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "runs" / run.name)
    text = (run / "experiment.json").read_text()
    begun = json.loads(text)
    begun["config"]["prune"]["criterion"] = "random"
    begun["config_sha256"] = plain_hash(begun["config"], begun["schema"])
    other = tmp_path / "runs" / f"{run.name[:-8]}00000000"
    other.mkdir()
    Store(other).write_experiment(begun)
    out = cli("list", "runs")[1]
    assert "criterion=magnitude" in out
    assert "criterion=random" in out
    code, _, err = cli("show", run.name[:-8])
    assert (code, "lottery list runs" in err) == (2, True)
    assert run.name in err
    assert other.name in err


def test_variants_of_a_recipe_say_what_they_change_of_it(cli: Cli, tmp_path: Path) -> None:
    for number, changes in enumerate(([], ["seed=1"], ["seed=1", "prune.criterion=random"])):
        values = to_plain(RECIPES["demo"]())
        for change in changes:
            values = merge(values, parse_override(change))
        variant = load_config(values)
        folder = tmp_path / "runs" / run_name(variant)
        folder.mkdir(parents=True)
        experiment = {
            "schema": SCHEMA,
            "config": values,
            "config_sha256": plain_hash(values, SCHEMA),
            "data": {
                **dict.fromkeys(("training_examples", "validation_examples", "test_examples"), 1),
                "classes": 1,
                "input_shape": [1],
                "sha256": "0" * 64,
            },
            "environment": dict.fromkeys(("lottery", "torch", "engine", "device"), "any"),
            "command": "",
            "begun": f"2026-01-0{number + 1}T00:00:00+00:00",
        }
        Store(folder).write_experiment(experiment)
    rows = json.loads(cli("list", "runs", "--json")[1])
    assert {row["settings"] for row in rows} == {"", "seed=1", "criterion=random, seed=1"}


# Reading a run


def test_show(cli: Cli, run: Path) -> None:
    code, out, _ = cli("show", run)
    assert code == 0
    assert "18 of 18 trainings done" in out
    assert out.count("reinit-1") == 4
    found = json.loads(cli("show", run, "--json")[1])
    assert len(found["results"]) == 18
    assert found["experiment"]["config"] == to_plain(tiny())


def test_show_says_how_far_an_unfinished_run_is(cli: Cli, run: Path, tmp_path: Path) -> None:
    part = tmp_path / "runs" / run.name
    shutil.copytree(run, part)
    ended, store = JobKey(1, "main", 2), Store(part)
    shutil.rmtree(store.directory(ended))
    checkpoint = Checkpoint(iteration=20, tensors={}, values={})
    store.write_checkpoint(ended, checkpoint)
    out = cli("show", "tiny")[1]
    assert "17 of 18 trainings done" in out
    assert "begun: replicate 1, main, level 2: iteration 20 of 30\n" in out
    assert "nobody works on it now" in out
    with lock_run(part):
        out, found = cli("show", "tiny")[1], json.loads(cli("show", "tiny", "--json")[1])
    assert f"being worked on by process {os.getpid()} on " in out
    assert "nobody" not in out
    assert found["planned"] == 18
    assert found["begun"] == [
        {
            "replicate": 1,
            "branch": "main",
            "level": 2,
            "iteration": 20,
            "last": 30,
            "at_most": False,
        }
    ]
    assert f"process {os.getpid()}" in found["owner"]
    whole = cli("show", run)[1]
    assert "begun: " not in whole
    assert "works on" not in whole


def test_verdict(cli: Cli, run: Path) -> None:
    code, out, _ = cli("verdict", run.name, "--out", run.parent)
    assert code == 0
    assert "2 replicates" in out
    loose = json.loads(cli("verdict", run, "--margin", "0.5", "--json")[1])
    assert loose["margin"] == 0.5
    assert cli("verdict", run, "--margin", "2")[0] == 2


def test_report(cli: Cli, run: Path, tmp_path: Path) -> None:
    code, out, _ = cli("report", run, "--report", "deep/er/r.html")
    assert (code, out) == (0, "deep/er/r.html\n")
    assert (tmp_path / "deep/er/r.html").read_text().startswith("<!")


def test_verify(cli: Cli, run: Path, tmp_path: Path) -> None:
    import shutil

    code, out, err = cli("verify", run)
    assert code == 0
    assert "18 of 18" in out
    assert "checking training 1 of 18" in err
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "replicate-1" / "level-01" / "curves.csv").write_text("")
    code, out, err = cli("verify", copy)
    assert code == 1
    assert "curves.csv" in out
    assert "17 of 18" in out
    assert "running its command again" in err
    _, out, err = cli("verify", copy, "--json")
    found = json.loads(out)
    assert "training 1" not in err
    assert sum(bool(problems) for problems in found.values()) == 1


# Configs


def test_config_show_is_a_file_that_run_reads(cli: Cli, tmp_path: Path, run: Path) -> None:
    for source in ("lenet-300-100/mnist", str(run)):
        (tmp_path / "shown.toml").write_text(cli("config", "show", source)[1])
        assert cli("config", "diff", source, "shown.toml")[1] == "no difference\n"
    assert json.loads(cli("config", "show", "demo", "--json")[1])["replicates"] == 8


def test_config_diff(cli: Cli) -> None:
    out = cli("config", "diff", "lenet-300-100/mnist", "lenet-300-100/fashion-mnist")[1]
    assert 'data.name: "mnist" -> "fashion-mnist"' in out
    assert len(out.splitlines()) == 2


def test_config_schema(cli: Cli) -> None:
    out = cli("config", "schema")[1]
    assert "training.optimizer.name: 'adam' | 'adamw' | 'sgd' = \"adam\"" in out
    assert len(json.loads(cli("config", "schema", "--json")[1])) > 20
