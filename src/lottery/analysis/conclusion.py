"""From the levels to one answer: is the hypothesis supported by this run?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lottery.analysis.compare import answer, below
from lottery.analysis.types import Answer, Group, LevelVerdict
from lottery.store.jobs import MAIN
from lottery.tickets import KEEPS_TRAINED, RewindMethod

Hypothesis = Literal["supported", "observed", "not supported", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """The part of a verdict that looks at all levels together; fields as in `Verdict`."""

    smallest_winning_level: int | None
    smallest_confirmed_level: int | None
    speedup: float | None
    reinit_costs: float | None
    initialization_matters: Answer
    hypothesis: Hypothesis


def conclude(
    levels: Sequence[LevelVerdict],
    *,
    complete: bool,
    alpha: float,
    dense_guessing: int = 0,
    rewind: RewindMethod = "weights",
) -> Conclusion:
    """Draw the conclusion.

    Args:
        levels: what was found at each.
        complete: whether every planned job has ended.
        alpha: the chance of a false confirmation that the tests allow.
        dense_guessing: replicates whose dense network learned nothing.
        rewind: what tickets went back to.

    The hypothesis is

    - ``supported`` when at one level at least the tickets are confirmed to win, reinitialized ones
      are confirmed to do worse, both together survive the correction over the levels, and the
      reinitialized ones do not win all the same;
    - ``observed`` when that holds on the means and the tests cannot confirm it;
    - ``not supported`` when the run is complete and no level wins, or wherever one does its
      reinitialized tickets win as well;
    - ``undecided`` when what could tell is missing: a dense network that learned something, levels,
      a mask that settled where tickets train on from theirs, a winning ticket's reinitialized copy;
      and always where tickets keep their trained weights.
    """
    winning = [level for level in levels if level.wins]
    confirmed = [level for level in winning if level.is_winning == "yes"]
    smallest = min(winning, key=_by_density, default=None)
    reinit = smallest.groups.get("reinit") if smallest else None
    lower = reinit.accuracy_below_ticket if reinit else None
    least_confirmed = min(confirmed, key=_by_density, default=None)
    return Conclusion(
        smallest_winning_level=smallest.level if smallest else None,
        smallest_confirmed_level=least_confirmed.level if least_confirmed else None,
        speedup=_speedup(levels, smallest) if smallest else None,
        reinit_costs=lower.difference.mean if lower else None,
        initialization_matters=_initialization_matters(winning, smallest, alpha),
        hypothesis="undecided"
        if rewind in KEEPS_TRAINED
        else _hypothesis(
            levels, winning, complete=complete, alpha=alpha, dense_guessing=dense_guessing
        ),
    )


def fails_by(control: Group) -> tuple[str, ...]:
    """In which ways a control is confirmed to do worse than its ticket.

    Returns:
        A subset of ``("lower", "later")``: lower accuracy at early stop, later early stop.
    """
    tests = (("lower", control.accuracy_below_ticket), ("later", control.learns_later))
    return tuple(way for way, test in tests if test and test.confirmed)


def supports(level: LevelVerdict, alpha: float) -> bool:
    """Whether the tests confirm both halves of the hypothesis at this level."""
    reinit = level.groups.get("reinit")
    return (
        reinit is not None
        and level.is_winning == "yes"
        and reinit.wins is False
        and bool(fails_by(reinit))
        and below(level.p_hypothesis_holm, alpha)
    )


def ended(level: LevelVerdict) -> int:
    """How many of the level's own trainings came to their end."""
    return level.groups[MAIN].n if MAIN in level.groups else 0


def _hypothesis(
    levels: Sequence[LevelVerdict],
    winning: Sequence[LevelVerdict],
    *,
    complete: bool,
    alpha: float,
    dense_guessing: int,
) -> Hypothesis:
    if any(supports(level, alpha) for level in winning):
        return "supported"
    groups = [level.groups.get("reinit") for level in winning]
    reinit_wins = [group.wins if group else None for group in groups]
    if False in reinit_wins:
        return "observed"
    judged = [
        level
        for level in levels
        if level.level > 0
        and (level.matching or level.tickets_lost)
        and (level.tickets_lost or level.tickets_late < ended(level))
    ]
    has_dense = any(level.level == 0 and ended(level) > dense_guessing for level in levels)
    if not complete or not judged or not has_dense or None in reinit_wins:
        return "undecided"
    return "not supported"


def _initialization_matters(
    winning: Sequence[LevelVerdict], smallest: LevelVerdict | None, alpha: float
) -> Answer:
    """Whether reinitializing a winning ticket undoes it.

    Yes: at a winning level it is confirmed to do worse and does not win itself. No: at the smallest
    winning level it is confirmed to win as well.
    """
    reinits = [level.groups["reinit"] for level in winning if "reinit" in level.groups]
    last = smallest.groups.get("reinit") if smallest else None
    return answer(
        yes=any(group.wins is False and fails_by(group) for group in reinits),
        no=last is not None and bool(last.wins) and below(last.p_winning_holm, alpha),
        tested=any(
            group.learns_later is not None and group.learns_later.p is not None for group in reinits
        ),
    )


def _by_density(level: LevelVerdict) -> tuple[float, int]:
    return level.density, level.level


def _speedup(levels: Sequence[LevelVerdict], ticket: LevelVerdict) -> float | None:
    """Dense early-stop iteration over the ticket's, means over the replicates that have both."""
    times = {
        level.level: level.groups[MAIN].early_stop_iteration
        for level in levels
        if level.level in (0, ticket.level) and MAIN in level.groups
    }
    dense, own = times.get(0), times.get(ticket.level)
    if dense is None or own is None:
        return None
    both = dense.values.keys() & own.values.keys()
    total = sum(own.values[replicate] for replicate in both)
    return sum(dense.values[replicate] for replicate in both) / total if total else None
