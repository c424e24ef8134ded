"""Checks of the networks that ``make_model`` returns: separate memory, and random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from lottery.core import prunable_weights, tie_parameters
from lottery.errors import UsageError, format_names
from lottery.tasks.global_random import seeded


def call_make_model(make_model: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Call ``make_model`` with the global random generators seeded.

    Raises:
        UsageError: it returns something other than a ``torch.nn.Module``.
    """
    with seeded(seed):
        model = make_model()
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"make_model: expected a function that gives a torch.nn.Module, got "
            f"{type(model).__name__}"
        )
    tie_parameters(model)
    return model


def check_separate_memory(one: nn.Module, other: nn.Module) -> None:
    """Check that two networks share no memory.

    Raises:
        UsageError: they do, so that training one would change the other.
    """
    of_one, of_other = (
        {t.untyped_storage().data_ptr() for t in _tensors(model) if t.numel() and not t.is_meta}
        for model in (one, other)
    )
    if of_one & of_other:
        raise UsageError(
            "make_model gives the same weights in the same memory every time it is called, so that "
            "one training would go on from the end of another; make a new network in it, such as "
            "with copy.deepcopy(model)"
        )


def same_weights(one: nn.Module, other: nn.Module) -> tuple[str, ...]:
    """The prunable weights that are equal in two networks made with different seeds.

    Weights that an initialization sets to a constant, such as zero, are not among them.
    """
    others = prunable_weights(other)
    return tuple(
        name
        for name, weight in prunable_weights(one).items()
        if name in others
        and torch.equal(weight, others[name])
        and bool((weight != weight.flatten()[0]).any())
    )


def initialization_problem(
    same: Iterable[str], weights: int, *, replicates: int, drawing: Iterable[str], given: bool
) -> str | None:
    """Why an experiment is impossible with initial weights that no seed changes; None if possible.

    Args:
        same: names that `same_weights` returned.
        weights: the number of prunable parameters.
        replicates: the number of replicates.
        drawing: the settings of the experiment's controls that draw new initial weights.
        given: whether there is a function that draws them (``reinitialize``).
    """
    names, controls = [*same], sorted(drawing)
    if given or not names:
        return None
    if controls:
        what = f"{', '.join(controls)} would start from the ticket's own weights"
    elif replicates > 1 and len(names) == weights:
        what = f"all {replicates} replicates would start from the same weights"
    else:
        return None
    return (
        "make_model gives the same initial weights whatever the seed "
        f"({format_names(names)}), so that {what}. If it loads weights, pass reinitialize=True, or "
        "a function that draws new ones in a model, or ask for other controls; if it seeds itself, "
        "leave that out"
    )


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
