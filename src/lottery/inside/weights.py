"""Weights before and after training: their distribution, how far they move, which signs they
keep."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lottery.core import Mask
from lottery.inside.analysis import Analysis
from lottery.inside.measurement import Measurement, Table
from lottery.inside.settling import NO_TICKET
from lottery.inside.spread import mean, spread
from lottery.inside.subject import Subject
from lottery.store import MAIN, JobKey
from lottery.training import State

WHOLE: Final = "(whole)"
"""Stands for all layers together."""
TRAINED: Final = "start to end"
FROM_INITIALIZATION: Final = "initialization to end"
IN_DENSE: Final = "in the dense network"
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS: Final = 24


@dataclass(frozen=True, kw_only=True)
class Move:
    """How far some weights moved, and whether they kept their signs; sums, so that layers add up.

    Args:
        weights: how many weights there are.
        distance: the sum of their squared changes.
        start: the sum of their squares before.
        by_chance: the expectation of ``distance`` for as many weights of the layer drawn at random.
        signed: how many are neither zero before nor after.
        kept: how many of these have the same sign after as before.
        expected: the expectation of ``kept`` if the signs after were assigned to weights at random.
        variance: the variance of ``kept`` in that case.
    """

    weights: int
    distance: float
    start: float
    by_chance: float
    signed: int
    kept: int
    expected: float
    variance: float

    def __add__(self, other: Move) -> Move:
        return Move(**{name: value + getattr(other, name) for name, value in vars(self).items()})


def measure_move(before: Tensor, after: Tensor, chosen: Tensor) -> Move:
    """How the chosen weights of a layer changed.

    By chance means that as many weights are positive before and after, but which ones is random: of
    n weights, a of them positive before and b after, the number that are positive both times is
    hypergeometric, and ``kept = n - a - b + 2 * both``.

    Args:
        before: the layer's weights, floating point of any shape.
        after: the weights later, of the same shape.
        chosen: which weights, bool of the same shape.

    >>> found = measure_move(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([2.0, -1.0, -1.0]),
    ...               torch.tensor([True, True, True]))
    >>> found.kept, round(found.expected, 4)
    (2, 1.3333)
    """
    old, new = before[chosen].double(), after[chosen].double()
    squares = (after.double() - before.double()).square()
    signed = (old != 0) & (new != 0)
    was, now = old[signed] > 0, new[signed] > 0
    n, a, b = int(signed.sum()), int(was.sum()), int(now.sum())
    return Move(
        weights=old.numel(),
        distance=float(squares[chosen].sum()),
        start=float(old.square().sum()),
        by_chance=float(squares.mean()) * old.numel() if squares.numel() else 0.0,
        signed=n,
        kept=int((was == now).sum()),
        expected=n - a - b + 2 * a * b / n if n else 0.0,
        variance=4 * a * b * (n - a) * (n - b) / (n * n * (n - 1)) if n > 1 else 0.0,
    )


@dataclass(frozen=True)
class _Place:
    """Which weights, and between which two moments: what a row is about."""

    level: int
    branch: str
    weights: str
    between: str
    layer: str


Moves = dict[_Place, list[Move]]


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Some weights of one training: what is kept of them."""

    count: int
    quantiles: tuple[float, ...]
    magnitude: float
    bins: NDArray[np.int64]


@dataclass(frozen=True)
class _Seen:
    """What is kept of values, by level, layer, whose they are and when: one a replicate.

    The first training decides each layer's bins, so that all levels have the same.
    """

    found: dict[tuple[int, str, str, str], list[_Values]] = field(default_factory=dict)
    edges: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, level: int, whose: str, when: str, state: State, mask: Mask, keep: bool) -> None:
        """Take in one replicate's."""
        parts = {name: state[name][kept if keep else ~kept] for name, kept in mask.items()}
        for layer, part in {WHOLE: torch.cat([*parts.values()]), **parts}.items():
            # Sorted once, numpy has quantiles and bins for next to nothing.
            values = np.sort(part.detach().float().numpy())
            if values.size:
                if layer not in self.edges:
                    self.edges[layer] = _edges(values)
                # What lies beyond is counted at the ends.
                inner = np.searchsorted(values, self.edges[layer][1:-1])
                one = _Values(
                    count=values.size,
                    quantiles=tuple(map(float, quantiles(values, QUANTILES))),
                    magnitude=float(np.abs(values).mean(dtype=np.float64)),
                    bins=np.diff(inner, prepend=0, append=values.size),
                )
                self.found.setdefault((level, layer, whose, when), []).append(one)


