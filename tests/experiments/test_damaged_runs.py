"""Damage to a run's files: said in words by all that reads, undone by running it again."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import SmallRun

from lottery.cli.main import main
from lottery.errors import StoreError
from lottery.experiments import Listener, open_run, verify_run
from lottery.experiments.config import plain_hash
from lottery.store import JobKey, LookKey, Store
from lottery.store.commit import commit_directory
from lottery.store.looks import pack_look
from lottery.training import Checkpoint

DENSE, TICKET = JobKey(0, "main", 0), JobKey(0, "main", 1)
CONTROL = JobKey(0, "random-mask-1", 1)
LOOK = LookKey(0, "state", 5)


class Hears(Listener):
    """Remembers what was set aside, and why."""

    def __init__(self) -> None:
        self.aside: dict[JobKey | LookKey, str] = {}
        self.rebuilt: list[str] = []

    def set_aside(self, key: JobKey | LookKey, path: Path, reason: str) -> None:
        assert os.path.lexists(path)
        self.aside[key] = reason

    def record_rebuilt(self, path: Path, reason: str) -> None:
        assert os.path.lexists(path)
        self.rebuilt.append(reason)


def command(*arguments: str | Path) -> tuple[int, str]:
    """Run the command in this process: its exit code, and all that it said."""
    said = io.StringIO()
    line = ["lottery", *map(str, arguments)]
    with patch.object(sys, "argv", line), redirect_stdout(said), redirect_stderr(said):
        try:
            main()
        except SystemExit as end:
            assert isinstance(end.code, int)
            return end.code, said.getvalue()
    raise AssertionError("the command did not end")


# A job in another's place


@pytest.mark.parametrize(("source", "target"), [(DENSE, TICKET), (TICKET, CONTROL)])
def test_a_job_copied_over_another_is_reported_and_done_again(
    small_run: SmallRun, tmp_path: Path, source: JobKey, target: JobKey
) -> None:
    run = small_run.copied(tmp_path)
    store = Store(run)
    shutil.rmtree(store.directory(target))
    shutil.copytree(store.directory(source), store.directory(target))
    code, said = command("verify", run)
    assert code == 1
    assert f"is the result of {source}, not {target}" in " ".join(said.split())
    assert "3 of 4 finished trainings are whole" in said
    heard = Hears()
    small_run.again(tmp_path, heard)
    assert list(heard.aside) == [target]
    assert not any(verify_run(run).values())
    assert small_run.is_whole(run)


@pytest.mark.parametrize(
    "about", [None, [], {"identity": 5}, {"made_from": 5}, {"made_from": []}, {"computed": "now"}]
)
def test_a_manifest_that_does_not_say_whose_it_is_as_it_may_is_damage(
    small_run: SmallRun, tmp_path: Path, about: Any
) -> None:
    run = small_run.copied(tmp_path)
    manifest = Store(run).directory(TICKET) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"about": about}))
    code, said = command("verify", run)
    assert code == 1
    assert "is not a manifest: about: " in " ".join(said.split())
    heard = Hears()
    small_run.again(tmp_path, heard)
    assert list(heard.aside) == [TICKET]
    assert small_run.is_whole(run)


@pytest.mark.parametrize(
    ("name", "told", "instead"),
    [
        ("result.json", '"seed": 0', '"seed": 1'),
        ("result.json", '"model": "mlp-4"', '"model": "mlp-5"'),
        ("result.json", '"iterations": 20', '"iterations": 21'),
        ("result.json", '"level": 1', '"level": 2'),
        ("result.json", '"score_final": 0', '"score_final": 1e308, "x": 0'),
        ("curves.csv", "\n20,", "\n21,"),
    ],
)
def test_a_job_that_the_run_cannot_have_given_is_reported_and_done_again(
    small_run: SmallRun, tmp_path: Path, name: str, told: str, instead: str
) -> None:
    """Its manifest fits, as that of somebody else's job does."""
    run = small_run.copied(tmp_path)
    directory = Store(run).directory(TICKET)
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    del files["manifest.json"]
    if told not in files[name].decode() and "final" in told:
        told = '"score_final": 1'
    assert told in files[name].decode()
    shutil.rmtree(directory)
    commit_directory(
        directory, {**files, name: files[name].decode().replace(told, instead).encode()}
    )
    assert [key for key, found in verify_run(run).items() if found] == [TICKET]
    small_run.again(tmp_path)
    assert small_run.is_whole(run)


