"""Stability and linear mode connectivity: error and loss on the line between two networks.

A network is stable to the data order if two copies of it, which saw their examples in different
orders, end with weights between which the error does not rise anywhere on the straight line
(Frankle et al. 2020, arXiv:1912.05671, section 2). A level and the next are connected if the error
does not rise on the line between their final weights (Paul et al. 2023, arXiv:2210.03044).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Final, Literal

from lottery.analysis import Verdict
from lottery.data.dataset import SplitName
from lottery.errors import UsageError
from lottery.experiments.connectivity import reordered_branch
from lottery.inside.analysis import Analysis
from lottery.inside.connectivity_sentences import STABLE, sentences
from lottery.inside.evaluation import Evaluation, is_share
from lottery.inside.kept_lines import KeptLines
from lottery.inside.line import Line, are_equal, barrier, instability, measure_line
from lottery.inside.measurement import Cell, Measurement, Table
from lottery.inside.spread import mean, spread
from lottery.inside.subject import Subject
from lottery.store import MAIN, JobKey
from lottery.store.jobs import REORDERED
from lottery.tasks.supervised import Supervised

EXAMPLES: Final = 10_000
"""Examples of each part of the data that are measured on, unless others are asked for."""
POINTS: Final = 30
"""Points of each line, unless others are asked for."""

Kind = Literal["copies", "levels", "initializations"]
"""Two data orders, a level and the next, or two dense networks of different replicates."""
_Ends = tuple[Kind, int | None, JobKey, JobKey]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two trainings, and what was measured on the line between their final weights.

    Args:
        kind: how they belong together.
        at: for copies, the iteration from which the second one saw another order; else None.
        one: the training whose weights the line begins at.
        other: the training whose weights it ends at.
        lines: part of the data -> what was measured on it.
        same: whether it is a copy that ended with exactly its original's weights.
    """

    kind: Kind
    at: int | None
    one: JobKey
    other: JobKey
    lines: Mapping[SplitName, Line]
    same: bool = False

    def value(self, part: SplitName, of: Callable[[Sequence[float]], float]) -> float | None:
        """A function ``of`` the errors along the line; None where that part was not measured."""
        return of(self.lines[part].errors) if part in self.lines else None

    @property
    def loss_barrier(self) -> float | None:
        """How far the loss on the test data rises above the straight line between its ends."""
        losses = self.lines["test"].losses
        return None if losses is None else barrier(losses)


def connectivity(
    subject: Subject,
    *,
    at: Sequence[int] | None = None,
    points: int = POINTS,
    recalibrate: int = 0,
    examples: int = EXAMPLES,
) -> Measurement:
    """Measure error and loss on the lines between finished trainings; nothing is trained.

    Args:
        subject: levels and replicates to look at.
        at: iterations from which copies saw another order; None: all that there are.
        points: points on each line, both ends among them, 3 or more.
        recalibrate: how many training examples to compute running statistics of batch normalization
            from, anew at every point; 0: they are interpolated like weights.
        examples: how many examples of training and of test data at most; 0: all.

    Raises:
        UsageError: a number is out of range, or the task cannot be evaluated.
    """
    check_numbers(points=points, recalibrate=recalibrate, examples=examples)
    asked = list(_asked(subject, at))
    if not asked:
        raise UsageError(
            f"{subject.run.name} has no two trainings to look between: no copies with another data "
            "order, no level and the next, no two replicates"
        )
    measure = Evaluation(
        task=subject.experiment.task, examples=examples or None, recalibrate=recalibrate
    )
    pairs = list(_walked(subject, asked, measure, [points, recalibrate, examples]))
    share = is_share(subject.run.facts.score)
    tables = (
        _stability(subject, pairs, share=share),
        _levels(subject, pairs, share=share),
        _reference(pairs),
        _points(pairs),
    )
    return Measurement(
        analysis="connectivity",
        found=tuple(
            sentences(
                tables,
                share=share,
                same=sum(pair.same for pair in pairs),
                score=subject.run.facts.score.name,
            )
        ),
        tables=tables,
    )


