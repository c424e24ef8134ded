"""What a comparison of runs is made of. All of it is plain numbers and words, ready for JSON.

Accuracies and densities are fractions in [0, 1], iterations count from initialization, times are
seconds. What belongs to a method stands in the order of the methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from lottery.analysis.types import Estimate, Verdict
from lottery.store.jobs import JobResult

Measure = Literal["accuracy_at_early_stop", "accuracy_final", "early_stop_iteration"]
"""What is compared, by its name in a verdict's groups."""

MEASURES: Final[tuple[Measure, ...]] = (
    "accuracy_at_early_stop",
    "accuracy_final",
    "early_stop_iteration",
)

Outcome = Literal["ahead", "behind", "unsure", "untested", "same"]
"""``ahead``/``behind``: a test confirms that it is better/worse; ``unsure``: it confirms neither;
``untested``: there are too few replicates; ``same``: both are the same training by their settings,
seeds and start, so there is nothing to test."""

Part = Literal["method", "conditions", "evidence"]
"""What a setting decides: how tickets are found; what is learned, by what and for how long; or how
much is measured and how it is judged."""


@dataclass(frozen=True, kw_only=True)
class MethodRun:
    """One run, read and judged: what a comparison is made from."""

    verdict: Verdict
    """Judged with the margin and the confidence of the comparison."""
    results: Sequence[JobResult]
    config: Mapping[str, Any]
    """The whole config, nested, of plain JSON values."""
    data: Mapping[str, Any]
    """What ``experiment.json`` says of the data: ``sha256``, ``test_examples`` and more."""
    environment: Mapping[str, Any]
    """Versions and hardware, of plain JSON values."""
    schema: int
    """Version of the config's meaning."""
    starts: Mapping[int, str]
    """Replicate -> SHA-256 of the weights its dense network began with."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The time that trainings took, each on its engine's one thread or device."""

    trainings: int
    """The main line's: dense networks and tickets."""
    seconds: float
    control_trainings: int
    control_seconds: float
    engines: tuple[str, ...]
    """The engines that trained, by name."""
    device: str
    hardware: str
    """The name of the GPU or the processor."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A level of one run."""

    level: int
    density: float
    early_stop_iteration: float | None
    """Mean over its replicates."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One run."""

    label: str
    """Its name for readers: no other run's here."""
    paired: bool | None
    """Whether its replicates are paired with the first run's; None for the first itself."""
    pairing: str
    """Why they are, or are not."""
    weights_total: int
    """Prunable weights of the dense network."""
    dense: Place | None
    smallest_matching: Place | None
    """The smallest density whose tickets match the run's own dense networks, on the means."""
    smallest_confirmed_matching: Place | None
    """The smallest for which the tests confirm it."""
    cost: Cost
    verdict: Verdict
    """The run judged by itself, with every number of it."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One method's mean minus the first one's, at one density."""

    difference: float
    low: float | None
    """Lower end of the t-interval; None where there is no test."""
    high: float | None
    paired: bool
    n: int
    """Values of this method that count here; the pairs, where paired."""
    n_first: int
    degrees: float | None
    """Degrees of freedom of the t-test."""
    p: float | None
    """Two-sided."""
    p_holm: float | None
    """After Holm's correction over all densities and methods, for each measure."""
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One method at one density."""

    level: int
    density: float
    n: int
    """Replicates that came to their end, and are averaged."""
    diverged: int
    collapsed: int
    tickets_lost: int
    """Replicates without a ticket here because theirs diverged or collapsed, here or before."""
    accuracy_at_early_stop: Estimate | None
    accuracy_final: Estimate | None
    early_stop_iteration: Estimate | None
    seconds: float | None
    """Of one training here, mean."""
    against_first: Mapping[Measure, Contrast]
    """Empty for the first method, and where one of the two has no value."""

    def of(self, measure: Measure) -> Estimate | None:
        """What was measured."""
        found: Estimate | None = getattr(self, measure)
        return found


@dataclass(frozen=True, kw_only=True)
class Best:
    """The method whose mean is best at one density."""

    method: int
    """Its place among the methods."""
    p_holm: float | None
    """P-value that it is better than every other one there, after Holm's correction over the
    densities; None where a pair of methods cannot be tested."""
    confirmed: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One density, and every method's level that lies within the tolerance of it."""

    density: float
    """Mean over the methods that have it."""
    cells: tuple[Cell | None, ...]
    best: Mapping[Measure, Best]
    """Where at least two methods have a value."""


@dataclass(frozen=True, kw_only=True)
class SettingDifference:
    """One setting in which the runs differ."""

    key: str
    part: Part
    values: tuple[Any, ...]
    """One a method; None where a config does not have the key."""


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Several runs side by side, each compared with the first."""

    methods: tuple[Method, ...]
    rows: tuple[Row, ...]
    """From dense to sparse."""
    settings: tuple[SettingDifference, ...]
    """Every setting that is not the same in all runs, but for the experiment's name."""
    tolerance: float
    """Densities whose ratio is at most 1 + tolerance share a row."""
    margin: float
    confidence: float
    comparisons: Mapping[Measure, int]
    """How many tests each correction is for."""
    paragraph: str
    """What was found, in plain words."""
    findings: tuple[str, ...]
    """The same density by density, one sentence each."""
    warnings: tuple[str, ...]
    """Ways in which the runs are not comparable."""
    caveats: tuple[str, ...]
