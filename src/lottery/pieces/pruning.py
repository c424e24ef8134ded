"""Pruning a model once more, and how much of it is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, get_args

import torch
from torch import Tensor, nn

from lottery.core import (
    CRITERIA,
    Criterion,
    CriterionEntry,
    Mask,
    Patterns,
    Scope,
    ScoreContext,
    Scores,
    as_criterion,
    by_clean_name,
    check_patterns,
    probe_from_batches,
    unwrapped,
)
from lottery.errors import UsageError, format_names, unknown_name
from lottery.pieces.weights import weights_to_prune
from lottery.rng import Streams
from lottery.tickets import PruneConfig, criterion_problems, prune_mask


def prune(
    model: nn.Module,
    fraction: float | None = None,
    *,
    density: float | None = None,
    mask: Mapping[str, Tensor] | None = None,
    criterion: str | Criterion | CriterionEntry = "magnitude",
    scope: Scope = "global",
    fractions: Mapping[str, float] | None = None,
    also: Patterns = (),
    leave_out: Patterns = (),
    batches: Iterable[Any] | None = None,
    loss: Callable[[nn.Module, Any], Tensor] | None = None,
    initial: Mapping[str, Tensor] | None = None,
    rounds: int = 1,
    seed: int = 0,
) -> Mask:
    """The mask of one more level: what is left when the least important weights are pruned.

    Scores are those of the model's present weights, and nothing of the model changes: `hold` or
    `rewind` put the mask into effect. Of n weights that ``mask`` keeps, exactly
    ``n - round(fraction * n)`` are kept, or with ``density`` exactly ``round(density * total)``;
    ties go to the lower (name, index). What ``mask`` prunes never comes back. A layer may lose all
    its weights: see `Mask.empty_layers`.

    Args:
        model: any network; wrapped by ``torch.compile`` or DistributedDataParallel as well. Names
            in the mask are those of the plain model.
        fraction: share of the weights kept by ``mask`` that is pruned, above 0 and below 1; 0.2 if
            neither it nor ``density`` is given.
        density: instead of ``fraction``, the share of all weights that is kept, above 0 and below
            1.
        mask: of the level before; None: every weight is kept, zeros too.
        criterion: a name that ``lottery list criteria`` shows, or a function of a `ScoreContext`.
        scope: ``"global"``, where weights compete across layers; ``"layer"``, where each layer
            loses its own fraction; or ``"uniform"``, ``"erk"`` or ``"lamp"``: see `allocate`.
        fractions: exceptions, pattern of names -> fraction in [0, 1); 0 exempts a layer. With
            ``density``, ``"uniform"`` and ``"erk"`` only 0.
        also: name patterns of parameters to cover in addition, see `prunable_weights`.
        leave_out: name patterns of parameters not to cover. Without either, a given ``mask`` says
            what is covered.
        batches: for criteria that evaluate the network; any iterable, read to its end. A batch is
            (inputs, targets), inputs being a tensor, a tuple of arguments or a dict of named ones;
            inputs alone, for criteria that need no targets; a dict with ``labels`` for a model that
            then gives its ``loss``, as Hugging Face's do; or anything that ``loss`` takes.
        loss: (model, batch) -> the mean loss of a batch, a scalar. None: the model's own for dicts
            with ``labels``, else the cross-entropy of outputs and targets.
        initial: the state at initialization, for criteria that use it.
        rounds: in how many rounds to prune, each by the scores of the weights left; 1 or more.
        seed: the seed of the criterion's random numbers.

    Returns:
        The new mask, a subset of ``mask``.

    Raises:
        UsageError: an argument has a wrong value, or one that the criterion needs is missing.
        MaskError: the mask does not fit the model, or scores are not numbers.

    Example:
        >>> model = nn.Linear(5, 2, bias=False)
        >>> mask = prune(model, 0.5)
        >>> prune(model, 0.5, mask=mask), mask
        (Mask(1 layers, 3 of 10 kept), Mask(1 layers, 5 of 10 kept))
    """
    weights = weights_to_prune(model, mask, also, leave_out)
    before = Mask.dense(weights) if mask is None else Mask(by_clean_name(mask))
    before.check(weights)
    name, entry = as_criterion(criterion)
    config = _config(name, entry, fraction, density, scope, fractions or {}, rounds)
    check_patterns(weights, config.fractions)
    probe = None
    if entry.needs_probe and (batches is not None or name in CRITERIA):
        probe = probe_from_batches(unwrapped(model), () if batches is None else batches, loss)
    values = {n: weight.detach().cpu() for n, weight in weights.items()}
    start = _initial(name, entry, values, initial)
    with _compiling_nothing(unwrapped(model)):
        return prune_mask(
            config,
            1,
            before,
            trained=values,
            initial=start,
            streams=Streams(seed, 0),
            probe=probe,
            criterion=_by_name_in(unwrapped(model), entry),
        )


def density(
    model: nn.Module | Mapping[str, Tensor],
    mask: Mapping[str, Tensor] | None = None,
    *,
    also: Patterns = (),
    leave_out: Patterns = (),
) -> float:
    """The density of a mask or of a network's weights, in [0, 1].

    For a mask it is the share of weights that it keeps, for a network the share that is not zero.

    Args:
        model: a network, or a mask.
        mask: for a network, its names say which parameters count; None: all that masks cover.
        also, leave_out: as for `prune`.

    Returns:
        NaN where masks cover nothing.

    Raises:
        MaskError: the mask does not fit the model.

    Example:
        >>> density({"weight": torch.tensor([True, False])})
        0.5
    """
    if not isinstance(model, nn.Module):
        return Mask(model).density
    weights = weights_to_prune(model, mask, also, leave_out)
    if mask is not None:
        Mask(by_clean_name(mask)).check(weights)
    total = sum(weight.numel() for weight in weights.values())
    nonzero = sum(int(weight.count_nonzero()) for weight in weights.values())
    return nonzero / total if total else math.nan


def _config(
    name: str,
    entry: CriterionEntry,
    fraction: float | None,
    density: float | None,
    scope: Scope,
    fractions: Mapping[str, float],
    rounds: int,
) -> PruneConfig:
    """The arguments of `prune` as a config, if they fit one another."""
    if scope not in get_args(Scope):
        raise UsageError(f"prune: {unknown_name('scope', scope, get_args(Scope))}")
    if density is not None:
        if fraction is not None:
            raise UsageError("prune: expected either fraction= or density=, got both")
        if not 0 < density < 1:
            raise UsageError(f"prune: density must lie between 0 and 1, got {density}")
        if scope == "layer":
            raise UsageError(
                "prune: with scope 'layer' each layer loses a fraction of its own; use scope "
                "'uniform' for the same density in every layer, or 'global'"
            )
    config = PruneConfig(
        criterion=name,
        scope=scope,
        fraction=0.2 if fraction is None else fraction,
        schedule="geometric" if density is None else "listed",
        densities=() if density is None else (density,),
        fractions=fractions,
        rounds=rounds,
    )
    found = [p for p in config.problems() if not p.startswith("criterion:")]
    found += [p for p in criterion_problems(config, entry) if p not in found]
    if found:
        raise UsageError(f"prune: {'; '.join(found)}")
    return config


def _initial(
    name: str,
    entry: CriterionEntry,
    weights: Mapping[str, Tensor],
    initial: Mapping[str, Tensor] | None,
) -> dict[str, Tensor]:
    """The initial weights; NaN, which no selection takes, where none were given."""
    if initial is None:
        if entry.needs_initial:
            raise UsageError(
                f"prune: criterion '{name}' looks at the weights at initialization; give them as "
                "initial={name: value.clone() for name, value in model.state_dict().items()}, "
                "taken before training"
            )
        return {n: torch.full_like(weight, math.nan) for n, weight in weights.items()}
    clean = by_clean_name(initial)
    wrong = [n for n in weights if n not in clean or clean[n].shape != weights[n].shape]
    if wrong:
        raise UsageError(f"prune: initial has no weights of the shape of {format_names(wrong)}")
    return {n: clean[n].detach().cpu() for n in weights}


def _compiling_nothing(model: nn.Module) -> AbstractContextManager[object]:
    """Parts of a model that ``torch.compile`` made run as they are: a copy of it is used once."""
    compiled = any(hasattr(layer, "_orig_mod") for layer in model.modules())
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def _by_name_in(model: nn.Module, entry: CriterionEntry) -> CriterionEntry:
    """The criterion for clean names, given one that looks a weight up in the model by its own."""
    own = by_clean_name({name: name for name, _ in model.named_parameters(remove_duplicate=False)})
    if all(clean == name for clean, name in own.items()):
        return entry

    def named(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {own[name]: value for name, value in values.items()}

    def score(context: ScoreContext) -> Scores:
        found = entry.score(
            ScoreContext(
                weights=named(context.weights),
                initial=named(context.initial),
                mask=Mask(named(context.mask)),
                generator=context.generator,
                probe=context.probe,
            )
        )
        return by_clean_name(found)

    return replace(entry, score=score)