def quantiles(ordered: NDArray[np.float32], shares: Sequence[float]) -> NDArray[np.float64]:
    """Quantiles of sorted values, linearly interpolated between two of them.

    Args:
        ordered: rising, one or more.
        shares: which quantiles, each in [0, 1].

    >>> quantiles(np.array([1, 2, 4], np.float32), [0.5, 0.75]).tolist()
    [2.0, 3.0]
    """
    at = np.asarray(shares) * (ordered.size - 1)
    found: NDArray[np.float64] = np.interp(at, np.arange(ordered.size), ordered)
    return found


def _edges(values: NDArray[np.float32]) -> NDArray[np.float64]:
    reach = 2 * float(np.quantile(np.abs(values), 0.99)) or 1.0
    return np.linspace(-reach, reach, BINS + 1)


def weights(subject: Subject) -> Measurement:
    """Values, distances moved and signs kept, of survivors and of pruned weights, by level."""
    moves: Moves = defaultdict(list)
    values = _Seen()
    for level in subject.levels:
        for key in subject.with_controls(level):
            subject.progress(f"weights of {key}")
            _look(subject, key, moves, values)
    densities = _densities(subject)
    tables = (_move_table(moves), _quantile_table(values), _histogram_table(values))
    return Measurement(analysis="weights", found=_sentences(moves, densities), tables=tables)


def _look(subject: Subject, key: JobKey, moves: Moves, values: _Seen) -> None:
    """Take in one training: what moved in it, and for a ticket what moved in the dense network."""
    ticket, end = subject.ticket(key), subject.weights(key)
    mask, start = subject.mask(key), ticket.weights
    survivors = "all" if not key.level else "survivors"
    pairs = [(survivors, TRAINED, start, end, mask)]
    dense = JobKey(key.replicate, MAIN, 0)
    if key.branch == MAIN and key.level and subject.ended(dense):
        initial, trained = subject.ticket(dense).weights, subject.weights(dense)
        gone = Mask({name: ~kept for name, kept in mask.items()})
        pairs += [
            (survivors, IN_DENSE, initial, trained, mask),
            ("pruned", IN_DENSE, initial, trained, gone),
        ]
        if not all(torch.equal(initial[name], start[name]) for name in mask):
            pairs.append((survivors, FROM_INITIALIZATION, initial, end, mask))
        for whose, keep in (("survivors", True), ("pruned", False)):
            values.add(key.level, whose, "initialization", initial, mask, keep)
            values.add(key.level, whose, "end of the dense training", trained, mask, keep)
    if key.branch == MAIN:
        values.add(key.level, survivors, "end", end, mask, keep=True)
        values.add(key.level, survivors, "start", start, mask, keep=True)
    for whose, between, before, after, chosen in pairs:
        layers = {
            name: measure_move(before[name], after[name], kept) for name, kept in chosen.items()
        }
        whole = reduce(Move.__add__, layers.values())
        for layer, move in ({WHOLE: whole} | layers).items():
            moves[_Place(key.level, key.kind, whose, between, layer)].append(move)


def _move_table(moves: Moves) -> Table:
    return Table(
        name="moves",
        title="How far weights move, and which signs they keep",
        note=(
            "Means over n trainings, ± their standard deviation. distance: L2, of the weights "
            "named; relative: over their L2 norm before. by chance: the distance of as many "
            "weights of each layer drawn at random; where all weights of a layer count, the same. "
            "signs kept: the share whose sign is the same after as before; by chance: if the signs "
            "after were dealt to the weights at random, as many positive ones as there are; z: "
            "how many standard deviations of that the sum over trainings lies away. Distances of "
            "tickets have no chance: what is pruned does not move."
        ),
        columns=(
            *("level", "branch", "weights", "between", "layer", "n", "count"),
            *("distance", "distance_sd", "distance_by_chance", "relative"),
            *("signs_kept", "signs_kept_sd", "signs_by_chance", "z"),
        ),
        rows=tuple(_move_row(place, found) for place, found in moves.items()),
    )


def _move_row(place: _Place, found: Sequence[Move]) -> tuple[str | int | float | None, ...]:
    distances = [math.sqrt(one.distance) for one in found]
    relative = [math.sqrt(one.distance / one.start) for one in found if one.start]
    shares = [one.kept / one.signed for one in found if one.signed]
    chance = [one.expected / one.signed for one in found if one.signed]
    deviation = math.sqrt(sum(one.variance for one in found))
    excess = sum(one.kept - one.expected for one in found)
    random = place.between == IN_DENSE or not place.level
    return (
        *(place.level, place.branch, place.weights, place.between, place.layer, len(found)),
        mean([one.weights for one in found]),
        *(mean(distances), spread(distances)),
        mean([math.sqrt(one.by_chance) for one in found]) if random else None,
        mean(relative),
        *(mean(shares), spread(shares), mean(chance)),
        excess / deviation if deviation else None,
    )


