"""The verdict in its first sentence."""

from __future__ import annotations

from lottery.analysis.conclusion import ended
from lottery.analysis.lookup import (
    compared_replicates,
    find_level,
    pruned,
    tests_hypothesis,
)
from lottery.analysis.types import Verdict


def headline(verdict: Verdict) -> str:
    """Whether the hypothesis is supported, and if not, why."""
    if not tests_hypothesis(verdict):
        return (
            "This run does not test the lottery ticket hypothesis: its tickets keep trained "
            f"weights (rewind.method = '{verdict.rewind}') and start from no initialization."
        )
    match verdict.hypothesis:
        case "supported":
            return "This run supports the lottery ticket hypothesis."
        case "observed":
            if compared_replicates(verdict) == 1:
                return (
                    "This run agrees with the lottery ticket hypothesis, "
                    "as far as one replicate can show."
                )
            return (
                "On the means this run agrees with the lottery ticket hypothesis, "
                "but the tests do not confirm it."
            )
        case "not supported":
            why = (
                "no level is winning"
                if verdict.smallest_winning_level is None
                else "wherever a ticket wins, it wins with new random weights as well"
            )
            return f"This run does not support the lottery ticket hypothesis: {why}."
        case "undecided":
            return f"This run cannot decide on the lottery ticket hypothesis: {_missing(verdict)}."


def _missing(verdict: Verdict) -> str:
    if not verdict.levels:
        return "there are no results yet"
    dense = find_level(verdict, 0)
    if dense is None or not ended(dense):
        return "no dense network has come to its end, so there is nothing to compare with"
    if verdict.dense_guessing >= ended(dense):
        return "the dense network learned no more than guessing, so there is nothing to match"
    if not pruned(verdict):
        return "there is only the dense network" + ("" if verdict.complete else " so far")
    if not any(level.matching or level.tickets_lost for level in pruned(verdict)):
        return "no replicate has both a dense network and a ticket"
    if all(0 < ended(level) <= level.tickets_late for level in pruned(verdict)):
        return "no mask settled, so that every ticket was the dense network almost to the end"
    if not verdict.complete:
        return "it is not complete, and what is there does not show it yet"
    if not any("reinit" in level.groups for level in pruned(verdict)):
        return "it has no reinitialization control"
    return "of a winning ticket no reinitialized copy came to its end to compare with"
