"""An experiment: a config with its task, and the identities of its jobs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lottery.experiments.config import ExperimentConfig, PlanConfig
from lottery.experiments.plan import needs, training_variant
from lottery.methods import (
    CONTROLS,
    AnyMethod,
    EarlyBird,
    Given,
    MethodContext,
    mask_search,
    plain_variant,
    source_replicate,
)
from lottery.store import MAIN, JobKey, LookKey
from lottery.store.jobs import SEARCH
from lottery.tasks.protocol import Task

IDENTITY = 1
"""Version of the identities; it rises if the same config comes to give other bytes."""


@dataclass(frozen=True)
class Experiment:
    """A config and the task that it trains.

    Args:
        config: the experiment's settings.
        task: what is trained, and how it is measured.
    """

    config: PlanConfig
    task: Task

    @property
    def method(self) -> AnyMethod:
        """How its tickets are made."""
        return self.config.method

    @cached_property
    def context(self) -> MethodContext:
        """The parts of it that methods and controls need."""
        config = self.config
        masks = {"masks": config.masks} if isinstance(config, ExperimentConfig) else {}
        return MethodContext(
            self.task, config.prune, config.method, config.levels, config.seed, **masks
        )

    @property
    def holds_pruned(self) -> bool:
        """Whether pruned weights are held at other values than zero."""
        return self.method.pruned != "zero"

    # What is kept of the dense network on the way

    def looks(self, replicate: int) -> tuple[LookKey, ...]:
        """The looks at a replicate's dense network that its tickets are made from."""
        if not self.config.levels:
            return ()
        states = self.method.states(self.context)
        drawn = range(1, self.config.levels + 1) if isinstance(self.method, EarlyBird) else ()
        return tuple(
            [LookKey(replicate, "state", iteration) for iteration in states]
            + [LookKey(replicate, "drawn", level) for level in drawn]
        )

    def made_from(self, job: JobKey) -> list[JobKey | LookKey]:
        """The jobs that a job needs, and the looks at their dense networks."""
        needed = needs(job, self.config)
        replicates = dict.fromkeys(need.replicate for need in needed)
        return [*needed, *(look for number in replicates for look in self.looks(number))]

    # Who a job is

    def identity(self, job: JobKey | LookKey) -> str:
        """SHA-256 (hex) of all that a job's bytes depend on, the jobs it needs included.

        The run's name, the numbers of replicates, levels and other controls, and the settings of
        the verdict are no part of it; neither are engine, device and versions.
        """
        if job not in self._identities:
            self._identities[job] = self._identity(job)
        return self._identities[job]

    @cached_property
    def _identities(self) -> dict[JobKey | LookKey, str]:
        return {}

    def _identity(self, job: JobKey | LookKey) -> str:
        spec = self._look_spec(job) if isinstance(job, LookKey) else self._training_spec(job)
        whole = {"version": IDENTITY, "seed": self.config.seed, "replicate": job.replicate, **spec}
        canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _training_spec(self, job: JobKey) -> dict[str, Any]:
        trained = training_variant(job, self.config)
        how = plain_variant(trained)
        if trained.until_drawn and isinstance(self.method, EarlyBird):
            levels = self.config.levels
            how["drawn"] = self.method.drawn_part(levels, self.config.prune, levels)
        return {
            "job": "training",
            "task": self._fingerprint,
            "how": how,
            "ticket": self._ticket(job),
        }

    def _ticket(self, job: JobKey) -> dict[str, Any]:
        """All that decides a job's ticket."""
        if not job.level and job.of_ticket:
            return {"origin": self._origin}
        if not job.level:
            dense = self.identity(JobKey(job.replicate, MAIN, 0))
            return {"again": dense, "iteration": self.context.rewind_iteration}
        asked = (job.level, self.config.prune, self.config.levels)
        decides, start = self.method.decides, self.context.rewind_iteration
        if job.kind == SEARCH and (searches := mask_search(self.method)):
            decides, start = searches.first, self.context.iterations(searches.step)
        made = {
            "origin": self._origin,
            "decides": decides(*asked),
            "iteration": start,
            "needs": [self.identity(need) for need in needs(job, self.config)],
        }
        replicates = [job.replicate]
        if job.kind in CONTROLS:
            control = CONTROLS[job.kind]
            made["control"] = [job.branch, job.level, control.decides(self.context)]
            if control.moves_mask:
                made["source"] = source_replicate(job.replicate)
                replicates.append(made["source"])
        if isinstance(self.method, Given):
            made["given"] = [self.method.of(number) for number in replicates]
        return made

    def _look_spec(self, look: LookKey) -> dict[str, Any]:
        dense = self.identity(JobKey(look.replicate, MAIN, 0))
        spec = {"job": "look", "of": dense, "kind": look.kind, "number": look.number}
        if isinstance(self.method, EarlyBird) and look.kind == "drawn":
            spec["drawn"] = self.method.drawn_part(
                look.number, self.config.prune, self.config.levels
            )
        return spec

    @cached_property
    def _origin(self) -> Any:
        return dict(self.task.origin())

    @cached_property
    def _fingerprint(self) -> Any:
        return dict(self.task.fingerprint())
