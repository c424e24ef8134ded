"""What is known of a recipe without running it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lottery.experiments.config import ExperimentConfig

Recipe = Callable[[], ExperimentConfig]
"""What makes an experiment's config. The first line of its docstring says what it is, the rest
where the settings come from and where they depart."""


@dataclass(frozen=True, kw_only=True)
class RecipeEntry:
    """A recipe, and a short note on it.

    Args:
        make: the recipe.
        source: where its settings come from, in a few words.
        shows: what is to be seen in its results, one sentence.
    """

    make: Recipe
    source: str
    shows: str
