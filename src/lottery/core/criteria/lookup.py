"""From a name in a config to a criterion: one of ours, or the import path of your own."""

from __future__ import annotations

from typing import Final

from lottery.core.criteria.catalog import CRITERIA
from lottery.core.criteria.context import Criterion, CriterionEntry
from lottery.errors import UsageError, unknown_name
from lottery.import_paths import imported, is_import_path

_OTHER_NAMES: Final = {"large-final": "magnitude"}


def check_criterion(name: str) -> str | None:
    """What is wrong with a criterion's name, or None. Nothing is imported.

    >>> check_criterion("magnitude"), check_criterion("my_package.criteria:mine")
    (None, None)
    >>> check_criterion("large-final")
    "unknown criterion 'large-final'; it is called 'magnitude' here"
    """
    if name in CRITERIA or is_import_path(name):
        return None
    if name in _OTHER_NAMES:
        return f"unknown criterion '{name}'; it is called '{_OTHER_NAMES[name]}' here"
    return f"{unknown_name('criterion', name, CRITERIA)}, or your own as package.module:name"


def find_criterion(name: str) -> CriterionEntry:
    """The criterion of this name, or the one that an import path leads to.

    Args:
        name: one of `CRITERIA`; or ``package.module:name`` of a function of a `ScoreContext` that
            gives `Scores`, or of a `CriterionEntry`. Its module is imported: **a config that names
            code runs that code**. A function is taken to need a probe.

    Raises:
        UsageError: there is no such criterion, or it cannot be imported, or not be called.
    """
    problem = check_criterion(name)
    if problem:
        raise UsageError(problem)
    if name in CRITERIA:
        return CRITERIA[name]
    return _entry(imported("prune.criterion", name), name)


def as_criterion(criterion: str | Criterion | CriterionEntry) -> tuple[str, CriterionEntry]:
    """A criterion's name and entry, given by its name (see `find_criterion`) or itself.

    Raises:
        UsageError: it is none.
    """
    if isinstance(criterion, str):
        return criterion, find_criterion(criterion)
    name = getattr(criterion, "__name__", type(criterion).__name__)
    return name, _entry(criterion, name)


def _entry(found: object, name: str) -> CriterionEntry:
    if isinstance(found, CriterionEntry):
        return found
    if not callable(found):
        raise UsageError(
            f"criterion '{name}' is a {type(found).__name__}; expected a function of a "
            "ScoreContext, or a CriterionEntry"
        )
    return CriterionEntry(score=found, looks_at="examples", about="your own", source=name)
