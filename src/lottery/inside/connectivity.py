"""Stability and linear mode connectivity: error and loss on the line between two networks.

Two copies of one network that saw their examples in different orders are stable to that noise if
nowhere on the straight line between their weights the error rises (Frankle et al. 2020,
arXiv:1912.05671, section 2); a level and the next are connected if it does not between theirs (Paul
et al. 2023, arXiv:2210.03044).
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
from lottery.experiments.connectivity import branch_of
from lottery.inside.analysis import Analysis
from lottery.inside.evaluation import Evaluation, is_share
from lottery.inside.kept_lines import KeptLines
from lottery.inside.line import Line, barrier, equal, instability, walk
from lottery.inside.measurement import Cell, Measurement, Table
from lottery.inside.spread import mean, spread
from lottery.inside.subject import Subject
from lottery.store import MAIN, JobKey
from lottery.store.jobs import REORDERED
from lottery.tasks.supervised import Supervised

STABLE: Final = 0.02
"""Instability below which a network is stable, a share of the examples (arXiv:1912.05671)."""
EXAMPLES: Final = 10_000
POINTS: Final = 30

Kind = Literal["copies", "levels", "initializations"]
"""Two data orders, a level and the next, or two dense networks of different replicates."""
_Ends = tuple[Kind, int | None, JobKey, JobKey]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two trainings, and what was found on the line between their weights.

    Args:
        kind: how they belong together.
        at: of copies, the iteration from which the second saw another order.
        one: where the line begins.
        other: where it ends.
        lines: part of the data -> what was measured.
        same: whether it is a copy that ended as its original did, to the bit.
    """

    kind: Kind
    at: int | None
    one: JobKey
    other: JobKey
    lines: Mapping[SplitName, Line]
    same: bool = False

    def value(self, part: SplitName, of: Callable[[Sequence[float]], float]) -> float | None:
        """Something of the errors on a part of the data, where that was measured."""
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
    """Measure on the lines between the trainings that there are; nothing is trained.

    Args:
        subject: levels and replicates to look at.
        at: iterations from which copies saw another order; None: all that there are.
        points: on each line, both ends among them, 3 or more: the ends alone tell nothing of what
            lies between.
        recalibrate: training examples to compute statistics of batch normalization anew from at
            every point, the ends too; 0: they are interpolated as weights are.
        examples: of each part of the data at most; 0: all.

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
            f"{said[0].upper()}{said[1:]}."
            for said in _sentences(tables, share=share, same=sum(pair.same for pair in pairs))
        ),
        tables=tables,
    )


def check_numbers(*, points: int, recalibrate: int, examples: int) -> None:
    """Check the settings of `connectivity`, which is best done before anything is trained for it.

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
                lines = walk(*ends, settings[0], measure.parts, measure)
                if kept:
                    kept.add(one, other, settings, lines)
            same = kind == "copies" and equal(*ends)
            yield Pair(kind=kind, at=at, one=one, other=other, lines=lines, same=same)
    finally:
        if kept:
            kept.save()


def reordered_there(subject: Subject) -> list[int]:
    """The iterations from which copies of the subject's trainings saw another order, rising."""
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
    for since in reordered_there(subject) if at is None else sorted(set(at)):
        for one in main:
            other = JobKey(one.replicate, branch_of(since), one.level)
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
        note="Instability is the largest error on the line between two copies that saw their "
        "examples in different orders from iteration `at` on, minus the mean error of the two, a "
        f"share of examples; below {STABLE:g} is stable. Level 0 is the dense network. Spread is "
        "the standard deviation over the n replicates.",
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
        f"ends; below {STABLE:g} the two are connected. Matches: whether by its mean the sparser "
        "one is no worse than the dense network, by more than the margin; none where no dense "
        "network tells.",
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
        title="By chance: dense networks from different initializations",
        note="What instability is between dense networks of different replicates, which share "
        "nothing but the data; n pairs.",
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


