"""The kinds of method, of which a config has one: what its `method` table may be."""

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
"""Kind -> its settings, and how tickets are made by it."""
