"""Networks whose coupled channels are pruned, and which of them are gone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lottery.core import Channel, Mask, Probe, Units, find_channels, prunable_weights
from lottery.rng import Streams
from lottery.tickets import PruneConfig, prune_mask

IMAGES = (3, 8, 8)


def pruned(model: nn.Module, config: PruneConfig, units: Units, before: Mask | None = None) -> Mask:
    images, labels = torch.ones(2, *IMAGES), torch.zeros(2, dtype=torch.int64)
    probe = Probe(model=model.eval(), batches=((images, labels),), loss=F.cross_entropy)
    state = model.state_dict()
    return prune_mask(
        config,
        1,
        before or Mask.dense(prunable_weights(model)),
        trained=state,
        initial=state,
        streams=Streams(0, 0),
        probe=probe,
        units=units,
    )


def rows(mask: Mask, name: str) -> list[int]:
    """The outputs of a layer of which anything is left."""
    return [i for i, kept in enumerate(mask[name].flatten(1).any(1).tolist()) if kept]


def traced(model: nn.Module) -> tuple[Channel, ...]:
    pytest.importorskip("torch_pruning", reason="the package torch-pruning is not installed")
    return find_channels(model, torch.zeros(2, *IMAGES)).channels


def writes(channel: Channel, model: nn.Module) -> list[tuple[str, int]]:
    weights = prunable_weights(model)
    return [(name, i) for name, dim, along in channel if not dim and name in weights for i in along]


def drawn(model: nn.Module) -> nn.Module:
    """With scales of batch norm from a fixed seed."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.normal_(generator=generator)
    return model


def gone_from(mask: Mask, channels: Sequence[Channel], model: nn.Module) -> set[Channel]:
    return {c for c in channels if not any(mask[n][i].any() for n, i in writes(c, model))}
