"""``lottery config``: show, schema, diff."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery.cli import options
from lottery.cli.loading import load
from lottery.cli.output import echo

if TYPE_CHECKING:
    from lottery.experiments import PlanConfig

app = typer.Typer(
    help="Look at configs: show, schema, diff.", no_args_is_help=True, rich_markup_mode=None
)

Source = Annotated[
    str, typer.Argument(metavar="RECIPE|FILE|RUN", help="A recipe, a TOML file, or a run.")
]


@app.command()
def show(
    source: Source,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Print a whole config as a TOML file.

    lottery run reads it. Defaults are written out.

    \b
    Example:
      lottery config show demo > experiment.toml
    """
    del debug
    load()
    from lottery.experiments import to_plain

    values = to_plain(_any_config(source, out))
    if as_json:
        echo(json.dumps(values, indent=2))
    else:
        from lottery.experiments.toml import to_toml

        echo(to_toml(values), nl=False)


@app.command()
def schema(as_json: options.Json = False, debug: options.Debug = False) -> None:
    """Print every key, its type and its meaning."""
    del debug
    load()
    from lottery.experiments.schema import schema_rows

    rows = schema_rows()
    if as_json:
        echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        kind = f" (kind {row['kind']})" if "kind" in row else ""
        echo(f"{row['key']}{kind}: {row['type']} = {json.dumps(row['default'])}")
        echo(f"    {row['meaning']}")


@app.command()
def diff(
    first: Source,
    second: Source,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Print where two configs differ.

    \b
    Example:
      lottery config diff lenet-300-100/mnist demo
    """
    del debug
    load()
    from lottery.experiments import differences, to_plain

    ours, theirs = (to_plain(_any_config(source, out)) for source in (first, second))
    found = differences(ours, theirs)
    if as_json:
        echo(json.dumps([{"key": k, "first": a, "second": b} for k, a, b in found], indent=2))
        return
    for key, mine, other in found:
        echo(f"{key}: {json.dumps(mine)} -> {json.dumps(other)}")
    if not found:
        echo("no difference")


def base_values(source: str, out: Path | None = None) -> dict[str, Any]:
    """The plain config of a recipe, or of a TOML file (which may build on a recipe).

    Args:
        source: a recipe's name, or a path.
        out: where runs lie, so that a run's name can be told from one that is nothing.

    Raises:
        UsageError: neither a recipe nor a file.
    """
    from lottery.errors import UsageError, unknown_name
    from lottery.experiments import RECIPES, merge, read_toml, to_plain

    if source in RECIPES:
        values: dict[str, Any] = to_plain(RECIPES[source]())
        return values
    path = Path(source)
    if os.path.isfile(path) or (path.suffix == ".toml" and os.path.lexists(path)):
        values = read_toml(path)
        if not values:
            raise UsageError(f"{path} is empty: expected a config; see `lottery config show demo`")
        recipe = values.pop("recipe", None)
        if recipe is None:
            return values
        if not isinstance(recipe, str):
            raise UsageError(f'{path}: recipe: expected a recipe\'s name, as in recipe = "demo"')
        if recipe not in RECIPES:
            unknown = unknown_name("recipe", recipe, RECIPES, listed_by=_LISTED_BY)
            raise UsageError(f"{path}: recipe: {unknown}")
        below = to_plain(RECIPES[recipe]())
        warn_dropped(below, values)
        return merge(below, values)
    run = path if os.path.isfile(path / "experiment.json") else out and _run_called(source, out)
    if run:
        raise UsageError(
            f"{run} is a run, not a config; lottery show {run} says by which command it goes on, "
            f"and lottery config show {run} > experiment.toml writes its config as a file"
        )
    if os.path.isdir(path):
        raise UsageError(f"{path} is a directory: expected a recipe, or the path of a TOML file")
    if _FILE_ENDING.fullmatch(path.suffix):
        raise UsageError(f"there is no file '{path}'{_nearest_file(path)}")
    unknown = unknown_name("recipe", source, RECIPES, listed_by=_LISTED_BY)
    raise UsageError(f"{unknown}; the path of a TOML file will do as well")


def warn_dropped(below: Mapping[str, Any], above: Mapping[str, Any]) -> None:
    """Print a note on settings that are dropped, since the method asked for does not have them."""
    from lottery.experiments.loading import with_kind
    from lottery.experiments.toml import toml_value

    dropped = with_kind(below, above)[1]
    if dropped:
        said = ", ".join(f"{key}={toml_value(value)}" for key, value in dropped.items())
        echo(f"note: method.kind = '{above['method']['kind']}' has no {said}", err=True)


_LISTED_BY = "lottery list recipes"
_FILE_ENDING = re.compile(r"\.[A-Za-z]\w{0,4}")


def _run_called(name: str, out: Path) -> Path | None:
    """The run of that name, with its hash or without; not one whose name only begins so."""
    from lottery.experiments import list_runs

    called = re.compile(f"{re.escape(name)}(-[0-9a-f]{{8}})?")
    return next((run for run in list_runs(out) if called.fullmatch(run.name)), None)


def _nearest_file(path: Path) -> str:
    try:
        there = [file.name for file in path.parent.iterdir() if file.is_file()]
    except OSError:
        return f", and no directory '{path.parent}'"
    near = get_close_matches(path.name, there, n=1)
    return f"; did you mean '{path.parent / near[0]}'?" if near else ""


def _any_config(source: str, out: Path) -> PlanConfig:
    """The config of a recipe, a file or a run."""
    from lottery.errors import UsageError
    from lottery.experiments import find_run, load_config, open_run

    try:
        values = base_values(source)
    except UsageError as no_config:
        if Path(source).suffix == ".toml":
            raise
        try:
            run = find_run(source, out)
        except UsageError:
            raise no_config from None
        return open_run(run).config
    return load_config(values, source=source)