def _quantile_table(values: _Seen) -> Table:
    rows = [
        (
            *(*place, len(found), mean([one.count for one in found])),
            *(mean([one.quantiles[at] for one in found]) for at in range(len(QUANTILES))),
            mean(sizes := [one.magnitude for one in found]),
            spread(sizes),
        )
        for place, found in values.found.items()
    ]
    return Table(
        name="values",
        title="Values of survivors and of pruned weights",
        note=(
            "Quantiles of tickets' weights, means over n replicates. initialization: of the dense "
            "network; start: what survivors were rewound to. Pruned weights have no value in a "
            "ticket: theirs are the dense network's. magnitude: the mean, ± its standard deviation "
            "between replicates. If pruning were blind, survivors and pruned weights of a layer "
            "would have the same quantiles."
        ),
        columns=(
            *("level", "layer", "weights", "when", "n", "count"),
            *(f"q{round(100 * q):02d}" for q in QUANTILES),
            *("magnitude", "magnitude_sd"),
        ),
        rows=tuple(rows),
    )


def _histogram_table(values: _Seen) -> Table:
    rows: list[tuple[str | int | float, ...]] = []
    for (level, layer, whose, when), found in values.found.items():
        edges, bins = values.edges[layer], sum(one.bins for one in found)
        shares = np.asarray(bins) / np.sum(bins)
        rows += [
            (level, layer, whose, when, float(low), float(high), float(share))
            for low, high, share in zip(edges, edges[1:], shares, strict=False)
            if share
        ]
    return Table(
        name="histograms",
        title="Histograms of the same values",
        note="All replicates together; share of the weights from from_value to to_value. What "
        "lies beyond counts in the first and last bin; empty bins are left out.",
        columns=("level", "layer", "weights", "when", "from_value", "to_value", "share"),
        rows=tuple(rows),
    )


def _densities(subject: Subject) -> dict[int, float]:
    found = {key.level: subject.run.results[key] for key in subject.trainings()}
    return {level: result.weights_kept / result.weights_total for level, result in found.items()}


def _sentences(moves: Moves, densities: Mapping[int, float]) -> tuple[str, ...]:
    """What the deepest level says."""
    deepest = max(densities, default=0)
    if not deepest:
        return (NO_TICKET,)
    return tuple(_of_level(moves, deepest, f"{100 * densities[deepest]:.3g}%"))


def _of_level(moves: Moves, level: int, kept: str) -> Iterator[str]:
    def whole(weights: str, between: str, branch: str = MAIN) -> list[Move]:
        return moves.get(_Place(level, branch, weights, between, WHOLE), [])

    def signs(found: list[Move]) -> str:
        return f"{100 * sum(m.kept for m in found) / max(sum(m.signed for m in found), 1):.1f}%"

    own, dense = whole("survivors", TRAINED), whole("survivors", IN_DENSE)
    chance = 100 * sum(m.expected for m in own) / max(sum(m.signed for m in own), 1)
    yield (
        f"At level {level} ({kept} kept), {signs(own)} of the survivors end with the sign they "
        f"started with ({chance:.1f}% by chance; n = {len(own)})."
    )
    if not dense:
        return
    gone = whole("pruned", IN_DENSE)
    yield (
        f"In the dense network {signs(dense)} of the same weights kept their initial sign, and "
        f"{signs(gone)} of those that were pruned."
    )
    far = math.sqrt(sum(m.distance for m in dense) / (sum(m.by_chance for m in dense) or 1))
    both = whole("survivors", FROM_INITIALIZATION) or own
    said = (
        f"There they moved {far:.2f} times as far as a random choice of as many weights of each "
        "layer"
    )
    # One of each replicate, unless a ticket lacks its dense network, and then they fit no more.
    pairs = zip(both, dense, strict=True) if len(both) == len(dense) else ()
    ratios = [math.sqrt(a.distance / b.distance) for a, b in pairs if b.distance]
    if ratios:
        said += (
            f"; in the ticket, from their initialization, {mean(ratios):.2f} times as far as there"
        )
    yield f"{said}."


WEIGHTS: Final = Analysis(
    name="weights",
    sentence="values of survivors and pruned weights, how far they move, which signs they keep",
    measure=weights,
)
