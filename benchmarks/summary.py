"""From processes' figures to medians, ranges, ratios and verdicts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figure import Figure, Unit
from benchmarks.rows import Claim

# A mask further than this from the density in question says nothing of it.
_FARTHEST = 1.25


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of one measurement's processes.

    Args:
        median: of the processes.
        lowest: their minimum.
        highest: their maximum.
        processes: how many.
        unit: of all of them.
        density: of the mask, where there was one.
    """

    median: float
    lowest: float
    highest: float
    processes: int
    unit: Unit
    density: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a claim.

    Args:
        ratio: how many times better than what it is compared with; None without such.
        met: whether the target is met; None where there is no target, or no saying.
        note: why there is no saying, or nothing.
    """

    ratio: float | None
    met: bool | None
    note: str = ""


def summarize(figures: Sequence[Figure]) -> Summary:
    """Median and range of one or more figures in one unit."""
    (unit,) = {figure.unit for figure in figures}
    values = [figure.value for figure in figures]
    return Summary(
        median=statistics.median(values),
        lowest=min(values),
        highest=max(values),
        processes=len(values),
        unit=unit,
        density=figures[0].details.get("density"),
    )


def times_better(ours: Summary, other: Summary) -> float:
    """The ratio of the medians, above 1 where ours is the better one."""
    if ours.unit == "steps/s":
        return ours.median / other.median
    return other.median / ours.median


def judge(claim: Claim, summaries: Mapping[str, Summary]) -> Outcome:
    """Whether a claim holds."""
    ours = summaries[claim.of]
    ratio = None if claim.against is None else times_better(ours, summaries[claim.against])
    if claim.density is not None and not _near(ours.density, claim.density):
        return Outcome(ratio=ratio, met=None, note=f"no mask near {claim.density:.0%}")
    if claim.target is None:
        return Outcome(ratio=ratio, met=None)
    met = ours.median <= claim.target if ratio is None else ratio >= claim.target
    return Outcome(ratio=ratio, met=met)


def _near(density: float | None, wanted: float) -> bool:
    return density is not None and abs(math.log(density / wanted)) <= math.log(_FARTHEST)
