"""Two networks aligned by their activations: which of their channels correspond.

Li et al., Convergent Learning (arXiv:1511.07543, section 3), and Ainsworth et al., Git Re-Basin
(arXiv:2209.04836, section 3.1): channels are matched one to one so that the sum of the correlations
of their activations is the highest there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lottery.core.criteria.batches import example_count
from lottery.core.criteria.context import Probe
from lottery.core.criteria.network import as_double, pass_batch
from lottery.core.symmetry import ChannelGroup, Permutation, Symmetry


def match(correlations: Mapping[str, Tensor]) -> dict[str, Permutation]:
    """The one-to-one matching with the highest sum of correlations (Hungarian algorithm).

    Args:
        correlations: home -> [channels of one, channels of the other], see `correlate`.

    Returns:
        home -> for each channel of the one network, the matching channel of the other; for
        `permute` of the other's state.
    """
    # Imported here, for it takes a third of a second, which every command would spend.
    from scipy.optimize import linear_sum_assignment

    return {
        home: torch.from_numpy(linear_sum_assignment(table.numpy(), maximize=True)[1])
        for home, table in correlations.items()
    }


def similarity(
    correlations: Mapping[str, Tensor], permutations: Mapping[str, Permutation]
) -> dict[str, float]:
    """The mean correlation of matched channels, in [-1, 1], for each home."""
    return {
        home: float(correlations[home].gather(1, permutation.view(-1, 1)).mean())
        for home, permutation in permutations.items()
    }


def identity_permutations(symmetry: Symmetry) -> dict[str, Permutation]:
    """For every group of channels the permutation that leaves each in its place."""
    return {home: torch.arange(group.size) for home, group in symmetry.groups.items()}


def correlate(
    probe: Probe, other: nn.Module, symmetry: Symmetry, *, shift: int = 0
) -> dict[str, Tensor]:
    """Correlations of the activations of two networks' channels over the probe's examples.

    Activations are the inputs of the layers that read a channel: after activation function,
    normalization, addition and whatever else comes before that layer. Positions of an image or of a
    sequence count as examples. Where several layers read a channel, this is the mean over them; a
    channel whose activation is constant has correlation 0.

    Args:
        probe: the one network, and batches.
        other: the other network, of the same architecture; both run in evaluation mode.
        symmetry: of the networks, from `find_symmetry`.
        shift: by how many examples, cyclically within its batch, the other network's activations
            are shifted: from 1 on, activations of different examples are compared, so that what is
            correlated is so by chance.

    Returns:
        home -> float64 [channels of one, channels of the other], in [-1, 1].
    """
    one, two = _Watched(probe.model, symmetry), _Watched(other, symmetry)
    sums: dict[tuple[str, str], _Moments] = {}
    for batch in probe.batches:
        theirs = two.activations(probe, batch)
        for key, mine in one.activations(probe, batch).items():
            rows = shift * (len(mine) // example_count(batch))
            sums.setdefault(key, _Moments()).add(mine, theirs[key].roll(rows, 0))
    found: dict[str, list[Tensor]] = {}
    for (home, _), moments in sums.items():
        found.setdefault(home, []).append(moments.correlations())
    return {home: torch.stack(tables).mean(0) for home, tables in found.items()}


@dataclass
class _Moments:
    """Sums over examples, of which correlations are made."""

    count: int = 0
    sums: list[Tensor] = field(default_factory=list)

    def add(self, x: Tensor, y: Tensor) -> None:
        new = [x.sum(0), y.sum(0), (x * x).sum(0), (y * y).sum(0), x.T @ y]
        self.count += len(x)
        self.sums = [a + b for a, b in zip(self.sums, new, strict=True)] if self.sums else new

    def correlations(self) -> Tensor:
        x, y, xx, yy, xy = (one / self.count for one in self.sums)
        # Of what never changes, rounding leaves a variance next to nothing.
        variances = [(m - a * a).where(m - a * a > 1e-12 * m, 0.0) for a, m in ((x, xx), (y, yy))]
        spread = (variances[0][:, None] * variances[1][None]).sqrt()
        covariance = xy - x[:, None] * y[None]
        return torch.where(spread > 0, covariance / spread, 0.0).clamp(-1, 1)


class _Watched:
    """A network whose layers tell what they read of each group of channels."""

    def __init__(self, model: nn.Module, symmetry: Symmetry) -> None:
        self.model = model
        names = {f"{path}.weight" if path else "weight": m for path, m in model.named_modules()}
        self.readers = [
            (home, name, names[name], places)
            for home, group in symmetry.groups.items()
            for name, places in _read(group)
        ]

    def activations(self, probe: Probe, batch: Any) -> dict[tuple[str, str], Tensor]:
        """(home, reader) -> [examples, channels], float64 on the CPU."""
        seen: dict[tuple[str, str], Tensor] = {}

        def hook(key: tuple[str, str], places: Tensor) -> Callable[..., None]:
            def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                seen[key] = _by_channel(layer, as_double(inputs[0]), places)

            return note

        handles = [
            layer.register_forward_pre_hook(hook((home, name), places))
            for home, name, layer, places in self.readers
        ]
        was_training = self.model.training
        try:
            with torch.no_grad():
                pass_batch(probe, self.model.eval(), batch)
        finally:
            self.model.train(was_training)
            for handle in handles:
                handle.remove()
        return seen


def _read(group: ChannelGroup) -> Sequence[tuple[str, Tensor]]:
    return [(name, places) for (name, dim), places in group.slices.items() if dim == 1]


def _by_channel(layer: nn.Module, inputs: Tensor, places: Tensor) -> Tensor:
    """What a layer reads, as [examples, channels]; places of an image count as examples."""
    features = inputs if isinstance(layer, nn.Linear) else inputs.movedim(1, -1)
    groups = getattr(layer, "groups", 1)
    if groups > 1:  # the weight's index is that within each group
        within = layer.get_parameter("weight").shape[1]
        places = (places[:, None] + torch.arange(groups)[:, None] * within).flatten(1)
    chosen = features.flatten(0, -2)[:, places]
    return chosen.movedim(1, 2).reshape(-1, len(places))
