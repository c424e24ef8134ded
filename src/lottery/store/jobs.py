"""The key of a job, the place of its files, and its result."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeGuard, get_args

from lottery.errors import StoreError
from lottery.store.schema import (
    MOST,
    TEXT,
    Kind,
    is_whole,
    number,
    one_of,
    or_null,
    schema_problems,
    whole,
)
from lottery.training.curve import LARGEST, MOST_NAMES, value_problem

MAIN = "main"
"""The branch of the tickets themselves."""
DENSE_REWOUND = "dense-rewound"
"""The branch of the dense network that is trained again like late-rewound tickets of a loop that
starts over: the whole loop, from the weights of the rewind step. It has level 0 alone."""
REORDERED = "reordered"
"""The kind of the branches that train the same tickets, level 0 included, with another order of the
examples from an iteration on; that iteration is the branch's number."""
DENSE_WHOLE = "dense-whole"
"""Stands for the dense network trained to its end, where a run trains it no further than tickets
need; there is no such job."""
SEARCH = "search"
"""The branch of the trainings that only find the mask of a level, whose ticket is then rewound."""

Status = Literal["done", "diverged", "collapsed"]

_BRANCH = re.compile(rf"{MAIN}|[a-z]+(-[a-z]+)*-(0|[1-9]\d*)")


