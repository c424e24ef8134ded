"""How the mask changes during one training: the config, and at which iterations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lottery.core.schedule import GradualShape
from lottery.training.length import Length, take_lengths

MaskUpdateMethod = Literal["none", "set", "rigl", "gradual"]
"""What an update of the mask does, by name in a config."""


@dataclass(frozen=True, kw_only=True)
class MaskUpdatesConfig:
    """Whether, how and when the mask changes within a training.

    In an experiment this holds for every pruned level and its controls; the dense network's mask
    never changes.
    """

    method: MaskUpdateMethod = "none"
    """``none``: the mask stays. ``set``: each layer drops its weights of least magnitude and grows
    as many at random (arXiv:1707.04780, algorithm 2). ``rigl``: it grows them where the loss falls
    fastest, in place of a step (arXiv:1911.11134, algorithm 1). ``gradual``: weights of least
    magnitude go, from the dense network to the level's density (arXiv:1710.01878)."""
    every: Length = field(default_factory=lambda: Length(amount=100))
    """How far apart updates are, 1 or more."""
    begin: float = 0.0
    """Share of the training, in [0, 1], after which updates are due: the first comes one
    ``every`` later."""
    until: float = 0.75
    """Share of the training after which the mask stays as it is, above ``begin`` and at most 1.
    The last gradual pruning comes exactly there; set and rigl make their last update before it, so
    that what grew is trained."""
    fraction: float = 0.3
    """With set and rigl, the share of each layer's surviving weights that an update moves, in
    (0, 1]; with rigl it falls to 0 by half a cosine, at ``until``."""
    shape: GradualShape = "cubic"
    """With gradual, how density falls: ``cubic``, fast at first, or ``linear``."""

    def __post_init__(self) -> None:
        take_lengths(self, "every")

    @property
    def active(self) -> bool:
        """Whether the mask ever changes."""
        return self.method != "none"

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        if self.every.amount < 1:
            found.append(f"every.amount: must be 1 or more, got {self.every.amount}")
        if not 0 <= self.begin < self.until <= 1:
            found.append(
                "until: expected 0 <= begin < until <= 1, "
                f"got begin = {self.begin} and until = {self.until}"
            )
        if not 0 < self.fraction <= 1:
            found.append(f"fraction: must be above 0 and at most 1, got {self.fraction}")
        return found

    def begins(self, total: int) -> int:
        """The iteration that updates are counted from, in a training of ``total``."""
        return round(self.begin * total)

    def ends(self, total: int) -> int:
        """The iteration from which on the mask stays, in a training of ``total``.

        >>> MaskUpdatesConfig(method="rigl").ends(1000)
        750
        """
        return round(self.until * total)

    def final_density_from(self, total: int) -> int:
        """The iteration from which on the network has its final density."""
        return self.ends(total) if self.method == "gradual" else 0

    def due(self, iteration: int, *, start: int, total: int, steps_per_epoch: int) -> bool:
        """Whether the mask is to be updated at an iteration.

        SET and gradual updates come after the step that leads to the iteration, before anything is
        measured; RigL's replaces the step that follows. SET and RigL do not change the mask at the
        start of a training, and stop before `ends`. Gradual pruning has an update at the start,
        which catches up with the schedule if a training starts late, and its last one at `ends`.

        Args:
            iteration: steps done, counted from initialization.
            start: the iteration at which training starts.
            total: iterations of the whole training.
            steps_per_epoch: batches in one pass over the data.

        >>> config = MaskUpdatesConfig(method="set", every=Length(amount=4))
        >>> [i for i in range(16) if config.due(i, start=0, total=16, steps_per_epoch=4)]
        [4, 8]
        """
        begin, end = self.begins(total), self.ends(total)
        passed = iteration - begin
        regular = passed > 0 and passed % self.every.iterations(steps_per_epoch) == 0
        if self.method == "gradual":
            return iteration in (start, end) or (regular and iteration < end)
        return self.active and regular and start < iteration < end
