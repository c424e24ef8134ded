"""The sentences about a verdict: templates that are filled in, and claim no more than it does.

The wording is in ``templates/``. The paragraph is one template; in the others each line is a
sentence or two, and lines that come out empty are left out.
"""

from __future__ import annotations

from typing import Any

from lottery.analysis.controls import CONTROLS
from lottery.analysis.lookup import (
    answered_level,
    count_missing,
    find_level,
    keeps_trained,
    pruned,
    tests_hypothesis,
)
from lottery.analysis.reach import reachable
from lottery.analysis.rendering import render, sentences
from lottery.analysis.score_format import ScoreFormat, at_moment, error_of
from lottery.analysis.types import Verdict
from lottery.methods import CONTROL_KINDS
from lottery.store.jobs import MAIN
from lottery.training import MaskUpdateMethod


def paragraph(verdict: Verdict) -> str:
    """The verdict in a paragraph; its own field ``paragraph`` is not read."""
    return " ".join(render("paragraph.txt.jinja", **_context(verdict)).split())


def caveats(verdict: Verdict) -> tuple[str, ...]:
    """Everything that weakens the verdict, a sentence or two each."""
    return sentences(render("caveats.txt.jinja", **_context(verdict)))


def notes(verdict: Verdict) -> tuple[str, ...]:
    """What the columns and signs of the table mean."""
    return sentences(render("notes.txt.jinja", **_context(verdict)))


def ticket_caveats(verdict: Verdict) -> tuple[str, ...]:
    """What weakens a verdict because of how its tickets came to be, a sentence or two each."""
    return sentences(render("tickets.txt.jinja", **_context(verdict)))


def updates_caveat(method: MaskUpdateMethod) -> str:
    """What masks that change in training mean for a run's numbers; empty where they stay.

    >>> updates_caveat("none")
    ''
    """
    return " ".join(render("updates.txt.jinja", method=method).split())


def most_replicates_compared(verdict: Verdict) -> int:
    """The largest number of replicates in which some level can be compared with the dense
    network."""
    groups = [level.groups.get(MAIN) for level in pruned(verdict)]
    contrasts = [group.against_dense.get("accuracy") for group in groups if group]
    return max((contrast.n for contrast in contrasts if contrast), default=0)


def _context(verdict: Verdict) -> dict[str, Any]:
    levels = pruned(verdict)
    level = answered_level(verdict)
    n = most_replicates_compared(verdict)
    return {
        "v": verdict,
        "levels": levels,
        "level": level,
        "ticket": level.groups.get(MAIN) if level else None,
        "dense": find_level(verdict, 0),
        "controls": CONTROLS,
        "kinds": [kind for kind in CONTROL_KINDS if level and kind in level.groups],
        "hypothesis": tests_hypothesis(verdict),
        "interval": f"{100 * verdict.confidence:g}% interval",
        "chance": f"{100 * (1 - verdict.confidence):.2g}%",
        "lost": count_missing(verdict),
        "n": n,
        "reach": reachable(max(n, 1), len(levels), verdict.test_confidence),
        "s": ScoreFormat(verdict.score),
        "best": "loss is lowest" if verdict.stops_by_loss else f"{verdict.score.name} is best",
        "moment": at_moment(verdict.timed),
        "keeps_trained": keeps_trained(verdict),
        "error_of": error_of,
    }
