"""``lottery run --dry-run``: what an experiment would take."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from lottery.analysis import judge_run, reachable
from lottery.analysis.formatting import joined
from lottery.analysis.reach import reach_in_units, scatter
from lottery.cli.output import echo
from lottery.cli.pace import duration
from lottery.cli.progress import describe_left_out, describe_outside_mask, forward_log
from lottery.cli.tables import print_table
from lottery.data import Dataset, NotHereError, data_notes, load_dataset, placeholder_dataset
from lottery.errors import LotteryError
from lottery.experiments import (
    Estimate,
    Experiment,
    ExperimentConfig,
    Listener,
    RunOptions,
    bind,
    branches,
    check_against_data,
    config_warnings,
    estimate,
    list_runs,
    open_run,
    plan,
    planned_at_most,
    planned_span,
    reusable_jobs,
    run_directory,
    worker_count,
)
from lottery.experiments.plan import needs, searches
from lottery.experiments.reading import read_config
from lottery.experiments.task_facts import task_score
from lottery.store import JobKey, Store
from lottery.tasks.supervised import Supervised
from lottery.training import resolve_device


class _Tells(Listener):
    def preparing(self, message: str) -> None:
        echo(message, err=True)


def print_dry_run(config: ExperimentConfig, options: RunOptions, *, as_json: bool) -> None:
    """Measure briefly and print the plan; nothing is written, and no dataset downloaded.

    Without its data an experiment is planned all the same, if their shape and number are known;
    then nothing is measured.
    """
    data, missing = data_at_hand(config, options)
    experiment = bind(config, options, data=data)
    task = experiment.task
    assert isinstance(task, Supervised), "bound to data"
    check_against_data(config, task, experiment.context)
    device = resolve_device(options.device)
    asked, useful = worker_count(options.jobs, device.type), _useful_at_once(config, device.type)
    listener = Listener() if as_json else _Tells()
    with forward_log(listener):
        found = estimate(
            experiment,
            workers=min(asked, useful),
            listener=listener,
            timed=not missing,
        )
    notes = [*config_warnings(config), *([] if missing else data_notes(data))]
    if options.jobs and asked > useful:
        notes.append(f"of {asked:,} trainings at once, {useful:,} are of use here: {_LIMITS}")
    units, reasons = task.units(config.prune), task.left_out(config.prune)
    covered, outside = task.coverage()
    reused = 0 if missing else len(reusable(experiment, options, device.type))
    power = reachable(config.replicates, config.levels, config.verdict.confidence)
    known = _scatter(config, options.out)
    example = reach_in_units(power, task_score(config), *(known or (0.001, "for example")))
    if as_json:
        echo(
            json.dumps(
                {
                    "run": run_directory(options.out, config).name,
                    "jobs": [
                        {
                            **asdict(job),
                            "density": found.densities[job.level],
                            "iterations": _iterations(job, experiment),
                        }
                        for job in plan(config)
                    ],
                    "units": None if units is None else units.count,
                    "left_out": reasons,
                    "data_missing": missing or None,
                    "notes": notes,
                    "reused": reused,
                    "outside_mask": [asdict(one) for one in outside],
                    "estimate": asdict(found),
                    "significance": asdict(power)
                    | {"sentence": power.sentence, "example": example},
                },
                indent=2,
            )
        )
        return
    _print(config, options, found, _trainings(experiment), device.type, reused=reused)
    if missing:
        echo(f"The data are not here yet: {missing}.")
    if reused:
        planned = len(plan(config))
        left = ", so that nothing is left to train" if reused == planned else ""
        echo(f"{reused} of {planned} trainings are there already{left}.")
    for note in notes:
        echo(f"Note: {note}.")
    if outside:
        echo(_sentence(describe_outside_mask(covered, outside)))
    if units is not None and reasons:
        echo(_sentence(describe_left_out(config.prune.granularity, units.count, reasons)))
    for sentence in (power.sentence, example):
        if sentence:
            echo(sentence)


_LIMITS = "each takes a core, and waits for those it is made from"


def _useful_at_once(config: ExperimentConfig, device: str) -> int:
    """How many trainings can go on at once, each as soon as those it needs have ended."""
    rounds: dict[JobKey, int] = {}
    for job in plan(config):
        rounds[job] = 1 + max((rounds[need] for need in needs(job, config)), default=0)
    widest = max(Counter(rounds.values()).values())
    return min(widest, worker_count(None, device)) if device == "cpu" else widest


def data_at_hand(config: ExperimentConfig, options: RunOptions) -> tuple[Dataset, str]:
    """The data and an empty text, or made-up data and where the real ones were looked for."""
    try:
        return load_dataset(config.data, data_dir=options.data_dir, download=False), ""
    except NotHereError as error:
        return placeholder_dataset(config.data), str(error)


_TRAINING: Final = ("model", "initialization", "data", "training")
"""Settings that two configs have alike where their trainings are."""


def _scatter(config: ExperimentConfig, out: Path) -> tuple[float, str] | None:
    """How tickets vary in the run here of the same training that tells most, and which that is."""
    found = []
    for path in list_runs(out):
        with suppress(LotteryError):
            there = read_config(Store(path))[0]
            if all(getattr(there, name, None) == getattr(config, name) for name in _TRAINING):
                known = scatter(judge_run(open_run(path)))
                found += [(*known, path.name)] if known and known[0] else []
    spread, _, name = max(found, key=lambda one: one[1], default=(0.0, 0, ""))
    return (spread, f"as in {name}") if name else None


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def reusable(experiment: Experiment, options: RunOptions, device: str) -> set[JobKey]:
    """The trainings that need not be done: this run has them, or another one."""
    store = Store(run_directory(options.out, experiment.config))
    here = {key for key in plan(experiment.config) if store.is_finished(key)}
    if not options.reuse:
        return here
    found = reusable_jobs(experiment, store, list_runs(options.out), device)
    return here | {key for key in found if isinstance(key, JobKey)}


def _iterations(job: JobKey, experiment: Experiment) -> int:
    first, last = planned_span(job, experiment) or (0, 0)
    return last - first


def _trainings(experiment: Experiment) -> str:
    """How many trainings there are of each length, in words."""
    config = experiment.config
    assert isinstance(config, ExperimentConfig), "own code has no dry run"
    counts = Counter(
        (_iterations(job, experiment), planned_at_most(job, config)) for job in plan(config)
    )
    told = [
        f"{count:,} of {'at most ' if most else ''}{iterations:,} iterations"
        for (iterations, most), count in counts.items()
    ]
    if len(told) == 1:
        return f"{told[0].replace(' of ', ' trainings of ')} each"
    return f"{counts.total():,} trainings, {joined(told)}"


def _print(
    config: ExperimentConfig,
    options: RunOptions,
    found: Estimate,
    trainings: str,
    device: str,
    *,
    reused: int,
) -> None:
    times = found.seconds_per_level
    replicates = "0" if config.replicates == 1 else f"0 to {config.replicates - 1}"
    print_table(
        [
            {
                "level": str(level),
                "density": f"{density:.2%}",
                "branches": ", ".join(each),
                "replicates": replicates,
                "trainings": config.replicates * len(each),
                "time each": duration(times[level]) if times else "-",
            }
            for level, density in enumerate(found.densities)
            for each in [(*searches(config, level), "main", *branches(config, level))]
        ],
        title=str(run_directory(options.out, config)),
    )
    time = "time not measured"
    if found.seconds is not None:
        time = f"about {duration(found.seconds)} {'for all of them' if reused else 'in all'}"
    echo(
        f"{trainings}; {time}, {found.workers} at once, "
        f"with engine {found.engine} on {device}{_measured(found)}."
    )
    for engine, reason in found.passed_over.items():
        echo(f"Not with engine {engine}, which would be faster: {reason}.")
    echo(f"Disk: about {found.bytes_on_disk / 1e6:,.0f} MB.")


def _measured(found: Estimate) -> str:
    if found.seconds_per_step is None or found.seconds_per_evaluation is None:
        return ""
    return (
        f": measured {found.seconds_per_step * 1e3:.2f} ms a step and "
        f"{found.seconds_per_evaluation * 1e3:.0f} ms an evaluation of the dense network"
    )
