"""``lottery run --dry-run``: what an experiment would take."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

import typer

from lottery.analysis import reachable
from lottery.analysis.phrases import joined
from lottery.cli.pace import duration
from lottery.cli.progress import left_out_words, log_heard
from lottery.cli.tables import print_table
from lottery.data import Dataset, load_dataset
from lottery.experiments import (
    Estimate,
    ExperimentConfig,
    Listener,
    RunOptions,
    branches,
    check_against_data,
    estimate,
    experiment_units,
    left_out,
    plan,
    planned_at_most,
    planned_iterations,
    run_name,
    worker_count,
)
from lottery.training import resolve_device


class _Tells(Listener):
    def preparing(self, message: str) -> None:
        typer.echo(message, err=True)


def print_dry_run(config: ExperimentConfig, options: RunOptions, *, as_json: bool) -> None:
    """Measure briefly and print the plan; nothing is written."""
    data = load_dataset(config.data, data_dir=options.data_dir)
    check_against_data(config, data)
    device = resolve_device(options.device)
    listener = Listener() if as_json else _Tells()
    with log_heard(listener):
        found = estimate(
            config,
            data,
            device=device.type,
            engine=options.engine,
            workers=worker_count(options.jobs, device.type),
            listener=listener,
        )
    units, reasons = experiment_units(config, data), left_out(config, data)
    power = reachable(config.replicates, config.levels, config.verdict.confidence)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "run": run_name(config),
                    "jobs": [
                        {
                            **asdict(job),
                            "density": found.densities[job.level],
                            "iterations": planned_iterations(job, config, data),
                        }
                        for job in plan(config)
                    ],
                    "units": None if units is None else units.count,
                    "left_out": reasons,
                    "estimate": asdict(found),
                    "significance": asdict(power) | {"sentence": power.sentence},
                },
                indent=2,
            )
        )
        return
    _print(config, options, found, _trainings(config, data), device.type)
    if units is not None and reasons:
        words = left_out_words(config.prune.granularity, units.count, reasons)
        typer.echo(f"{words[0].upper()}{words[1:]}.")
    typer.echo(power.sentence)


def _trainings(config: ExperimentConfig, data: Dataset) -> str:
    """How many trainings there are of each length, in words."""
    counts = Counter(
        (planned_iterations(job, config, data), planned_at_most(job, config))
        for job in plan(config)
    )
    told = [
        f"{count:,} of {'at most ' if most else ''}{iterations:,} iterations"
        for (iterations, most), count in counts.items()
    ]
    if len(told) == 1:
        return f"{told[0].replace(' of ', ' trainings of ')} each"
    return f"{counts.total():,} trainings, {joined(told)}"


def _print(
    config: ExperimentConfig, options: RunOptions, found: Estimate, trainings: str, device: str
) -> None:
    replicates = "0" if config.replicates == 1 else f"0 to {config.replicates - 1}"
    print_table(
        [
            {
                "level": str(level),
                "density": f"{density:.2%}",
                "branches, each a training": ", ".join(["main", *controls]),
                "replicates": replicates,
                "trainings": config.replicates * (1 + len(controls)),
                "a ticket about": duration(seconds),
            }
            for level, (density, seconds) in enumerate(
                zip(found.densities, found.seconds_per_level, strict=True)
            )
            for controls in [branches(config) if level else ()]
        ],
        title=f"{options.out / run_name(config)}",
    )
    typer.echo(
        f"{trainings}; "
        f"about {duration(found.seconds)} in all, {found.workers} at once, "
        f"with engine {found.engine} on {device}: measured "
        f"{found.seconds_per_step * 1e3:.2f} ms a step and "
        f"{found.seconds_per_evaluation * 1e3:.0f} ms an evaluation of the dense network."
    )
    for engine, reason in found.passed_over.items():
        typer.echo(f"Not with engine {engine}, which would be faster: {reason}.")
    typer.echo(f"Disk: about {found.bytes_on_disk / 1e6:,.0f} MB.")
