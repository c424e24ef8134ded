"""``lottery config``: show, schema, diff."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery.cli import options
from lottery.cli.loading import load
from lottery.cli.output import echo

if TYPE_CHECKING:
    from lottery.experiments import ExperimentConfig

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
        echo(f"{row['key']}: {row['type']} = {json.dumps(row['default'])}")
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


def base_values(source: str) -> dict[str, Any]:
    """The plain config of a recipe, or of a TOML file (which may build on a recipe).

    Raises:
        UsageError: neither a recipe nor a file.
    """
    from lottery.errors import UsageError, unknown_name
    from lottery.experiments import RECIPES, merge, read_toml, to_plain

    if source in RECIPES:
        values: dict[str, Any] = to_plain(RECIPES[source]())
        return values
    path = Path(source)
    if path.suffix == ".toml" or os.path.isfile(path):
        values = read_toml(path)
        if not values:
            raise UsageError(f"{path} is empty: expected a config; see `lottery config show demo`")
        recipe = values.pop("recipe", None)
        if recipe is None:
            return values
        if not isinstance(recipe, str):
            raise UsageError(f'{path}: recipe: expected a recipe\'s name, as in recipe = "demo"')
        if recipe not in RECIPES:
            raise UsageError(f"{path}: recipe: {unknown_name('recipe', recipe, RECIPES)}")
        return merge(to_plain(RECIPES[recipe]()), values)
    if os.path.isfile(path / "experiment.json"):
        raise UsageError(
            f"{path} is a run, not a config; lottery config show {path} > experiment.toml writes "
            "its config as a file, and lottery show says by which command it goes on"
        )
    if os.path.isdir(path):
        raise UsageError(f"{path} is a directory: expected a recipe, or the path of a TOML file")
    raise UsageError(unknown_name("recipe", source, RECIPES) + ", or the path of a TOML file")


def _any_config(source: str, out: Path) -> ExperimentConfig:
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
