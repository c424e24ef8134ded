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
    tie_parameters,
    without_units,
)
from lottery.data import Dataset
from lottery.experiments.config import ExperimentConfig
from lottery.models import INITIALIZATIONS, build_model
from lottery.rng import Streams
from lottery.tickets import PruneConfig, network_coupling, network_units

# Held while torch's global generator is not as its owner left it.
_global_generator = threading.Lock()
# Held while channels are traced, so that of jobs that need them at once only one does it.
_tracing = threading.Lock()


def make_model(config: ExperimentConfig, data: Dataset) -> nn.Module:
    """The experiment's network; its weights are not yet those of any replicate."""
    return _built(config.model, data.input_shape, data.classes)


def initialized(
    config: ExperimentConfig, data: Dataset, streams: Streams, *purpose: str | int
) -> nn.Module:
    """The experiment's network with weights drawn from the stream with this name."""
    model = make_model(config, data)
    INITIALIZATIONS[config.initialization](model, streams.generator(*purpose))
    return model


def experiment_units(config: ExperimentConfig, data: Dataset) -> Units | None:
    """What the experiment removes as one; None for single weights.

    Coupled channels take a while to trace: that is done once in a process for each network
    with its exceptions.

    Raises:
        UsageError: the network has no such units, a fraction is that of none, or what is coupled in
            the network cannot be traced.
        MissingPackageError: coupled channels need the package torch-pruning.
    """
    if config.prune.granularity == "channel":
        return _traced(config, data)[0]
    return network_units(config.prune, make_model(config, data), data.input_shape)


def left_out(config: ExperimentConfig, data: Dataset) -> dict[str, str]:
    """Prunable weights that no unit of the experiment has as its own: parameter name -> why not.

    Densities are shares of the units there are, so these layers stay as wide as they are. With
    granularity ``channel`` it is a layer's outputs that are meant, all or some: its inputs can
    still go with the channels that they read.

    Raises:
        UsageError, MissingPackageError: as `experiment_units`.
    """
    granularity, units = config.prune.granularity, experiment_units(config, data)
    if units is None:
        return {}
    kinds = {n: one.kind for n, one in covered_weights(make_model(config, data)).items()}
    if granularity == "channel":
        reasons = _traced(config, data)[1]
        return {name: reasons[name] for name in kinds if name in reasons}
    whole = without_units(granularity, kinds)
    return {
        name: whole.get(name) or f"a {granularity} is {GRANULARITIES[granularity]}"
        for name in kinds
        if name not in units.labels
    }


def coverage(config: ExperimentConfig, data: Dataset) -> tuple[int, tuple[OutsideMask, ...]]:
    """How many weights the experiment's masks cover, and which matrices they do not."""
    model = make_model(config, data)
    covered = sum(weight.numel() for weight in prunable_weights(model).values())
    return covered, outside_mask(model)


def _traced(config: ExperimentConfig, data: Dataset) -> tuple[Units | None, Mapping[str, str]]:
    """Coupled channels, and what is left out of them."""
    fractions = tuple(sorted(config.prune.fractions.items()))
    with _tracing:
        return _channels(config.model, data.input_shape, data.classes, fractions)


@lru_cache(maxsize=4)
def _channels(
    model: str,
    input_shape: tuple[int, ...],
    classes: int,
    fractions: tuple[tuple[str, float], ...],
) -> tuple[Units | None, Mapping[str, str]]:
    network = _built(model, input_shape, classes)
    coupling = network_coupling(network, input_shape)
    channels = PruneConfig(granularity="channel", fractions=dict(fractions))
    return network_units(channels, network, input_shape, coupling), coupling.left_out


def _built(model: str, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    # torch draws default weights from its global generator, which is not ours to move. Two threads
    # that do this at once could each put back what the other has drawn from.
    with _global_generator, torch.random.fork_rng(devices=[]):
        network = build_model(model, input_shape, classes)
    tie_parameters(network)
    return network
