"""The parts of a comparison of runs: plain numbers and texts, ready for JSON.

Accuracies and densities are fractions in [0, 1], iterations count from initialization, times are
seconds. "Method" stands for a run; values of all methods are in the order of the methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lottery.analysis.types import Contrast, Estimate, Group, Measure, Verdict
from lottery.score import Score
from lottery.store.jobs import JobKey, JobResult

MEASURES: Final[tuple[Measure, ...]] = ("accuracy", "accuracy_final", "early_stop", "time_to_dense")
"""The measures that runs are compared in."""

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
        finding: multiplications of the trainings and scores that its mask and weights came from, as
            multiples of those of a dense training; None where they cannot be counted.
        training: multiplications of its own training, in the same unit.
        seconds: measured, of both; a training that was needed only up to some iteration counts with
            that share of its time.
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
    """One run, read from disk and judged: the input of a comparison."""

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
    """Version of the config's schema, which says what its settings mean."""
    starts: Mapping[int, str]
    """Replicate -> SHA-256 of the initial weights of its dense network."""
    costs: Mapping[JobKey, TicketCost] = field(default_factory=dict)
    """What every ticket cost; empty where that was not asked for."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The time that trainings took, each on its engine's one thread or device."""

    trainings: int
    """How many dense networks and tickets were trained."""
    seconds: float
    """Of all of these trainings together."""
    control_trainings: int
    """How many controls were trained."""
    control_seconds: float
    """Of all of these trainings together."""
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
    """The smallest density *that every run has* at which the tickets match the run's own dense
    networks by the means; None if there is none, and with one replicate."""
    smallest_confirmed_matching: Place | None
    """The smallest such density at which the tests confirm it."""
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
    """Two-sided p-value; None where no test is made."""
    p_adjusted: float | None
    """After Holm's correction over all densities and runs, for each measure apart."""
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
    """Multiplications to find it, as multiples of a dense training's; None where not countable."""
    total: Estimate | None
    """The same, with the tickets' own trainings."""
    seconds: Estimate
    """Of finding and training, as measured on the machines of the run."""
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
    """Replicates without a result here, since their training diverged, collapsed or guesses."""
    seconds: float | None
    """Mean of one training here."""
    against_first: Mapping[Measure, AgainstFirst]
    """Empty for the first run, and where one of the two has no value."""
    cost: CostOfTickets | None = None
    """None where it was not asked for."""

    def of(self, measure: Measure) -> Estimate | None:
        """The estimate of a measure; a time to the dense network's accuracy as a ratio to its
        own."""
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
    """One density, with the level of every method that lies within the tolerance of it."""

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
    """Measure -> how many tests are corrected together."""
    paragraph: str
    """The result in plain words."""
    findings: tuple[str, ...]
    """The result density by density, one sentence each."""
    warnings: tuple[str, ...]
    """Ways in which the runs are not comparable."""
    caveats: tuple[str, ...]
