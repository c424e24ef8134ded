"""The report of a run on disk."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lottery.analysis import judge
from lottery.analysis.evidence import evidence_of
from lottery.analysis.measured import as_dense, dense_key
from lottery.core import prunable_weights
from lottery.errors import LotteryError
from lottery.experiments import Run, open_run, to_plain
from lottery.inside import ANALYSES, Measurement, Subject, analyse
from lottery.inside.analysis import kept_measurement
from lottery.inside.paths import built_in_network
from lottery.inside.subject import Progress
from lottery.report.data import FirstLayer, ReportData, Shares
from lottery.report.page import render
from lottery.report.pixels import SMALL_SIDE, block_side, input_pixels, mask_picture
from lottery.report.weights import weight_counts
from lottery.store import MAIN, JobKey
from lottery.store.commit import write_file

MOST_WEIGHTS = 100_000_000
"""Up to so many weights in all trainings together, a report makes analyses that only read files."""


def write_report(run: Path | Run, target: Path, *, progress: Progress = lambda _: None) -> Path:
    """Write the report of a run, or of its directory, and return where it is.

    Args:
        run: finished or not.
        target: the file to write; it is replaced.
        progress: called with what is being done.

    Raises:
        StoreError: a file of the run is damaged, or the report cannot be written.
    """
    opened = run if isinstance(run, Run) else open_run(run)
    write_file(target, render(report_data(opened, progress)).encode())
    return target


def report_data(run: Run, progress: Progress = lambda _: None) -> ReportData:
    """Read from a run's files what the report shows.

    Only one job's tensors are in memory at a time.

    Raises:
        StoreError: a file of the run is damaged.
    """
    experiment = run.experiment
    about = experiment.get("data", {})
    variant = about.get("variant")
    progress("reading results")
    evidence = evidence_of(run)
    verdict = judge(evidence)
    tickets = sorted(key for key in run.results if key.branch == MAIN)
    layers = _layers(run)
    first = _first_layers(run, tickets, layers)
    level = verdict.level or max((key.level for key in tickets), default=0)
    return ReportData(
        verdict=verdict,
        results=as_dense(run.judged.values(), verdict.dense_kind),
        curves={
            key: curve
            for of, curve in evidence.curves.items()
            if (key := dense_key(of, verdict.dense_kind))
        },
        layers=layers,
        pixels=first.mean_pixels,
        masks=first.masks,
        masks_are=first.masks_are,
        masks_block=first.masks_block,
        first_layers=first.each,
        inside=_inside(run, progress),
        weights=weight_counts(run, [key for key in tickets if key.level == level], layers),
        weights_density=next((lv.density for lv in verdict.levels if lv.level == level), 1.0),
        config=to_plain(run.config),
        environment={
            **experiment["environment"],
            "begun": experiment["begun"],
            **({"data": str(variant)} if variant else {}),
        },
        command=experiment["command"],
        date=str(experiment["begun"]),
        hashes={
            "config": experiment["config_sha256"],
            **({"data": about["sha256"]} if "sha256" in about else {}),
        },
    )


def _layers(run: Run) -> tuple[str, ...]:
    """Names of prunable weights from input to output; empty where the network is from elsewhere."""
    network = built_in_network(run)
    if network is None:
        return ()
    prune = run.config.prune
    return tuple(prunable_weights(network, also=prune.also, leave_out=prune.leave_out))


@dataclass(kw_only=True)
class _FirstLayers:
    """What tickets keep of the layer that reads the input."""

    pixels: dict[int, list[Shares]] = field(default_factory=dict)
    """Level -> share kept at each input pixel, of each replicate."""
    masks: dict[int, Shares] = field(default_factory=dict)
    """Level -> the first replicate's mask."""
    masks_are: str = ""
    masks_block: int = 1
    each: dict[tuple[int, int], FirstLayer] = field(default_factory=dict)

    @property
    def mean_pixels(self) -> dict[int, Shares]:
        """Level -> share kept at each input pixel, mean over replicates."""
        return {level: np.mean(found, axis=0) for level, found in sorted(self.pixels.items())}


def _first_layers(run: Run, tickets: Sequence[JobKey], layers: Sequence[str]) -> _FirstLayers:
    """Where the order of layers is not known, the first is the one whose shape reads the input."""
    shape, found = run.facts.input_shape, _FirstLayers()
    if shape is None:
        return found
    looked_at = Subject(run=run, levels=(), replicates=())
    for key in tickets:
        mask = looked_at.mask(key)
        name = next((name for name in layers or mask if layers or _reads(mask[name], shape)), "")
        if name not in mask:
            continue
        kept = mask[name]
        share, small = input_pixels(kept, shape), mask_picture(kept, SMALL_SIDE)
        if share is not None:
            found.pixels.setdefault(key.level, []).append(share)
        if key.replicate == tickets[0].replicate and (picture := mask_picture(kept)):
            found.masks[key.level], found.masks_are = picture
            found.masks_block = block_side(kept.shape) if picture[1] == "matrix" else 1
        if key.level and small is not None:
            found.each[key.level, key.replicate] = FirstLayer(
                mask=small[0], pixels=share, block=block_side(kept.shape, SMALL_SIDE)
            )
    return found


def _inside(run: Run, progress: Progress) -> dict[str, Measurement]:
    """What analyses found: those that read files alone are made, unless that takes too long."""
    small = sum(result.weights_total for result in run.results.values()) <= MOST_WEIGHTS
    found = {}
    for name, analysis in ANALYSES.items():
        measured = kept_measurement(run, analysis)
        if analysis.read and small:
            # A file that is damaged, or that cannot be written, costs no more than the figure.
            with suppress(LotteryError):
                measured = analyse(run, analysis, progress=progress)
        if measured is not None:
            found[name] = measured
    return found


def _reads(weight: torch.Tensor, shape: Sequence[int]) -> bool:
    """Whether a layer of such a weight can be the one that reads the input."""
    inputs = shape[:1] if weight.ndim > 2 else shape
    return weight.ndim > 1 and weight.shape[1] == np.prod(inputs)
