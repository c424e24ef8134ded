"""A ticket of a run, with everything in its provenance that its file should say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from lottery.analysis.lookup import answered_level, tests_hypothesis
from lottery.analysis.types import Picked, Verdict
from lottery.analysis.verdict import judge_run
from lottery.errors import UsageError
from lottery.experiments import ExperimentConfig, Run
from lottery.store import MAIN, JobKey
from lottery.tickets import Ticket
from lottery.tickets.rewinding import are_tied

_PICKED: dict[Picked, str] = {
    "confirmed": "the smallest that is confirmed",
    "wins confirmed": "the smallest that {wins} by the tests",
    "means": "the smallest that {wins} on the means",
}


def run_ticket(run: Run, level: int | None = None, replicate: int | None = None) -> Ticket:
    """A ticket of a run; its provenance says where it is from and which score it reached.

    Where training changed the mask, it is the mask at the end of training.

    Args:
        run: finished or not.
        level: which level; None: the sparsest that is confirmed, or else matches. The provenance's
            ``picked`` says in words how it was picked.
        replicate: which replicate; None: the first that has the level. (Taking the best one would
            make tickets look better than they are.)

    Raises:
        UsageError: there is no such ticket.
    """
    verdict = judge_run(run)
    picked = "asked for"
    if level is None:
        level, picked = pick_level(verdict)
    there = sorted(key.replicate for key in run.results if (key.branch, key.level) == (MAIN, level))
    if not there or replicate not in (None, *there):
        raise UsageError(_missing(run, level, replicate, there))
    key = JobKey(there[0] if replicate is None else replicate, MAIN, level)
    ticket = replace(_with_ties(run, key), mask=run.store.final_mask(key))
    about = _of_run(run) | _of_job(run, key) | {"verdict": verdict.headline, "picked": picked}
    known = {name: value for name, value in about.items() if value not in (None, "")}
    density = {"density": ticket.mask.density}
    return replace(ticket, provenance={**ticket.provenance, **known, **density})


def _with_ties(run: Run, key: JobKey) -> Ticket:
    """A job's ticket, in which a tied weight is one tensor under all of its names.

    Layers that only begin alike, such as copies of one encoder layer, differ once trained.
    """
    ticket = run.store.ticket(key)
    trained = run.store.weights(key) if run.results[key].status == "done" else {}
    weights = dict(ticket.weights)
    for name in ticket.mask:
        for other, value in ticket.weights.items():
            alike = other not in ticket.mask and are_tied(value, weights[name])
            if alike and {other, name} <= trained.keys():
                one = torch.equal(trained[other], trained[name])
                weights[other] = weights[name] if one else value
    return replace(ticket, weights=weights)


def pick_level(verdict: Verdict) -> tuple[int, str]:
    """The level whose ticket to take from a run, and in words how it was picked.

    Raises:
        UsageError: none can be compared with a dense network.
    """
    spoken = answered_level(verdict)
    if spoken is None:
        raise UsageError(
            f"no ticket of {verdict.name} can be compared with its dense network, so none can be "
            "picked; say which level"
        )
    wins = "wins" if tests_hypothesis(verdict) else "matches"
    if verdict.level is not None:
        return spoken.level, _PICKED[verdict.level_picked].format(wins=wins)
    near = "the smallest that matches on the means"
    return spoken.level, near if spoken.matches_on_means else "the best, though none matches"


def _missing(run: Run, level: int, replicate: int | None, there: list[int]) -> str:
    if there:
        return f"{run.name} has level {level} of the replicates {_listed(there)}, not {replicate}"
    levels = sorted({key.level for key in run.results if key.branch == MAIN})
    return f"{run.name} has no ticket of level {level}; it has the levels {_listed(levels)}"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def _of_run(run: Run) -> dict[str, Any]:
    facts, config, data = run.facts, run.config, run.experiment["data"]
    return {
        "experiment": config.name,
        "task": facts.title,
        "data": config.data.name if isinstance(config, ExperimentConfig) else None,
        "data_sha256": data.get("sha256"),
        "input_shape": data.get("input_shape"),
        "classes": data.get("classes"),
        "method": config.method.kind,
        "criterion": config.prune.criterion,
        "rewind": config.method.rewinding,
        "pruned_weights": facts.pruned_values,
        "score_name": facts.score.name,
    }


def _of_job(run: Run, key: JobKey) -> dict[str, Any]:
    kind = run.facts.dense_kind
    dense = run.results.get(JobKey(key.replicate, kind if kind == MAIN else f"{kind}-1", 0))
    result, said = run.results[key], run.store.about(key)
    computed = said.get("computed", {})
    return {
        "status": result.status,
        "score": result.score,
        "dense_score": dense.score if dense else None,
        "identity": said.get("identity"),
        **{name: computed.get(name) for name in ("lottery", "torch", "engine", "device")},
    }
