"""The verdict in one paragraph of plain words, which claims no more than the tests do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from lottery.analysis import phrases
from lottery.analysis.conclusion import fails_by, supports
from lottery.analysis.headline import headline
from lottery.analysis.lookup import (
    compared_replicates,
    find_level,
    pruned,
    smallest_matching,
    smallest_winning,
    tests_hypothesis,
)
from lottery.analysis.reach import reachable
from lottery.analysis.types import Comparison, Group, LevelVerdict, Verdict
from lottery.store.jobs import MAIN


def paragraph(verdict: Verdict) -> str:
    """The verdict in plain words; the verdict's own paragraph is not read."""
    ticket = smallest_winning(verdict)
    sentences = [headline(verdict)]
    if not tests_hypothesis(verdict):
        sentences += _matching(verdict)
    elif ticket is not None:
        sentences += [
            _which(verdict, ticket),
            _how_good(verdict, ticket),
            _how_fast(verdict, ticket),
            _reinitialized(verdict, ticket),
            *_other_controls(ticket),
        ]
    else:
        sentences.append(_nearest_miss(verdict))
    sentences.append(_how_sure(verdict))
    return " ".join(sentence for sentence in sentences if sentence)


def _which(verdict: Verdict, ticket: LevelVerdict) -> str:
    keeps = f"keeps {phrases.percent(ticket.density)} of the weights (level {ticket.level})"
    if ticket.is_winning == "yes":
        return f"The smallest winning ticket {keeps}, and the tests confirm that it wins."
    text = f"The smallest ticket that is winning on the means {keeps}"
    if ticket.is_winning == "untested":
        return f"{text}."
    other = find_level(verdict, verdict.smallest_confirmed_level)
    if other is None:
        return f"{text}; the tests do not confirm that it wins."
    return (
        f"{text}; the smallest that the tests confirm keeps "
        f"{phrases.percent(other.density)} (level {other.level})."
    )


def _matching(verdict: Verdict) -> list[str]:
    """The smallest network that matches, where none can be winning."""
    level = smallest_matching(verdict)
    if level is None:
        return [_nearest_miss(verdict)]
    sure = {"yes": ", and the tests confirm that it does", "untested": ""}
    return [
        f"The smallest network that matches the dense accuracy on the means keeps "
        f"{phrases.percent(level.density)} of the weights (level {level.level})"
        f"{sure.get(level.is_matching, '; the tests do not confirm it')}.",
        _how_good(verdict, level),
        *_other_controls(level, {"reinit": "With new random weights", **_OTHERS}),
    ]


def _how_good(verdict: Verdict, ticket: LevelVerdict) -> str:
    if ticket.matching is None:
        return ""
    difference = ticket.matching.difference
    own, dense = _paired_means(verdict, ticket, ticket.matching, "accuracy_at_early_stop")
    interval = phrases.interval_in_points(difference, verdict.confidence)
    return (
        f"Its test accuracy is {phrases.accuracy(own)}, the dense network's "
        f"{phrases.accuracy(dense)}: {phrases.higher_or_lower(difference.mean)}"
        f"{f' ({interval})' if interval else ''}."
    )


def _how_fast(verdict: Verdict, ticket: LevelVerdict) -> str:
    if ticket.no_later is None:
        return ""
    own, dense = _paired_means(verdict, ticket, ticket.no_later, "early_stop_iteration")
    text = (
        f"Its validation loss is lowest after {phrases.iterations(own)}, the dense network's "
        f"after {dense:,.0f}"
    )
    if verdict.speedup is None:
        return f"{text}."
    if own > dense:
        return f"{text}: later, but by less than one evaluation, which cannot be told apart."
    if verdict.speedup < 1.05:
        return f"{text}: about as fast."
    return f"{text}: {verdict.speedup:.2g} times as fast."


def _reinitialized(verdict: Verdict, ticket: LevelVerdict) -> str:
    reinit = ticket.groups.get("reinit")
    lower = reinit.accuracy_below_ticket if reinit else None
    later = reinit.learns_later if reinit else None
    if reinit is None or lower is None or later is None:
        return ""
    text = (
        "With new random weights the same mask's accuracy is "
        f"{phrases.higher_or_lower(-lower.difference.mean)} and its early stop comes "
        f"{phrases.sooner_or_later(later.difference.mean)}{_confirmation(verdict, reinit)}."
    )
    if reinit.wins:
        text += " Even so it wins, so at this level the ticket's own initialization is not needed."
    if verdict.hypothesis == "supported" and not supports(ticket, 1 - verdict.confidence):
        levels = [level for level in verdict.levels if supports(level, 1 - verdict.confidence)]
        at = phrases.joined([f"level {level.level}" for level in levels])
        text += f" That a ticket wins and its reinitialized copy does worse is confirmed at {at}."
    elif verdict.hypothesis == "observed" and reinit.wins:
        text += " At other winning levels it does not."
    return text


