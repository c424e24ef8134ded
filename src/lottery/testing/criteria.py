"""The conformance suite of criteria: plain functions that raise AssertionError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core import Criterion, Mask, Probe, ScoreContext, Scores, allocate, select
from lottery.core.unit_scores import survivor_scores
from lottery.core.units import flat_survivors
from lottery.errors import MaskError
from lottery.testing.expect import copied, expect, expect_same_state, same_bytes
from lottery.testing.samples import (
    TiedModel,
    convolutional,
    initial_state,
    random_sparse_mask,
    tiny_dataset,
    tiny_mlp,
)
from lottery.training import State

CriterionCheck = Callable[[Criterion], None]
"""A check of a criterion; raises AssertionError when something is not as it should be."""

_NETWORKS: Final[tuple[Callable[[], nn.Module], ...]] = (tiny_mlp, convolutional, TiedModel)
_SIZES: Final = (8, 8, 3)


def tiny_context(
    make_model: Callable[[], nn.Module] = tiny_mlp,
    *,
    density: float = 0.5,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    sizes: Sequence[int] = _SIZES,
) -> ScoreContext:
    """A complete context, for trying out a criterion in a few milliseconds.

    The trained weights are the initial ones with noise, pruned ones zero. Scales and running
    statistics of normalization differ from 1 and 0, as after some training.

    Args:
        make_model: makes the network.
        density: of the mask; see `random_sparse_mask`.
        seed: which weights and which mask.
        dtype: of weights and examples.
        sizes: how many examples each batch of the probe has; 27 in all at most.
    """
    mask = random_sparse_mask(make_model, density, seed)
    state = initial_state(make_model, seed)
    initial = {name: state[name].to(dtype) for name in mask}
    # Not the seed itself, from which the initial weights are drawn: noise would be like them.
    generator = torch.Generator().manual_seed(1_000 + seed)
    noise = {n: torch.randn(w.shape, generator=generator).to(dtype) for n, w in initial.items()}
    weights = mask.apply({name: w + 0.1 * noise[name] for name, w in initial.items()})
    model = _in_use(make_model, state, generator).to(dtype)
    with torch.no_grad():
        for name, weight in weights.items():
            model.get_parameter(name).copy_(weight)
    data, count = tiny_dataset().train, sum(sizes)
    inputs = data.inputs[:count].to(dtype).split_with_sizes([*sizes])
    targets = data.targets[:count].split_with_sizes([*sizes])
    return ScoreContext(
        weights=weights,
        initial=initial,
        mask=mask,
        generator=torch.Generator().manual_seed(seed),
        probe=Probe(
            model=model, batches=tuple(zip(inputs, targets, strict=True)), loss=F.cross_entropy
        ),
    )


def _in_use(
    make_model: Callable[[], nn.Module], state: State, generator: torch.Generator
) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        model = make_model()
    model.load_state_dict(state)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for value in (module.weight, module.running_mean, module.running_var):
                    assert value is not None, "made with all of them"
                    value.uniform_(0.5, 1.5, generator=generator)
    return model


def _expect_valid(scores: Scores, mask: Mask, what: str) -> None:
    for name, kept in mask.items():
        expect(isinstance(scores.get(name), Tensor), f"{what}: no tensor of scores for '{name}'")
        try:
            survivor_scores(name, scores, kept, flat_survivors(kept))
        except MaskError as error:
            raise AssertionError(f"{what}: {error}") from error


def check_scores_every_weight(criterion: Criterion) -> None:
    """Every layer gets floating-point scores of its shape, numbers wherever a weight survives.

    With convolution, batch normalization, dropout and a shared weight too.
    """
    for make_model in _NETWORKS:
        for density, dtype in ((1.0, torch.float32), (0.5, torch.float64), (0.05, torch.float32)):
            context = tiny_context(make_model, density=density, dtype=dtype)
            what = f"{make_model.__name__}, density {density}, {dtype}"
            _expect_valid(criterion(context), context.mask, what)


def check_degenerate_weights(criterion: Criterion) -> None:
    """Weights that are all zero, or a layer of which nothing is left, are scored too."""
    context = tiny_context()
    nothing = dict(context.mask)
    nothing["fc2.weight"] = torch.zeros_like(nothing["fc2.weight"])
    mask = Mask(nothing)
    zeros = {name: torch.zeros_like(w) for name, w in context.weights.items()}
    for name, weights in (("an empty layer", mask.apply(context.weights)), ("all zero", zeros)):
        case = replace(context, weights=weights, mask=mask)
        _expect_valid(criterion(case), mask, name)


def check_scores_can_be_selected_by(criterion: Criterion) -> None:
    """A pruning by the scores keeps exactly the number that it should, within what was kept."""
    context = tiny_context()
    survivors = {name: kept for name, (kept, _) in context.mask.layers.items()}
    groups = allocate(survivors, scope="global", fraction=0.3)
    pruned = select(criterion(context), context.mask, groups)
    expected = context.mask.kept - sum(group.remove for group in groups)
    expect(pruned.kept == expected, f"{pruned.kept} weights survive, expected {expected}")
    expect(pruned.is_subset(context.mask), "a pruned weight came back")


def check_context_is_not_changed(criterion: Criterion) -> None:
    """Scoring reads the weights and the mask; it changes neither, and scores are its own."""
    context = tiny_context()
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
    """All randomness comes from the context's generator, none from the global one."""
    for make_model in _NETWORKS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            first = criterion(tiny_context(make_model))
            torch.manual_seed(2)
            before = torch.get_rng_state()
            second = criterion(tiny_context(make_model))
            unmoved = torch.equal(before, torch.get_rng_state())
        expect(unmoved, "scoring moved the global random number generator; use the context's")
        what = f"{make_model.__name__}: the scores, a second time"
        expect_same_state(dict(second), dict(first), what)


