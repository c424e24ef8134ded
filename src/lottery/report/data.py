"""What a report is made from: numbers already read and judged, nothing from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lottery.analysis.types import Verdict
from lottery.store.jobs import JobKey, JobResult
from lottery.training.interface import CurvePoint


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything the page shows. Any of the collections may be empty."""

    verdict: Verdict
    """The judgement; the figures against density and the tables come from it."""
    results: Sequence[JobResult]
    """Every job that ended, in any order."""
    curves: Mapping[JobKey, Sequence[CurvePoint]]
    """The evaluations of each job, as far as they are known."""
    pixels: Mapping[int, Tensor | NDArray[np.floating[Any]]]
    """Level -> share of the first layer's weights kept at each input pixel (height, width), in
    [0, 1], mean over channels and replicates; empty where inputs are not images."""
    config: Mapping[str, Any]
    """The whole config, nested, of plain JSON values."""
    environment: Mapping[str, Any]
    """Versions and hardware, of plain JSON values."""
    command: str
    """What was typed to start the run."""
    hashes: Mapping[str, str]
    """What is hashed (a file, the config) -> its hash."""
