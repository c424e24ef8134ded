"""Rounds: exact ends, what one round would do, what comes back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from probes import classes, context_of, draw, network
from torch import Tensor

from lottery.core import (
    CRITERIA,
    Group,
    Mask,
    Scores,
    allocate,
    prune_in_rounds,
    round_counts,
    select,
)

quick = settings(max_examples=60, deadline=None)

SCHEDULES: list[Literal["exponential", "linear"]] = ["exponential", "linear"]
rounds = st.integers(1, 12)
schedules = st.sampled_from(SCHEDULES)


@st.composite
def prunings(draw_: st.DrawFn) -> tuple[Mask, list[Group]]:
    """A mask of two layers, and groups that take some or all of what survives."""
    seed = draw_(st.integers(0, 1000))
    weights = {"a": draw(3, 4, seed=seed), "b": draw(5, 2, seed=seed + 1)}
    density = draw_(st.sampled_from([-9.0, 0.0, 0.8, 9.0]))
    mask = Mask({name: weight > density for name, weight in weights.items()})
    together = draw_(st.booleans())
    members = [("a", "b")] if together else [("a",), ("b",)]
    return mask, [
        Group(names, draw_(st.integers(0, sum(mask.layers[n][0] for n in names))))
        for names in members
    ]


def changing_scores(mask: Mask) -> Scores:
    """Scores of all weights that depend on which survive."""
    return {name: draw(*mask[name].shape, seed=mask.kept) for name in mask}


@given(st.integers(0, 10**6), st.fractions(0, 1), rounds, schedules)
@quick
def test_counts_fall_to_exactly_the_end(
    survivors: int, share: Fraction, count: int, schedule: Literal["exponential", "linear"]
) -> None:
    remove = int(share * survivors)

    kept = round_counts(survivors, remove, count, schedule)

    assert len(kept) == count
    assert kept[-1] == survivors - remove
    assert [survivors, *kept] == sorted([survivors, *kept], reverse=True)


def test_exponential_rounds_keep_the_same_share_each() -> None:
    kept = [10**9, *round_counts(10**9, 10**9 - 10**6, 10, "exponential")]

    shares = [after / before for before, after in pairwise(kept)]
    assert shares == pytest.approx([math.exp(math.log(1e-3) / 10)] * 10, rel=1e-5)


def test_linear_rounds_remove_the_same_number_each() -> None:
    assert round_counts(1000, 900, 3, "linear") == [700, 400, 100]


@given(prunings(), rounds, schedules, st.booleans())
@quick
def test_the_end_is_that_of_one_round(
    case: tuple[Mask, list[Group]],
    count: int,
    schedule: Literal["exponential", "linear"],
    regrow: bool,
) -> None:
    mask, groups = case

    pruned = prune_in_rounds(
        changing_scores, mask, groups, rounds=count, schedule=schedule, regrow=regrow
    )

    assert pruned.is_subset(mask)
    for group in groups:
        before, after = (sum(m.layers[n][0] for n in group.layers) for m in (mask, pruned))
        assert after == before - group.remove


@given(prunings(), st.booleans())
@quick
def test_one_round_is_one_selection(case: tuple[Mask, list[Group]], regrow: bool) -> None:
    mask, groups = case

    pruned = prune_in_rounds(changing_scores, mask, groups, regrow=regrow)

    assert pruned == select(changing_scores(mask), mask, groups)


@given(prunings(), rounds, schedules, st.booleans())
@quick
def test_scores_that_do_not_change_need_no_rounds(
    case: tuple[Mask, list[Group]],
    count: int,
    schedule: Literal["exponential", "linear"],
    regrow: bool,
) -> None:
    """Ties included."""
    mask, groups = case
    fixed = {name: draw(*mask[name].shape).round() for name in mask}

    pruned = prune_in_rounds(
        lambda _: fixed, mask, groups, rounds=count, schedule=schedule, regrow=regrow
    )

    assert pruned == select(fixed, mask, groups)


def masks_seen(regrow: bool) -> tuple[list[Mask], Mask]:
    """What scores are asked for while 20 weights become 4 in 4 linear rounds."""
    seen: list[Mask] = []

    def score(mask: Mask) -> Scores:
        seen.append(mask)
        return changing_scores(mask)

    whole = Mask.dense({"a": torch.zeros(4, 5)})
    last = prune_in_rounds(
        score, whole, [Group(("a",), 16)], rounds=4, schedule="linear", regrow=regrow
    )
    return seen, last


def test_every_round_sees_the_scores_of_what_the_last_one_left() -> None:
    for regrow in (False, True):
        seen, last = masks_seen(regrow)
        assert [mask.kept for mask in seen] == [20, 16, 12, 8]
        assert last.kept == 4


def test_what_is_pruned_stays_pruned_unless_it_may_come_back() -> None:
    seen, last = masks_seen(regrow=False)
    chain = [*seen, last]
    assert all(b.is_subset(a) for a, b in pairwise(chain))

    seen, last = masks_seen(regrow=True)
    chain = [*seen, last]
    assert not all(b.is_subset(a) for a, b in pairwise(chain))


def gradient_at(mask: Mask, weights: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
    """Of the cross-entropy of one tanh layer and one linear layer, written out; all in one row."""
    first, second = (w * mask[n] for n, w in weights.items())
    hidden = torch.tanh(inputs @ first.T)
    logits = hidden @ second.T
    error = (torch.softmax(logits, 1) - torch.eye(logits.shape[1])[targets]) / len(targets)
    of_second = error.T @ hidden
    of_first = ((error @ second) * (1 - hidden**2)).T @ inputs
    return torch.cat([of_first.flatten(), of_second.flatten()])


def kept_best(scores: Sequence[float], candidates: Sequence[int], count: int) -> list[int]:
    return sorted(sorted(candidates, key=lambda i: (-scores[i], i))[:count])


@pytest.mark.parametrize("regrow", [False, True])
def test_force_and_iterative_snip_written_out(regrow: bool) -> None:
    """arXiv:2006.09081: gradients of the masked network, times the weights as they are."""
    inputs, targets = draw(8, 3), classes(8, 3)
    context = context_of(network(3, 4, 3, bias=False), inputs, targets)
    weights = dict(context.weights)
    values = torch.cat([w.flatten() for w in weights.values()])
    alive = list(range(24))
    for count in round_counts(24, 20, 5, "exponential"):
        flags = torch.zeros(24, dtype=torch.bool)
        flags[alive] = True
        parts = flags.split([12, 12])
        mask = Mask({n: p.view(w.shape) for (n, w), p in zip(weights.items(), parts, strict=True)})
        scores = (values * gradient_at(mask, weights, inputs, targets)).abs().tolist()
        alive = kept_best(scores, range(24) if regrow else alive, count)

    pruned = prune_in_rounds(
        lambda mask: CRITERIA["snip"].score(replace(context, mask=mask)),
        context.mask,
        allocate(dict.fromkeys(weights, 12), scope="global", fraction=20 / 24),
        rounds=5,
        regrow=regrow,
    )

    found = torch.cat([pruned[name].flatten() for name in weights]).nonzero().squeeze(1).tolist()
    assert found == alive


def test_counts_of_units_and_another_choice() -> None:
    """Groups may count something else than weights, if what chooses does so too."""
    mask = Mask.dense({"a": torch.zeros(8, 2)})
    removed: list[int] = []

    def choose(scores: Scores, before: Mask, groups: Sequence[Group], /) -> Mask:
        removed.append(groups[0].remove)
        doubled = [replace(group, remove=2 * group.remove) for group in groups]
        return select(
            {n: s.mean(1, keepdim=True).expand(8, 2) for n, s in scores.items()}, before, doubled
        )

    pruned = prune_in_rounds(
        changing_scores,
        mask,
        [Group(("a",), 7)],
        rounds=3,
        choose=choose,
        survivors={"a": 8},
    )

    assert removed == [4, 2, 1]
    assert pruned.kept == 2
    assert pruned["a"].all(1).sum() == 1
