"""What a comparison of runs is made of. All of it is plain numbers and words, ready for JSON.

Accuracies and densities are fractions in [0, 1], iterations count from initialization, times are
seconds. What belongs to a method stands in the order of the methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lottery.analysis.types import Contrast, Estimate, Group, Measure, Verdict
from lottery.score import Score
from lottery.store.jobs import JobKey, JobResult

MEASURES: Final[tuple[Measure, ...]] = ("accuracy", "accuracy_final", "early_stop", "time_to_dense")
"""What is compared."""

Outcome = Literal["ahead", "behind", "open", "untested", "same"]
"""``ahead``/``behind``: a test confirms that it is better/worse; ``open``: it was tested, and
neither is confirmed; ``untested``: nothing could be tested; ``same``: both are the same training by
their settings, seeds and start, so there is nothing to test."""

Part = Literal["method", "conditions", "evidence"]
"""What a setting decides: how tickets are found; what is learned, by what and for how long; or how
much is measured and how it is judged."""


@dataclass(frozen=True, kw_only=True)
class TicketCost:
    """What one ticket cost.

    Args:
        finding: of the trainings and scores that its mask and weights came from, in dense
            trainings' multiplications; None where these cannot be counted.
        training: of its own training, in the same.
        seconds: of both, measured; of a training that was needed up to some iteration its share.
            Those of making tickets (scoring weights, and choosing among them) are part of it, where
            they are known.
        making: these alone; None where a run from before they were recorded does not say them.
    """

    finding: float | None
    training: float | None
    seconds: float
    making: float | None


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
    costs: Mapping[JobKey, TicketCost] = field(default_factory=dict)
    """Of every ticket; empty where it was not asked for."""


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
    """The smallest density *that every run has* whose tickets match the run's own dense networks on
    the means; None also with one replicate, which shows nothing of means."""
    smallest_confirmed_matching: Place | None
    """The smallest of these for which the tests confirm it."""
    cost: Cost
    verdict: Verdict
    """The run judged by itself, with every number of it."""


@dataclass(frozen=True, kw_only=True)
class AgainstFirst:
    """One run against the first, at one density and in one measure."""

    contrast: Contrast
    """In accuracy the difference, above 0 where the run is better; in times the ratio."""
    n_first: int
    """Values of the first run that count here; ``contrast.n`` where paired."""
    p: float | None
    """Two-sided; None where nothing is tested."""
    p_adjusted: float | None
    """After Holm's correction over all densities and runs, for each measure."""
    outcome: Outcome
    why: str = ""
    """Why it is untested, in words; empty elsewhere."""

    @property
    def mean(self) -> float:
        """The difference, or the ratio."""
        assert self.contrast.estimate is not None, "what has no value is not compared"
        return self.contrast.estimate.mean


@dataclass(frozen=True, kw_only=True)
class CostOfTickets:
    """What one run's tickets at one density cost; see `lottery.analysis.methods.cost`."""

    finding: Estimate | None
    """In multiplications, of which a dense training has 1; None where they cannot be counted."""
    total: Estimate | None
    """The same with the tickets' own trainings."""
    seconds: Estimate
    """Of all of it, as measured on the machines of the run."""
    making: Estimate | None
    """Of these, what scoring weights and choosing among them took; None where some replicate's is
    not recorded, and ``seconds`` lack it."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run at one density."""

    level: int
    density: float
    group: Group
    """Its tickets, or dense networks, there."""
    lost: int
    """Replicates without a result here, since theirs diverged, collapsed or guesses."""
    seconds: float | None
    """Of one training here, mean."""
    against_first: Mapping[Measure, AgainstFirst]
    """Empty for the first run, and where one of the two has no value."""
    cost: CostOfTickets | None = None
    """None where it was not asked for."""

    def of(self, measure: Measure) -> Estimate | None:
        """What was measured; times to the dense network's accuracy as ratios to its own."""
        if measure == "time_to_dense":
            contrast = self.group.against_dense.get(measure)
            return contrast.estimate if contrast else None
        found: Estimate | None = getattr(self.group, measure)
        return found


@dataclass(frozen=True, kw_only=True)
class Best:
    """The run whose mean is best at one density."""

    method: int
    """Its place among the runs."""
    p_adjusted: float | None
    """P-value that it is better than every other one there, after Holm's correction over the
    densities; None where a pair of runs cannot be tested."""
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
    margin: float | None
    confidence: float
    score: Score
    """What all runs are judged by: what everything here that is called accuracy is."""
    comparisons: Mapping[Measure, int]
    """How many tests each correction is for."""
    paragraph: str
    """What was found, in plain words."""
    findings: tuple[str, ...]
    """The same density by density, one sentence each."""
    warnings: tuple[str, ...]
    """Ways in which the runs are not comparable."""
    caveats: tuple[str, ...]
