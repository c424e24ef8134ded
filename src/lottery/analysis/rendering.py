"""Filling in the templates of verdicts and comparisons, which are plain text."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from lottery.analysis import formatting


def render(template: str, **context: Any) -> str:
    """The text of a template of this package; ``f`` in it is `lottery.analysis.formatting`."""
    return _environment().get_template(template).render(f=formatting, **context)


def sentences(text: str) -> tuple[str, ...]:
    """The lines of a text that are not empty, with single spaces."""
    return tuple(" ".join(line.split()) for line in text.splitlines() if line.strip())


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_source),
        autoescape=False,  # plain text for terminals; pages escape it where they show it
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source(name: str) -> str:
    found = resources.files("lottery.analysis").joinpath("templates", name)
    return found.read_text(encoding="utf-8")
