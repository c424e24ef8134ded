"""Whether the networks of two replicates are similar up to a permutation of their neurons.

Neurons of one replicate's network are matched to those of another by their activations
(`lottery.core.matching`) and permuted accordingly; then the two networks are compared again. Git
Re-Basin (arXiv:2209.04836) asks this for networks, arXiv:2505.05143 for the masks of tickets.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

from torch import Tensor

from lottery.core import Mask, Probe
from lottery.core.matching import correlate, identity_permutations, match, similarity
from lottery.core.symmetry import Permutation, Symmetry, permute, probe_symmetry
from lottery.errors import UsageError
from lottery.inside.analysis import Analysis
from lottery.inside.connectivity_sentences import STABLE
from lottery.inside.evaluation import Evaluation, is_share
from lottery.inside.line import barrier, interpolate_states
from lottery.inside.measurement import Cell, Measurement, Table
from lottery.inside.moved_masks import moved_masks
from lottery.inside.overlap import add, layer_overlaps
from lottery.inside.subject import Subject
from lottery.integrations.torch_pruning import OUTPUTS
from lottery.store import MAIN, JobKey
from lottery.tasks.supervised import Supervised
from lottery.training import State
from lottery.training.normalization import running_norms

EXAMPLES: Final = 1_000
TEST_EXAMPLES: Final = 2_000
POINTS: Final = 11
Row = tuple[Cell, ...]
_PAIR: Final = ("level", "source", "target")


def alignment(
    subject: Subject,
    *,
    examples: int = EXAMPLES,
    test_examples: int = TEST_EXAMPLES,
    points: int = POINTS,
    recalibrate: int = 0,
) -> Measurement:
    """How similar the networks and tickets of replicates are, as they are and aligned.

    Each replicate is compared with the one before it.

    Args:
        subject: two replicates or more. examples: how many training examples to match neurons by, 4
        or more; all, if there are fewer. test_examples: how many test examples to measure each
        network on; 0: all. points: points on each line, both ends among them, 3 or more.
        recalibrate: how many training examples to compute running statistics of batch normalization
            from, anew for each network; 0: they stay as given.

    Raises:
        UsageError: there is one replicate, or the network's neurons cannot be aligned.
    """
    if examples < 4 or points < 3 or min(recalibrate, test_examples) < 0:
        raise UsageError(
            "expected examples = 4 or more, points = 3 or more, test_examples and recalibrate = 0 "
            f"or more, got {examples}, {points}, {test_examples} and {recalibrate}"
        )
    # Neurons are matched by what they do in dense networks, also where these are not looked at.
    looked_at = replace(subject, dense=True)
    dense = [n for n in subject.replicates if looked_at.ended(JobKey(n, MAIN, 0))]
    if len(dense) < 2:
        more = "; run it with more --replicates" if subject.run.config.replicates < 2 else ""
        raise UsageError(
            "neurons of two replicates' dense networks are matched: expected 2 or more that ended "
            f"well among the replicates looked at, got {len(dense)}{more}"
        )
    evaluation = Evaluation(
        task=subject.experiment.task, examples=test_examples or None, recalibrate=recalibrate
    )
    pairs = _Pairs(subject, evaluation, examples, points)
    alike: list[Row] = []
    lines: list[Row] = []
    shared: list[Row] = []
    for source, target in pairwise(dense):
        for level in subject.levels:
            one, other = (JobKey(number, MAIN, level) for number in (source, target))
            if not (subject.ended(one) and subject.ended(other)):
                continue
            subject.progress(f"replicates {source} and {target}, level {level}")
            place: Row = (level, source, target)
            alike += [(*place, *row) for row in pairs.similarities(one, other)]
            lines.append((*place, *pairs.barriers(one, other)))
            if level:
                shared.append((*place, *pairs.overlap(one, other)))
    tables = (
        Table(
            name="similarity",
            title="Correlation of two replicates' neurons",
            note=_ALIKE_NOTE,
            columns=(*_PAIR, "layer", "neurons", "in_place", "aligned", "by_chance"),
            rows=tuple(sorted(alike)),
        ),
        Table(
            name="barriers",
            title="Barriers between two replicates",
            note=_LINE_NOTE,
            columns=(*_PAIR, "error_at_ends", "in_place", "aligned"),
            rows=tuple(sorted(lines)),
        ),
        Table(
            name="overlap",
            title="What two replicates' masks share",
            note=_SHARED_NOTE,
            columns=(*_PAIR, "density", "in_place", "aligned", "by_chance", "deviation"),
            rows=tuple(sorted(shared)),
        ),
    )
    moved = moved_masks(subject)
    return Measurement(
        analysis="alignment",
        found=(*_found(tables, pairs), *moved.found),
        tables=(*(table for table in tables if table.rows), *moved.tables),
    )


_ALIKE_NOTE: Final = (
    "The mean correlation of the source's neurons with the target's, by their activations on the "
    "same training examples. In place: the first with the first, and so on. Aligned: matched one "
    "to one. By chance: matched by activations on different examples."
)
_LINE_NOTE: Final = (
    "How far the test error on the straight line between two networks rises above its ends. "
    f"Below {STABLE:.0%} there is no barrier (arXiv:1912.05671). Aligned: the source's neurons put "
    "where they match the target's, by the two networks of this level."
)
_SHARED_NOTE: Final = (
    "Of the weights that a mask keeps, how many the other keeps, too: a share. Aligned: by the two "
    "dense networks, as the control is. By chance: expectation and standard deviation for masks "
    "drawn at random with as many weights in each layer."
)


@dataclass(frozen=True)
class _Pairs:
    """Aligns networks of two replicates, and measures between them: cells of rows."""

    subject: Subject
    evaluation: Evaluation
    examples: int
    points: int

    def similarities(self, one: JobKey, other: JobKey) -> list[Row]:
        """For each layer: its neurons, and how alike they are in place, aligned and by chance."""
        measured, chance = (self._correlations(one, other, shift) for shift in (0, 1))
        moves = self._known[one, other] = match(measured)
        columns = (
            similarity(measured, identity_permutations(self.symmetry)),
            similarity(measured, moves),
            similarity(chance, match(chance)),
        )
        return [(home, len(moves[home]), *(column[home] for column in columns)) for home in moves]

    def barriers(self, one: JobKey, other: JobKey) -> Row:
        """The mean error at the ends, and how far it rises between them in place and aligned."""
        begin, end = self.error(one), self.error(other)
        first, last = self.subject.weights(one), self.subject.weights(other)
        shares = [number / (self.points - 1) for number in range(1, self.points - 1)]
        aligned = permute(first, self.symmetry, self.permutations(one, other))
        # What is permuted computes the same, so that the lines have the same ends.
        rises = (
            barrier(
                [begin, *(self._error(interpolate_states(start, last, s)) for s in shares), end]
            )
            for start in (first, aligned)
        )
        return ((begin + end) / 2, *rises)

    def overlap(self, one: JobKey, other: JobKey) -> Row:
        """Density, shares in place and aligned, and what chance would give."""
        mask, target = self.subject.mask(one), self.subject.mask(other)
        moves = self.permutations(replace(one, level=0), replace(other, level=0))
        aligned = Mask(permute(dict(mask), self.symmetry, moves))
        shares = (shared_weights(source, target) for source in (mask, aligned))
        return (mask.density, *shares, *shared_by_chance(mask, target))

    # What is computed once

    @cached_property
    def symmetry(self) -> Symmetry:
        """Which neurons can change places."""
        return probe_symmetry(self._probe(JobKey(self.subject.replicates[0], MAIN, 0)))

    @cached_property
    def _known(self) -> dict[tuple[JobKey, ...], dict[str, Permutation]]:
        return {}

    @cached_property
    def _errors(self) -> dict[JobKey, float]:
        return {}

    def permutations(self, one: JobKey, other: JobKey) -> dict[str, Permutation]:
        """Which of one's neurons belongs at each place of the other's."""
        if (one, other) not in self._known:
            self._known[one, other] = match(self._correlations(one, other))
        return self._known[one, other]

    def error(self, key: JobKey) -> float:
        """The test error that a training ended with."""
        if key not in self._errors:
            self._errors[key] = self._error(self.subject.weights(key))
        return self._errors[key]

    def _error(self, state: State) -> float:
        return self.evaluation(state).error

    def _correlations(self, one: JobKey, other: JobKey, shift: int = 0) -> dict[str, Tensor]:
        """Rows are the other's neurons, as places are; columns one's."""
        probe = self._probe(other)
        network = deepcopy(probe.model)
        network.load_state_dict(dict(self.subject.weights(one)))
        return correlate(probe, network, self.symmetry, shift=shift)

    def _probe(self, key: JobKey) -> Probe:
        """A trained network, and the examples that the control of its replicate looks at."""
        experiment, examples = self.subject.experiment, self.examples
        if isinstance(experiment.task, Supervised):
            examples = min(examples, len(experiment.task.data.train))
        prune = replace(
            experiment.config.prune,
            examples=examples,
            batch_size=min(experiment.config.prune.batch_size, examples // 2),
        )
        return experiment.task.probe(
            prune,
            0,
            self.subject.ticket(replace(key, level=0)).mask,
            trained=self.subject.weights(key),
            streams=experiment.context.streams(key.replicate),
        )


def shared_weights(one: Mask, other: Mask) -> float:
    """Weights that both keep, as a share of the mean of what each keeps, in [0, 1]."""
    return 2 * (one & other).kept / max(one.kept + other.kept, 1)


def shared_by_chance(one: Mask, other: Mask) -> tuple[float, float]:
    """Expectation and standard deviation of `shared_weights` for masks with these counts.

    In each layer the number of shared weights is hypergeometric (`lottery.inside.overlap`).
    """
    both = add(layer_overlaps(one, other).values())
    scale = 2 / max(one.kept + other.kept, 1)
    return scale * both.expected, scale * both.variance**0.5


# What it says


def _found(tables: Sequence[Table], pairs: _Pairs) -> list[str]:
    alike, lines, shared = tables
    share = is_share(pairs.evaluation.task.score)
    said = []
    for level in _ends(lines):
        where = f"At level {level}" if level else "Before pruning"
        said += [
            f"{where} two replicates' neurons correlate {_mean(alike, level, 'aligned'):.2f} when "
            f"matched, {_mean(alike, level, 'in_place'):.2f} in place and "
            f"{_mean(alike, level, 'by_chance'):.2f} by chance (mean over layers and "
            f"{_count(lines, level)}).",
            _barrier_sentence(where, lines, level, share=share),
        ]
    task = pairs.evaluation.task
    if not pairs.evaluation.recalibrate and running_norms(task.make_model()):
        said.append(
            "Statistics of batch normalization fit neither end on the way between two networks, "
            "which alone makes a barrier; recalibrate computes them anew."
        )
    for level in _ends(shared)[-1:]:
        said.append(
            f"At level {level} two masks share {_mean(shared, level, 'aligned'):.1%} of their "
            f"weights when aligned, {_mean(shared, level, 'in_place'):.1%} in place and "
            f"{_mean(shared, level, 'by_chance'):.1%} by chance ({_count(shared, level)}); chance "
            "knows how many weights each layer keeps, and not which inputs are worth something."
        )
    stay = {n: why for n, why in pairs.symmetry.left_out.items() if why != OUTPUTS}
    if stay:
        listed = "; ".join(f"{name}: {why}" for name, why in stay.items())
        said.append(f"Left in their places: {listed}.")
    return said


def _barrier_sentence(where: str, lines: Table, level: int, *, share: bool) -> str:
    """How high barriers are, and how many pairs have none."""
    rises = {name: _values(lines, level, name) for name in ("in_place", "aligned")}
    words = {
        name: f"{_rise(sum(values) / len(values), share)}{' points' if share else ''} "
        f"({_rise(min(values), share)} to {_rise(max(values), share)})"
        for name, values in rises.items()
    }
    free = sum(value < STABLE for value in rises["aligned"])
    none = f"; aligned, {free} of {len(rises['aligned'])} pairs have no barrier" if share else ""
    return (
        f"{where} the test error on the line between two networks rises by {words['in_place']} "
        f"in place and by {words['aligned']} aligned (mean, lowest and highest of "
        f"{_count(lines, level)}){none}."
    )


def _rise(value: float, share: bool) -> str:
    return f"{100 * value:.1f}" if share else f"{value:.4g}"


def _ends(table: Table) -> list[int]:
    """The first and the last level of a table."""
    levels = sorted({row[0] for row in table.rows})  # type: ignore[type-var]
    return [*dict.fromkeys(levels[:1] + levels[-1:])]  # type: ignore[list-item]


def _values(table: Table, level: int, column: str) -> list[float]:
    return [float(row[column] or 0) for row in table.records() if row["level"] == level]


def _mean(table: Table, level: int, column: str) -> float:
    values = _values(table, level, column)
    return sum(values) / len(values)


def _count(table: Table, level: int) -> str:
    pairs = len({row[1:3] for row in table.rows if row[0] == level})
    return f"{pairs} pairs" if pairs > 1 else "1 pair"


ALIGNMENT: Final = Analysis(
    name="alignment",
    sentence="whether replicates are alike up to the order of their neurons, and masks move",
    measure=alignment,
    read=False,
    judges=True,
)
