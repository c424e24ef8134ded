"""Recipes: named experiments with published settings, in TOML files, one for each group of papers.

A file holds a table for each recipe: the note on it (see `RecipeEntry`) and, beside it, the keys
of a config, where ``recipe = "NAME"`` builds on another recipe as it does in a user's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lottery.experiments.config import ExperimentConfig
from lottery.experiments.loading import load_config, merge
from lottery.experiments.toml import read_toml

Recipe = Callable[[], ExperimentConfig]
"""A function that makes an experiment's config."""


@dataclass(frozen=True, kw_only=True)
class RecipeEntry:
    """A recipe, and a note on it.

    Args:
        title: what it is, one sentence.
        text: where the settings come from, and where they depart.
        source: the papers, in a few words.
        shows: what its results are expected to show, one sentence.
        settings: the plain config, without the keys that keep their defaults.
    """

    title: str
    text: str
    source: str
    shows: str
    settings: Mapping[str, Any]

    def make(self) -> ExperimentConfig:
        """The config, read as strictly as a user's file."""
        return load_config(self.settings, source=f"the recipe {self.settings['name']}")


_FILES: Final = (
    *("mnist", "convolutional", "deep", "rewinding"),
    *("imagenet", "at_initialization", "early_bird", "dynamic", "signs"),
)
_NOTES: Final = ("title", "text", "source", "shows")


def _read_entries() -> dict[str, RecipeEntry]:
    tables: dict[str, Any] = {}
    for file in _FILES:
        tables |= read_toml(Path(__file__).with_name(f"{file}.toml"))

    def whole(name: str) -> dict[str, Any]:
        base = tables[name].get("recipe")
        return merge(whole(base), tables[name]) if base else tables[name]

    entries = {}
    for name in tables:
        settings = {"name": name} | whole(name)
        settings.pop("recipe", None)
        notes = {note: settings.pop(note).strip() for note in _NOTES}
        entries[name] = RecipeEntry(**notes, settings=settings)
    return entries


RECIPE_ENTRIES: Final[dict[str, RecipeEntry]] = _read_entries()
"""Name on the command line -> recipe with a note on it."""

RECIPES: Final[dict[str, Recipe]] = {name: entry.make for name, entry in RECIPE_ENTRIES.items()}
"""Name on the command line -> recipe."""
