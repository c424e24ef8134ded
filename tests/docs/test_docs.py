"""What the documentation shows exists, runs and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

import doc_api
import generate_docs
import lottery
from lottery.cli.configs import base_values
from lottery.cli.main import app
from lottery.errors import MissingPackageError
from lottery.experiments import (
    RECIPE_ENTRIES,
    RECIPES,
    RunOptions,
    load_config,
    merge,
    parse_override,
    run_experiment,
    smoke,
)
from lottery.store.jobs import RESULT_FIELDS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PAGES = [page for page in PAGES if "_build" not in page.parts]


class Block(NamedTuple):
    language: str
    text: str
    prints: bool
    """Whether this is what the block before it prints, to the letter."""


def blocks(page: Path) -> Iterator[Block]:
    fence = re.compile(r"(<!-- prints -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for found in fence.finditer(page.read_text(encoding="utf-8")):
        yield Block(found[2], found[3], bool(found[1]))


def pages_with(language: str) -> list[Any]:
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if any(block.language == language for block in blocks(page))
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tiny run of the demo in ``runs``."""
    directory = tmp_path_factory.mktemp("docs")
    run_experiment(smoke(RECIPES["demo"]()), RunOptions(out=directory / "runs", jobs=1))
    return directory


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_runs(
    page: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What one page's code writes beside the run is not there for another's.
    monkeypatch.chdir(shutil.copytree(runs, tmp_path / "docs"))
    names: dict[str, Any] = {"__name__": "__docs__"}
    printed = ""
    for block in blocks(page):
        if block.prints:
            assert block.text == printed
        if block.language == "python":
            out = io.StringIO()
            try:
                with contextlib.redirect_stdout(out):
                    exec(compile(block.text, str(page), "exec"), names)
            except MissingPackageError as missing:
                pytest.skip(str(missing))
            except ModuleNotFoundError as missing:
                if str(missing.name).startswith("lottery"):
                    raise
                pytest.skip(f"{missing.name} is not installed")
            printed = out.getvalue()


@pytest.mark.parametrize("page", pages_with("sh"))
def test_commands_can_be_parsed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands and options exist, and configs load; nothing is run."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        if block.language == "toml":
            Path("experiment.toml").write_text(block.text, encoding="utf-8")
    text = "\n".join(block.text for block in blocks(page) if block.language == "sh")
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("lottery "):
            check_command(shlex.split(line)[1:])


def check_command(words: list[str]) -> None:
    command: Any = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    if "--help" in words:
        return
    parameters = command.make_context("lottery", words).params
    if parameters.get("recipe") is not None:
        values = base_values(parameters["recipe"])
        short = {key: parameters.get(key) for key in ("levels", "replicates", "seed")}
        values = merge(values, {key: value for key, value in short.items() if value is not None})
        for override in parameters["overrides"] or ():
            values = merge(values, parse_override(override), emptying=True)
        load_config(values)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_named_exists(page: Path) -> None:
    """Links to files, tests and sources lead somewhere."""
    text = page.read_text(encoding="utf-8")
    linked = [page.parent / link for link in re.findall(r"\]\(([^)#:\s]+)(?:#[\w-]*)?\)", text)]
    named = [
        ROOT / path for path in re.findall(r"`((?:src|tests|docs/(?!_)|\.ci)/?[\w./-]*)`", text)
    ]
    assert [path for path in [*linked, *named] if not path.exists()] == []


def test_the_demos_verdict_is_the_same_everywhere() -> None:
    verdict = (ROOT / "docs/demo-verdict.txt").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"```text\n{verdict}```" in readme


def test_every_field_of_a_result_is_described() -> None:
    text = (ROOT / "docs/format.md").read_text(encoding="utf-8")
    assert [name for name in RESULT_FIELDS if f"`{name}`" not in text] == []


def test_what_is_made_from_the_code_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same at every width of the terminal."""
    monkeypatch.setenv("COLUMNS", "40")
    found = [str(page.relative_to(ROOT)) for page in generate_docs.stale()]
    assert not found, f"run `make pages` and commit what it writes: {', '.join(found)}"


def test_every_public_package_has_a_page() -> None:
    for package in doc_api.public_packages():
        page = ROOT / "docs/api" / f"{package.rpartition('.')[2]}.md"
        assert f"<!-- generated: api {package} -->" in page.read_text(encoding="utf-8")


def test_every_public_name_is_documented() -> None:
    assert doc_api.undocumented() == []
    for front in (doc_api.front(None), doc_api.built_front(None)):
        for name in lottery.__all__:
            assert f"| `lottery.{name}` |" in front


def test_a_signature_is_that_of_the_source() -> None:
    text = doc_api.api("lottery.core")
    assert "### CRITERIA\n\n" in text
    assert "```py\nselect(" in text
    assert "- `dense(weights: Mapping[str, Tensor])`: " in text
    assert "object at 0x" not in text
    assert "field(default_factory" not in doc_api.api("lottery.tickets")


def test_every_recipe_is_in_the_reference() -> None:
    text = generate_docs.recipes(None)
    for name, entry in RECIPE_ENTRIES.items():
        assert f"## {name}\n\n{entry.title}\n" in text
        assert f"Source: {entry.source}. What it should show: {entry.shows}\n" in text


def test_every_command_is_in_the_reference() -> None:
    text = generate_docs.cli(None)
    for words in (("run",), ("config", "diff"), ("verdict",)):
        assert f"## lottery {' '.join(words)}\n" in text
    assert "--dry-run" in text
