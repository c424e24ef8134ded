"""Selection: the one function that decides what survives."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from lottery.core.allocate import Group
from lottery.core.criteria import Scores
from lottery.core.mask import Mask
from lottery.errors import MaskError


def select(scores: Scores, mask: Mask, groups: Iterable[Group]) -> Mask:
    """Remove the lowest-scoring survivors of each group; what is pruned never comes back.

    The count is exact: a group with n survivors keeps ``n - group.remove``, whatever the scores.
    Among equal scores, the weight with the lower (layer name, flat index) survives.

    Args:
        scores: parameter name -> float tensor of the parameter's shape; higher means keep.
            Infinities are scores like any other. Where ``mask`` is False they are not looked at.
        mask: what is kept now.
        groups: from `lottery.core.allocate`; a layer in no group stays as it is.

    Returns:
        A mask that is a subset of ``mask``.

    Raises:
        MaskError: a score is missing, of another shape, not floating point, or NaN where the
            weight survives; or a group removes more weights than survive in it, or names a layer
            that the mask does not have.
    """
    kept = dict(mask)
    for group in groups:
        layers = sorted(group.layers)
        unknown = [name for name in layers if name not in kept]
        if unknown or not layers:
            raise MaskError(
                f"a group names {', '.join(unknown) or 'no layer'}; "
                f"the mask's layers are {', '.join(kept)}"
            )
        survivors = {name: kept[name].flatten().nonzero().squeeze(1) for name in layers}
        values = torch.cat([_survivor_scores(n, scores, kept[n], survivors[n]) for n in layers])
        if not 0 <= group.remove <= values.numel():
            raise MaskError(
                f"cannot remove {group.remove} weights from {', '.join(layers)}: "
                f"expected 0 to {values.numel()}, as many as survive"
            )
        # The sort is stable, so among equals the later (layer name, flat index) comes last, and
        # the last ones go.
        removed = values.argsort(descending=True, stable=True)[values.numel() - group.remove :]
        gone = torch.zeros(values.numel(), dtype=torch.bool)
        gone[removed] = True
        for name, part in zip(
            layers, gone.split([survivors[n].numel() for n in layers]), strict=True
        ):
            kept[name].view(-1)[survivors[name][part]] = False
    return Mask(kept)


def _survivor_scores(name: str, scores: Scores, kept: Tensor, survivors: Tensor) -> Tensor:
    if name not in scores:
        raise MaskError(f"the criterion gave no scores for '{name}'; it must score every layer")
    score = scores[name].detach()
    if score.shape != kept.shape:
        raise MaskError(
            f"scores of '{name}' have shape {tuple(score.shape)}, its weight {tuple(kept.shape)}"
        )
    if not score.is_floating_point():
        raise MaskError(f"scores of '{name}' are {score.dtype}; expected a floating-point tensor")
    # float64 holds every value of the smaller float types exactly, so mixed layers compare right.
    values = score.cpu().flatten()[survivors].double()
    if bool(values.isnan().any()):
        raise MaskError(
            f"{int(values.isnan().sum())} surviving scores of '{name}' are NaN; "
            "a criterion must give every surviving weight a number"
        )
    return values
