"""Layer-adaptive scores: a transformation that lets layers compete on equal terms."""

from __future__ import annotations

import torch
from torch import Tensor

from lottery.core.criteria import Scores
from lottery.core.mask import Mask
from lottery.core.unit_scores import survivor_scores
from lottery.core.units import flat_survivors
from lottery.errors import MaskError


def lamp_scores(scores: Scores, mask: Mask) -> dict[str, Tensor]:
    """Scores rescaled within each layer, for selection over all layers (arXiv:2010.07611).

    A weight of score s gets ``s**2`` over the sum of the squares of all survivors of its layer that
    are to be kept at least as long, itself included (Lee et al. 2021, section 3, equation 5, with
    any criterion's scores in the place of magnitudes). Within a layer the order stays what it was,
    equal scores included: as in `lottery.core.select`, the lower flat index is kept longer. The
    best survivor of a layer gets exactly 1, and every other less, so that no layer loses its last
    weight before every layer is down to one.

    Args:
        scores: parameter name -> float tensor of the parameter's shape, finite and 0 or more where
            the weight survives; higher means keep.
        mask: what is kept now.

    Returns:
        parameter name -> float64 tensor in [0, 1]; 0 where the weight is pruned.

    Raises:
        MaskError: a surviving score is negative or not finite, so that its square would not say
            how much the weight is worth; or the scores do not fit the mask.

    >>> mask = Mask({"w": torch.tensor([True, True, True])})
    >>> lamp_scores({"w": torch.tensor([1.0, 2.0, 2.0])}, mask)["w"].tolist()
    [0.1111111111111111, 1.0, 0.5]
    """
    return {name: _layer(name, scores, mask[name]) for name in mask}


def _layer(name: str, scores: Scores, kept: Tensor) -> Tensor:
    survivors = flat_survivors(kept)
    values = survivor_scores(name, scores, kept, survivors)
    wrong = int((values.isinf() | (values < 0)).sum())
    if wrong:
        raise MaskError(
            f"scope 'lamp' needs finite scores of 0 or more, and {wrong} of '{name}' are not; "
            "use a criterion that gives such scores, or another scope"
        )
    rescaled = torch.zeros(kept.numel(), dtype=torch.float64)
    rescaled[survivors] = _ranked(values)
    return rescaled.view(kept.shape)


def _ranked(values: Tensor) -> Tensor:
    """The scores of one layer's survivors, float64 ``[n]``, in their order."""
    found = torch.zeros_like(values)
    if not values.numel():
        return found
    order = values.argsort(descending=True, stable=True)
    # Relative to the largest, so that no square overflows. Sums of what is kept longer never fall
    # and the squares never rise, so rounding cannot turn the order round.
    largest = values[order[0]]
    squares = (values[order] / largest).square() if largest > 0 else torch.zeros_like(values)
    found[order] = squares / squares.cumsum(0).clamp(min=torch.finfo(torch.float64).tiny)
    found[order[0]] = 1.0
    return found