@pytest.mark.parametrize("damage", ["missing", "cut", "another"])
def test_what_tickets_go_back_to_is_made_again_where_one_needs_it(
    small_run: SmallRun, tmp_path: Path, damage: str
) -> None:
    run = small_run.copied(tmp_path)
    store = Store(run)
    directory = store.directory(LOOK)
    content = (directory / "look.safetensors").read_bytes()
    if damage == "cut":
        (directory / "look.safetensors").write_bytes(content[:-1])
    else:
        shutil.rmtree(directory)
    if damage == "another":
        other = pack_look(replace(LOOK, number=6), store.weights(DENSE))
        commit_directory(directory, other)
    if damage != "missing":
        assert [key for key, found in verify_run(run).items() if found] == [LOOK]
        assert command("verify", run)[0] == 1
    shutil.rmtree(store.directory(CONTROL))
    heard = Hears()
    small_run.again(tmp_path, heard)
    assert list(heard.aside) == [LOOK] * (damage != "missing")
    assert small_run.is_whole(run)


# Checkpoints


@pytest.mark.parametrize("engine", ["torch", "sparse_cpu"])
@pytest.mark.parametrize(
    ("tensors", "values"),
    [
        ({}, {}),
        ({}, {"curve": [[1]], "reason": 3, "seconds": "long"}),
        ({"model/x": torch.zeros(2)}, {"curve": [], "reason": "", "seconds": 1.0, "forms": {}}),
    ],
)
def test_a_checkpoint_that_no_engine_can_go_on_from_is_set_aside(
    small_run: SmallRun, tmp_path: Path, engine: str, tensors: Any, values: Any
) -> None:
    """Its manifest fits, as that of another version's does."""
    run = small_run.copied(tmp_path)
    store = Store(run)
    shutil.rmtree(run / "replicate-0")
    about = {"engine": engine, "device": "cpu", **values}
    store.write_checkpoint(DENSE, Checkpoint(iteration=10, tensors=tensors, values=about))
    summary = small_run.again(tmp_path, engine=engine)
    assert {result.status for result in summary.results.values()} == {"done"}
    (aside,) = store.corrupt()
    assert aside.name.startswith(".corrupt-.checkpoint-level-00")
    assert engine != "torch" or small_run.is_whole(run)


# Links


@pytest.mark.parametrize("place", ["replicate-0", "replicate-0/level-01"])
@pytest.mark.parametrize("where", ["itself", "elsewhere"])
def test_a_link_in_a_run_is_said_and_never_followed(
    small_run: SmallRun, tmp_path: Path, place: str, where: str
) -> None:
    run = small_run.copied(tmp_path / "runs")
    shutil.move(run / place, tmp_path / "elsewhere")
    before = sorted(tmp_path.joinpath("elsewhere").rglob("*"))
    (run / place).symlink_to(tmp_path / "elsewhere" if where == "elsewhere" else run / place)
    code, said = command("verify", run)
    assert code == 1
    assert f"{run / place} is a link; links in a run are not followed" in said
    code, said = command("show", run)
    assert code == 1
    assert "is a link" in said
    heard = Hears()
    small_run.again(tmp_path / "runs", heard)
    assert "is a link" in next(iter(heard.aside.values()))
    assert not (run / place).is_symlink()
    assert sorted(tmp_path.joinpath("elsewhere").rglob("*")) == before
    assert small_run.is_whole(run)


