"""Help pages, and what is told of words that mean nothing."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command import Cli
from typer.main import get_command

from lottery.cli.main import app
from lottery.cli.options import report_file

COMMANDS = (
    *((name,) for name in ("demo", "run", "list", "show", "verdict", "report", "compare")),
    ("verify",),
    ("teach",),
    *(("config", name) for name in ("show", "schema", "diff")),
    *(("analyse", name) for name in ("masks", "weights", "connectivity", "alignment")),
    *(("analyse", name) for name in ("curvature", "cka", "pools", "shifts")),
    *(("ticket", name) for name in ("save", "inspect", "verify", "apply", "diff", "train")),
)


GROUPS = ((), ("config",), ("ticket",), ("analyse",))


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPS], ids=" ".join)
@pytest.mark.parametrize("columns", [60, 80, 100])
def test_help_fits_and_its_examples_are_whole_commands(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = cli(*command, "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= columns
    assert "..." not in re.sub(r"^Usage: .*|\bARGS\]\.\.\.", "", out)
    examples = re.findall(r"^    (lottery .*)$", out, re.MULTILINE)
    assert examples or command in [*GROUPS, ("config", "schema")]
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])[1:]
        found = get_command(app)
        while words and words[0] in getattr(found, "commands", {}):
            found = found.commands[words.pop(0)]  # type: ignore[attr-defined]
        # Options and numbers are read, nothing is run.
        found.make_context("lottery", words)


def test_one_thing_has_one_spelling() -> None:
    root = get_command(app)
    spelled: dict[str, set[tuple[str, ...]]] = {}
    for command in root.commands.values():  # type: ignore[attr-defined]
        for parameter in command.params:
            if parameter.name in ("out", "report"):
                spelled.setdefault(parameter.name, set()).add(tuple(parameter.opts))
        assert all(len(option) > 2 for p in command.params for option in p.opts if option != "-h")
    assert spelled == {"out": {("--out",)}, "report": {("--report",)}}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "demo", "--levels", "x"), "'--levels': expected a whole number, got 'x'"),
        (("run", "demo", "--seed", "1.5"), "'--seed': expected a whole number, got '1.5'"),
        (("run", "demo", "--seed", "9" * 5000), "expected a whole number"),
        (("verdict", "demo", "--margin", "nan"), "'--margin': expected a number, got 'nan'"),
        (("compare", "a", "b", "--tolerance", ""), "'--tolerance': expected a number, got ''"),
        (("run", "demo", "--checkpoint-seconds", "-1"), "expected 0 seconds or more, got '-1'"),
        (("run", "demo", "--level", "3"), "no option '--level'; did you mean '--levels'?"),
        (("show",), "missing argument 'RUN'"),
        (("list",), "expected what to list: recipes, models"),
        (("list", "run"), "did you mean 'runs'?"),
        (("config", "shw"), "Did you mean 'show'?"),
        (("run", "demo", "--set"), "option '--set' requires an argument"),
    ],
)
def test_words_that_mean_nothing_are_answered_in_ours(
    cli: Cli, words: tuple[str, ...], message: str
) -> None:
    code, _, err = cli(*words)
    assert (code, message in err) == (2, True), err
    assert err.startswith("error: ")
    for library in ("Value error", "Input should", "validation error", "Traceback", "NoneType"):
        assert library not in err


@pytest.mark.parametrize(
    "words", [("run", "demo"), ("demo",), ("report", "a"), ("compare", "a", "b")]
)
def test_a_report_replaces_files_alone(cli: Cli, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name, what in (("folder", "a directory"), ("pipe", "no regular"), ("link", "no regular")):
        code, _, err = cli(*words, "--report", name)
        assert (code, what in err) == (2, True), err
    assert (tmp_path / "pipe").is_fifo()


def test_a_report_goes_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to("there.html")
    assert report_file(str(tmp_path / "link.html")) == (tmp_path / "there.html").resolve()
    assert report_file(str(tmp_path / "new.html")) == tmp_path / "new.html"


STOPPED_AT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            sys.exit(86)
sys.meta_path.insert(0, Refuse())
from lottery.cli.main import main
sys.argv = ["lottery", *sys.argv[1:]]
main()
"""


def until_torch(*words: str, **environment: str) -> tuple[int, str, str]:
    """The command until it imports torch, which it ends at with 86."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_AT_TORCH, *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words", [("demo",), ("run", "demo"), ("run", "demo", "--dry-run")])
def test_something_is_said_before_torch_is_imported(words: tuple[str, ...], tmp_path: Path) -> None:
    assert until_torch(*words, "--out", str(tmp_path)) == (86, "", "loading PyTorch\n")


@pytest.mark.skipif(os.name != "posix", reason="closes standard error by the shell")
def test_without_standard_error_nothing_is_said_and_all_goes_on() -> None:
    closed = ["sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", STOPPED_AT_TORCH]
    for words in (["demo"], ["show", "a"]):
        assert subprocess.run([*closed, *words], check=False).returncode == 86


@pytest.mark.parametrize("words", [("demo", "--quiet"), ("run", "demo", "--json"), ("show", "a")])
def test_nothing_is_said_where_nothing_is_wanted(words: tuple[str, ...]) -> None:
    assert until_torch(*words) == (86, "", "")


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("run", "--help"), ("-h",)])
def test_help_imports_no_torch(words: tuple[str, ...]) -> None:
    assert until_torch(*words)[0] == 0


@pytest.mark.parametrize("words", [(), ("list", "run"), ("run", "--levels", "x"), ("runn",)])
def test_a_mistake_is_told_without_torch(words: tuple[str, ...]) -> None:
    assert until_torch(*words)[0] == 2


def test_completion_imports_no_torch() -> None:
    typed = {"_LOTTERY_COMPLETE": "complete_bash", "COMP_WORDS": "lottery list r"}
    assert until_torch(COMP_CWORD="2", **typed) == (0, "recipes\nruns\n", "")
