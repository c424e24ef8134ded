"""Lottery Pools: averages of neighbouring levels of a run, which cost no training.

Yin et al., arXiv:2208.10842, section 3. To a trained ticket, the trained networks of the levels
around it are added one after another, nearest first, each with the best of several interpolation
factors, if the average does no worse on validation data. The paper prunes the average by magnitude
to the ticket's density; here the average has the ticket's own mask, so that it stays the same
subnetwork.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from torch import Tensor

from lottery.core import Mask
from lottery.data.dataset import SplitName
from lottery.errors import UsageError
from lottery.inside.analysis import Analysis
from lottery.inside.evaluation import Evaluation, Quality
from lottery.inside.measurement import Cell, Measurement, Table
from lottery.inside.spread import half_interval
from lottery.inside.subject import Subject
from lottery.store import MAIN, JobKey
from lottery.tasks.supervised import Supervised
from lottery.tickets.rewinding import replace_weights
from lottery.training import State

FACTORS: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Interpolation factors that are tried: the share of the candidate, as in the authors' code."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """An average of networks.

    Args:
        state: its ``state_dict``, under the ticket's mask.
        members: (level, factor) of what was added to the ticket, in this order.
    """

    state: State
    members: tuple[tuple[int, float], ...] = ()


def interpolate(
    one: State,
    other: State,
    factor: float,
    mask: Mask,
    pruned: Mapping[str, Tensor] | None = None,
) -> State:
    """``(1 - factor) * one + factor * other`` under a mask.

    What is not floating point, such as a count of batches, is taken from ``one``.

    Args:
        one: a whole ``state_dict``.
        other: another with the same names and shapes.
        factor: in [0, 1].
        mask: which weights are kept.
        pruned: the values that pruned weights are held at; None: zero.
    """
    average = {
        name: value.lerp(other[name], factor) if value.is_floating_point() else value
        for name, value in one.items()
    }
    return replace_weights(average, mask.apply({name: average[name] for name in mask}, pruned))


def greedy_pool(
    ticket: State,
    candidates: Sequence[tuple[int, State]],
    mask: Mask,
    quality: Callable[[State], Quality],
    pruned: Mapping[str, Tensor] | None = None,
) -> Pool:
    """The greedy average of a ticket and its neighbours.

    A candidate is added, at the factor with the smallest error, if the error is no larger than
    without it; between equal errors the loss decides.

    Args:
        ticket: the ``state_dict`` of the trained ticket.
        candidates: (level, ``state_dict`` of its trained network), in the order of being tried.
        mask: the ticket's mask.
        quality: how well a network does on the data that averages are chosen by.
        pruned: the values that pruned weights are held at; None: zero.
    """
    pool, best = Pool(state=ticket), _order(quality(ticket))
    for level, other in candidates:
        found = []
        for factor in FACTORS:
            state = interpolate(pool.state, other, factor, mask, pruned)
            found.append((_order(quality(state)), factor, state))
        reached, factor, state = min(found, key=lambda one: one[:2])
        if reached <= best:
            best = reached
            pool = Pool(state=state, members=(*pool.members, (level, factor)))
    return pool


def _order(quality: Quality) -> tuple[float, float]:
    return quality.error, quality.loss or 0.0


def nearest(level: int, levels: Sequence[int], count: int) -> list[int]:
    """At most ``count`` levels around a level, nearest first; of two equally near the denser first.

    >>> nearest(2, range(6), 4)
    [1, 3, 0, 4]
    """
    others = [other for other in levels if other != level]
    return sorted(others, key=lambda other: (abs(other - level), other))[:count]


def pools(subject: Subject, candidates: int = 4, recalibrate: int = 1_000) -> Measurement:
    """Compare each ticket with the average of it and its neighbours, on test data.

    Args:
        subject: whose networks and data.
        candidates: how many of the nearest levels are tried, 1 or more.
        recalibrate: how many training examples to compute running statistics of batch normalization
            from, for every average, 0 or more; without effect for a loop of the user's own.

    Raises:
        UsageError: a number is out of range.
    """
    if candidates < 1 or recalibrate < 0:
        raise UsageError(
            "pools: expected 1 candidate or more and 0 examples or more, got "
            f"{candidates} and {recalibrate}"
        )
    task = subject.experiment.task
    own = not isinstance(task, Supervised)
    step = 1 / len(task.data.test) if isinstance(task, Supervised) else 0.0
    as_it_is = Evaluation(task=task)
    average = as_it_is if own else Evaluation(task=task, recalibrate=recalibrate)
    chosen_on: SplitName = "test" if own else "validation"
    levels = sorted({key.level for key in subject.run.results if key.branch == MAIN})
    rows: list[tuple[Cell, ...]] = []
    errors: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
    for key in subject.trainings():
        subject.progress(f"pool of {key}")
        around = [JobKey(key.replicate, MAIN, n) for n in nearest(key.level, levels, candidates)]
        ticket = subject.weights(key)
        pool = greedy_pool(
            ticket,
            [(one.level, subject.weights(one)) for one in around if subject.ended(one)],
            subject.mask(key),
            lambda state: average(state, chosen_on),
            subject.ticket(key).pruned,
        )
        before = as_it_is(ticket).error
        after = average(pool.state).error if pool.members else before
        errors[key.level].append((before, after, len(pool.members)))
        taken = ", ".join(f"{level} ({factor:g})" for level, factor in pool.members)
        rows.append((key.level, key.replicate, before, after, after - before, taken or None))
    return Measurement(
        analysis="pools",
        found=tuple(_sentences(errors, step, own)),
        tables=(_level_table(errors, step), _member_table(rows)),
    )


def _level_table(errors: Mapping[int, Sequence[tuple[float, float, int]]], step: float) -> Table:
    def row(level: int, found: Sequence[tuple[float, float, int]]) -> tuple[Cell, ...]:
        before, after, members = zip(*found, strict=True)
        gains = [new - old for old, new, _ in found]
        middle, half = fmean(gains), half_interval(gains, resolution=step)
        low, high = (None, None) if half is None else (middle - half, middle + half)
        means = fmean(before), fmean(after), middle
        return (level, len(found), *means, low, high, fmean(members))

    return Table(
        name="levels",
        title="Error of tickets and of pools on test data",
        note=(
            "Means over n replicates, at the end of training. difference: of the pool to the "
            "ticket of the same replicate, with its 95% t-interval; below 0 the pool is better. An "
            "average that changed nothing "
            "would have 0. members: levels taken in besides the ticket's own."
        ),
        columns=("level", "n", "ticket", "pool", "difference", "low", "high", "members"),
        rows=tuple(row(level, found) for level, found in errors.items()),
    )


def _member_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        name="members",
        title="What each pool is made of",
        note="taken in: levels in the order they were taken in, each with its factor.",
        columns=("level", "replicate", "ticket", "pool", "difference", "taken_in"),
        rows=tuple(rows),
    )


def _sentences(
    errors: Mapping[int, Sequence[tuple[float, float, int]]], step: float, own: bool
) -> Iterator[str]:
    count = better = worse = 0
    for level, found in errors.items():
        gains = [after - before for before, after, _ in found]
        half = half_interval(gains, resolution=step)
        if level and half is not None:
            count += 1
            better += fmean(gains) + half < 0
            worse += fmean(gains) - half > 0
    if count:
        yield (
            f"Of {count} levels of tickets, the pool has less error than the ticket at {better} "
            f"and more at {worse} (95% t-intervals of paired differences, not corrected for the "
            "number of levels; by chance 2.5% of levels each)."
        )
    else:
        yield "Too few replicates that differ: nothing says whether a difference is chance."
    if own:
        yield (
            "Pools were chosen by the same evaluate that judges them, since a loop of your own has "
            "no other: this flatters them."
        )


POOLS: Final = Analysis(
    name="pools",
    sentence="tickets averaged with those of the levels around them, without any training",
    measure=pools,
    read=False,
)
