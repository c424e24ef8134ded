"""``lottery verify`` looks at what is kept of analyses and lessons, and at what lies among it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Cli
from small_run import SmallRun

from lottery.errors import StoreError
from lottery.experiments import open_run
from lottery.experiments.learned import read_learned
from lottery.inside import ANALYSES, analyse, kept_problems
from lottery.inside.analysis import kept_measurement
from lottery.inside.kept_lines import LINES
from lottery.inside.teaching import lesson
from lottery.store import Store


@pytest.fixture(scope="module")
def looked_at(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was looked at, and taught from."""
    path = small_run.copied(tmp_path_factory.mktemp("kept"))
    run = open_run(path)
    analyse(run, ANALYSES["masks"])
    analyse(run, ANALYSES["connectivity"], settings={"points": 3})
    taught = lesson(run, 1)
    run.store.write_measurement(taught.file, taught.to_json())
    return path


@pytest.fixture
def run(looked_at: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(looked_at, tmp_path / looked_at.name))


def wrong(run: Path) -> dict[str, list[str]]:
    return {str(key): found for key, found in kept_problems(Store(run)).items() if found}


def a_lesson(run: Path) -> Path:
    (found,) = (run / "analyses").glob("teach-*")
    return found


def test_what_is_whole_is_counted(cli: Cli, run: Path) -> None:
    names = [f"analyses/{name}.json" for name in (LINES, "connectivity", "masks")]
    names.append(f"analyses/{a_lesson(run).name}")
    assert [*kept_problems(Store(run))] == names
    code, out, _ = cli("verify", run)
    assert code == 0
    assert out.endswith(
        "4 of 4 finished trainings are whole, and 4 of 4 files of given tickets and analyses\n"
    )
    assert json.loads(cli("verify", run, "--json")[1])["analyses/masks.json"] == []


def test_a_result_beside_another_is_checked_as_well(run: Path) -> None:
    analyse(open_run(run), ANALYSES["masks"], levels=[1])
    (path,) = (run / "analyses").glob("masks-*.json")
    assert not wrong(run)
    path.write_bytes((run / "analyses/connectivity.json").read_bytes())
    assert list(wrong(run)) == [f"analyses/{path.name}"]
    path.rename(path.with_name("masks-1.json"))
    (said,) = wrong(run)["analyses/masks-1.json"]
    assert "is nothing that an analysis keeps" in said


@pytest.mark.parametrize("name", ["masks", LINES, "lesson"])
def test_a_value_that_was_changed_is_damage_and_is_not_used(run: Path, name: str) -> None:
    path = a_lesson(run) if name == "lesson" else run / f"analyses/{name}.json"
    text = path.read_text()
    at = text.index("0.") + 2
    path.write_text(f"{text[:at]}{'1' if text[at] != '1' else '2'}{text[at + 1 :]}")
    assert list(wrong(run)) == [f"analyses/{path.name}"]
    (said,) = wrong(run)[f"analyses/{path.name}"]
    assert "is not what was written: its SHA-256 differs; remove it, and lottery" in said
    if name == "masks":
        assert kept_measurement(open_run(run), ANALYSES["masks"]) is None
    if name == "lesson":
        with pytest.raises(StoreError, match="SHA-256 differs"):
            read_learned(path)


def renamed(run: Path) -> None:
    shutil.copy(run / "analyses/masks.json", run / "analyses/weights.json")


def of_other_contents(run: Path) -> None:
    path = a_lesson(run)
    path.rename(path.with_name("teach-1-initial-00000000.json"))


def foreign(run: Path) -> None:
    (run / "analyses/notes.txt").write_text("mine")


def unknown(run: Path) -> None:
    (run / "analyses/mask.json").write_text("{}")


def linked(run: Path) -> None:
    path = run / "analyses/masks.json"
    os.symlink(path.rename(run / "elsewhere.json"), path)


def broken(run: Path) -> None:
    (run / "analyses/masks.json").write_text('{"analysis": "masks"')


def of_another_form(run: Path) -> None:
    (run / "analyses/masks.json").write_text('{"analysis": "masks", "tables": 5}')


def no_lines(run: Path) -> None:
    (run / f"analyses/{LINES}.json").write_text('{"[1]": {"test": [[0.1, "x"], 5]}}')


@pytest.mark.parametrize(
    ("change", "file", "said"),
    [
        (renamed, "weights.json", "is of another analysis than its name says; remove it"),
        (of_other_contents, "teach-1-initial-00000000.json", "is another lesson than its name"),
        (foreign, "notes.txt", "is nothing that an analysis keeps; move it away"),
        (unknown, "mask.json", "is nothing that an analysis keeps; move it away"),
        (linked, "masks.json", "is a link; links in a run are not followed"),
        (broken, "masks.json", "cannot read"),
        (of_another_form, "masks.json", "expected a list, got 5"),
        (no_lines, f"{LINES}.json", "expected a line of each part of the data"),
    ],
)
def test_what_is_forged_or_foreign_is_reported(
    cli: Cli, run: Path, change: Callable[[Path], None], file: str, said: str
) -> None:
    change(run)
    ((where, [problem]),) = wrong(run).items()
    assert where == f"analyses/{file}"
    assert said in problem
    code, out, err = cli("verify", run)
    assert code == 1
    assert said in " ".join(out.split())
    assert "files that are not what was written" in err
    assert "4 of 4 finished trainings are whole" in out


def test_a_file_in_place_of_the_folder_is_reported(run: Path) -> None:
    shutil.rmtree(run / "analyses")
    (run / "analyses").write_text("")
    assert list(wrong(run)) == ["analyses"]


def test_what_was_kept_before_there_were_hashes_is_whole(run: Path) -> None:
    for path in (run / "analyses").iterdir():
        content = json.loads(path.read_text())
        del content["record_sha256"]
        path.write_text(json.dumps(content))
    assert not wrong(run)
    assert kept_measurement(open_run(run), ANALYSES["masks"]) is not None