def test_a_folder_of_runs_may_be_a_link(small_run: SmallRun, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    run = small_run.copied(tmp_path / "big")
    (tmp_path / "runs").symlink_to(tmp_path / "big")
    (tmp_path / "named").symlink_to(run)
    shutil.rmtree(run / "replicate-0" / "level-01")
    small_run.again(tmp_path / "runs")
    assert small_run.is_whole(run)
    for name in (tmp_path / "named", tmp_path / "runs" / run.name):
        assert command("verify", name)[0] == 0


# The record


def changed_data(experiment: dict[str, Any]) -> None:
    experiment["data"]["classes"] += 1


def changed_environment(experiment: dict[str, Any]) -> None:
    experiment["environment"]["torch"] = "0.1"


def changed_config(experiment: dict[str, Any]) -> None:
    experiment["config"]["seed"] = 1


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "pipe", "directory", "link"])
def test_a_damaged_record_is_set_aside_and_made_anew(
    small_run: SmallRun, tmp_path: Path, damage: str
) -> None:
    run = small_run.copied(tmp_path)
    record = run / "experiment.json"
    content = record.read_bytes()
    match damage:
        case "flip":
            place = content.index(b'"seed": 0') + 8
            record.write_bytes(content[:place] + b"1" + content[place + 1 :])
        case "cut" | "empty":
            record.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
        case _:
            replace_by(record, damage, 0)
    for verb in ("verify", "show", "verdict"):
        code, said = command(verb, run)
        assert code == 1
        assert "The run's own command sets it aside and makes it anew" in said
    check_rebuilt(small_run, run, content)


@pytest.mark.parametrize("change", [changed_data, changed_environment, changed_config])
def test_no_part_of_the_record_can_be_changed_unnoticed(
    small_run: SmallRun, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    run = small_run.copied(tmp_path)
    record = run / "experiment.json"
    content = record.read_bytes()
    experiment = json.loads(content)
    change(experiment)
    record.write_text(json.dumps(experiment))
    with pytest.raises(StoreError, match="SHA-256 differs"):
        open_run(run)
    check_rebuilt(small_run, run, content)


def check_rebuilt(small_run: SmallRun, run: Path, content: bytes) -> None:
    """Running it again makes the record anew, and trains nothing."""
    heard = Hears()
    small_run.again(run.parent, heard)
    (reason,) = heard.rebuilt
    assert "experiment.json" in reason
    assert heard.aside == {}
    assert os.path.lexists(run / ".corrupt-experiment.json-1")
    now, then = json.loads((run / "experiment.json").read_bytes()), json.loads(content)
    for once in ("begun", "command", "record_sha256"):
        del now[once], then[once]
    assert now == then
    assert small_run.is_whole(run)


def test_a_whole_record_of_another_config_is_still_refused(
    small_run: SmallRun, tmp_path: Path
) -> None:
    run = small_run.copied(tmp_path)
    experiment = json.loads((run / "experiment.json").read_bytes())
    changed_config(experiment)
    experiment["config_sha256"] = plain_hash(experiment["config"], experiment["schema"])
    Store(run).write_experiment(experiment)
    with pytest.raises(StoreError, match="seed is 1 there, 0 here"):
        small_run.again(tmp_path)


def test_a_run_from_before_its_record_was_hashed_goes_on(
    small_run: SmallRun, tmp_path: Path
) -> None:
    run = small_run.copied(tmp_path)
    experiment = json.loads((run / "experiment.json").read_bytes())
    del experiment["record_sha256"], experiment["outside_mask"]  # which came after it
    content = json.dumps(experiment).encode()
    (run / "experiment.json").write_bytes(content)
    shutil.rmtree(Store(run).directory(TICKET))
    heard = Hears()
    small_run.again(tmp_path, heard)
    assert heard.rebuilt == []
    assert (run / "experiment.json").read_bytes() == content
    assert small_run.is_whole(run)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("environment", {}),
        ("environment.torch", None),
        ("environment.gpu", [1]),
        ("data.input_shape", [2**40, 2**40, 2**40]),
        ("data.input_shape", [True]),
        ("data.classes", 2**40),
        ("data.training_examples", 1e308),
        ("data.sha256", None),
        ("data.variant", 3),
        ("data", []),
        ("begun", "\x1b]0;owned\x07"),
        ("command", None),
        ("schema", "2"),
    ],
)
def test_a_record_of_somebody_else_is_one_error_that_names_its_field(
    small_run: SmallRun, tmp_path: Path, field: str, value: object
) -> None:
    run = small_run.copied(tmp_path)
    experiment = json.loads((run / "experiment.json").read_bytes())
    *above, name = field.split(".")
    table = experiment[above[0]] if above else experiment
    table[name] = value
    Store(run).write_experiment(experiment)
    for verb in ("show", "verdict", "verify", "report"):
        code, said = command(verb, run)
        assert code == 1
        assert "experiment.json is damaged" in said
        assert field in said


