"""Find winning tickets: sparse subnetworks that train as well as the dense network.

The names below are the library's front door; each subpackage's ``__all__`` has the rest. They are
imported when first used, so that the command line starts without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lottery.analysis import Verdict, judge_run
    from lottery.core import Mask, allocate, prunable_weights, select
    from lottery.data import DataConfig, Dataset, Split, as_dataset, load_dataset
    from lottery.errors import LotteryError
    from lottery.experiments import (
        RECIPES,
        ExperimentConfig,
        RunOptions,
        find_tickets,
        load_config,
        open_run,
        run_experiment,
    )
    from lottery.holding import Hold, hold
    from lottery.models import build_model
    from lottery.pieces import density, prune, reinitialize, rewind
    from lottery.report import write_report
    from lottery.rng import Streams
    from lottery.score import Score
    from lottery.tickets import PruneConfig, Ticket, prune_mask
    from lottery.training import NullMonitor, TrainingConfig, TrainingJob, make_engine

_HOME = {
    "analysis": ("Verdict", "judge_run"),
    "core": ("Mask", "allocate", "prunable_weights", "select"),
    "data": ("DataConfig", "Dataset", "Split", "as_dataset", "load_dataset"),
    "errors": ("LotteryError",),
    "experiments": (
        "RECIPES",
        "ExperimentConfig",
        "RunOptions",
        "find_tickets",
        "load_config",
        "open_run",
        "run_experiment",
    ),
    "holding": ("Hold", "hold"),
    "models": ("build_model",),
    "pieces": ("density", "prune", "reinitialize", "rewind"),
    "report": ("write_report",),
    "rng": ("Streams",),
    "score": ("Score",),
    "tickets": ("PruneConfig", "Ticket", "prune_mask"),
    "training": ("NullMonitor", "TrainingConfig", "TrainingJob", "make_engine"),
}

__all__ = [
    "RECIPES",
    "DataConfig",
    "Dataset",
    "ExperimentConfig",
    "Hold",
    "LotteryError",
    "Mask",
    "NullMonitor",
    "PruneConfig",
    "RunOptions",
    "Score",
    "Split",
    "Streams",
    "Ticket",
    "TrainingConfig",
    "TrainingJob",
    "Verdict",
    "allocate",
    "as_dataset",
    "build_model",
    "density",
    "find_tickets",
    "hold",
    "judge_run",
    "load_config",
    "load_dataset",
    "make_engine",
    "open_run",
    "prunable_weights",
    "prune",
    "prune_mask",
    "reinitialize",
    "rewind",
    "run_experiment",
    "select",
    "write_report",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"lottery.{module}"), name)
    raise AttributeError(f"module 'lottery' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
