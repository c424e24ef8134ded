"""Pruning in one or many rounds, with new scores before each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from lottery.core.allocate import Group
from lottery.core.criteria import Scores
from lottery.core.mask import Mask
from lottery.core.select import select

RoundSchedule = Literal["exponential", "linear"]
"""How what is kept falls over the rounds: by the same factor each time, or by the same number."""


class Choose(Protocol):
    """What decides which weights survive: `select`, or `select` with some arguments given."""

    def __call__(self, scores: Scores, mask: Mask, groups: Sequence[Group], /) -> Mask:
        """``mask`` after each group has lost ``group.remove`` of its weights or units."""


def round_counts(survivors: int, remove: int, rounds: int, schedule: RoundSchedule) -> list[int]:
    """How many survivors a group keeps after each round; the last is ``survivors - remove``.

    With n survivors of which m stay, round k of R leaves ``n (m / n)^(k / R)`` (exponential:
    arXiv:2006.05467, algorithm 1; arXiv:2006.09081) or ``n - (n - m) k / R`` (linear), rounded to
    the nearest whole number and halves to the even one.

    Args:
        survivors: n, 0 or more.
        remove: n - m, from 0 to n.
        rounds: R, 1 or more.
        schedule: which of the two.

    >>> round_counts(1000, 999, 3, "exponential"), round_counts(1000, 999, 3, "linear")
    ([100, 10, 1], [667, 334, 1])
    """
    left = survivors - remove
    if survivors == 0 or schedule == "linear":
        kept = [survivors - remove * k / rounds for k in range(1, rounds)]
    else:
        kept = [survivors * (left / survivors) ** (k / rounds) for k in range(1, rounds)]
    return [*map(round, kept), left]


def prune_in_rounds(
    score: Callable[[Mask], Scores],
    mask: Mask,
    groups: Sequence[Group],
    *,
    rounds: int = 1,
    schedule: RoundSchedule = "exponential",
    regrow: bool = False,
    choose: Choose = select,
    survivors: Mapping[str, int] | None = None,
) -> Mask:
    """Prune ``mask`` by ``groups``, in rounds that each see the scores of what is left.

    One round is exactly ``choose(score(mask), mask, groups)``. Many are what SynFlow
    (arXiv:2006.05467), and Iterative SNIP and FORCE (de Jorge et al. 2021, arXiv:2006.09081)
    do: a score that depends on the other weights is computed again after some of them are pruned.
    In the end each group has lost exactly ``group.remove``, as with one round.

    Args:
        score: a mask -> the scores of the network under it.
        mask: what is kept now.
        groups: where weights compete, and how many are removed in all.
        rounds: 1 or more. A group that loses fewer than that loses nothing in some rounds.
        schedule: how many are left after each round, see `round_counts`.
        regrow: let weights that earlier rounds pruned come back (FORCE): every round selects from
            all of ``mask``, so ``score`` must be finite there. Without it what is pruned stays
            pruned (Iterative SNIP, SynFlow). What ``mask`` prunes never comes back.
        choose: what selects by scores.
        survivors: layer -> how many weights, or units if ``group.remove`` counts units, survive in
            it now; None: count the weights.

    Returns:
        A subset of ``mask``.
    """
    counts = survivors or {name: kept for name, (kept, _) in mask.layers.items()}
    totals = [sum(counts[name] for name in group.layers) for group in groups]
    kept = [
        [total, *round_counts(total, group.remove, rounds, schedule)]
        for total, group in zip(totals, groups, strict=True)
    ]
    current = mask
    for k in range(1, rounds + 1):
        removed_now = [
            replace(group, remove=left[0 if regrow else k - 1] - left[k])
            for group, left in zip(groups, kept, strict=True)
        ]
        current = choose(score(current), mask if regrow else current, removed_now)
    return current
