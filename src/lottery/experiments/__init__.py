"""Experiments: configs, recipes, the plan of jobs, and running it."""

from lottery.experiments.checks import check_against_data
from lottery.experiments.config import (
    SCHEMA,
    ExperimentConfig,
    OwnConfig,
    PlanConfig,
    VerdictConfig,
    config_hash,
    differences,
    run_name,
    to_plain,
)
from lottery.experiments.config_warnings import config_warnings
from lottery.experiments.connectivity import ConnectivityConfig
from lottery.experiments.estimate import Estimate, estimate
from lottery.experiments.experiment import Experiment
from lottery.experiments.lengths import planned_at_most, planned_span
from lottery.experiments.listener import Listener, Listeners
from lottery.experiments.loading import load_config, merge
from lottery.experiments.own import find_tickets
from lottery.experiments.plan import branches, never_run, plan
from lottery.experiments.reading import Run, find_run, list_runs, open_run, verify_run
from lottery.experiments.recipes import RECIPE_ENTRIES, RECIPES, Recipe, RecipeEntry
from lottery.experiments.record import run_directory
from lottery.experiments.run import RunOptions, RunSummary, bind, run_experiment, worker_count
from lottery.experiments.runner import reusable_jobs
from lottery.experiments.smoke import smoke
from lottery.experiments.stopping import StopRequest
from lottery.experiments.task_facts import TaskFacts, task_facts
from lottery.experiments.toml import parse_override, read_toml
from lottery.experiments.transfer import Transfer, prepare_transfer
from lottery.experiments.unfinished import UnfinishedTraining, unfinished_trainings

__all__ = [
    "RECIPES",
    "RECIPE_ENTRIES",
    "SCHEMA",
    "ConnectivityConfig",
    "Estimate",
    "Experiment",
    "ExperimentConfig",
    "Listener",
    "Listeners",
    "OwnConfig",
    "PlanConfig",
    "Recipe",
    "RecipeEntry",
    "Run",
    "RunOptions",
    "RunSummary",
    "StopRequest",
    "TaskFacts",
    "Transfer",
    "UnfinishedTraining",
    "VerdictConfig",
    "bind",
    "branches",
    "check_against_data",
    "config_hash",
    "config_warnings",
    "differences",
    "estimate",
    "find_run",
    "find_tickets",
    "list_runs",
    "load_config",
    "merge",
    "never_run",
    "open_run",
    "parse_override",
    "plan",
    "planned_at_most",
    "planned_span",
    "prepare_transfer",
    "read_toml",
    "reusable_jobs",
    "run_directory",
    "run_experiment",
    "run_name",
    "smoke",
    "task_facts",
    "to_plain",
    "unfinished_trainings",
    "verify_run",
    "worker_count",
]
