"""Networks by name, and their units of pruning: traced once in a process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import nn

from lottery.core import (
    GRANULARITIES,
    Units,
    covered_weights,
    set_coverage,
    tie_parameters,
    without_units,
)
from lottery.models import build_model
from lottery.tickets import PruneConfig, network_coupling, network_outputs, network_units

# Held while torch's global generator is not as its owner left it.
_global_generator = threading.Lock()
# Held while channels are traced, so that of jobs that need them at once only one does it.
_tracing = threading.Lock()


def make_network(
    name: str, input_shape: tuple[int, ...], classes: int, prune: PruneConfig
) -> nn.Module:
    """Build a network by name, and mark which of its weights masks cover.

    Its weights are not yet those of any replicate.

    Args:
        name: see `lottery.models.build_model`.
        input_shape: the shape of one example.
        classes: the number of outputs (logits).
        prune: says what masks cover (``also``, ``leave_out``), see `lottery.core.set_coverage`.
    """
    # torch draws default weights from its global generator, which is not ours to move. Two threads
    # that do this at once could each put back what the other has drawn from.
    with _global_generator, torch.random.fork_rng(devices=[]):
        network = build_model(name, input_shape, classes)
    tie_parameters(network)
    set_coverage(network, also=prune.also, leave_out=prune.leave_out)
    return network


def traced_units(
    prune: PruneConfig, name: str, input_shape: tuple[int, ...], classes: int
) -> tuple[Units | None, Mapping[str, str]]:
    """The units of pruning, None for single weights; and why some layers have none.

    Tracing coupled channels and the network's outputs takes a while, so it is done once in a
    process for each network and its exceptions.

    Args:
        prune: the granularity, fractions and coverage.
        name, input_shape, classes: as for `make_network`.

    Returns:
        The units, and parameter name -> why it has none of its own.

    Raises:
        UsageError: the network has no such units, a pattern of ``fractions`` matches none, or the
            network cannot be traced.
        MissingPackageError: coupled channels need the package torch-pruning.
    """
    if prune.granularity == "weight":
        return None, {}
    fractions = tuple(sorted(prune.fractions.items()))
    with _tracing:
        coverage = prune.also, prune.leave_out
        return _units(name, input_shape, classes, prune.granularity, fractions, coverage)


def left_out(
    prune: PruneConfig, network: nn.Module, units: Units | None, reasons: Mapping[str, str]
) -> dict[str, str]:
    """Prunable layers that have no units of their own: parameter name -> why not.

    Densities count units alone, so nothing is removed from these layers. With granularity
    ``channel`` that holds for all or some of a layer's outputs; its inputs can still be removed
    with the channels that they read.

    Args:
        prune: the granularity.
        network: a network of the same architecture.
        units, reasons: from `traced_units`.
    """
    granularity = prune.granularity
    if units is None:
        return {}
    kinds = {name: one.kind for name, one in covered_weights(network).items()}
    if granularity == "channel":
        return {name: reasons[name] for name in kinds if name in reasons}
    whole = without_units(granularity, kinds)
    return {
        name: reasons.get(name)
        or whole.get(name)
        or f"a {granularity} is {GRANULARITIES.get(granularity, 'a tile')}"
        for name in kinds
        if name not in units.labels
    }


@lru_cache(maxsize=4)
def _units(
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    granularity: str,
    fractions: tuple[tuple[str, float], ...],
    coverage: tuple[tuple[str, ...], tuple[str, ...]],
) -> tuple[Units | None, Mapping[str, str]]:
    also, leave_out = coverage
    prune = PruneConfig(
        granularity=granularity, fractions=dict(fractions), also=also, leave_out=leave_out
    )
    network = make_network(name, input_shape, classes, prune)
    if granularity == "channel":
        coupling = network_coupling(network, input_shape)
        return network_units(prune, network, input_shape, coupling=coupling), coupling.left_out
    with _global_generator:  # which a network of anybody's may draw from
        outputs = network_outputs(network, input_shape)
    units = network_units(prune, network, input_shape, outputs=outputs)
    anyhow = network_units(PruneConfig(granularity=granularity), network, input_shape, outputs=())
    assert anyhow is not None, "not single weights"
    return units, {name: outputs[name] for name in outputs if name in anyhow.labels}
