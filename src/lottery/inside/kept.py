"""Whether what is kept beside a run of analyses and lessons is what was written."""

from __future__ import annotations

import re
from typing import Final

from lottery.errors import StoreError
from lottery.experiments.learned import read_learned
from lottery.inside.catalog import ANALYSES
from lottery.inside.kept_lines import LINES, lines_problem
from lottery.inside.measurement import read_measurement
from lottery.inside.teaching import LESSON
from lottery.store import JobKey, LookKey, Store
from lottery.store.files import names_in, why_no_file
from lottery.store.store import ANALYSES as FOLDER

_END: Final = ".json"
_ANALYSIS: Final = re.compile(rf"({'|'.join(ANALYSES)})(-[0-9a-f]{{8}})?")
"""What a result is kept as: in the first place, or beside it."""


def kept_problems(store: Store) -> dict[JobKey | LookKey | str, list[str]]:
    """File of what is kept -> what is wrong with it; also of what nobody keeps there.

    Keys are paths in the run, such as ``analyses/masks.json``; no problems: the file is whole. That
    a run has grown since makes nothing of it wrong: it is found anew when it is asked for.
    """
    try:
        return {
            f"{FOLDER}/{file}": _problems(store, file) for file in names_in(store.path / FOLDER)
        }
    except StoreError as error:
        return {FOLDER: [str(error)]}


def _problems(store: Store, file: str) -> list[str]:
    path, name = store.path / FOLDER / file, file.removesuffix(_END)
    result = _ANALYSIS.fullmatch(name)
    known = result or name == LINES or LESSON.fullmatch(name)
    if not known or not file.endswith(_END):
        return [f"{path} is nothing that an analysis keeps; move it away"]
    if problem := why_no_file(path):
        return [problem]
    verb = f"analyse {result[1] if result else 'connectivity'}"
    try:
        if lesson := LESSON.fullmatch(name):
            verb = "teach"
            if not read_learned(path).sha256.startswith(lesson["sha256"]):
                raise StoreError(f"{path} is another lesson than its name says")
        elif name == LINES:
            if problem := lines_problem(store.read_measurement(name)):
                raise StoreError(f"{path}: {problem}")
        elif result and _analysis_in(store, name) != result[1]:
            raise StoreError(f"{path} is of another analysis than its name says")
    except StoreError as error:
        return [f"{error}; remove it, and lottery {verb} makes it anew"]
    return []


def _analysis_in(store: Store, name: str) -> str:
    """The name of the analysis whose result is kept as ``name``."""
    return read_measurement(store.read_measurement(name), source=name).analysis
