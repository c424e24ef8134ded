"""The report of a run on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lottery.analysis import judge_run
from lottery.core import prunable_weights
from lottery.experiments import Run, open_run, to_plain
from lottery.models import build_model, check_model, is_outside
from lottery.report.data import ReportData
from lottery.report.page import render
from lottery.report.pixels import input_pixels
from lottery.store import MAIN
from lottery.store.commit import write_file


def write_report(run: Path, target: Path) -> Path:
    """Write a run's report and return where it is.

    Raises:
        StoreError: a file of the run is damaged, or the report cannot be written.
    """
    write_file(target, render(report_data(open_run(run))).encode())
    return target


def report_data(run: Run) -> ReportData:
    """Gather what the report shows from a run's files."""
    experiment = run.experiment
    variant = experiment["data"].get("variant")
    return ReportData(
        verdict=judge_run(run),
        results=list(run.results.values()),
        curves={key: run.store.curve(key) for key in run.results},
        pixels=_pixels(run),
        config=to_plain(run.config),
        environment={
            **experiment["environment"],
            "begun": experiment["begun"],
            **({"data": str(variant)} if variant else {}),
        },
        command=experiment["command"],
        hashes={
            "config": experiment["config_sha256"],
            "data": experiment["data"]["sha256"],
        },
    )


def _pixels(run: Run) -> dict[int, NDArray[np.floating[Any]]]:
    """Level -> share of the first layer's weights kept at each pixel, mean over replicates."""
    if is_outside(run.config.model) or check_model(run.config.model):
        # A run may come from elsewhere, and looking at it runs no code that it names; or from
        # before a network was renamed.
        return {}
    found: dict[int, list[NDArray[np.float64]]] = {}
    data = run.experiment["data"]
    shape, classes = data["input_shape"], data["classes"]
    # Only the names are needed, so no memory is given to the weights, however many there are.
    with torch.device("meta"):
        first = next(iter(prunable_weights(build_model(run.config.model, shape, classes))))
    for key in run.results:
        if key.branch != MAIN:
            continue
        moved = run.config.training.mask_updates.active
        mask = run.store.final_mask(key) if moved else run.store.ticket(key).mask
        picture = input_pixels(mask[first], shape) if first in mask else None
        if picture is not None:
            found.setdefault(key.level, []).append(picture)
    return {level: np.mean(pictures, axis=0) for level, pictures in sorted(found.items())}
