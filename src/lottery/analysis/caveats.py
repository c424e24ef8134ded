"""What to keep in mind when reading a verdict, one sentence each."""

from __future__ import annotations

from lottery.analysis import phrases
from lottery.analysis.lookup import find_level, pruned, smallest_winning
from lottery.analysis.ticket_caveats import ticket_caveats
from lottery.analysis.types import Verdict
from lottery.store.jobs import MAIN


def caveats(verdict: Verdict) -> tuple[str, ...]:
    """Everything that weakens the verdict; the verdict's own caveats are not read."""
    found = [
        _incomplete(verdict),
        _failed(verdict),
        _lost(verdict),
        _guessing(verdict),
        _unpaired(verdict),
        _controls(verdict),
        _chosen(verdict),
        _gaps(verdict),
        *_still_improving(verdict),
        *ticket_caveats(verdict),
    ]
    return tuple(sentence for sentence in found if sentence)


def _incomplete(verdict: Verdict) -> str:
    if verdict.complete or not verdict.jobs_planned:
        return ""
    ended = verdict.jobs_done + verdict.jobs_diverged + verdict.jobs_collapsed
    jobs = phrases.counted(verdict.jobs_planned, "job")
    return (
        f"The run is not complete: {ended:,} of {jobs} have ended, and the rest may change this. "
        "The tests allow for one look at the end, not for many on the way."
    )


def _failed(verdict: Verdict) -> str:
    counts = [
        f"{phrases.counted(count, 'job')} {what}"
        for count, what in (
            (verdict.jobs_diverged, "diverged"),
            (verdict.jobs_collapsed, "collapsed"),
        )
        if count
    ]
    return f"{phrases.joined(counts)}: counted, but part of no mean." if counts else ""


def _lost(verdict: Verdict) -> str:
    lost = [
        f"{level.tickets_lost} at level {level.level}"
        for level in pruned(verdict)
        if level.tickets_lost
    ]
    if not lost:
        return ""
    return (
        "Replicates without a ticket because it diverged or collapsed, there or before: "
        f"{phrases.joined(lost)}. A level that lost one is not called winning."
    )


def _guessing(verdict: Verdict) -> str:
    if not verdict.dense_guessing:
        return ""
    dense = find_level(verdict, 0)
    n = dense.groups[MAIN].n if dense else 0
    return (
        f"In {verdict.dense_guessing} of {phrases.counted(n, 'replicate')} the dense network's "
        f"test accuracy is below {phrases.percent(verdict.guessing_limit)}, hardly better than "
        "guessing, and nothing is compared with it there: train longer, or look at the learning "
        "rate and the data."
    )


def _unpaired(verdict: Verdict) -> str:
    """Replicates without a comparison, for other reasons than a lost ticket."""
    pairs = [
        len(level.matching.difference.values) + level.tickets_lost + verdict.dense_guessing
        for level in pruned(verdict)
        if level.matching
    ]
    if not pairs or min(pairs) >= verdict.replicates:
        return ""
    return (
        f"Not every level can be compared to dense in all {verdict.replicates} replicates; "
        f"the fewest are {min(pairs)}."
    )


def _controls(verdict: Verdict) -> str:
    levels = pruned(verdict)
    groups = [level.groups["reinit"] for level in levels if "reinit" in level.groups]
    if not levels:
        return ""
    if not groups:
        return (
            "There is no reinitialization control: nothing shows that the initialization matters."
        )
    ticket = smallest_winning(verdict)
    reinit = ticket.groups.get("reinit") if ticket else None
    if ticket is not None and (reinit is None or reinit.accuracy_below_ticket is None):
        failed = reinit is not None and reinit.diverged + reinit.collapsed > 0
        why = "none of its reinitialized copies came to its end" if failed else "it has no control"
        return f"The smallest winning ticket (level {ticket.level}) stands alone: {why}."
    return ""


def _chosen(verdict: Verdict) -> str:
    """The smallest of several winners is the one most likely to win by luck."""
    ticket = smallest_winning(verdict)
    compared = [level for level in pruned(verdict) if level.matching]
    if ticket is None or ticket.is_winning == "yes" or len(compared) < 2:
        return ""
    return (
        f"Level {ticket.level} was picked from {len(compared)} levels as the smallest that wins on "
        "the means; picked like that, it may owe its place to luck."
    )


def _gaps(verdict: Verdict) -> str:
    ticket = smallest_winning(verdict)
    if ticket is None:
        return ""
    gaps = [
        f"{level.level}"
        for level in pruned(verdict)
        if level.density > ticket.density and level.matching and not level.wins
    ]
    if not gaps:
        return ""
    which = f"{'Level' if len(gaps) == 1 else 'Levels'} {phrases.joined(gaps)}"
    return (
        f"{which}, with more weights than level {ticket.level}, "
        f"{'is' if len(gaps) == 1 else 'are'} not winning."
    )


def _still_improving(verdict: Verdict) -> list[str]:
    """Early stops that fall on the last evaluation: no more than lower bounds."""
    found = []
    for number, who in ((0, "dense network"), (verdict.smallest_winning_level, "smallest ticket")):
        level = find_level(verdict, number)
        group = level.groups.get(MAIN) if level else None
        if group and group.still_improving:
            found.append(
                f"In {group.still_improving} of {phrases.counted(group.n, 'replicate')} the "
                f"validation loss of the {who} was lowest at the very end: with longer training "
                "its early stop might come later."
            )
    return found
