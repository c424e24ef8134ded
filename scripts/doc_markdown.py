"""The little Markdown that generated documentation needs."""

from __future__ import annotations

from collections.abc import Sequence


def table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table with a head."""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Text that can stand in a table."""
    return text.replace("|", "\\|")


def code(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def rst(text: str) -> str:
    """A block that Sphinx reads as reStructuredText."""
    return f"```{{eval-rst}}\n{text}\n```"


def markdown(docstring: str) -> str:
    """A docstring's prose, whose double backticks are single ones in Markdown."""
    return docstring.replace("``", "`")


def first_paragraph(docstring: str) -> str:
    """What a docstring says first, in one line."""
    return " ".join(markdown(docstring.split("\n\n")[0]).split())
