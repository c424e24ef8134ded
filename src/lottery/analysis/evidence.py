"""Everything that a verdict is computed from: results of a run, and what is known about them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import mode

from lottery.core import OutsideMask
from lottery.errors import StoreError, UsageError
from lottery.experiments import Run, never_run, plan
from lottery.score import ACCURACY, Score
from lottery.store.jobs import MAIN, JobKey, JobResult
from lottery.store.schema import is_whole
from lottery.tickets import RewindMethod
from lottery.training import MaskUpdateMethod, PrunedValues
from lottery.training.curve import CurvePoint


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that a verdict depends on, as plain values: no files are read for it.

    The order of the results does not matter.

    Raises:
        UsageError: a number is out of range.
    """

    run: str = ""
    """The run's name on disk."""
    name: str = ""
    """What the run is called, see `Run.label`."""
    results: Sequence[JobResult]
    """One for each job that ended."""
    planned: Sequence[JobKey]
    """Every job of the run."""
    never_run: Collection[JobKey] = ()
    """Planned jobs that will never run, since a job that they need failed."""
    curves: Mapping[JobKey, Sequence[CurvePoint]] = field(default_factory=dict)
    """All evaluations of the jobs that ended; needed for times to the dense network's accuracy."""
    score: Score = ACCURACY
    """What networks are judged by; its margin is how much worse one may be and still match, and
    without one nothing is tested."""
    confidence: float
    """Of intervals and tests, in [0.5, 1)."""
    evaluation_interval: int
    """Iterations between two evaluations, 1 or more."""
    earlier_looks: tuple[int, ...] = ()
    """Numbers of replicates at which a run that has grown was judged before."""
    dense_kind: str = MAIN
    """The kind of the branch whose level 0 counts as the dense network."""
    test_examples: int | None = None
    """Size of the test set, which accuracies are multiples of; None when unknown."""
    classes: int | None = None
    """Number of classes, from which follows how often guessing is right; None when unknown."""
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
        margin, limit = self.margin, 1.0 if self.score.unit == "%" else math.inf
        if margin is not None and not 0 <= margin < limit:
            what = "in [0, 1)" if limit == 1 else "of 0 or more"
            point = " (0.01 is one percentage point)" if limit == 1 else ""
            problems.append(f"a margin {what}, got {margin}{point}")
        if not 0.5 <= self.confidence < 1:
            problems.append(f"a confidence in [0.5, 1), got {self.confidence}")
        if self.evaluation_interval < 1:
            problems.append(f"an evaluation interval of 1 or more, got {self.evaluation_interval}")
        if self.test_examples is not None and self.test_examples < 1:
            problems.append(f"1 or more test examples, got {self.test_examples}")
        if problems:
            raise UsageError("a verdict needs " + "; ".join(problems))

    @property
    def margin(self) -> float | None:
        """How much worse a score may be and still match; None: nothing is tested."""
        return self.score.margin

    @property
    def test_confidence(self) -> float:
        """The confidence of tests: the chance of error, 1 - confidence, is divided evenly among
        this look at the run and the earlier ones (Bonferroni).
        """
        return 1 - (1 - self.confidence) / (1 + len(self.earlier_looks))

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
    config, facts, results = run.config, run.facts, run.judged
    curves = {key: run.store.curve(key) for key in results}
    score = facts.score if margin is None else replace(facts.score, margin=margin)
    return Evidence(
        run=run.name,
        name=run.label,
        results=list(results.values()),
        planned=plan(config.judged),
        never_run=never_run(config.judged, results),
        curves=curves,
        score=score,
        confidence=config.verdict.confidence if confidence is None else confidence,
        evaluation_interval=facts.evaluation_interval or usual_interval(curves),
        earlier_looks=_looks(run.experiment.get("earlier_looks", [])),
        dense_kind=facts.dense_kind,
        test_examples=facts.test_examples,
        classes=facts.classes,
        mask_updates=facts.mask_updates,
        rewind=config.method.rewinding,
        pruned_values=facts.pruned_values,
        outside_mask=run.outside_mask,
    )


def _looks(recorded: object) -> tuple[int, ...]:
    """Earlier looks from a file, which may come from anyone."""
    if not isinstance(recorded, list) or not all(is_whole(one) and one > 0 for one in recorded):
        raise StoreError("earlier_looks: expected a list of numbers of replicates, each 1 or more")
    return tuple(recorded)


def usual_interval(curves: Mapping[JobKey, Sequence[CurvePoint]]) -> int:
    """The most common number of iterations between two evaluations of one training; 1 without any.

    >>> points = [CurvePoint(at, "validation", {"loss": 1.0}) for at in (0, 50, 100, 120)]
    >>> usual_interval({JobKey(0, "main", 0): points})
    50
    """
    gaps = [
        after - before
        for curve in curves.values()
        for before, after in pairwise(
            sorted({point.iteration for point in curve if point.split == "validation"})
        )
    ]
    # The smaller one of two that are as common, whatever the order of the trainings.
    return mode(sorted(gaps)) if gaps else 1
