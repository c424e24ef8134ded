"""Values, names and configs of any kind, as a user types them or finds them on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command import Cli
from tiny import tiny

from lottery.experiments import RunOptions, run_experiment
from lottery.experiments.config import plain_hash
from lottery.store import Store


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run, and of another whose config today's rules refuse."""
    options = RunOptions(out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu")
    run = run_experiment(tiny(replicates=1, levels=1), options).run
    old = run.parent / "old"
    shutil.copytree(run, old)
    experiment = Store(run).read_experiment()
    assert experiment is not None
    config = experiment["config"]
    config["name"], config["prune"]["fraction"] = "old/rules", 1.5
    experiment["config_sha256"] = plain_hash(config, experiment["schema"])
    Store(old).write_experiment(experiment)
    return old


@pytest.mark.parametrize(
    "verb", ["show", "verdict", "report", "verify", "compare", "config show", "config diff"]
)
def test_a_run_that_rules_refuse_today_is_still_shown(cli: Cli, refused: Path, verb: str) -> None:
    other = sorted(refused.parent.glob("tiny-*")) if verb in ("compare", "config diff") else []
    code, out, err = cli(*verb.split(), "old/rules", *other, "--out", refused.parent)
    progress_only = all(line.startswith(("reading ", "checking ")) for line in err.splitlines())
    assert code == 0
    assert progress_only, err
    assert out


@pytest.mark.parametrize("model", ["resnet-20", "mlp-99999999999999", "nobodys.module:network"])
def test_a_network_forged_into_a_run_is_noticed_and_not_built(
    cli: Cli, refused: Path, tmp_path: Path, model: str
) -> None:
    shutil.copytree(refused, tmp_path / "forged")
    experiment = Store(refused).read_experiment()
    assert experiment is not None
    experiment["config"]["model"] = model
    experiment["config_sha256"] = plain_hash(experiment["config"], experiment["schema"])
    Store(tmp_path / "forged").write_experiment(experiment)
    for verb in ("show", "verdict", "report", "verify"):
        code, out, err = cli(verb, "forged")
        assert code == 1
        assert f"provenance.model: expected '{model}' as in experiment.json" in out + err


def test_a_run_that_rules_refuse_today_is_listed_and_not_run(
    cli: Cli, refused: Path, tmp_path: Path
) -> None:
    rows = json.loads(cli("list", "runs", "--out", refused.parent, "--json")[1])
    assert [row["experiment"] for row in rows] == ["old/rules", "tiny"]
    assert all(row["done"] == row["planned"] == 5 for row in rows)
    (tmp_path / "old.toml").write_text(cli("config", "show", refused)[1])
    code, _, err = cli("run", "old.toml", "--out", refused.parent)
    assert (code, "prune.fraction" in err) == (2, True)


def test_a_run_that_cannot_be_read_is_one_line_in_a_list(cli: Cli, refused: Path) -> None:
    experiment = (refused / "experiment.json").read_text()
    for number, value in enumerate(("9" * 400, "9" * 5_000, "[" * 50_000, "NaN", "{}", "[]")):
        bad = Path("runs") / f"bad-{number}"
        bad.mkdir(parents=True)
        (bad / "experiment.json").write_text(experiment.replace("1.5", value))
    shutil.copytree(refused, "runs/old")
    code, out, err = cli("list", "runs", "--json")
    assert (code, err) == (0, "")
    rows = {row["run"]: row for row in json.loads(out)}
    assert len(rows) == 7
    assert rows["old"]["note"] == ""
    for name in rows.keys() - {"old"}:
        assert rows[name]["note"]
        assert "\n" not in rows[name]["note"]
    assert cli("list", "runs")[0] == 0


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("training.learning_rate.base=" + "9" * 400, "expected a finite number"),
        ("seed=" + "9" * 5_000, "too many digits"),
        ("seed=" + "[" * 50_000, "deep inside one another"),
        ("seed=0x" + "f" * 5_000, "at most 64 bits"),
        ("training.lr=0.1", "write training.learning_rate.base=0.1"),
        ("training.epochs=3", 'write training.length="3 epochs"'),
        ("name=\x1b[31m", "control character"),
    ],
)
def test_a_value_of_any_size_is_answered_in_words(cli: Cli, option: str, message: str) -> None:
    code, _, err = cli("run", "demo", "--set", option, "--dry-run")
    assert (code, message in err) == (2, True), err
    assert len(err) < 500
    assert "\x1b" not in err


@pytest.mark.parametrize("length", ["300", "300 iterations", "{amount=300}"])
def test_a_length_is_set_in_any_form(cli: Cli, length: str) -> None:
    code, out, _ = cli("run", "demo", "--smoke", "--dry-run", "--set", f"training.length={length}")
    assert (code, "trainings of 8 iterations" in out) == (0, True)


def test_a_file_may_begin_with_a_byte_order_mark_and_have_short_lengths(
    cli: Cli, tmp_path: Path
) -> None:
    text = '\ufeffrecipe = "demo"\r\n[training]\r\nlength = "3 epochs"\r\n'
    (tmp_path / "c.toml").write_bytes(text.encode())
    code, out, _ = cli("config", "show", "c.toml", "--json")
    assert code == 0
    assert json.loads(out)["training"]["length"] == {"amount": 3, "unit": "epochs"}


@pytest.mark.parametrize(("name", "directory"), [("🎟️", "experiment-"), ("-x", "x-")])
def test_a_run_of_any_name_can_be_named(cli: Cli, name: str, directory: str) -> None:
    small = ("--set", "training.length=4", "--levels", "0", "--replicates", "1", "--jobs", "1")
    code, out, _ = cli("run", "demo", "--set", f"name={name}", *small, "--set", "model=mlp-5")
    assert code == 0
    (run,) = Path("runs").iterdir()
    assert run.name.startswith(directory)
    for named in (("--", name), (run.name,), (directory,), (run,)):
        code, out, _ = cli("show", *named)
        assert (code, f"{name}: mlp-5" in out) == (0, True)


@pytest.mark.parametrize("recipe", ['["demo"]', "3", '{ name = "demo" }', '"demmo"'])
def test_what_is_no_recipes_name_is_refused(cli: Cli, tmp_path: Path, recipe: str) -> None:
    (tmp_path / "c.toml").write_text(f"recipe = {recipe}\n")
    code, _, err = cli("config", "show", "c.toml")
    assert (code, "c.toml: recipe: " in err) == (2, True)


def test_a_name_too_long_for_a_path_is_no_recipe_and_no_run(cli: Cli) -> None:
    for verb in (("run",), ("config", "show"), ("show",)):
        code, _, err = cli(*verb, "a" * 5_000)
        assert (code, "cannot write" in err) == (2, False)
