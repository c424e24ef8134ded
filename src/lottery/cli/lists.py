"""``lottery list``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery.cli import options
from lottery.cli.loading import load
from lottery.cli.output import echo

if TYPE_CHECKING:
    from lottery.experiments import Run


THINGS = ("recipes", "models", "datasets", "criteria", "engines", "runs")
"""What can be listed."""


def list_things(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="WHAT", help=f"One of: {', '.join(THINGS)}.", autocompletion=lambda: THINGS
        ),
    ] = None,
    out: options.Out = Path("runs"),
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List what can be named, or the runs made.

    \b
    Examples:
      lottery list recipes
      lottery list models --json
      lottery list runs --out elsewhere
    """
    del debug
    if what not in _ROWS:
        from lottery.errors import UsageError, unknown_name

        if what is None:
            raise UsageError(f"expected what to list: {', '.join(THINGS)}")
        raise UsageError(unknown_name("list", what, THINGS))
    load()
    rows = _ROWS[what](out)
    if as_json:
        echo(json.dumps(rows, indent=2))
        return
    if not rows:
        echo(f"no {what} yet in {out}" if out.is_dir() else f"no {what}: no directory {out}")
    elif what in _ENTRIES:
        for row in rows:
            echo("\n    ".join([row["name"], *_ENTRIES[what](row)]))
    else:
        from lottery.cli.tables import print_table

        print_table(_narrow(rows) if what == "runs" else rows)


def _recipes(_out: Path) -> list[dict[str, Any]]:
    from lottery.experiments import RECIPE_ENTRIES, RecipeEntry, plan

    def row(name: str, entry: RecipeEntry) -> dict[str, Any]:
        config = entry.make()
        return {
            "name": name,
            "what": entry.title,
            "source": entry.source,
            "trainings": len(plan(config)),
            "length": str(config.training.length),
            "batch_size": config.training.batch_size,
            "shows": entry.shows,
        }

    return [row(name, entry) for name, entry in RECIPE_ENTRIES.items()]


def _about_recipe(row: dict[str, Any]) -> list[str]:
    cost = f"{row['trainings']:,} trainings of {row['length']}, batches of {row['batch_size']}"
    return [row["what"], f"Source: {row['source']}", f"Cost: {cost}", row["shows"]]


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


def _about_model(row: dict[str, Any]) -> list[str]:
    if row["parameters"] is None:
        return [row["what"]]
    sizes = f"{row['parameters']:,} parameters, {row['prunable']:,} of them can be pruned"
    return [row["what"], f"For {row['input']} and {row['classes']:,} classes: {sizes}"]


def _datasets(_out: Path) -> list[dict[str, Any]]:
    from lottery.data import DATASET_KINDS, DATASETS, OWN, OWN_ABOUT

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "what": entry.description,
            "input": "x".join(map(str, entry.input_shape)),
            "classes": entry.classes,
            "training": entry.training_examples,
            "test": entry.test_examples,
        }
        for name, entry in DATASETS.items()
    ]
    unknown = dict.fromkeys(list(rows[0])[2:])
    forms = {kind.form: kind.what for kind in DATASET_KINDS.values()} | {OWN: OWN_ABOUT}
    return [*rows, *({"name": form, "what": what} | unknown for form, what in forms.items())]


def _about_dataset(row: dict[str, Any]) -> list[str]:
    if row["classes"] is None:
        return [row["what"]]
    sizes = f"{row['training']:,} training and {row['test']:,} test examples"
    return [row["what"], f"{sizes} of {row['input']}, {row['classes']:,} classes"]


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


def _about_criterion(row: dict[str, Any]) -> list[str]:
    source = f"; source: {row['source']}" if row["source"] else ""
    return [row["what"], f"Looks at {row['looks at']}{source}"]


def _engines(_out: Path) -> list[dict[str, Any]]:
    from lottery.training import ENGINES

    about = {name: (engine.__doc__ or "").splitlines()[0] for name, engine in ENGINES.items()}
    return [{"name": name, "what": what.replace("``", "")} for name, what in about.items()]


def _runs(out: Path) -> list[dict[str, Any]]:
    from lottery.errors import LotteryError
    from lottery.experiments import list_runs, open_run, plan

    def opened(path: Path) -> Run | str:
        try:
            return open_run(path)
        except LotteryError as error:
            return " ".join(str(error).split())

    def row(path: Path, run: Run | str) -> dict[str, Any]:
        if isinstance(run, str):
            found = {"experiment": "?", "settings": "", "done": 0, "planned": 0, "note": run}
        else:
            bad = sum(result.status != "done" for result in run.results.values())
            found = {
                "experiment": run.label,
                "settings": telling[path],
                "done": len(run.results),
                "planned": len(plan(run.config)),
                "note": f"{bad} diverged or collapsed" if bad else "",
            }
        return {"run": path.name} | found

    runs = {path: opened(path) for path in list_runs(out)}
    telling = _telling({path: run for path, run in runs.items() if not isinstance(run, str)})
    return [row(path, run) for path, run in runs.items()]


def _telling(runs: Mapping[Path, Run]) -> dict[Path, str]:
    """Run -> what it changes of the recipe whose name it has.

    Of runs with another name: the settings that tell those of the same name apart.
    """
    from lottery.analysis.methods.settings import (
        changed_settings,
        distinguishing_settings,
        setting_differences,
    )
    from lottery.experiments import RECIPES, smoke, to_plain

    recipes = [made for recipe in RECIPES.values() for made in (recipe(), smoke(recipe()))]
    bases = {made.name: to_plain(made) for made in recipes}
    names = [run.label for run in runs.values()]
    configs = [to_plain(run.config) for run in runs.values()]
    differences = setting_differences(configs)
    telling = distinguishing_settings(names, differences, most=len(differences))
    return {
        path: changed_settings(config, bases[name]) if (name := config["name"]) in bases else among
        for path, config, among in zip(runs, configs, telling, strict=True)
    }


def _narrow(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without what a run's own name says, and without what is empty in all of them."""
    said = {key for row in runs for key, value in row.items() if value != ""} - {"experiment"}
    return [{key: value for key, value in row.items() if key in said} for row in runs]


_ROWS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "recipes": _recipes,
    "models": lambda _out: model_rows(),
    "datasets": _datasets,
    "criteria": _criteria,
    "engines": _engines,
    "runs": _runs,
}
_ENTRIES = {
    "recipes": _about_recipe,
    "models": _about_model,
    "datasets": _about_dataset,
    "criteria": _about_criterion,
}
"""What is listed entry by entry -> the lines below a name."""
