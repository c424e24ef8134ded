"""Parts of the documentation that are written by the code they describe.

Between a line ``<!-- generated: WHAT -->`` and the next ``<!-- end -->`` stands in every page what
`GENERATORS` makes of it, so that pages can be read in the checkout. After a change to a command, a
setting, a recipe, a criterion, a network or a public name, run

    make pages

A test fails until that is done. The text is the same on every machine and terminal. The built pages
take some parts in a longer form; see `docs/_ext/generated.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from doc_api import api, built_api, built_front, front
from doc_markdown import cell, code, markdown, table

_HELP_COLUMNS = 78
_DOCS = Path(__file__).parents[1] / "docs"
MARK = re.compile(
    r"^(?P<begin><!-- generated: (?P<what>\w+)(?: (?P<of>\S+))? -->)\n"
    r"(?P<text>.*?)^(?P<end><!-- end -->)$",
    re.MULTILINE | re.DOTALL,
)


def main() -> None:
    """Write what is out of date."""
    for page in stale():
        page.write_text(generated(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"written: {page.relative_to(_DOCS.parent)}")


def stale() -> list[Path]:
    """The pages in which something generated is not what the code makes of it now."""

    def is_stale(page: Path) -> bool:
        text = page.read_text(encoding="utf-8")
        return text != generated(text)

    return [page for page in sorted(_DOCS.rglob("*.md")) if is_stale(page)]


def generated(page: str) -> str:
    """A page's text with its generated parts made anew."""
    return MARK.sub(
        lambda mark: f"{mark['begin']}\n\n{GENERATORS[mark['what']](mark['of'])}\n\n{mark['end']}",
        page,
    )


# The command line


def cli(_argument: str | None) -> str:
    """What ``--help`` prints for every command, from the program itself."""
    return "\n\n".join(
        f"## {' '.join(['lottery', *path])}\n\n{code('text', help_text(path))}"
        for path in command_paths()
    )


def command_paths() -> list[tuple[str, ...]]:
    """Every command by its words, such as ``("config", "show")``; the first is the root."""
    return [path for path, command in _below((), _root_command())]


def help_text(path: tuple[str, ...]) -> str:
    """What a command's ``--help`` prints on a terminal of 80 columns or more."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        _root_command().main(
            [*path, "--help"],
            prog_name="lottery",
            standalone_mode=False,
            terminal_width=_HELP_COLUMNS,
        )
    return text.getvalue().strip()


def _root_command() -> Any:
    from typer.main import get_command

    from lottery.cli.main import app

    return get_command(app)


def _below(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _below((*path, name), child)


# Configs and recipes


def config(_argument: str | None) -> str:
    """Every key of a config, in one part per table of the TOML file."""
    from lottery.experiments.schema import schema_rows

    tables: dict[str, list[tuple[str, ...]]] = {}
    for row in schema_rows():
        first, dot, key = row["key"].partition(".")
        meaning = cell(markdown(row["meaning"]))
        kind, default = cell(row["type"]), cell(json.dumps(row["default"]))
        cells = (f"`{key or first}`", f"`{kind}`", f"`{default}`", meaning)
        place = f'[{first}] of kind = "{row["kind"]}"' if "kind" in row else f"[{first}]"
        tables.setdefault(place if dot else "At the top", []).append(cells)
    return "\n\n".join(
        f"## {name}\n\n{table(('Key', 'Type', 'Default', 'Meaning'), rows)}"
        for name, rows in tables.items()
    )


def recipes(_argument: str | None) -> str:
    """Every recipe: what it is, where its settings come from, what it shows, what it changes."""
    from lottery.experiments import (
        RECIPE_ENTRIES,
        ExperimentConfig,
        RecipeEntry,
        plan,
        to_plain,
    )
    from lottery.experiments.toml import to_toml

    defaults = to_plain(ExperimentConfig())

    def recipe(name: str, entry: RecipeEntry) -> str:
        made = entry.make()
        size = f"{len(plan(made)):,} trainings of {made.training.length} each."
        about = markdown(f"{entry.title}\n\n{entry.text}")
        shown = f"Source: {entry.source}. What it should show: {entry.shows}"
        changes = to_toml(_changed(to_plain(made), defaults)).strip()
        # A table that only holds tables needs no line of its own.
        settings = code("toml", re.sub(r"^\[[^\]]+\]\n\n(?=\[)", "", changes, flags=re.MULTILINE))
        differs = f"{size} It differs from the defaults by"
        return f"## {name}\n\n{about}\n\n{shown}\n\n{differs}\n\n{settings}"

    return "\n\n".join(recipe(name, entry) for name, entry in RECIPE_ENTRIES.items())


def _changed(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What of nested tables is not as by default."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            value = _changed(value, default)
            if value:
                found[key] = value
        elif value != default:
            found[key] = value
    return found


def criteria(_argument: str | None) -> str:
    """Every criterion: its name, what it is, what it looks at, where it is from."""
    from lottery.core import CRITERIA

    rows = [
        (
            f"`{name}`",
            cell(entry.about),
            f"{entry.looks_at}{', per unit' if entry.per_unit else ''}",
            entry.source,
        )
        for name, entry in CRITERIA.items()
    ]
    return table(("Name", "Score", "Looks at", "Source"), rows)


def models(_argument: str | None) -> str:
    """Every network by name and every form of names, with its size."""
    from lottery.cli.lists import model_rows

    def cells(row: dict[str, Any]) -> tuple[str, ...]:
        sizes = (row["input"], row["classes"], row["parameters"], row["prunable"])
        numbers = (f"{size:,}" if isinstance(size, int) else size or "-" for size in sizes)
        return (f"`{row['name']}`", cell(row["what"]), *numbers)

    columns = ("Name", "What", "Input", "Classes", "Parameters", "Prunable")
    return table(columns, [cells(row) for row in model_rows()])


GENERATORS: dict[str, Callable[[str | None], str]] = {
    "api": api,
    "cli": cli,
    "config": config,
    "criteria": criteria,
    "front": front,
    "models": models,
    "recipes": recipes,
}

BUILT: dict[str, Callable[[str | None], str]] = {"api": built_api, "front": built_front}
"""Parts that the built pages have in another form."""


if __name__ == "__main__":
    main()
