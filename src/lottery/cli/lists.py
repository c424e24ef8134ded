"""``lottery list``."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lottery.cli import options


class Thing(StrEnum):
    """What can be listed."""

    recipes = "recipes"
    models = "models"
    datasets = "datasets"
    criteria = "criteria"
    engines = "engines"
    runs = "runs"


def list_things(
    what: Annotated[Thing, typer.Argument(metavar="WHAT", help=f"One of: {', '.join(Thing)}.")],
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List what can be named: recipes, models, datasets, criteria, engines; or the runs made.

    Examples:

      lottery list recipes

      lottery list models --json
    """
    del debug
    rows = _ROWS[what](out)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        typer.echo(f"no {what.value} yet in {out}" if what == Thing.runs else f"no {what.value}")
        return
    if what == Thing.recipes:
        _print_recipes(rows)
        return
    from lottery.cli.tables import print_table

    print_table(rows)


def _recipes(_out: Path) -> list[dict[str, Any]]:
    from lottery.experiments import RECIPE_ENTRIES, RecipeEntry, plan

    def row(name: str, entry: RecipeEntry) -> dict[str, Any]:
        config = entry.make()
        return {
            "name": name,
            "what": _first_sentence(entry.make),
            "source": entry.source,
            "trainings": len(plan(config)),
            "length": str(config.training.length),
            "batch_size": config.training.batch_size,
            "shows": entry.shows,
        }

    return [row(name, entry) for name, entry in RECIPE_ENTRIES.items()]


def _print_recipes(rows: list[dict[str, Any]]) -> None:
    """Each recipe's name, and below it what is known of it; no table has room for that."""
    for row in rows:
        typer.echo(row["name"])
        cost = f"{row['trainings']:,} trainings of {row['length']}, batches of {row['batch_size']}"
        for text in (row["what"], f"Source: {row['source']}", f"Cost: {cost}", row["shows"]):
            typer.echo(f"    {text}")


def model_rows() -> list[dict[str, Any]]:
    """Every network that can be named, with its size for the data it was made for."""
    import torch

    from lottery.core import prunable_weights
    from lottery.models import MODEL_FAMILIES, MODELS, OUTSIDE_FORMS, Task, build_model

    def row(name: str, shown: str, what: str, task: Task) -> dict[str, Any]:
        shape, classes = task
        # Only sizes are needed, so no memory is given to the weights.
        with torch.device("meta"):
            model = build_model(name, shape, classes)
        return {
            "name": shown,
            "what": what,
            "input": "x".join(map(str, shape)),
            "classes": classes,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "prunable": sum(weight.numel() for weight in prunable_weights(model).values()),
        }

    rows = [row(name, name, entry.about, entry.task) for name, entry in MODELS.items()]
    for family in MODEL_FAMILIES:
        what = f"{family.about} (sizes are of {family.example})"
        rows.append(row(family.example, family.form, what, family.task))
    unknown = dict.fromkeys(list(rows[0])[2:])
    return rows + [{"name": form, "what": what} | unknown for form, what in OUTSIDE_FORMS.items()]


def _datasets(_out: Path) -> list[dict[str, Any]]:
    from lottery.data import DATASET_KINDS, DATASETS

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "what": entry.info.description,
            "input": "x".join(map(str, entry.info.input_shape)),
            "classes": entry.info.classes,
            "training": entry.info.training_examples,
            "test": entry.info.test_examples,
        }
        for name, entry in DATASETS.items()
    ]
    unknown = dict.fromkeys(list(rows[0])[2:])
    kinds = DATASET_KINDS.values()
    return [*rows, *({"name": kind.form, "what": kind.what} | unknown for kind in kinds)]


def _criteria(_out: Path) -> list[dict[str, Any]]:
    from lottery.core import CRITERIA

    rows = [
        {"name": name, "what": c.about, "looks at": c.looks_at, "source": c.source}
        for name, c in CRITERIA.items()
    ]
    own = "Any function of a ScoreContext, by its import path"
    return [
        *rows,
        {"name": "package.module:name", "what": own, "looks at": "examples", "source": ""},
    ]


def _engines(_out: Path) -> list[dict[str, Any]]:
    from lottery.training import ENGINES

    return [{"name": name, "what": _first_sentence(engine)} for name, engine in ENGINES.items()]


def _runs(out: Path) -> list[dict[str, Any]]:
    from lottery.errors import LotteryError
    from lottery.experiments import list_runs, open_run, plan

    def row(path: Path) -> dict[str, Any]:
        try:
            run = open_run(path)
        except LotteryError as error:
            return {
                "run": path.name,
                "experiment": "?",
                "done": 0,
                "planned": 0,
                "note": str(error),
            }
        bad = sum(result.status != "done" for result in run.results.values())
        return {
            "run": path.name,
            "experiment": run.config.name,
            "done": len(run.results),
            "planned": len(plan(run.config)),
            "note": f"{bad} diverged or collapsed" if bad else "",
        }

    return [row(path) for path in list_runs(out)]


_ROWS: dict[Thing, Callable[[Path], list[dict[str, Any]]]] = {
    Thing.recipes: _recipes,
    Thing.models: lambda _out: model_rows(),
    Thing.datasets: _datasets,
    Thing.criteria: _criteria,
    Thing.engines: _engines,
    Thing.runs: _runs,
}


def _first_sentence(documented: object) -> str:
    """The first line of a docstring: what the thing is."""
    return (documented.__doc__ or "").strip().splitlines()[0].replace("``", "")