def check_numbers(*, points: int, recalibrate: int, examples: int) -> None:
    """Check the settings of `connectivity`, before copies are trained for it.

    Raises:
        UsageError: a number is out of range.
    """
    if points < 3 or examples < 0 or recalibrate < 0:
        raise UsageError(
            "connectivity: expected points of 3 or more, and examples and recalibrate of 0 or "
            f"more, got {points}, {examples} and {recalibrate}"
        )


def _walked(
    subject: Subject, asked: Sequence[_Ends], measure: Evaluation, settings: list[int]
) -> Iterator[Pair]:
    """What is on each line; those measured before are read."""
    # Of a loop of one's own nobody knows whether `evaluate` is what it was.
    kept = KeptLines(subject.run.store) if isinstance(measure.task, Supervised) else None
    try:
        for number, (kind, at, one, other) in enumerate(asked, 1):
            subject.progress(f"line {number:,} of {len(asked):,}: {one} to {other}")
            ends = subject.weights(one), subject.weights(other)
            lines = kept and kept.get(one, other, settings)
            if not lines:
                lines = measure_line(*ends, settings[0], measure.parts, measure)
                if kept:
                    kept.add(one, other, settings, lines)
            same = kind == "copies" and are_equal(*ends)
            yield Pair(kind=kind, at=at, one=one, other=other, lines=lines, same=same)
    finally:
        if kept:
            kept.save()


def reordered_iterations(subject: Subject) -> list[int]:
    """The iterations from which the run's copies saw another order, rising."""
    return sorted(
        {
            int(key.branch.removeprefix(f"{REORDERED}-"))
            for key in subject.run.results
            if key.kind == REORDERED
        }
    )


def _asked(subject: Subject, at: Sequence[int] | None) -> Iterator[_Ends]:
    """The pairs that have ended, each with its kind and iteration."""
    main = list(subject.trainings())
    for since in reordered_iterations(subject) if at is None else sorted(set(at)):
        for one in main:
            other = JobKey(one.replicate, reordered_branch(since), one.level)
            if subject.ended(other):
                yield "copies", since, one, other
    for one in main:
        other = JobKey(one.replicate, MAIN, one.level + 1)
        if other in main:
            yield "levels", None, one, other
    for one, other in pairwise(key for key in main if not key.level):
        yield "initializations", None, one, other


