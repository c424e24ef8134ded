"""The kinds of method that the `method` table of a config can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.methods.at_step import AtStep
from lottery.methods.dynamic import Dynamic
from lottery.methods.early_bird import EarlyBird
from lottery.methods.given import Given
from lottery.methods.gradual import GradualPruning
from lottery.methods.iterative import Iterative

AnyMethod = Iterative | AtStep | EarlyBird | GradualPruning | Dynamic | Given
"""A method of any kind; its ``kind`` says which."""

METHODS: Final[Mapping[str, type[AnyMethod]]] = {
    "iterative": Iterative,
    "at-step": AtStep,
    "early-bird": EarlyBird,
    "gradual": GradualPruning,
    "dynamic": Dynamic,
    "given": Given,
}
"""Kind -> the class that holds its settings and makes its tickets."""