def _confirmation(verdict: Verdict, reinit: Group) -> str:
    if reinit.learns_later is None or reinit.learns_later.p is None:
        return ""
    ways = fails_by(reinit)
    if len(ways) == 2:
        return "; the tests confirm that it is both less accurate and later"
    if ways:
        return f"; the tests confirm that it is {'less accurate' if 'lower' in ways else 'later'}"
    elsewhere = " at this level" if verdict.initialization_matters == "yes" else ""
    return f"; the tests do not confirm that it does worse{elsewhere}"


_OTHERS: Final = {
    "random-mask": "With as many weights in each layer, but chosen at random",
    "shuffled-global": "With its mask shuffled over all layers that are pruned",
    "continued": "Not rewound, but going on from its trained weights",
    "signs-random-magnitudes": "With the signs of its weights alone, and random magnitudes",
    "signs-constant": "With the signs of its weights alone, and one magnitude in each layer",
    "random-signs": "With the magnitudes of its weights alone, and random signs",
    "scratch-epochs": "With new random weights and the whole training from its beginning",
    "scratch-flops": "With new random weights and as much computation as the dense network",
    "edge-popup": "With its initial weights untrained, as many in each layer chosen by learning",
    "supermask": "With its initial weights untrained, and a mask of any density learned",
}
"""Kind of control -> how a sentence about it begins."""


def _other_controls(ticket: LevelVerdict, beginnings: Mapping[str, str] = _OTHERS) -> list[str]:
    """A sentence for each control of these kinds."""
    found = []
    for kind, beginning in beginnings.items():
        group = ticket.groups.get(kind)
        lower = group.accuracy_below_ticket if group else None
        if lower is not None:
            found.append(
                f"{beginning}, accuracy is {phrases.higher_or_lower(-lower.difference.mean)}"
                f"{' (confirmed)' if lower.confirmed else ''}."
            )
    return found


def _nearest_miss(verdict: Verdict) -> str:
    """What stands between this run and a winning ticket."""
    compared = [level for level in pruned(verdict) if level.matching]
    matching = [level for level in compared if level.matching and level.matching.holds]
    if not compared:
        return ""
    if not matching:
        return (
            "At no level is accuracy within "
            f"{phrases.margin(verdict.margin)} of the dense network's."
        )
    level = min(matching, key=lambda level: level.density)
    text = (
        f"The smallest network that matches the dense accuracy keeps "
        f"{phrases.percent(level.density)} of the weights (level {level.level})"
    )
    if level.no_later and not level.no_later.holds:
        later = phrases.sooner_or_later(level.no_later.difference.mean)
        return f"{text}, but its early stop comes {later}."
    if level.tickets_lost:
        lost = phrases.counted(level.tickets_lost, "replicate")
        return f"{text}, but {lost} lost its ticket there."
    late = phrases.counted(level.tickets_late, "replicate")
    return f"{text}, but there in {late} the mask never settled, and the ticket was drawn late."


def _how_sure(verdict: Verdict) -> str:
    n = compared_replicates(verdict)
    if not n:
        return ""
    levels = sum(level.matching is not None for level in pruned(verdict))
    reach = reachable(n, levels, verdict.confidence)
    if n == 1:
        return (
            "One replicate: nothing here can be tested; "
            f"run it with --replicates {reach.recommended}."
        )
    chance = f"{100 * (1 - verdict.confidence):.2g}%"
    rests = (
        f"All this rests on {n} replicates; the tests are corrected for the number of levels, so "
        f"that each kind of claim has a chance of about {chance} at most to be confirmed falsely "
        "anywhere."
    )
    unsettled = any(level.is_winning == "unsure" for level in pruned(verdict))
    helps = unsettled and verdict.hypothesis != "supported" and n < reach.recommended
    return f"{rests} {reach.sentence}" if helps else rests


def _paired_means(
    verdict: Verdict, ticket: LevelVerdict, comparison: Comparison, field: str
) -> tuple[float, float]:
    """The ticket's and the dense network's mean over the replicates that were compared."""
    dense = find_level(verdict, 0)
    assert dense is not None, "a comparison to dense needs a dense network"
    own_values = getattr(ticket.groups[MAIN], field).values
    dense_values = getattr(dense.groups[MAIN], field).values
    replicates = comparison.difference.values.keys()
    own = math.fsum(own_values[r] for r in replicates) / len(replicates)
    return own, math.fsum(dense_values[r] for r in replicates) / len(replicates)
