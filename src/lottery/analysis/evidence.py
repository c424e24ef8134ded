"""What a verdict is drawn from: the results of a run, and what must be known to read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from lottery.core import OutsideMask
from lottery.data import steps_per_epoch
from lottery.errors import UsageError
from lottery.experiments import Run, never_run, plan
from lottery.store.jobs import JobKey, JobResult
from lottery.tickets import RewindMethod
from lottery.training import MaskUpdateMethod, PrunedValues
from lottery.training.curve import CurvePoint


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that a verdict depends on; nothing of it needs files.

    The order of the results does not matter.

    Raises:
        UsageError: a number is out of range.
    """

    run: str = ""
    """The run's name on disk."""
    name: str = ""
    """The experiment's name."""
    results: Sequence[JobResult]
    """Of the jobs that ended, one each."""
    planned: Sequence[JobKey]
    """Every job of the run."""
    never_run: Collection[JobKey] = ()
    """Those of them that are not waited for, since a job that they need failed."""
    curves: Mapping[JobKey, Sequence[CurvePoint]] = field(default_factory=dict)
    """Every evaluation of the jobs that ended; times to the dense network's accuracy need them."""
    margin: float
    """How much lower an accuracy may be and still match, a fraction in [0, 1)."""
    confidence: float
    """Of intervals and tests, in [0.5, 1)."""
    evaluation_interval: int
    """Iterations between two evaluations, 1 or more."""
    test_examples: int | None = None
    """Size of the test set, which accuracies are multiples of; None when unknown."""
    classes: int | None = None
    """How many the data has, to know what guessing gives; None when unknown."""
    mask_updates: MaskUpdateMethod = "none"
    """How masks changed while tickets trained."""
    rewind: RewindMethod = "weights"
    """What tickets went back to: it decides what can be tested."""
    pruned_values: PrunedValues = "zero"
    """What pruned weights were held at."""
    outside_mask: tuple[OutsideMask, ...] = ()
    """The network's matrices that no mask covers."""

    def __post_init__(self) -> None:
        problems = []
        if not 0 <= self.margin < 1:
            problems.append(f"a margin in [0, 1), got {self.margin} (0.01 is one percentage point)")
        if not 0.5 <= self.confidence < 1:
            problems.append(f"a confidence in [0.5, 1), got {self.confidence}")
        if self.evaluation_interval < 1:
            problems.append(f"an evaluation interval of 1 or more, got {self.evaluation_interval}")
        if self.test_examples is not None and self.test_examples < 1:
            problems.append(f"1 or more test examples, got {self.test_examples}")
        if problems:
            raise UsageError("a verdict needs " + "; ".join(problems))

    @property
    def complete(self) -> bool:
        """Whether every planned job has ended, or can never run."""
        ended = {result.key for result in self.results}
        return bool(self.planned) and all(
            key in ended or key in self.never_run for key in self.planned
        )


def evidence_of(
    run: Run, *, margin: float | None = None, confidence: float | None = None
) -> Evidence:
    """Read what a verdict needs of a run; margin and confidence are the config's where None."""
    config, data = run.config, run.experiment["data"]
    steps = steps_per_epoch(data["training_examples"], config.training.batch_size)
    return Evidence(
        run=run.name,
        name=config.name,
        results=list(run.results.values()),
        planned=plan(config),
        never_run=never_run(config, run.results),
        curves={key: run.store.curve(key) for key in run.results},
        margin=config.verdict.margin if margin is None else margin,
        confidence=config.verdict.confidence if confidence is None else confidence,
        evaluation_interval=config.training.evaluate_every.iterations(steps),
        test_examples=data["test_examples"],
        classes=data["classes"],
        mask_updates=config.training.mask_updates.method,
        rewind=config.rewind.method,
        pruned_values=config.training.pruned,
        outside_mask=run.outside_mask,
    )
