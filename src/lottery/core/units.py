"""Units: which weights are removed together, in one form for every granularity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lottery.core.allocate import Group
from lottery.core.mask import Mask
from lottery.errors import MaskError

Reduce = Literal["sum", "mean"]
"""How the scores of a unit's surviving weights become the score of the unit."""


@dataclass(frozen=True, kw_only=True)
class Units:
    """Which weights are removed together; made by `lottery.core.make_units`.

    Units are numbered from 0 in the order in which ties are broken, so that among equals the lower
    number survives. A *labelling* of a weight is an int64 tensor that broadcasts to the weight's
    shape and says of every single weight in which unit it lies, -1 for none. Where units share no
    weight, one labelling says all; coupled channels overlap (a weight lies in an output slice of
    one and an input slice of another) and take two. Labellings that broadcast keep this small:
    the filters of a convolution with 512 outputs are 512 numbers.

    Args:
        labels: parameter name -> its labellings; a layer that is not here has no units.
        homes: parameter name -> the numbers of the units that compete under this layer's name: of
            the units in this layer, or, where units lie in several layers (a block's, or those
            whose outputs are a coupled channel), of those for which it is the
            `lottery.core.allocate.deciding_layer`. Together these ranges are 0 to the number of
            units, in the order of the names.
        keep: None: a unit is kept or removed whole. A number: that many weights of every unit are
            kept (n:m).
        keep_best: whether the best unit on each axis of each layer is kept whatever its score, so
            that no layer loses all its outputs or all its inputs.
        outputs: for coupled channels alone: parameter name -> for each output of the layer the
            number of its unit, int64 of shape [outputs], -1 for none. Layers that only read a
            channel are not in it.
    """

    labels: Mapping[str, tuple[Tensor, ...]]
    homes: Mapping[str, range]
    keep: int | None = None
    keep_best: bool = False
    outputs: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of units, removed ones included."""
        return sum(len(numbers) for numbers in self.homes.values())


def memberships(
    labellings: Sequence[Tensor], shape: torch.Size, survivors: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Which surviving entries of a weight lie in which unit, each pair once.

    Args:
        labellings: those of the weight.
        shape: the weight's.
        survivors: flat indices, int64 of shape [S].

    Yields:
        Per labelling two int64 tensors of one length: positions in ``survivors``, unit numbers.
    """
    earlier: list[Tensor] = []
    for labelling in labellings:
        numbers = labelling.broadcast_to(shape).flatten()[survivors]
        fresh = numbers >= 0
        for others in earlier:  # an identity shortcut: in the same unit by output and by input
            fresh &= numbers != others
        earlier.append(numbers)
        yield fresh.nonzero().squeeze(1), numbers[fresh]


def surviving_units(mask: Mask, units: Units) -> Tensor:
    """Which units survive, bool of shape [units]: those with a surviving weight."""
    check_units(units, mask)
    alive = torch.zeros(units.count, dtype=torch.bool)
    for name, labellings in units.labels.items():
        kept = mask[name]
        for _, numbers in memberships(labellings, kept.shape, flat_survivors(kept)):
            alive[numbers] = True
    return alive


def unit_counts(mask: Mask, units: Units | None) -> dict[str, int]:
    """Name -> number of surviving units: what `lottery.core.allocate` counts and divides.

    Without units, that is with granularity ``weight``, these are the surviving weights.

    >>> from lottery.core.granularity import make_units
    >>> mask = Mask.dense({"conv.weight": torch.ones(8, 3, 5, 5), "fc.weight": torch.ones(10, 8)})
    >>> unit_counts(mask, make_units("filter", {n: mask[n].shape for n in mask}))
    {'conv.weight': 8}
    """
    if units is None:
        return {name: kept for name, (kept, _) in mask.layers.items()}
    alive = surviving_units(mask, units)
    return {
        name: int(alive[numbers.start : numbers.stop].sum())
        for name, numbers in units.homes.items()
    }


def fixed_groups(mask: Mask, units: Units) -> tuple[Group, ...]:
    """The groups of an n:m granularity, which leaves nothing to allocate: one per layer.

    Args:
        mask: what is kept now.
        units: with ``keep``.

    Returns:
        Groups whose ``remove`` counts weights: what each unit has beyond ``keep``.
    """
    assert units.keep is not None, "only n:m fixes its counts"
    check_units(units, mask)
    groups = []
    for name, (runs,) in units.labels.items():
        kept = mask[name]
        numbers = runs.broadcast_to(kept.shape)[kept]
        in_run = numbers.unique(return_counts=True)[1]
        groups.append(Group((name,), int((in_run - units.keep).clamp(min=0).sum())))
    return tuple(groups)


def flat_survivors(kept: Tensor) -> Tensor:
    """The flat indices at which a bool tensor is True, int64, ascending."""
    return kept.flatten().nonzero().squeeze(1)


def check_units(units: Units, mask: Mask) -> None:
    """Check that units are those of the mask's layers.

    Raises:
        MaskError: naming the layers that the mask does not have, or has in another shape.
    """
    shapes = {name: mask[name].shape for name in units.labels if name in mask}
    wrong = [
        name
        for name, labellings in units.labels.items()
        if name not in shapes or any(not _fits(n.shape, shapes[name]) for n in labellings)
    ]
    if wrong:
        raise MaskError(
            f"the units of {', '.join(wrong)} do not fit the mask, whose layers are "
            f"{', '.join(mask)}; make them from the mask's shapes"
        )


def _fits(labelling: torch.Size, shape: torch.Size) -> bool:
    return len(labelling) == len(shape) and all(
        a in (1, b) for a, b in zip(labelling, shape, strict=True)
    )