def _grouped(
    pairs: Iterable[Pair], kind: Kind
) -> Iterator[tuple[tuple[int | None, int], list[Pair]]]:
    """(iteration, level) -> the pairs of all replicates, rising."""
    found: dict[tuple[int | None, int], list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.kind == kind:
            found[pair.at, pair.one.level].append(pair)
    yield from sorted(found.items(), key=lambda item: (item[0][0] or 0, item[0][1]))


def _summary(values: Sequence[float | None]) -> tuple[Cell, ...]:
    """Mean, standard deviation, smallest and largest."""
    there = [value for value in values if value is not None]
    return mean(there), spread(there), min(there, default=None), max(there, default=None)


def _density(subject: Subject, level: int) -> float | None:
    keys = [JobKey(replicate, MAIN, level) for replicate in subject.replicates]
    return mean([subject.run.results[key].density for key in keys if subject.ended(key)])


def _columns(what: str) -> tuple[str, ...]:
    return (what, "spread", "smallest", "largest", f"train_{what}", "train_spread", "loss_barrier")


def _row(found: Sequence[Pair], of: Callable[[Sequence[float]], float]) -> tuple[Cell, ...]:
    """The values of `_columns` over replicates; on the test data where nothing else is said."""
    return (
        *_summary([pair.value("test", of) for pair in found]),
        *_summary([pair.value("train", of) for pair in found])[:2],
        _summary([pair.loss_barrier for pair in found])[0],
    )


def _small(value: Cell, *, share: bool) -> bool | None:
    """Whether a rise of the error is below the usual limit, which is one of shares alone."""
    return value < STABLE if share and isinstance(value, int | float) else None


def _stability(subject: Subject, pairs: Sequence[Pair], *, share: bool) -> Table:
    rows = []
    for (at, level), found in _grouped(pairs, "copies"):
        row = _row(found, instability)
        stable = _small(row[0], share=share)
        rows.append((at, level, _density(subject, level), len(found), *row, stable))
    return Table(
        name="stability",
        title="Stability to the data order",
        note="Two copies of a network see their examples in different orders from iteration `at` "
        "on. Instability: the largest error on the straight line between the weights that they end "
        f"with, minus the mean error of the two, as a share of the examples; below {STABLE:g} the "
        "network is stable. Level 0 is the dense network. Means over n replicates; spread: their "
        "standard deviation. train: the same on training data. loss barrier: how far the test "
        "loss rises above the straight line between its ends.",
        columns=("at", "level", "density", "n", *_columns("instability"), "stable"),
        rows=tuple(rows),
    )


def _levels(subject: Subject, pairs: Sequence[Pair], *, share: bool) -> Table:
    matches = _matches(subject.run.verdict)
    rows = []
    for (_, level), found in _grouped(pairs, "levels"):
        row, after = _row(found, barrier), level + 1
        low = _small(row[0], share=share)
        density = _density(subject, after)
        rows.append((level, after, density, len(found), *row, low, matches.get(after)))
    return Table(
        name="levels",
        title="Between a level and the next",
        note="A barrier is how far the error on the line rises above the straight line between its "
        f"ends; below {STABLE:g} the two levels are connected. Matches: whether the sparser one is "
        "on average no worse than the dense network by more than the margin; a dash where no "
        "dense network tells.",
        columns=("level", "next", "density", "n", *_columns("barrier"), "connected", "matches"),
        rows=tuple(rows),
    )


def _matches(verdict: Verdict) -> dict[int, bool]:
    """Level -> whether it matches on the means; only where there is something to match."""
    main = {level.level: level.groups[MAIN] for level in verdict.levels if MAIN in level.groups}
    dense = main.get(0)
    if verdict.margin is None or dense is None or dense.trainings == dense.missing.total:
        return {}
    return {
        level.level: level.matches_on_means
        for level in verdict.levels
        if level.level in main and level.level
        # Some replicate has both.
        if main[level.level].trainings > main[level.level].against_dense["accuracy"].missing.dense
    }


def _reference(pairs: Sequence[Pair]) -> Table:
    rows = [
        (len(found), *_row(found, instability)) for _, found in _grouped(pairs, "initializations")
    ]
    return Table(
        name="initializations",
        title="For comparison: dense networks from different initializations",
        note="Instability between dense networks of different replicates, which share nothing but "
        "the data; n pairs.",
        columns=("n", *_columns("instability")),
        rows=tuple(rows),
    )


def _points(pairs: Sequence[Pair]) -> Table:
    rows = [
        (pair.kind, pair.at, pair.one.level, pair.one.replicate, part, share, error, loss)
        for pair in pairs
        for part, line in pair.lines.items()
        for share, error, loss in zip(
            line.shares, line.errors, line.losses or repeat(None, len(line.errors)), strict=True
        )
    ]
    return Table(
        name="points",
        title="Every point",
        note="Share is how much of the second end is in a point: 0 and 1 are the trained networks.",
        columns=("kind", "at", "level", "replicate", "part", "share", "error", "loss"),
        rows=tuple(rows),
    )


CONNECTIVITY: Final = Analysis(
    name="connectivity",
    sentence="stability to the data order, and lines of low error between levels",
    measure=connectivity,
    read=False,
    reorders=True,
    judges=True,
)
