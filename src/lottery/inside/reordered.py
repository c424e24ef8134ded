"""Adding copies of a run's trainings that see their examples in another order."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import replace

from lottery.errors import UsageError
from lottery.experiments import (
    ConnectivityConfig,
    ExperimentConfig,
    Listener,
    Run,
    RunOptions,
    open_run,
    plan,
    run_experiment,
    run_name,
)
from lottery.experiments.config import stops_early
from lottery.inside.subject import check_trusted
from lottery.store.jobs import REORDERED


def missing_copies(
    run: Run, at: Collection[int], levels: Collection[int] | None
) -> ExperimentConfig | None:
    """The run's config with the copies that it lacks; None where it has them all.

    Args:
        run: finished or not.
        at: the iterations from which copies see another order.
        levels: the levels to copy; None: all.

    Raises:
        UsageError: there is no such iteration or level, the run is of a loop of the user's own, or
            its directory has another name than such a run would have.
    """
    wanted = ConnectivityConfig(at={str(since): tuple(levels or ()) for since in at})
    fits = wanted.schema_problems(run.config.levels, stopped=stops_early(run.config))
    for problem in wanted.problems() + fits:
        raise UsageError(f"connectivity: {problem}")
    whole = replace(run.config, connectivity=run.config.connectivity.joined(wanted))
    asked = plan(replace(run.config, connectivity=wanted))
    if all(key in run.results for key in asked if key.kind == REORDERED):
        return None
    if not isinstance(whole, ExperimentConfig):
        raise UsageError(
            f"{run.name} is of a loop of your own: its copies are trained by the script that has "
            'its functions, with find_tickets(..., connectivity=ConnectivityConfig(at={"0": ()})); '
            "--no-train uses what is there"
        )
    if run_name(whole) != run.name:
        raise UsageError(
            f"{run.store.path}: a run of this config grows in a directory {run_name(whole)}; "
            "call it so, or use what is there with --no-train"
        )
    return whole


def train_copies(
    run: Run,
    at: Collection[int],
    levels: Collection[int] | None,
    options: RunOptions,
    *,
    code: bool = False,
    listener: Listener | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Train the copies that a run lacks, by `run_experiment`.

    Args:
        run: on disk.
        at: the iterations from which copies see another order.
        levels: the levels to copy; None: all.
        options: as for `run_experiment`, but for ``out``: the run stays where it is.
        code: whether code that the run's config names may run.
        listener: told of the progress.
        stop: set it to stop; the same call continues later.

    Returns:
        The run with its copies.

    Raises:
        UsageError: as in `missing_copies`, or code may not run.
        Preempted: ``stop`` was set.
    """
    config = missing_copies(run, at, levels)
    if config is None:
        return run
    check_trusted(run, config, code=code)
    here = replace(options, out=run.store.path.parent)
    run_experiment(config, here, listener=listener, stop=stop)
    return open_run(run.store.path)
