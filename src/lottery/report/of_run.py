"""The report of a run on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lottery.analysis import judge_run
from lottery.analysis.measured import as_dense, dense_key
from lottery.core import Mask, prunable_weights
from lottery.experiments import Run, open_run, to_plain
from lottery.inside import ANALYSES, Measurement
from lottery.inside.analysis import kept_measurement
from lottery.models import build_model, check_model, is_outside
from lottery.report.data import ReportData
from lottery.report.page import render
from lottery.report.pixels import input_pixels, mask_picture
from lottery.report.weights import weight_counts
from lottery.store import MAIN, JobKey
from lottery.store.commit import write_file


def write_report(run: Path | Run, target: Path) -> Path:
    """Write the report of a run, or of its directory, and return where it is.

    Raises:
        StoreError: a file of the run is damaged, or the report cannot be written.
    """
    opened = run if isinstance(run, Run) else open_run(run)
    write_file(target, render(report_data(opened)).encode())
    return target


def report_data(run: Run) -> ReportData:
    """Gather what the report shows from a run's files.

    One job's tensors are held at a time, however many there are.
    """
    experiment = run.experiment
    about = experiment.get("data", {})
    variant = about.get("variant")
    verdict = judge_run(run)
    tickets = sorted(key for key in run.results if key.branch == MAIN)
    layers = _layers(run)
    pixels, masks, masks_are = _first_layer(run, tickets, layers)
    level = verdict.level or max((key.level for key in tickets), default=0)
    return ReportData(
        verdict=verdict,
        results=as_dense(run.judged.values(), verdict.dense_kind),
        curves={
            key: run.store.curve(of)
            for of in run.judged
            if (key := dense_key(of, verdict.dense_kind))
        },
        layers=layers,
        pixels=pixels,
        masks=masks,
        masks_are=masks_are,
        weights=weight_counts(run, [key for key in tickets if key.level == level], layers),
        weights_density=next((lv.density for lv in verdict.levels if lv.level == level), 1.0),
        inside=_inside(run),
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


def _inside(run: Run) -> dict[str, Measurement]:
    """What analyses found that were made before."""
    found = {name: kept_measurement(run, name) for name in ANALYSES}
    return {name: one for name, one in found.items() if one is not None}


def kept(run: Run, key: JobKey) -> Mask:
    """What a ticket keeps, at the end of its training where that changes it."""
    moved = run.facts.mask_updates != "none"
    return run.store.final_mask(key) if moved else run.store.ticket(key).mask


def _layers(run: Run) -> tuple[str, ...]:
    """Names of prunable weights from input to output; empty where the network is from elsewhere.

    A run may come from elsewhere, and looking at it runs no code that it names.
    """
    model, shape, classes = run.facts.model, run.facts.input_shape, run.facts.classes
    if model is None or shape is None or classes is None or is_outside(model) or check_model(model):
        return ()
    # Only the names are needed, so no memory is given to the weights, however many there are.
    with torch.device("meta"):
        network = build_model(model, shape, classes)
    prune = run.config.prune
    return tuple(prunable_weights(network, also=prune.also, leave_out=prune.leave_out))


def _first_layer(
    run: Run, tickets: Sequence[JobKey], layers: Sequence[str]
) -> tuple[dict[int, NDArray[np.float64]], dict[int, NDArray[np.float64]], str]:
    """Level -> share kept at each input pixel, level -> the first replicate's mask, and what it is.

    Where the order of layers is not known, the first is the one whose shape reads the input.
    """
    shape = run.facts.input_shape
    if shape is None:
        return {}, {}, ""
    pixels: dict[int, list[NDArray[np.float64]]] = {}
    masks: dict[int, NDArray[np.float64]] = {}
    masks_are = ""
    for key in tickets:
        mask = kept(run, key)
        name = next((name for name in layers or mask if layers or _reads(mask[name], shape)), "")
        if name not in mask:
            continue
        share = input_pixels(mask[name], shape)
        if share is not None:
            pixels.setdefault(key.level, []).append(share)
        picture = mask_picture(mask[name])
        if picture is not None and key.replicate == tickets[0].replicate:
            masks[key.level], masks_are = picture
    means = {level: np.mean(found, axis=0) for level, found in sorted(pixels.items())}
    return means, masks, masks_are


def _reads(weight: torch.Tensor, shape: Sequence[int]) -> bool:
    """Whether a layer of such a weight can be the one that reads the input."""
    inputs = shape[:1] if weight.ndim > 2 else shape
    return weight.ndim > 1 and weight.shape[1] == np.prod(inputs)
