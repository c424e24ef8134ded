"""What a config names by an import path, ``package.module:name``: that runs the code it names."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

from lottery.errors import UsageError, describe_error

_IMPORT_PATH: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*", re.ASCII)


def is_import_path(name: str) -> bool:
    """Whether a name has the form ``package.module:name``; nothing is imported.

    >>> is_import_path("my_package.flowers:load"), is_import_path("mnist")
    (True, False)
    """
    return _IMPORT_PATH.fullmatch(name) is not None


def imported(setting: str, name: str) -> Any:
    """What an import path leads to; its module is imported.

    Args:
        setting: what names it, for messages, such as ``"data.name"``.
        name: an import path.

    Raises:
        UsageError: there is no such module, it fails, or it has no such name.
    """
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
    except Exception as error:
        raise UsageError(
            f"{setting}: {module} cannot be imported: {describe_error(error)}. Check the name, and "
            "that Python finds it, as in PYTHONPATH=. lottery run ..."
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            near = get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise UsageError(f"{setting}: {module} has no '{path}'{hint}")
        found = getattr(found, part)
    return found
