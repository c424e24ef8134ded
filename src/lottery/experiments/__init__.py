"""Experiments: configs, recipes, the plan and running it."""

from lottery.experiments.cautions import cautions
from lottery.experiments.config import (
    SCHEMA,
    ExperimentConfig,
    VerdictConfig,
    config_hash,
    differences,
    run_name,
    to_plain,
)
from lottery.experiments.estimate import Estimate, estimate
from lottery.experiments.lengths import planned_at_most, planned_iterations
from lottery.experiments.listener import Listener
from lottery.experiments.loading import load_config, merge
from lottery.experiments.network import coverage, experiment_units, left_out
from lottery.experiments.plan import branches, never_run, plan
from lottery.experiments.reading import Run, find_run, list_runs, open_run, verify_run
from lottery.experiments.recipes import RECIPE_ENTRIES, RECIPES, Recipe, RecipeEntry
from lottery.experiments.run import (
    RunOptions,
    RunSummary,
    check_against_data,
    run_experiment,
    worker_count,
)
from lottery.experiments.smoke import smoke
from lottery.experiments.standing import Begun, begun
from lottery.experiments.stopping import StopRequest
from lottery.experiments.toml import parse_override, read_toml

__all__ = [
    "RECIPES",
    "RECIPE_ENTRIES",
    "SCHEMA",
    "Begun",
    "Estimate",
    "ExperimentConfig",
    "Listener",
    "Recipe",
    "RecipeEntry",
    "Run",
    "RunOptions",
    "RunSummary",
    "StopRequest",
    "VerdictConfig",
    "begun",
    "branches",
    "cautions",
    "check_against_data",
    "config_hash",
    "coverage",
    "differences",
    "estimate",
    "experiment_units",
    "find_run",
    "left_out",
    "list_runs",
    "load_config",
    "merge",
    "never_run",
    "open_run",
    "parse_override",
    "plan",
    "planned_at_most",
    "planned_iterations",
    "read_toml",
    "run_experiment",
    "run_name",
    "smoke",
    "to_plain",
    "verify_run",
    "worker_count",
]
