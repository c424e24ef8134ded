"""Sentences about the tables of the analysis ``connectivity``: the answers in plain words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lottery.analysis.formatting import counted, joined
from lottery.inside.measurement import Cell, Table

STABLE: Final = 0.02
"""Instability below which a network is stable, a share of the examples (arXiv:1912.05671)."""


def sentences(tables: Sequence[Table], *, share: bool, same: int, score: str) -> Iterator[str]:
    """The answers first: whether networks are stable, and whether levels are connected."""
    stability, levels, reference, _ = tables
    copies = sum(n for n in stability.column("n") if isinstance(n, int))
    if not copies:
        yield (
            "Stability is not known: there are no copies that saw their examples in another order."
        )
    if same:
        yield (
            f"Stability is not known: {same} of {copies} copies ended with the same weights, to "
            "the bit. The loop does not draw its data order from what it is seeded with."
        )
    if not share:
        yield (
            f"Whether networks are stable is said of errors alone, not of {score}: see in the "
            "tables how far it is worse between two networks than at them."
        )
        return
    if not same:
        yield from stability_answers(stability)
    if rows := list(levels.records()):
        yield from level_answers(rows)
    for row in reference.records():
        yield (
            "For comparison: between dense networks from different initializations the error rises "
            f"by {100 * _number(row['instability']):.2g} percentage points (mean of "
            f"{counted(round(_number(row['n'])), 'pair')})."
        )


def _number(value: Cell) -> float:
    assert isinstance(value, int | float), "a column of numbers"
    return value


def stability_answers(stability: Table) -> Iterator[str]:
    """At which levels networks are stable, and from which iteration on."""
    by_level: dict[Cell, list[Mapping[str, Cell]]] = defaultdict(list)
    by_iteration: dict[Cell, list[Mapping[str, Cell]]] = defaultdict(list)
    for row in stability.records():
        by_level[row["level"]].append(row)
        by_iteration[row["at"]].append(row)
    for at, rows in by_iteration.items():
        yield _stable_levels(f"from iteration {at:,} on" if at else "from the start", rows)
    for level, rows in by_level.items():
        if len(rows) > 1:
            yield _stable_since("The dense network" if level == 0 else f"Level {level}", rows)


def _stable_levels(since: str, rows: Sequence[Mapping[str, Cell]]) -> str:
    stable = [str(row["level"]) for row in rows if row["stable"]]
    others = [str(row["level"]) for row in rows if not row["stable"]]
    copies = f"two copies that see their examples in different orders {since}"
    limit = f"{100 * STABLE:g} percentage points"
    answer, rises = f"Stable at {_levels_named(stable)}", f"by less than {limit}"
    if stable and others:
        answer += f", and not at {_levels_named(others)}"
        rises += ", or by more"
    elif others:
        answer, rises = f"Not stable at {_levels_named(others)}", f"by {limit} or more"
    return f"{answer}: between {copies}, the error rises {rises}."


def _levels_named(levels: Sequence[str]) -> str:
    return f"level{'s'[: len(levels) != 1]} {joined(levels)}"


def _stable_since(who: str, rows: Sequence[Mapping[str, Cell]]) -> str:
    """From which iteration on a network is stable, of those tried."""
    tried = joined([f"{row['at']:,}" for row in rows])
    unstable = [_number(row["at"]) for row in rows if not row["stable"]]
    if not unstable:
        return f"{who} is stable from each of the iterations tried ({tried})."
    later = [at for row in rows if (at := _number(row["at"])) > unstable[-1]]
    if not later:
        return f"{who} is not stable from the latest of the iterations tried ({tried})."
    return f"{who} is stable from iteration {later[0]:,} on, of those tried ({tried})."


def level_answers(rows: Sequence[Mapping[str, Cell]]) -> Iterator[str]:
    """Between how many levels there is no barrier, and whether that is where the next matches."""
    connected = sum(bool(row["connected"]) for row in rows)
    judged = [row for row in rows if row["matches"] is not None]
    yield (
        f"Connected at {connected} of {counted(len(rows), 'pair')} of a level and the next: there "
        "is no barrier of the error between the two."
        if connected
        else "Not connected: between each level and the next there is a barrier of the error."
    )
    if not judged:
        yield "Whether sparser levels match the dense network is not known."
        return
    agree = sum(row["connected"] == row["matches"] for row in judged)
    n, low = len(judged), sum(bool(row["connected"]) for row in judged)
    good = sum(bool(row["matches"]) for row in judged)
    # What `agree` is expected to be if the same answers are dealt to the levels at random.
    chance = (low * good + (n - low) * (n - good)) / n
    yield (
        f"At {agree} of {counted(n, 'pair')} there is no barrier and the sparser level matches the "
        f"dense network, or a barrier and it does not (by chance at {chance:.1f})."
    )
