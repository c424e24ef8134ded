"""Recipes: named experiments with published settings, one file for each group of papers.

Each is a function that returns a config. Its docstring's first line says what it is, the rest
where the settings come from and where they depart.
"""

from __future__ import annotations

from typing import Final

from lottery.experiments.recipes import (
    at_initialization,
    convolutional,
    deep,
    dynamic,
    early_bird,
    imagenet,
    mnist,
    rewinding,
)
from lottery.experiments.recipes.entry import Recipe, RecipeEntry

RECIPE_ENTRIES: Final[dict[str, RecipeEntry]] = {
    **mnist.ENTRIES,
    **convolutional.ENTRIES,
    **deep.ENTRIES,
    **rewinding.ENTRIES,
    **imagenet.ENTRIES,
    **at_initialization.ENTRIES,
    **early_bird.ENTRIES,
    **dynamic.ENTRIES,
}
"""Name on the command line -> recipe with a note on it."""

RECIPES: Final[dict[str, Recipe]] = {name: entry.make for name, entry in RECIPE_ENTRIES.items()}
"""Name on the command line -> recipe."""