# What somebody else may have written, under hashes that fit

STRANGE: list[Any] = [
    *(None, True, 0, -1, 0.5, 1e308, 2**40, 2**63, 10**400),
    *("", "x", "\x1b[31m", "main", "done", "diverged", "a" * 10_000),
    *([], [1], [2**40] * 3, {}, {"a": {"b": [{}]}}),
]


def places_in(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a JSON document, but for those of configs."""
    inner = list(value.items()) if isinstance(value, dict) else []
    inner += enumerate(value) if isinstance(value, list) else []
    found = [above] if above else []
    for name, below in inner:
        found += [] if name == "config" else places_in(below, (*above, name))
    return found


@settings(max_examples=15)
@given(of_result=st.booleans(), which=st.integers(0, 10**6), strange=st.sampled_from(STRANGE))
def test_whatever_a_run_says_of_itself_it_is_shown_or_refused_in_words(
    small_run: SmallRun, of_result: bool, which: int, strange: Any
) -> None:
    with TemporaryDirectory() as out:
        run = small_run.copied(Path(out))
        job = Store(run).directory(TICKET)
        source = job / "result.json" if of_result else run / "experiment.json"
        document = json.loads(source.read_bytes())
        places = places_in(document)
        *above, last = places[which % len(places)]
        table = document
        for name in above:
            table = table[name]
        table[last] = strange
        if of_result:
            files = {path.name: path.read_bytes() for path in job.iterdir()}
            del files["manifest.json"]
            shutil.rmtree(job)
            commit_directory(job, {**files, "result.json": json.dumps(document).encode()})
        else:
            Store(run).write_experiment(document)
        for verb in ("show", "verdict", "report", "verify"):
            code, said = command(verb, run)
            assert code in (0, 1)
            assert said
            assert "Traceback" not in said
        try:
            small_run.again(Path(out))
        except StoreError as error:
            assert "other data" in str(error)
        else:
            assert command("verify", run)[0] == 0


# Anything


def files_of(run: Path) -> list[Path]:
    """Every file that a run has when nobody works on it, but for its lock."""
    found = [path for path in run.rglob("*") if path.is_file() and path.name != ".lock"]
    return sorted(path.relative_to(run) for path in found)


def damaged(path: Path, damage: str, place: int) -> None:
    content = path.read_bytes()
    if damage == "change":
        at = place % len(content)
        path.write_bytes(
            content[:at] + bytes([content[at] ^ (1 + place % 255)]) + content[at + 1 :]
        )
    elif damage == "cut":
        path.write_bytes(content[: place % len(content)])
    else:
        replace_by(path, damage, place)


def replace_by(path: Path, what: str, place: int) -> None:
    path.unlink()
    match what:
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to(("/dev/zero", path, path.parent, path.parent / "none")[place % 4])
        case "directory":
            path.mkdir()
        case "empty":
            path.touch()
        case "huge":
            with path.open("wb") as file:
                file.truncate(2**43)


DAMAGES = ("change", "cut", "pipe", "link", "directory", "empty", "huge", "gone")


@settings(max_examples=25)
@given(which=st.integers(0, 10**6), damage=st.sampled_from(DAMAGES), place=st.integers(0, 10**6))
def test_whatever_is_damaged_is_said_in_words_and_made_whole_again(
    small_run: SmallRun, which: int, damage: str, place: int
) -> None:
    names = files_of(small_run.path)
    with TemporaryDirectory() as out:
        run = small_run.copied(Path(out))
        name = names[which % len(names)]
        damaged(run / name, damage, place)
        for verb in ("verify", "show", "verdict"):
            code, said = command(verb, run)
            assert code in (0, 1, 2)
            assert said
            assert "Traceback" not in said
        small_run.again(Path(out))
        assert command("verify", run)[0] == 0
        if "looks" in name.parts:
            # Every ticket is there, so that none needs it: it is set aside and not made again.
            assert Store(run).looks(0) == []
            shutil.copytree(Store(small_run.path).directory(LOOK), Store(run).directory(LOOK))
        assert small_run.is_whole(run)
