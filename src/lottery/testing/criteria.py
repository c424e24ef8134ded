"""The conformance suite of criteria: plain functions that raise AssertionError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from lottery.core import Criterion, Mask, ScoreContext, Scores, allocate, select
from lottery.testing.expect import copied, expect, expect_same_state, same_bytes
from lottery.testing.samples import initial_state, random_sparse_mask, tiny_mlp

CriterionCheck = Callable[[Criterion], None]
"""A check of a criterion; raises AssertionError when something is not as it should be."""


def _context(
    *, density: float = 0.5, seed: int = 0, dtype: torch.dtype = torch.float32
) -> ScoreContext:
    """Trained weights that are the initial ones with noise, pruned ones zero."""
    mask = random_sparse_mask(tiny_mlp, density, seed)
    state = initial_state(tiny_mlp, seed)
    initial = {name: state[name].to(dtype) for name in mask}
    generator = torch.Generator().manual_seed(seed)
    noise = {n: torch.randn(w.shape, generator=generator).to(dtype) for n, w in initial.items()}
    weights = mask.apply({name: w + 0.1 * noise[name] for name, w in initial.items()})
    return ScoreContext(
        weights=weights,
        initial=initial,
        mask=mask,
        generator=torch.Generator().manual_seed(seed),
    )


def _expect_valid(scores: Scores, mask: Mask, what: str) -> None:
    for name, kept in mask.items():
        expect(name in scores, f"{what}: no scores for '{name}'")
        score = scores[name]
        expect(isinstance(score, Tensor), f"{what}: scores of '{name}' are {type(score).__name__}")
        expect(
            score.shape == kept.shape,
            f"{what}: scores of '{name}' have shape {tuple(score.shape)}, "
            f"expected {tuple(kept.shape)}",
        )
        expect(
            score.is_floating_point(),
            f"{what}: scores of '{name}' are {score.dtype}, expected floating point",
        )
        missing = int(score[kept].isnan().sum())
        expect(missing == 0, f"{what}: {missing} surviving scores of '{name}' are NaN")


def check_scores_every_weight(criterion: Criterion) -> None:
    """Every layer gets floating-point scores of its shape, numbers wherever a weight survives."""
    for density in (1.0, 0.5, 0.05):
        for dtype in (torch.float32, torch.float64):
            context = _context(density=density, dtype=dtype)
            _expect_valid(criterion(context), context.mask, f"density {density}, {dtype}")


def check_degenerate_weights(criterion: Criterion) -> None:
    """Weights that are all zero, or a layer of which nothing is left, are scored too."""
    context = _context()
    nothing = dict(context.mask)
    nothing["fc2.weight"] = torch.zeros_like(nothing["fc2.weight"])
    mask = Mask(nothing)
    zeros = {name: torch.zeros_like(w) for name, w in context.weights.items()}
    for name, weights in (("an empty layer", mask.apply(context.weights)), ("all zero", zeros)):
        case = ScoreContext(
            weights=weights, initial=context.initial, mask=mask, generator=context.generator
        )
        _expect_valid(criterion(case), mask, name)


def check_scores_can_be_selected_by(criterion: Criterion) -> None:
    """A pruning by the scores keeps exactly the number that it should, within what was kept."""
    context = _context()
    survivors = {name: kept for name, (kept, _) in context.mask.layers.items()}
    groups = allocate(survivors, scope="global", fraction=0.3)
    pruned = select(criterion(context), context.mask, groups)
    expected = context.mask.kept - sum(group.remove for group in groups)
    expect(pruned.kept == expected, f"{pruned.kept} weights survive, expected {expected}")
    expect(pruned.is_subset(context.mask), "a pruned weight came back")


def check_context_is_not_changed(criterion: Criterion) -> None:
    """Scoring reads the weights and the mask; it changes neither, and scores are its own."""
    context = _context()
    weights, initial = copied(context.weights), copied(context.initial)
    mask = dict(context.mask)
    scores = criterion(context)
    expect_same_state(context.weights, weights, "the trained weights after scoring")
    expect_same_state(context.initial, initial, "the initial weights after scoring")
    expect_same_state(context.mask, mask, "the mask after scoring")
    owned = {w.data_ptr() for w in (*context.weights.values(), *context.initial.values())}
    shared = [name for name, score in scores.items() if score.data_ptr() in owned]
    expect(not shared, f"scores of {', '.join(shared)} share memory with the weights")


def check_same_context_same_scores(criterion: Criterion) -> None:
    """All randomness comes from the context's generator; the global one is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = criterion(_context())
        torch.manual_seed(2)
        before = torch.get_rng_state()
        second = criterion(_context())
        expect(
            torch.equal(before, torch.get_rng_state()),
            "scoring moved the global random number generator; use the context's",
        )
    expect_same_state(dict(second), dict(first), "the scores, a second time")


def check_order_of_names_means_nothing(criterion: Criterion) -> None:
    """The order in which a model happens to list its layers changes no score."""
    context = _context()
    backwards = ScoreContext(
        weights=dict(reversed(list(context.weights.items()))),
        initial=dict(reversed(list(context.initial.items()))),
        mask=context.mask,
        generator=torch.Generator().manual_seed(0),
    )
    first, second = criterion(context), criterion(backwards)
    for name in context.mask:
        expect(
            same_bytes(first[name], second[name]),
            f"scores of '{name}' depend on the order of the names",
        )


CRITERION_CHECKS: Final[tuple[CriterionCheck, ...]] = (
    check_scores_every_weight,
    check_degenerate_weights,
    check_scores_can_be_selected_by,
    check_context_is_not_changed,
    check_same_context_same_scores,
    check_order_of_names_means_nothing,
)
"""What every criterion must pass."""
