"""Runs whose truth is known, made instead of trained, to see how often a verdict is wrong.

Each replicate has a shift of its own, which its dense network, tickets and copies share, and each
training noise of its own, correlated by 0.5 from one level to the next. Accuracies are rounded to
1 / test examples, early stops to the evaluations, and cut off at the end of training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from lottery.analysis.level_tests import Array
from lottery.analysis.procedure import (
    Samples,
    Settings,
)
from lottery.analysis.speed import moving_average

Noise = Literal["normal", "t3", "log-normal"]
NOISES: Final[tuple[Noise, ...]] = ("normal", "t3", "log-normal")
MARGIN, GRID, END, TEST_EXAMPLES = 0.002, 100.0, 10_000.0, 10_000


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many runs, and how large each of them is."""

    runs: int
    replicates: int
    levels: int
    noise: Noise = "normal"

    @property
    def dense(self) -> tuple[int, int]:
        """The shape of what the dense networks have."""
        return self.runs, self.replicates

    @property
    def pruned(self) -> tuple[int, int, int]:
        """The shape of what tickets and copies have."""
        return self.runs, self.levels, self.replicates


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Many runs of one kind."""

    accuracy: Samples
    stop: Samples
    settings: Settings


@dataclass(frozen=True)
class Situation:
    """A truth, and the claims that are false there.

    Args:
        truth: in words.
        make: the runs, of a size and from a generator.
        false: claims (keys of `Decision.confirmed`) that must not be confirmed, at any level.
        true: the claim whose confirmation is the power here; empty where nothing is true.
    """

    truth: str
    make: Callable[[Size, np.random.Generator], Simulated]
    false: tuple[str, ...]
    true: str = ""


def noise(size: Size, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Values of mean 0 and deviation 1; levels, if there are any, are correlated by 0.5."""
    match size.noise:
        case "normal":
            x = rng.standard_normal(shape)
        case "t3":
            x = rng.standard_t(3, shape) / np.sqrt(3)
        case "log-normal":
            spread = np.sqrt((np.e - 1) * np.e)
            x = (np.exp(rng.standard_normal(shape)) - np.exp(0.5)) / spread
    return along_levels(x) if len(shape) == 3 else x


def along_levels(x: Array) -> Array:
    """Each level half of the one before it, the rest its own, at the same deviation."""
    y = x.copy()
    for level in range(1, x.shape[1]):
        y[:, level] = 0.5 * y[:, level - 1] + np.sqrt(0.75) * x[:, level]
    return y


def accuracies(values: Array) -> Array:
    """As a test set can measure them."""
    return np.round(values * TEST_EXAMPLES) / TEST_EXAMPLES


def stops(values: Array, end: float = END) -> Array:
    """As evaluations can tell them."""
    return np.clip(np.round(values / GRID) * GRID, GRID, end)


Shift = float | NDArray[np.floating[Any]]
"""One number, or one a level."""


def shifted(
    *,
    tickets: tuple[Shift, Shift] = (0.0, 0.0),
    copies: tuple[Shift, Shift] = (0.0, 0.0),
    dense_stop: float = 5_000.0,
    stop_scatter: tuple[float, float] = (400.0, 300.0),
    change: Callable[[Simulated, Size, np.random.Generator], Simulated] | None = None,
) -> Callable[[Size, np.random.Generator], Simulated]:
    """Runs in which tickets and copies differ from dense by (accuracy, iterations).

    Args:
        tickets: what they are better by, and later by.
        copies: the same of the reinitialized copies.
        dense_stop: the dense network's mean early stop.
        stop_scatter: deviation of a replicate's early stops, and of each training's.
        change: what is done to the runs afterwards.
    """

    def make(size: Size, rng: np.random.Generator) -> Simulated:
        levels = np.ones((1, size.levels, 1))
        shift = 0.002 * rng.standard_normal(size.dense)
        delay = stop_scatter[0] * rng.standard_normal(size.dense)

        def accuracy(shape: tuple[int, ...], by: Shift, of: Array) -> Array:
            return accuracies(0.97 + of + by + 0.001 * noise(size, shape, rng))

        def stop(shape: tuple[int, ...], by: Shift, of: Array) -> Array:
            return stops(dense_stop + of + by + stop_scatter[1] * noise(size, shape, rng))

        def spread(by: Shift) -> Array:
            return levels * np.reshape(np.asarray(by, float), (1, -1, 1))

        found = Simulated(
            accuracy=Samples(
                dense=accuracy(size.dense, 0.0, shift),
                tickets=accuracy(size.pruned, spread(tickets[0]), shift[:, None]),
                copies=accuracy(size.pruned, spread(copies[0]), shift[:, None]),
            ),
            stop=Samples(
                dense=stop(size.dense, 0.0, delay),
                tickets=stop(size.pruned, spread(tickets[1]), delay[:, None]),
                copies=stop(size.pruned, spread(copies[1]), delay[:, None]),
            ),
            settings=Settings(margin=MARGIN, grid=GRID, end=END, step=1 / TEST_EXAMPLES),
        )
        return change(found, size, rng) if change else found

    return make


