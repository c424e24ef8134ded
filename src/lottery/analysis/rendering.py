"""Sentences from templates: the wording is in ``templates/``, not in the branches of code."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from lottery.analysis import formatting
from lottery.errors import format_names


def render(template: str, **context: Any) -> str:
    """Fill in a template of this package; ``f`` is `lottery.analysis.formatting` in all of them."""
    return _environment().get_template(template).render(f=formatting, **context)


def sentences(text: str) -> tuple[str, ...]:
    """The lines of a rendered template that are not empty, spaces collapsed."""
    return tuple(" ".join(line.split()) for line in text.splitlines() if line.strip())


@cache
def _environment() -> Environment:
    # No escaping: this is plain text for terminals, and pages escape it where they show it.
    found = Environment(loader=FunctionLoader(_read), autoescape=False, undefined=StrictUndefined)
    found.filters["format_names"] = format_names
    return found


def _read(name: str) -> str:
    found = resources.files("lottery.analysis").joinpath("templates", name)
    return found.read_text(encoding="utf-8")