@dataclass(frozen=True, order=True)
class JobKey:
    """One training of an experiment.

    Args:
        replicate: from 0.
        branch: ``main``, a control such as ``reinit-1``, or ``reordered-0``.
        level: 0 is dense.
    """

    replicate: int
    branch: str
    level: int

    @property
    def kind(self) -> str:
        """The branch without its number: ``main``, or a kind of control."""
        return self.branch if self.branch == MAIN else self.branch.rpartition("-")[0]

    @property
    def of_ticket(self) -> bool:
        """Whether it trains the ticket itself (level 0: the dense network), in any data order."""
        return self.kind in (MAIN, REORDERED)

    @property
    def path(self) -> Path:
        """The directory of the job's files, relative to the run."""
        above = Path(f"replicate-{self.replicate}")
        if self.branch != MAIN:
            above /= self.branch
        return above / f"level-{self.level:02d}"

    def __str__(self) -> str:
        return f"replicate {self.replicate}, {self.branch}, level {self.level}"


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """The result of one job: the contents of its ``result.json``.

    Scores are measured on the test examples, in the score's own unit (accuracies are fractions in
    [0, 1]). Times are in seconds. Losses are those trained with: cross-entropy in nats, or squared
    error. Fields that a job does not know if it did not end as ``done`` are None, as is early stop
    without a curve.
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
    """Iterations of the whole training, counted from initialization."""
    start_iteration: int
    early_stop_iteration: int | None
    validation_loss_at_early_stop: float | None
    score_at_early_stop: float | None
    score_final: float | None
    seconds: float
    engine: str
    scores: Mapping[str, float] = field(default_factory=dict)
    """Name -> value on the test examples at the end of training, the score among them."""
    provenance: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def key(self) -> JobKey:
        """Which job this is the result of."""
        return JobKey(self.replicate, self.branch, self.level)

    @property
    def score(self) -> float | None:
        """The score it is judged by: at early stop if there is one, else at the end."""
        return self.score_final if self.early_stop_iteration is None else self.score_at_early_stop

    @property
    def empty_layers(self) -> tuple[str, ...]:
        """The layers that keep no weight."""
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
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{source} is not a job's result: {error}") from error
        if not isinstance(values, dict):
            raise StoreError(f"{source} is not a job's result: expected a table")
        # A run may come from anyone, so what it says of itself is checked before it is used.
        wrong = _take_old_names(values)
        wrong += schema_problems(values, RESULT_FIELDS, optional=("provenance", "scores"))
        wrong += [f"{name}: no such field" for name in values if name not in RESULT_FIELDS]
        wrong = wrong or _contradictions(values)
        if wrong:
            raise StoreError(f"{source} is not a job's result: {'; '.join(wrong)}")
        layers = {name: (kept, total) for name, (kept, total) in values["layers"].items()}
        return cls(**{**values, "layers": layers})


def is_provenance(value: object) -> TypeGuard[dict[str, str | int]]:
    """Whether a JSON value can say how a ticket was made: a table of texts and whole numbers."""
    return isinstance(value, dict) and all(isinstance(v, str | int) for v in value.values())


def is_layers(value: object) -> bool:
    """Whether a JSON value can say how much is kept of each layer: name -> [kept, total]."""
    return isinstance(value, dict) and all(
        isinstance(pair, list)
        and len(pair) == 2
        and all(map(is_whole, pair))
        and 0 <= pair[0] <= pair[1] <= MOST
        for pair in value.values()
    )


def is_scores(value: object) -> bool:
    """Whether a JSON value can be what was measured at the end: name -> number."""
    return (
        isinstance(value, dict)
        and len(value) <= MOST_NAMES
        and all(MEASURED.fits(v) and not value_problem(name, v) for name, v in value.items())
    )


SHARE: Final = number(0, 1)
MEASURED: Final = number(-LARGEST, LARGEST)
BRANCH: Final = Kind(
    f"{MAIN}, or a kind of control and its number",
    lambda value: isinstance(value, str) and _BRANCH.fullmatch(value) is not None,
)
RESULT_FIELDS: Final[Mapping[str, Kind]] = {
    "replicate": whole(),
    "branch": BRANCH,
    "level": whole(),
    "status": one_of(get_args(Status)),
    "reason": TEXT,
    "density": SHARE,
    "weights_kept": whole(),
    "weights_total": whole(),
    "layers": Kind("a table of layers, each [kept, total]", is_layers),
    "iterations": whole(),
    "start_iteration": whole(),
    "early_stop_iteration": or_null(whole()),
    "validation_loss_at_early_stop": or_null(MEASURED),
    "score_at_early_stop": or_null(MEASURED),
    "score_final": or_null(MEASURED),
    "scores": Kind(f"a table of at most {MOST_NAMES} named numbers", is_scores),
    "seconds": number(0, 1e12),
    "engine": TEXT,
    "provenance": Kind("a table of texts and whole numbers", is_provenance),
}
"""Field of ``result.json`` -> what it may hold."""
_OLD_NAMES: Final = {
    "test_accuracy_at_early_stop": "score_at_early_stop",
    "test_accuracy_final": "score_final",
}
"""What fields were called when every score was an accuracy."""


def _take_old_names(values: dict[str, Any]) -> list[str]:
    """Rename the fields of a result from when every score was an accuracy; what is wrong of it."""
    old = {name: values.pop(name) for name in _OLD_NAMES if name in values}
    wrong = schema_problems(old, dict.fromkeys(old, or_null(SHARE)))
    values |= {_OLD_NAMES[name]: value for name, value in old.items()}
    final = old.get("test_accuracy_final")
    if final is not None:
        values["scores"] = {"accuracy": final}
    return wrong


_KNOWN_WHEN_DONE = (
    "early_stop_iteration",
    "validation_loss_at_early_stop",
    "score_at_early_stop",
    "score_final",
)


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """What a result says against itself, one phrase each; every field is of its kind."""
    found = []
    done, status = values["status"] == "done", values["status"]
    known = [name for name in _KNOWN_WHEN_DONE if values[name] is not None]
    if not done:
        found += [f"{name}: expected null of one that {status}" for name in known]
    stops = values["early_stop_iteration"] is not None
    if done and stops != (values["score_at_early_stop"] is not None):
        found.append("score_at_early_stop: expected a number where there is an early stop alone")
    if stops and values["score_final"] is None:
        found.append("score_final: expected a number where there is an early stop")
    if values["validation_loss_at_early_stop"] is not None and not stops:
        found.append("validation_loss_at_early_stop: expected null without an early stop")
    scores = values.get("scores")
    if scores and values["score_final"] not in (None, *scores.values()):
        found.append("score_final: expected one of the scores")
    layers = values["layers"].values()
    for place, name in enumerate(("weights_kept", "weights_total")):
        of_layers = sum(pair[place] for pair in layers)
        if layers and values[name] != of_layers:
            found.append(f"{name}: expected the layers' sum {of_layers:,}, got {values[name]:,}")
    kept, total = values["weights_kept"], values["weights_total"]
    if kept > total or abs(values["density"] - (kept / total if total else 0.0)) > 1e-9:
        found.append(f"density: expected {kept:,} / {total:,}, got {values['density']}")
    start, end, stop = (
        values[name] for name in ("start_iteration", "iterations", "early_stop_iteration")
    )
    if not start <= (end if stop is None else stop) <= end:
        found.append(
            "early_stop_iteration: expected start_iteration <= it <= iterations, got "
            f"{start}, {stop}, {end}"
        )
    return found