def with_stops(
    runs: Simulated,
    *,
    dense: Array | None = None,
    tickets: Array | None = None,
    copies: Array | None = None,
    end: float = END,
) -> Simulated:
    """The same runs with other early stops."""
    given = {"dense": dense, "tickets": tickets, "copies": copies}
    stop = replace(runs.stop, **{name: of for name, of in given.items() if of is not None})
    return replace(runs, stop=stop, settings=replace(runs.settings, end=end))


def _all_at_end(runs: Simulated, size: Size, _: np.random.Generator) -> Simulated:
    full = np.full(size.pruned, END)
    return with_stops(runs, dense=np.full(size.dense, END), tickets=full, copies=full)


def _rare(once_in: int) -> Callable[[Simulated, Size, np.random.Generator], Simulated]:
    def change(runs: Simulated, size: Size, rng: np.random.Generator) -> Simulated:
        late = GRID * once_in * (rng.random(size.pruned) < 1 / once_in)
        dense, copies = np.full(size.dense, 2_000.0), np.full(size.pruned, 5_000.0)
        return with_stops(runs, dense=dense, tickets=np.asarray(2_000 + late, float), copies=copies)

    return change


def _skewed(sigma: float) -> Callable[[Simulated, Size, np.random.Generator], Simulated]:
    def change(runs: Simulated, size: Size, rng: np.random.Generator) -> Simulated:
        z = along_levels(rng.standard_normal(size.pruned))
        late = stops(2_100 * np.exp(sigma * z - sigma**2 / 2), np.inf)
        return with_stops(runs, tickets=late, end=np.inf)

    return change


def _copies_lost(runs: Simulated, size: Size, _: np.random.Generator) -> Simulated:
    """All copies but one diverge, and that one does as well as its ticket."""
    lost = (np.arange(size.replicates) > 0)[None, None, :]
    accuracy, stop = (
        replace(of, copies=np.where(lost, np.nan, of.tickets)) for of in (runs.accuracy, runs.stop)
    )
    return replace(runs, accuracy=accuracy, stop=stop)


def _thirds(name: Literal["copies", "tickets"]) -> Callable[[Size, np.random.Generator], Simulated]:
    """On some levels the copies sit at a boundary, on the others the tickets do."""

    def make(size: Size, rng: np.random.Generator) -> Simulated:
        level = np.arange(1, size.levels + 1)
        dense_half = level <= (size.levels + 1) // 2
        copies = (np.where(dense_half, -0.002, -0.02), np.where(dense_half, 100.0, 2_500.0))
        if name == "tickets":
            tickets: tuple[Shift, Shift] = (np.where(dense_half, 0.005, -0.002), -2_000.0)
        else:
            tickets = (0.005, np.where(dense_half, -2_000.0, 100.0))
        return shifted(tickets=tickets, copies=copies)(size, rng)

    return make


def published(size: Size, rng: np.random.Generator) -> Simulated:
    """Means and deviations as those of LeNet on MNIST over 50,000 iterations."""

    def log_normal(mean: float, deviation: float, shape: tuple[int, ...]) -> Array:
        variance = np.log(1 + (deviation / mean) ** 2)
        z = rng.standard_normal(shape)
        z = along_levels(z) if len(shape) == 3 else z
        return stops(np.exp(np.log(mean) - variance / 2 + np.sqrt(variance) * z), 50_000.0)

    z = along_levels(rng.standard_normal(size.pruned))
    base = shifted(copies=(-0.01, 0.0))(size, rng)
    return with_stops(
        Simulated(
            accuracy=Samples(
                dense=np.full(size.dense, 0.97),
                tickets=accuracies(0.9745 + 0.001 * z),
                copies=base.accuracy.copies,
            ),
            stop=base.stop,
            settings=base.settings,
        ),
        dense=log_normal(4_620, 1_306, size.dense),
        tickets=log_normal(2_700, 636, size.pruned),
        copies=log_normal(6_500, 1_000, size.pruned),
        end=50_000.0,
    )


