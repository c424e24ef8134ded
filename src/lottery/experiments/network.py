"""The network of an experiment, and what of it goes as one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import nn

from lottery.core import (
    GRANULARITIES,
    OutsideMask,
    Units,
    covered_weights,
    outside_mask,
    prunable_weights,
    set_coverage,
    tie_parameters,
    without_units,
)
from lottery.data import Dataset
from lottery.experiments.config import ExperimentConfig
from lottery.models import INITIALIZATIONS, build_model
from lottery.rng import Streams
from lottery.tickets import PruneConfig, network_coupling, network_outputs, network_units

# Held while torch's global generator is not as its owner left it.
_global_generator = threading.Lock()
# Held while channels are traced, so that of jobs that need them at once only one does it.
_tracing = threading.Lock()


def make_model(config: ExperimentConfig, data: Dataset) -> nn.Module:
    """The experiment's network; its weights are not yet those of any replicate.

    It knows what the experiment's masks cover, see `lottery.core.set_coverage`.
    """
    return _built(config.model, data.input_shape, data.classes, config.prune)


def initialized(
    config: ExperimentConfig, data: Dataset, streams: Streams, *purpose: str | int
) -> nn.Module:
    """The experiment's network with weights drawn from the stream with this name."""
    model = make_model(config, data)
    INITIALIZATIONS[config.initialization](model, streams.generator(*purpose))
    return model


def experiment_units(config: ExperimentConfig, data: Dataset) -> Units | None:
    """What the experiment removes as one; None for single weights.

    Coupled channels and the network's outputs take a while to trace: that is done once in a process
    for each network with its exceptions.

    Raises:
        UsageError: the network has no such units, a fraction is that of none, or what is coupled in
            the network, or makes its outputs, cannot be traced.
        MissingPackageError: coupled channels need the package torch-pruning.
    """
    return _traced(config, data)[0]


def left_out(config: ExperimentConfig, data: Dataset) -> dict[str, str]:
    """Prunable weights that no unit of the experiment has as its own: parameter name -> why not.

    Densities are shares of the units there are, so these layers stay as wide as they are. With
    granularity ``channel`` it is a layer's outputs that are meant, all or some: its inputs can
    still go with the channels that they read.

    Raises:
        UsageError, MissingPackageError: as `experiment_units`.
    """
    granularity, (units, reasons) = config.prune.granularity, _traced(config, data)
    if units is None:
        return {}
    kinds = {n: one.kind for n, one in covered_weights(make_model(config, data)).items()}
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


def coverage(config: ExperimentConfig, data: Dataset) -> tuple[int, tuple[OutsideMask, ...]]:
    """How many weights the experiment's masks cover, and which matrices they do not."""
    model = make_model(config, data)
    covered = sum(weight.numel() for weight in prunable_weights(model).values())
    return covered, outside_mask(model)


def _traced(config: ExperimentConfig, data: Dataset) -> tuple[Units | None, Mapping[str, str]]:
    """What is removed as one, and why layers have no part in it."""
    prune = config.prune
    if prune.granularity == "weight":
        return None, {}
    fractions = tuple(sorted(prune.fractions.items()))
    with _tracing:
        return _units(
            config.model,
            data.input_shape,
            data.classes,
            prune.granularity,
            fractions,
            (prune.also, prune.leave_out),
        )


@lru_cache(maxsize=4)
def _units(
    model: str,
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
    network = _built(model, input_shape, classes, prune)
    if granularity == "channel":
        coupling = network_coupling(network, input_shape)
        return network_units(prune, network, input_shape, coupling=coupling), coupling.left_out
    with _global_generator:  # which a network of anybody's may draw from
        outputs = network_outputs(network, input_shape)
    units = network_units(prune, network, input_shape, outputs=outputs)
    anyhow = network_units(PruneConfig(granularity=granularity), network, input_shape, outputs=())
    assert anyhow is not None, "not single weights"
    return units, {name: outputs[name] for name in outputs if name in anyhow.labels}


def _built(model: str, input_shape: tuple[int, ...], classes: int, prune: PruneConfig) -> nn.Module:
    # torch draws default weights from its global generator, which is not ours to move. Two threads
    # that do this at once could each put back what the other has drawn from.
    with _global_generator, torch.random.fork_rng(devices=[]):
        network = build_model(model, input_shape, classes)
    tie_parameters(network)
    set_coverage(network, also=prune.also, leave_out=prune.leave_out)
    return network
