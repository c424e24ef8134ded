"""The mask: which weights of a network are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from lottery.errors import MaskError


class Mask(Mapping[str, Tensor]):
    """Parameter name -> bool tensor of the parameter's shape; True means kept.

    A mask never changes: it holds copies, and reading an entry gives a copy. Names are kept in
    sorted order, which is also the order in which ties are broken (see `lottery.core.select`).

    Args:
        kept: parameter name -> bool tensor.

    Raises:
        MaskError: an entry is not a bool tensor.

    Example:
        >>> mask = Mask({"fc.weight": torch.tensor([[True, False], [True, True]])})
        >>> mask.density, mask.kept, mask.total
        (0.75, 3, 4)
    """

    __slots__ = ("_kept",)

    def __init__(self, kept: Mapping[str, Tensor]) -> None:
        given: Mapping[str, object] = kept
        for name, tensor in given.items():
            if not isinstance(tensor, Tensor) or tensor.dtype != torch.bool:
                got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
                raise MaskError(
                    f"mask of '{name}': expected a bool tensor, got {got}; "
                    "say which values mean kept, for example `tensor != 0`"
                )
        self._kept = {
            name: kept[name].detach().to("cpu", copy=True).contiguous() for name in sorted(kept)
        }

    @classmethod
    def dense(cls, weights: Mapping[str, Tensor]) -> Mask:
        """The mask that keeps every weight of ``weights`` (name -> tensor of any dtype)."""
        return cls({name: torch.ones(w.shape, dtype=torch.bool) for name, w in weights.items()})

    def __getitem__(self, name: str) -> Tensor:
        return self._kept[name].clone()

    # A mapping's own would copy the tensor.
    def __contains__(self, name: object) -> bool:
        return name in self._kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return self._kept.keys() == other._kept.keys() and all(
            torch.equal(tensor, other._kept[name]) for name, tensor in self._kept.items()
        )

    # Equality is by content, and hashing megabytes by accident would be a trap.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Mask({len(self)} layers, {self.kept} of {self.total} kept)"

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """Parameter name -> (weights kept, weights in total)."""
        return {name: (int(t.sum()), t.numel()) for name, t in self._kept.items()}

    @property
    def kept(self) -> int:
        """The number of weights kept."""
        return sum(kept for kept, _ in self.layers.values())

    @property
    def total(self) -> int:
        """The number of prunable weights."""
        return sum(tensor.numel() for tensor in self._kept.values())

    @property
    def density(self) -> float:
        """Kept / total, in [0, 1]; NaN for a mask of nothing."""
        return self.kept / self.total if self.total else math.nan

    @property
    def empty_layers(self) -> tuple[str, ...]:
        """The layers of which no weight is kept."""
        return tuple(name for name, (kept, _) in self.layers.items() if kept == 0)

    def __and__(self, other: Mask) -> Mask:
        """Kept in both."""
        return self._combine(other, torch.logical_and)

    def __or__(self, other: Mask) -> Mask:
        """Kept in either."""
        return self._combine(other, torch.logical_or)

    def is_subset(self, parent: Mask) -> bool:
        """Whether everything kept here is kept in ``parent`` too."""
        return (self & parent) == self

    def overlap(self, other: Mask) -> float:
        """Jaccard index, ``|both| / |either|``, in [0, 1]; 1 when neither keeps anything."""
        either = (self | other).kept
        return (self & other).kept / either if either else 1.0

    def hamming(self, other: Mask) -> float:
        """Share of the prunable weights on which the two masks disagree, in [0, 1]."""
        differing = self._combine(other, torch.logical_xor).kept
        return differing / self.total if self.total else 0.0

    def check(self, weights: Mapping[str, Tensor]) -> None:
        """Check that the mask names exactly the prunable ``weights``, each with its shape.

        Raises:
            MaskError: listing every name that is missing, unknown, or of another shape.
        """
        problems = [f"'{n}' is not among the prunable weights" for n in self if n not in weights]
        problems += [f"'{n}' is missing from the mask" for n in weights if n not in self]
        problems += [
            f"'{n}' has shape {tuple(self._kept[n].shape)}, its weight {tuple(weights[n].shape)}"
            for n in self
            if n in weights and self._kept[n].shape != weights[n].shape
        ]
        if problems:
            raise MaskError("the mask does not fit the model: " + "; ".join(problems))

    def apply(
        self, weights: Mapping[str, Tensor], pruned: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """``weights`` with pruned entries exactly (positive) zero.

        Every result is a copy, also of tensors that the mask does not name; kept entries are
        bit-equal to what they were.

        Args:
            weights: name -> tensor, for every layer of the mask at least.
            pruned: values of pruned entries instead of zero: name -> tensor of the weight's shape,
                for every layer of the mask; its values at kept entries are ignored.

        Raises:
            MaskError: a weight of the mask is missing, or of another shape.
        """
        self.check({name: weights[name] for name in self if name in weights})
        if pruned is not None:
            self.check({name: pruned[name] for name in self if name in pruned})

        def applied(name: str, weight: Tensor) -> Tensor:
            if name not in self._kept:
                return weight.clone()
            kept = self._kept[name].to(weight.device)
            if pruned is None:
                return weight.masked_fill(~kept, 0.0)
            return torch.where(kept, weight, pruned[name].to(weight.device, weight.dtype))

        return {name: applied(name, weight) for name, weight in weights.items()}

    def _combine(self, other: Mask, op: Callable[[Tensor, Tensor], Tensor]) -> Mask:
        other.check(self._kept)
        return Mask({name: op(tensor, other._kept[name]) for name, tensor in self._kept.items()})
