"""What a job is called, where its files lie, and what it reports."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args, get_origin, get_type_hints

from lottery.errors import StoreError

MAIN = "main"
"""The branch of the tickets themselves."""
CONTROL_KINDS = (
    "reinit",
    "random-mask",
    "continued",
    "shuffled-global",
    "signs-random-magnitudes",
    "signs-constant",
    "random-signs",
    "scratch-epochs",
    "scratch-flops",
    "edge-popup",
    "supermask",
)
"""The kinds of control; a control's branch is its kind and a number from 1."""

Status = Literal["done", "diverged", "collapsed"]

# What JSON of another form, nested too deep or with an infinity for a count, raises when read.
_NOT_OURS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
_BRANCH = re.compile(rf"{MAIN}|({'|'.join(CONTROL_KINDS)})-[1-9]\d*")


@dataclass(frozen=True, order=True)
class JobKey:
    """One training of an experiment.

    Args:
        replicate: from 0.
        branch: ``main``, or a control such as ``reinit-1``.
        level: 0 is dense.
    """

    replicate: int
    branch: str
    level: int

    @property
    def kind(self) -> str:
        """The branch without its number: ``main``, or one of `CONTROL_KINDS`."""
        return self.branch if self.branch == MAIN else self.branch.rpartition("-")[0]

    @property
    def path(self) -> Path:
        """Where the job's files lie, relative to the run."""
        above = Path(f"replicate-{self.replicate}")
        if self.branch != MAIN:
            above /= self.branch
        return above / f"level-{self.level:02d}"

    def __str__(self) -> str:
        return f"replicate {self.replicate}, {self.branch}, level {self.level}"


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What one job found: the contents of its ``result.json``.

    Accuracies are fractions in [0, 1], times seconds, losses nats or the squared error, whichever
    was trained with. What a job that did not end as ``done`` cannot know is None.
    """

    replicate: int
    branch: str
    level: int
    status: Status
    reason: str
    density: float
    weights_kept: int
    weights_total: int
    layers: Mapping[str, tuple[int, int]]
    """Parameter name -> (kept, total)."""
    iterations: int
    """Iterations of the whole schedule, counted from initialization."""
    start_iteration: int
    early_stop_iteration: int | None
    validation_loss_at_early_stop: float | None
    test_accuracy_at_early_stop: float | None
    test_accuracy_final: float | None
    seconds: float
    engine: str
    provenance: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def key(self) -> JobKey:
        """Which job this is the result of."""
        return JobKey(self.replicate, self.branch, self.level)

    @property
    def empty_layers(self) -> tuple[str, ...]:
        """The layers of which nothing is kept."""
        return tuple(name for name, (kept, _) in self.layers.items() if not kept)

    def to_json(self) -> str:
        """The text of ``result.json``."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: Path) -> JobResult:
        """Read ``result.json``.

        Raises:
            StoreError: it is not what `to_json` writes.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            values["layers"] = {n: (int(k), int(t)) for n, (k, t) in values["layers"].items()}
            result = cls(**values)
        except _NOT_OURS as error:
            raise StoreError(f"{source} is not a job's result: {error}") from error
        wrong = [name for name, hint in _hints().items() if not _fits(values.get(name), hint)]
        wrong += [] if is_provenance(result.provenance) else ["provenance"]
        # A run may come from anyone, so what it says of itself is checked before it is used.
        if wrong or not _BRANCH.fullmatch(result.branch) or min(result.replicate, result.level) < 0:
            raise StoreError(
                f"{source} is not a job's result: {', '.join(wrong) or 'the job it names'} "
                "is not what it should be"
            )
        return result


def is_provenance(value: object) -> TypeGuard[dict[str, str | int]]:
    """Whether a JSON value can say how a ticket was made: a table of texts and whole numbers."""
    return isinstance(value, dict) and all(isinstance(v, str | int) for v in value.values())


@cache
def _hints() -> dict[str, Any]:
    hints = get_type_hints(JobResult)
    return {name: hint for name, hint in hints.items() if name not in ("layers", "provenance")}


def _fits(value: object, hint: Any) -> bool:
    """Whether a JSON value has a field's type; numbers must be finite."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    allowed = get_args(hint) or (hint,)
    if float in allowed and isinstance(value, int | float) and not isinstance(value, bool):
        # A whole number may be larger than any float.
        return abs(value) <= sys.float_info.max
    return isinstance(value, allowed) and not isinstance(value, bool)


RESULT_FIELDS = tuple(f.name for f in fields(JobResult))
