"""What is printed: nothing of a file or a user makes a terminal do anything."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from command import Cli
from hypothesis import given
from hypothesis import strategies as st
from small_run import SmallRun

import lottery
from lottery.cli.tables import print_table
from lottery.errors import printable
from lottery.store import JobKey, Store

ATTACK = "\x1b]0;owned\x07\x1b[2J\r\u202e\udc80\x9b31m"
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def acts(text: str) -> list[str]:
    """The characters of a text that a terminal may act on."""
    return [c for c in text if c not in "\n\t" and unicodedata.category(c) in UNSEEN]


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_everything_of_what_is_printed_is_seen(text: str) -> None:
    assert acts(printable(text)) == []
    if not acts(text):
        assert printable(text) == text


def test_text_goes_to_the_terminal_by_one_way_alone() -> None:
    folder = Path(lottery.__file__).parent
    ways = re.compile(r"typer\.echo|click\.echo|sys\.std\w+\.write|Console\(")
    prints = {
        path.relative_to(folder).as_posix(): sorted(set(found))
        for path in folder.rglob("*.py")
        if (found := ways.findall(path.read_text()))
    }
    # What consoles print went through `printable`, or goes into a string that `echo` prints, or
    # is this project's own.
    assert prints == {
        "cli/analyse.py": ["typer.echo"],
        "cli/loading.py": ["typer.echo"],
        "cli/output.py": ["typer.echo"],
        "cli/progress.py": ["Console("],
        "cli/tables.py": ["Console("],
        "analysis/text.py": ["Console("],
        "data/loading_progress.py": ["Console(", "sys.stderr.write"],
        "experiments/printing.py": ["sys.stderr.write"],
    }


def test_a_run_of_somebody_else_is_shown_harmless(
    cli: Cli, small_run: SmallRun, tmp_path: Path
) -> None:
    run, key = Store(tmp_path / f"run{ATTACK[:5]}"), JobKey(0, "main", 0)
    small = Store(small_run.path)
    experiment = small.read_experiment()
    assert experiment is not None
    experiment["command"] = ATTACK
    experiment["environment"] |= {"torch": ATTACK, "engine": ATTACK}
    run.write_experiment(experiment)
    result = replace(
        small.result(key),
        layers={f"fc{ATTACK}": (0, 68)},
        weights_kept=0,
        weights_total=68,
        density=0,
    )
    run.write_job(small.ticket(key), result, None)
    code, out, err = cli("show", run.path)
    assert code == 0
    assert acts(out + err) == []
    assert out.count("\\u001b]0;owned\\u0007\\u001b[2J") >= 3
    run.set_aside(key)
    failed = replace(
        result,
        status="diverged",
        reason=ATTACK,
        early_stop_iteration=None,
        validation_loss_at_early_stop=None,
        score_at_early_stop=None,
        score_final=None,
    )
    run.write_job(small.ticket(key), failed, None)
    for verb in ("show", "verify", "verdict"):
        _, out, err = cli(verb, run.path)
        assert out + err
        assert acts(out + err) == []
    _, out, err = cli("list", "runs", "--out", tmp_path)
    assert acts(out + err) == []


def test_the_owner_of_a_run_is_told_harmless(cli: Cli, small_run: SmallRun, tmp_path: Path) -> None:
    from lottery.experiments import to_plain
    from lottery.experiments.toml import to_toml
    from lottery.store import lock_run

    run = small_run.copied(tmp_path)
    (tmp_path / "small.toml").write_text(to_toml(to_plain(small_run.config)))
    with lock_run(run):
        owner = {"pid": 1, "host": ATTACK, "since": "then", "command": ATTACK}
        (run / ".owner.json").write_text(json.dumps(owner))
        code, out, err = cli("run", tmp_path / "small.toml", "--out", tmp_path, "--device", "cpu")
    assert code == 1
    assert "is being worked on by process 1 on" in err
    assert acts(out + err) == []


def test_names_of_a_user_are_told_harmless(cli: Cli, tmp_path: Path) -> None:
    name = f"idx:{tmp_path}/{ATTACK[:12]}"
    for arguments in (
        ("show", ATTACK),
        ("run", ATTACK),
        ("run", "demo", "--set", f"data.name={name}"),
    ):
        code, out, err = cli(*arguments)
        assert code in (2, 3)
        assert acts(out + err) == []


def test_cells_and_titles_of_tables_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"name": ATTACK, "n": 1}], title=f"[red]{ATTACK}")
    out = capsys.readouterr().out
    assert acts(out) == []
    assert "[red]" in out, "a title is text, no markup"