SITUATIONS: Final[Mapping[str, Situation]] = {
    "null": Situation(
        "tickets and copies equal dense", shifted(), ("hypothesis", "fails", "loses")
    ),
    "margin": Situation(
        "tickets 0.2 points worse, 2,000 iterations sooner; copies 2 points worse, 1,500 later",
        shifted(tickets=(-0.002, -2_000), copies=(-0.02, 1_500)),
        ("matches", "wins", "hypothesis"),
        "fails",
    ),
    "grid": Situation(
        "tickets 1 point better, exactly one evaluation later; copies 2 points worse, 2,500 later",
        shifted(tickets=(0.01, GRID), copies=(-0.02, 2_500)),
        ("no_later", "wins", "hypothesis"),
        "matches",
    ),
    "all at the end": Situation(
        "every early stop is the last evaluation; tickets +0.4 points, copies -2",
        shifted(tickets=(0.004, 0), copies=(-0.02, 0), change=_all_at_end),
        ("no_later", "later", "copies_later", "wins", "hypothesis"),
        "matches",
    ),
    "cut off": Situation(
        "tickets 1,500 iterations later than dense, which stops at the end; cut off there",
        shifted(
            tickets=(0.004, 1_500),
            copies=(-0.02, 1_500),
            dense_stop=END,
            stop_scatter=(0.0, 300.0),
        ),
        ("no_later", "wins", "hypothesis"),
        "matches",
    ),
    **{
        f"rare late stop {k}": Situation(
            f"tickets stop with dense, but {100 * k} iterations later one time in {k}",
            shifted(tickets=(0.01, 0), copies=(-0.02, 0), change=_rare(k)),
            ("no_later", "wins", "hypothesis"),
            "fails",
        )
        for k in (2, 4, 8)
    },
    **{
        f"skewed stop {sigma}": Situation(
            f"tickets' stops log-normal (sigma {sigma}), on the mean one evaluation later",
            shifted(
                tickets=(0.01, 0),
                copies=(-0.02, 3_000),
                dense_stop=2_000,
                stop_scatter=(0.0, 100.0),
                change=_skewed(sigma),
            ),
            ("no_later", "wins", "hypothesis"),
            "fails",
        )
        for sigma in (0.6, 1.0, 1.4)
    },
    **{
        f"copies win {points:g}, {sooner:,}": Situation(
            f"copies win too: {points} points lower, {sooner:,} iterations sooner",
            shifted(tickets=(0.005, -2_000), copies=(-points / 100, -float(sooner))),
            ("fails", "hypothesis"),
            "wins",
        )
        for points in (0.05, 0.1, 0.15)
        for sooner in (1_000, 2_000)
    },
    "copies at the boundary": Situation(
        "copies exactly at the margin and one evaluation later; tickets win",
        shifted(tickets=(0.005, -2_000), copies=(-0.002, GRID)),
        ("fails", "hypothesis"),
        "wins",
    ),
    "copies lost": Situation(
        "all copies but one diverge, and that one equals its ticket",
        shifted(tickets=(0.003, -1_500), change=_copies_lost),
        ("fails", "hypothesis", "copies_win"),
        "wins",
    ),
    "copies better, later": Situation(
        "tickets +0.3 points, 1,500 sooner; copies +1.3 points, 1,000 later",
        shifted(tickets=(0.003, -1_500), copies=(0.013, 1_000)),
        ("copies_worse", "copies_win"),
        "copies_later",
    ),
    "mixed, tickets late": Situation(
        "copies at their boundary on the denser half, tickets one evaluation late on the other",
        _thirds("copies"),
        ("hypothesis",),
    ),
    "mixed, tickets at the margin": Situation(
        "copies at their boundary on the denser half, tickets at the margin on the other",
        _thirds("tickets"),
        ("hypothesis",),
    ),
    "small win": Situation(
        "tickets equal, 50 iterations sooner; copies 0.5 points worse, 600 later",
        shifted(tickets=(0.0, -50), copies=(-0.005, 600)),
        ("refuted",),
        "fails",
    ),
    "LeNet": Situation(
        "tickets +0.45 points, stops log-normal: 2,700 against 4,620; copies 1 point worse, 6,500",
        published,
        ("refuted",),
        "hypothesis",
    ),
}
"""Name -> what is simulated."""


def learning_curves(
    size: Size, rng: np.random.Generator, *, faster: float = 1.0, better: float = 0.0
) -> tuple[Array, Array]:
    """Times to the dense network's accuracy, of the dense networks and of one level of tickets.

    Error falls as a power of the iteration, at a pace of its own for each training; evaluations
    every `GRID` iterations scatter by 0.1 points.

    Args:
        size: ``levels`` is not used.
        rng: where chance comes from.
        faster: how many times as fast the tickets learn.
        better: how much more accurate they end, a fraction.

    Returns:
        (runs, replicates) of each; infinity where never reached.
    """
    iterations = np.arange(GRID, END + GRID, GRID)

    def curves(pace: float, gain: float) -> Array:
        own = pace * np.exp(0.25 * noise(size, size.dense, rng))[..., None]
        error = 0.018 + 0.4 * (1 + own * iterations / 100) ** -1.1
        measured = 1 - error + gain + 0.001 * rng.standard_normal((*size.dense, len(iterations)))
        return moving_average(accuracies(measured))

    dense, tickets = curves(1.0, 0.0), curves(faster, better)
    stop = np.exp(0.3 * rng.standard_normal(size.dense)) * 5_000
    at = np.clip(np.round(stop / GRID).astype(int) - 1, 0, len(iterations) - 1)
    target = np.take_along_axis(dense, at[..., None], -1) - MARGIN

    def first(curve: Array) -> Array:
        reached = curve >= target
        return np.where(reached.any(-1), iterations[reached.argmax(-1)], np.inf)

    return first(dense), first(tickets)
