"""What to keep in mind of how a run's tickets were made: their masks, and what they start from."""

from __future__ import annotations

from lottery.analysis import phrases
from lottery.analysis.lookup import pruned, tests_hypothesis
from lottery.analysis.types import Verdict
from lottery.training import MaskUpdateMethod


def ticket_caveats(verdict: Verdict) -> list[str]:
    """What weakens a verdict because of how its tickets came to be, one sentence each."""
    found = [
        updates_caveat(verdict.mask_updates),
        _kept(verdict),
        _late(verdict),
        _trained_on(verdict),
        _unsettled(verdict),
        _held(verdict),
    ]
    return [sentence for sentence in found if sentence]


def updates_caveat(method: MaskUpdateMethod) -> str:
    """What masks that change in training mean for a run's numbers; empty where they stay.

    >>> updates_caveat("none")
    ''
    """
    how = f"(training.mask_updates.method = '{method}')"
    match method:
        case "none":
            return ""
        case "gradual":
            return (
                f"Tickets are pruned while they train {how}: every training begins dense, "
                "densities are those at its end, and early stops, of which none can come before "
                "that density is reached, say little of how fast a sparse network learns."
            )
        case "set" | "rigl":
            return (
                f"Masks change while tickets train {how}: densities and layers are those at the "
                "end of a training, and what does well is not the mask that a ticket begins with."
            )


def _kept(verdict: Verdict) -> str:
    if tests_hypothesis(verdict):
        return ""
    how = f"(rewind.method = '{verdict.rewind}')"
    if verdict.rewind == "fine-tune":
        since = "iterations are counted on from the end of the dense training"
    else:
        since = "only the learning rate goes back"
    return (
        f"Tickets go on from trained weights {how}, and {since}: early stops do not say how fast "
        "they learn, and are not compared with the dense network's or those of tickets that start "
        "anew."
    )


def _late(verdict: Verdict) -> str:
    start = max((level.start_iteration for level in pruned(verdict)), default=0)
    if verdict.rewind != "weights" or not start:
        return ""
    return (
        f"Tickets are rewound to iteration {start:,.0f}, and not to the initialization: until then "
        "their training is the dense network's, which early stops count, and what is tested is the "
        "hypothesis for the weights of then."
    )


def _held(verdict: Verdict) -> str:
    if verdict.pruned_values == "zero":
        return ""
    return (
        f"Pruned weights are held, not zero (training.pruned = '{verdict.pruned_values}'): the "
        "networks compute with them, and densities say how many weights are trained."
    )


def _trained_on(verdict: Verdict) -> str:
    starts = [level.start_iteration for level in pruned(verdict)]
    if verdict.rewind != "drawn" or not starts:
        return ""
    first, last = f"{min(starts):,.0f}", f"{max(starts):,.0f}"
    until = f"{first} on the mean" if first == last else f"{first} to {last}, means by level"
    return (
        "Tickets go on from the weights that their masks were drawn by (rewind.method = 'drawn'): "
        f"their training is the dense network's until iteration {until}, and early stops count it. "
        "No ticket was trained from its own initialization; controls that start where tickets do, "
        "with new weights, have that much less training than scratch-epochs."
    )


def _unsettled(verdict: Verdict) -> str:
    found = [
        f"{level.tickets_unsettled} at level {level.level}"
        for level in pruned(verdict)
        if level.tickets_unsettled
    ]
    if not found:
        return ""
    at = phrases.joined(found)
    if verdict.rewind == "drawn":
        return (
            "Early-Bird masks that never settled, so that their tickets were the dense network "
            f"until the last look, shortly before the end: {at}. A level with one is not called "
            "winning."
        )
    return (
        "Early-Bird masks that never settled, so that they are those of the end of the dense "
        f"training and no early ones: {at}."
    )