def check_order_of_names_means_nothing(criterion: Criterion) -> None:
    """The order in which a model happens to list its layers changes no score."""
    context = tiny_context()
    backwards = replace(
        context,
        weights=dict(reversed(list(context.weights.items()))),
        initial=dict(reversed(list(context.initial.items()))),
        generator=torch.Generator().manual_seed(0),
    )
    first, second = criterion(context), criterion(backwards)
    for name in context.mask:
        expect(
            same_bytes(first[name], second[name]),
            f"scores of '{name}' depend on the order of the names",
        )


def check_network_is_not_changed(criterion: Criterion) -> None:
    """Scoring leaves no trace in the probe: values, gradients, modes, hooks, examples."""
    for make_model in _NETWORKS:
        context = tiny_context(make_model)
        probe = context.probe
        assert probe is not None, "there is always one"
        model = probe.model
        # Settings that a careless clean-up would not put back.
        first, second, *_ = model.parameters()
        first.requires_grad_(False)
        second.grad = torch.ones_like(second)
        next(model.children()).eval()
        values, gradients, flags = copied(model.state_dict()), _gradients(model), _flags(model)
        examples = [tensor.clone() for batch in probe.batches for tensor in batch]
        criterion(context)
        what = f"{make_model.__name__} after scoring"
        expect_same_state(model.state_dict(), values, what)
        expect(_flags(model) == flags, f"{what}: modes, hooks or requires_grad are not as before")
        expect_same_state(_gradients(model), gradients, f"{what}: gradients")
        now = [tensor for batch in probe.batches for tensor in batch]
        same = all(same_bytes(a, b) for a, b in zip(now, examples, strict=True))
        expect(same, f"{what}: the examples are not as before")


def _gradients(model: nn.Module) -> State:
    return copied({n: p.grad for n, p in model.named_parameters() if p.grad is not None})


def _flags(model: nn.Module) -> list[object]:
    """Modes, hooks and what asks for gradients, of every module and parameter."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    modules = [(m.training, *(len(getattr(m, name)) for name in hooks)) for m in model.modules()]
    parameters = [(p.requires_grad, len(p._backward_hooks or {})) for p in model.parameters()]
    return [modules, parameters]


def check_network_is_masked(criterion: Criterion) -> None:
    """What pruned weights would be, were they not pruned, changes no surviving score."""
    for make_model in _NETWORKS:
        context = tiny_context(make_model, dtype=torch.float64)
        full = {n: w + 0.5 * ~context.mask[n] for n, w in context.weights.items()}
        scores = criterion(context)
        other = criterion(
            replace(context, weights=full, generator=torch.Generator().manual_seed(0))
        )
        for name, kept in context.mask.items():
            expect(
                same_bytes(scores[name][kept], other[name][kept]),
                f"{make_model.__name__}: scores of '{name}' depend on weights that are pruned",
            )


def check_cut_of_batches_means_nothing(criterion: Criterion) -> None:
    """Without batch norm, the scores do not depend on how examples are cut into batches."""
    _expect_any_cut(criterion, tiny_mlp)
    _expect_any_cut(criterion, TiedModel)


def check_cut_with_batch_norm(criterion: Criterion) -> None:
    """With batch norm, too, the scores do not depend on how examples are cut into batches."""
    _expect_any_cut(criterion, convolutional)


def _expect_any_cut(criterion: Criterion, make_model: Callable[[], nn.Module]) -> None:
    whole = criterion(tiny_context(make_model, dtype=torch.float64, sizes=(19,)))
    for sizes in (_SIZES, (2, 17)):
        cut = criterion(tiny_context(make_model, dtype=torch.float64, sizes=sizes))
        for name, expected in whole.items():
            # Sums in another order are rounded otherwise, where they cancel by more.
            finite = expected[expected.isfinite()].abs()
            room = 1e-9 * float(finite.max()) if finite.numel() else 0.0
            expect(
                torch.allclose(cut[name], expected, rtol=1e-9, atol=room),
                f"{make_model.__name__}: scores of '{name}' depend on how 19 examples are cut "
                f"into batches: {sizes} against all at once",
            )


CRITERION_CHECKS: Final[tuple[CriterionCheck, ...]] = (
    check_scores_every_weight,
    check_degenerate_weights,
    check_scores_can_be_selected_by,
    check_context_is_not_changed,
    check_same_context_same_scores,
    check_order_of_names_means_nothing,
    check_network_is_not_changed,
    check_network_is_masked,
    check_cut_of_batches_means_nothing,
)
"""What every criterion must pass."""

CRITERION_CHECKS_RUNNING_STATISTICS: Final[tuple[CriterionCheck, ...]] = (
    check_cut_with_batch_norm,
)
"""What a criterion must pass besides, unless it lets batch norm use each batch's statistics."""
