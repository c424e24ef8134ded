"""The data of a report, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lottery.analysis.types import Verdict
from lottery.inside import Measurement
from lottery.store.jobs import JobKey, JobResult
from lottery.training.curve import CurvePoint

Shares = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class WeightCounts:
    """Histograms of the weights of one layer, all replicates together."""

    edges: NDArray[np.float64]
    """Ends of the bins, one more than there are bins."""
    counts: Mapping[str, NDArray[np.int64]]
    """``initial-kept``, ``initial-pruned``, ``trained-kept`` or ``trained-pruned`` -> number of
    weights in each bin; those beyond the first and last edge are not counted."""


@dataclass(frozen=True, kw_only=True)
class FirstLayer:
    """What one ticket keeps of its first layer, as pictures."""

    mask: Shares | None
    """As in `ReportData.masks`, smaller."""
    block: int = 1
    """As in `ReportData.masks_block`."""
    pixels: Shares | None
    """Share kept at each input pixel, as in `ReportData.pixels`."""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything the report shows."""

    verdict: Verdict
    results: Sequence[JobResult]
    curves: Mapping[JobKey, Sequence[CurvePoint]]
    layers: Sequence[str] = ()
    """Names of prunable weights, in the order of the network where it is known."""
    pixels: Mapping[int, Shares] = field(default_factory=dict)
    """Level -> share of the first layer's weights kept at each pixel (height, width), mean over
    replicates; empty where the first layer does not read pixels one by one."""
    masks: Mapping[int, Shares] = field(default_factory=dict)
    """Level -> what the first replicate keeps of its first layer, as one picture."""
    masks_are: str = ""
    """What such a picture is: ``matrix``, ``filters``, or empty where there are none."""
    masks_block: int = 1
    """Weights on each side of the square that a point of such a matrix is the mean over."""
    weights: Mapping[str, WeightCounts] = field(default_factory=dict)
    """Layer -> its weights, as the level that the verdict speaks of keeps or prunes them."""
    weights_density: float = 1.0
    """Density of that level."""
    first_layers: Mapping[tuple[int, int], FirstLayer] = field(default_factory=dict)
    """(Level, replicate) -> what a ticket keeps of its first layer, for levels from 1."""
    inside: Mapping[str, Measurement] = field(default_factory=dict)
    """Analysis -> what it found inside the tickets."""
    config: Mapping[str, Any]
    """The whole config, nested plain values."""
    environment: Mapping[str, Any]
    """Versions and machine."""
    command: str
    hashes: Mapping[str, str]
    """``config``, ``data`` -> SHA-256, hexadecimal."""
    date: str = ""
    """When the run was begun, ISO 8601."""