def _sentences(tables: Sequence[Table], *, share: bool, same: int) -> Iterator[str]:
    stability, levels, reference, _ = tables
    copies = sum(n for n in stability.column("n") if isinstance(n, int))
    if not copies:
        yield "no copies with another data order are there, so that nothing is said of stability"
    if same:
        yield (
            f"{same} of {copies} copies ended with the same weights, to the bit: the loop does not "
            "draw its data order from what it is seeded with, so that nothing is known of its "
            "stability"
        )
    if share and not same:
        yield from _stable_from(stability)
    if share and (rows := list(levels.records())):
        yield _agreement(rows)
    for row in reference.records():
        value = row["instability"]
        yield (
            "by chance: between dense networks from different initializations instability is "
            f"{_percent(value) if share else value} (n = {row['n']})"
        )


def _percent(value: Cell) -> str:
    return f"{100 * value:.2g}%" if isinstance(value, int | float) else "unknown"


def _stable_from(stability: Table) -> Iterator[str]:
    """From which iteration, and from which level on."""
    by_level: dict[Cell, list[Mapping[str, Cell]]] = defaultdict(list)
    by_iteration: dict[Cell, list[Mapping[str, Cell]]] = defaultdict(list)
    for row in stability.records():
        by_level[row["level"]].append(row)
        by_iteration[row["at"]].append(row)
    for level, rows in by_level.items():
        if len(rows) > 1:
            who = "the dense network" if level == 0 else f"level {level}"
            tried = ", ".join(f"{_percent(r['instability'])} at {r['at']}" for r in rows)
            since = _first_of_rest(rows, "at")
            yield (
                f"{who} is stable from iteration {since} on, of those tried: instability {tried}"
                if since is not None
                else f"{who} is stable from none of the iterations tried: instability {tried}"
            )
    for at, rows in by_iteration.items():
        stable = [str(row["level"]) for row in rows if row["stable"]]
        since = _first_of_rest(rows, "level")
        yield (
            f"reordered from iteration {at} on, {len(stable)} of {len(rows)} levels are stable"
            + (f" ({', '.join(stable)})" if 0 < len(stable) < len(rows) else "")
            + (f"; all from level {since} on" if since not in (None, rows[0]["level"]) else "")
            + f": instability {_percent(rows[0]['instability'])} at level {rows[0]['level']}"
            + (f", {_percent(rows[-1]['instability'])} at {rows[-1]['level']}" if rows[1:] else "")
        )


def _first_of_rest(rows: Sequence[Mapping[str, Cell]], name: str) -> Cell:
    """The first from which on all are stable; None where the last is not."""
    first = None
    for row in reversed(rows):
        if not row["stable"]:
            break
        first = row[name]
    return first


def _agreement(rows: Sequence[Mapping[str, Cell]]) -> str:
    """How often there is no barrier exactly where the next level matches."""
    connected = sum(bool(row["connected"]) for row in rows)
    judged = [row for row in rows if row["matches"] is not None]
    free = f"between a level and the next there is no barrier at {connected} of {len(rows)}"
    if not judged:
        return f"{free}; whether the sparser one matches a dense network is not known"
    agree = sum(row["connected"] == row["matches"] for row in judged)
    n, low = len(judged), sum(bool(row["connected"]) for row in judged)
    good = sum(bool(row["matches"]) for row in judged)
    # What `agree` is expected to be if the same answers are dealt to the levels at random.
    chance = (low * good + (n - low) * (n - good)) / n
    return (
        f"{free}; at {agree} of {n} there is none exactly where the sparser one matches the dense "
        f"network, by chance at {chance:.1f}"
    )


CONNECTIVITY: Final = Analysis(
    name="connectivity",
    sentence="stability to the data order, and lines of low error between levels",
    measure=connectivity,
    read=False,
    compares=True,
    reorders=True,
)
