"""Parts of the documentation that are written by the code they describe, at build time.

A line ``<!-- generated: WHAT -->`` in a page is replaced by what `GENERATORS` makes of it, so that
no list of commands, settings or public names can go stale.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_COLUMNS = 88
_MARK = re.compile(r"^<!-- generated: (\w+)(?: (\S+))? -->$", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", _expand)
    app.connect("env-get-outdated", lambda app, env, *_: sorted(_pages(app) & env.all_docs.keys()))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _expand(_app: Sphinx, _page: str, source: list[str]) -> None:
    source[0] = _MARK.sub(lambda mark: GENERATORS[mark[1]](mark[2]), source[0])


def _pages(app: Sphinx) -> set[str]:
    """Pages with a generated part; they follow the code, so they are always read again."""
    return {
        page
        for page in app.project.docnames
        if _MARK.search(app.project.doc2path(page, absolute=True).read_text(encoding="utf-8"))
    }


# The command line


def cli(_argument: str | None) -> str:
    """What ``--help`` prints for every command, from the program itself."""
    return "\n\n".join(
        f"## {' '.join(['lottery', *path])}\n\n{_code('text', help_text(path))}"
        for path in command_paths()
    )


def command_paths() -> list[tuple[str, ...]]:
    """Every command by its words, such as ``("config", "show")``; the first is the root."""
    return [path for path, command in _below((), _root_command())]


def help_text(path: tuple[str, ...]) -> str:
    """What a command's ``--help`` prints, without frames and colours."""
    root, text = _root_command(), io.StringIO()
    for _, command in _below((), root):
        command.rich_markup_mode = None
    with contextlib.redirect_stdout(text):
        root.main(
            [*path, "--help"],
            prog_name="lottery",
            standalone_mode=False,
            terminal_width=_COLUMNS,
            max_content_width=_COLUMNS,
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
        table, dot, key = row["key"].partition(".")
        meaning = _cell(f"{_meaning_of_length(row['key'])}{_markdown(row['meaning'])}")
        kind, default = _cell(row["type"]), _cell(json.dumps(row["default"]))
        cells = (f"`{key or table}`", f"`{kind}`", f"`{default}`", meaning)
        tables.setdefault(table if dot else "", []).append(cells)
    return "\n\n".join(
        f"## {f'[{table}]' if table else 'At the top'}\n\n"
        f"{_table(('Key', 'Type', 'Default', 'Meaning'), rows)}"
        for table, rows in tables.items()
    )


def _meaning_of_length(key: str) -> str:
    """What a length is of, before its amount: the docstring under the field that holds it."""
    from lottery.experiments import ExperimentConfig
    from lottery.experiments.schema import field_docstrings

    parts = key.split(".")
    if parts.pop() != "amount":
        return ""
    holder: Any = ExperimentConfig()
    for part in parts[:-1]:
        holder = getattr(holder, part)
    return _markdown(field_docstrings(type(holder))[parts[-1]]) + " "


def recipes(_argument: str | None) -> str:
    """Every recipe: what it is, where its settings come from, what it shows, its whole config."""
    from lottery.experiments import RECIPE_ENTRIES, RecipeEntry, plan, run_name, to_plain
    from lottery.experiments.toml import to_toml

    def recipe(name: str, entry: RecipeEntry) -> str:
        made = entry.make()
        size = f"{len(plan(made)):,} trainings of {made.training.length} each."
        about = _markdown(inspect.getdoc(entry.make) or "")
        shown = f"Source: {entry.source}. What it should show: {entry.shows}"
        settings = _code("toml", to_toml(to_plain(made)).strip())
        run = f"{size} The run is called `{run_name(made)}`."
        return f"## {name}\n\n{about}\n\n{shown}\n\n{run}\n\n{settings}"

    return "\n\n".join(recipe(name, entry) for name, entry in RECIPE_ENTRIES.items())


def criteria(_argument: str | None) -> str:
    """Every criterion: its name, what it is, what it looks at, where it is from."""
    from lottery.core import CRITERIA

    rows = [
        (
            f"`{name}`",
            _cell(entry.about),
            f"{entry.looks_at}{', per unit' if entry.per_unit else ''}",
            entry.source,
        )
        for name, entry in CRITERIA.items()
    ]
    return _table(("Name", "Score", "Looks at", "Source"), rows)


def models(_argument: str | None) -> str:
    """Every network by name and every form of names, with its size."""
    from lottery.cli.lists import model_rows

    def cells(row: dict[str, Any]) -> tuple[str, ...]:
        sizes = (row["input"], row["classes"], row["parameters"], row["prunable"])
        numbers = (f"{size:,}" if isinstance(size, int) else size or "-" for size in sizes)
        return (f"`{row['name']}`", _cell(row["what"]), *numbers)

    columns = ("Name", "What", "Input", "Classes", "Parameters", "Prunable")
    return _table(columns, [cells(row) for row in model_rows()])


# Python


def public_packages() -> list[str]:
    """Every package of `lottery` that says in ``__all__`` what is public."""
    import lottery

    found = pkgutil.iter_modules(lottery.__path__)
    names = [f"lottery.{package.name}" for package in found if package.ispkg]
    return [name for name in names if getattr(importlib.import_module(name), "__all__", None)]


def api(package: str | None) -> str:
    """The public names of a package, each with its docstring.

    Raises:
        ValueError: one has none.
    """
    assert package is not None, "say which package, as in `generated: api lottery.core`"
    module = importlib.import_module(package)
    lacking = undocumented([package])
    if lacking:
        raise ValueError(f"public, but without a docstring: {', '.join(lacking)}")
    parts = [_markdown(inspect.getdoc(module) or "")]
    for name in module.__all__:
        target = f"{package}.{name}"
        if inspect.isfunction(getattr(module, name)):
            parts.append(_rst(f".. autofunction:: {target}"))
        elif _is_class(getattr(module, name)):
            parts.append(_rst(f".. autoclass:: {target}\n   :members:"))
        else:
            meaning = " ".join(documented_value(module, name).split())
            parts.append(_rst(f".. py:data:: {target}\n\n   {meaning}"))
    return "\n\n".join(parts)


def front(_argument: str | None) -> str:
    """The names that can be imported from `lottery` itself, and where each is described."""
    import lottery

    rows = [(f"`lottery.{name}`", f"{{py:obj}}`{_home(name)}`") for name in lottery.__all__]
    return _table(("Name", "Described as"), rows)


def _home(name: str) -> str:
    """The whole name of what `lottery` offers under ``name``."""
    import lottery

    for package in [*public_packages(), "lottery.errors", "lottery.rng"]:
        module = importlib.import_module(package)
        if getattr(module, name, None) is getattr(lottery, name):
            return f"{package}.{name}"
    raise ValueError(f"lottery.{name} belongs to no public package")


def undocumented(packages: list[str] | None = None) -> list[str]:
    """Public names without a docstring: of functions, classes, and constants or types."""

    def has_docstring(module: ModuleType, name: str) -> bool:
        value = getattr(module, name)
        if inspect.isfunction(value):
            return bool(value.__doc__)
        if _is_class(value):
            # A dataclass without a docstring gets its signature for one.
            return bool(value.__doc__) and not value.__doc__.startswith(f"{value.__name__}(")
        return bool(documented_value(module, name))

    return [
        f"{package}.{name}"
        for package in (public_packages() if packages is None else packages)
        for module in [importlib.import_module(package)]
        for name in module.__all__
        if not has_docstring(module, name)
    ]


def _is_class(value: object) -> bool:
    """Whether this is a class of ours, not a type that a name stands for."""
    return inspect.isclass(value) and value.__module__.startswith("lottery.")


def documented_value(module: ModuleType, name: str) -> str:
    """The docstring under the assignment of a public constant or type, and a dict's keys.

    Looked for in the module that assigns the name, which the package may only re-export.
    """
    for source in _loaded_modules(module):
        text = _below_assignment(source, name)
        if text:
            value = getattr(module, name)
            keys = ", ".join(f"``{key}``" for key in value) if isinstance(value, dict) else ""
            return f"{text} Names: {keys}." if keys else text
    return ""


def _loaded_modules(package: ModuleType) -> list[ModuleType]:
    """The modules of `lottery`, those of the package first."""
    names = sorted(
        (name for name in sys.modules if name.startswith("lottery.")),
        key=lambda name: (not f"{name}.".startswith(f"{package.__name__}."), name),
    )
    return [sys.modules[name] for name in names]


def _below_assignment(module: ModuleType, name: str) -> str:
    body = ast.parse(inspect.getsource(module)).body
    for statement, below in pairwise(body):
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        match below:
            case ast.Expr(value=ast.Constant(value=str(text))) if any(
                isinstance(target, ast.Name) and target.id == name for target in targets
            ):
                return inspect.cleandoc(text)
    return ""


# Markdown


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _rst(text: str) -> str:
    return f"```{{eval-rst}}\n{text}\n```"


def _markdown(docstring: str) -> str:
    """A docstring's prose, whose double backticks are single ones in Markdown."""
    return docstring.replace("``", "`")


GENERATORS: dict[str, Callable[[str | None], str]] = {
    "api": api,
    "cli": cli,
    "config": config,
    "criteria": criteria,
    "front": front,
    "models": models,
    "recipes": recipes,
}
