"""What a ticket cost: every training that was needed to find it, and its own.

Counted are multiplications of layers with weights (`lottery.core.multiplications`). A training step
takes three times those of a forward pass: forward, and backward to the inputs and to the weights.
They are given as multiples of those of the dense network's training, which does not depend on the
machine. Pruned weights count as nothing, though only software that skips them is faster by that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lottery.analysis.methods.types import TicketCost
from lottery.core import CRITERIA, gradual_density, multiplications, weight_uses
from lottery.data import steps_per_epoch
from lottery.errors import UsageError
from lottery.experiments import ExperimentConfig, Run
from lottery.experiments.plan import needs
from lottery.methods import ChangingMask, EarlyBird, FromStep
from lottery.models import build_model, check_model, is_outside
from lottery.store import MAIN, JobKey, JobResult
from lottery.store.jobs import SEARCH
from lottery.training import MaskUpdatesConfig


def ticket_costs(run: Run) -> dict[JobKey, TicketCost]:
    """The cost of every ticket of a run that was trained to its end; the dense network's is 1."""
    count = _Count(run)
    main = sorted(key for key in run.results if key.branch == MAIN)
    return {key: count.cost(key) for key in main if run.results[key].status == "done"}


@dataclass(frozen=True)
class _Count:
    run: Run

    def cost(self, key: JobKey) -> TicketCost:
        found, seconds = self._scoring(key), 0.0
        for need, share in self._before(key):
            one = self._training(need)
            found = None if found is None or one is None else found + share * one
            seconds += share * self.run.results[need].seconds
        making = list(map(self._ticket_seconds, self._made(key)))
        known = [one for one in making if one is not None]
        return TicketCost(
            finding=found,
            training=self._training(key),
            seconds=math.fsum([seconds, self.run.results[key].seconds, *known]),
            making=math.fsum(known) if len(known) == len(making) else None,
        )

    def _made(self, key: JobKey) -> Iterator[JobKey]:
        """The jobs whose tickets were made on the way to a ticket, its own too."""
        drawn = "drawn_at" in self.run.results[key].provenance  # Made in the dense training.
        alone = drawn or self.run.config.prune.schedule == "one-shot"
        for level in range(max(1, key.level) if alone else 1, key.level + 1):
            made = JobKey(key.replicate, MAIN, level)
            yield made
            yield from (need for need in needs(made, self.run.config) if need.kind == SEARCH)

    def _ticket_seconds(self, key: JobKey) -> float | None:
        """What making a job's ticket took; None where that is not recorded."""
        if key not in self.run.results:
            return None
        seconds: float | None = self.run.store.about(key).get("ticket_seconds")
        return seconds

    def _before(self, key: JobKey) -> Iterator[tuple[JobKey, float]]:
        """The trainings that a ticket comes from, and how much of each it needed."""
        result, dense = self.run.results[key], JobKey(key.replicate, MAIN, 0)
        method, config = self.run.config.method, self.run.config
        if not key.level:
            return
        if "drawn_at" in result.provenance:
            yield dense, self._until(dense, int(result.provenance["drawn_at"]))
        elif isinstance(method, FromStep):
            # Of the dense training nothing counts but the states that it gave on its way.
            last = max(result.start_iteration, method.step.iterations(self._steps_per_epoch))
            if last:
                yield dense, self._until(dense, last)
            yield from ((need, 1.0) for need in needs(key, config) if need.kind == SEARCH)
        else:
            waiting, seen = list(needs(key, config)), set[JobKey]()
            while waiting:
                need = waiting.pop()
                if need not in seen and need in self.run.results:
                    seen.add(need)
                    waiting += needs(need, config)
                    yield need, 1.0

    def _until(self, dense: JobKey, iteration: int) -> float:
        """The share of the dense training up to an iteration."""
        ended = self.run.results[dense].iterations if dense in self.run.results else 0
        return min(1.0, iteration / ended) if ended else 0.0

    # In multiplications, of which one training of the dense network has 1

    @cached_property
    def _uses(self) -> Mapping[str, int] | None:
        """How often each weight is used; None for networks whose code must not run to be shown."""
        facts = self.run.facts
        model, shape, classes = facts.model, facts.input_shape, facts.classes
        if model is None or shape is None or classes is None or is_outside(model):
            return None
        if check_model(model) or not isinstance(self.run.config, ExperimentConfig):
            return None
        try:
            return weight_uses(build_model(model, shape, classes), shape)
        except UsageError:
            return None

    @cached_property
    def _length(self) -> int:
        """Iterations of the whole dense training."""
        return self._config.training.length.iterations(self._steps_per_epoch)

    @cached_property
    def _steps_per_epoch(self) -> int:
        if not isinstance(self.run.config, ExperimentConfig):
            return 1  # Nobody knows; there all lengths are numbers of steps.
        examples = int(self.run.experiment["data"]["training_examples"])
        return steps_per_epoch(examples, self.run.config.training.batch_size)

    def _training(self, key: JobKey) -> float | None:
        """What a training cost."""
        result = self.run.results[key]
        share = self._share(result)
        if share is None:
            return None
        steps = range(result.start_iteration, result.iterations)
        updates = self._updates(key)
        if updates.method == "gradual":
            there = sum(self._still_there(updates, at, steps) for at in steps)
            return (share * len(steps) + (1 - share) * there) / self._length
        # At an update RigL looks at the gradients of all weights, a third of a dense step.
        looks = (1 - share) / 3 * self._updated(updates, steps) if updates.method == "rigl" else 0.0
        return (share * len(steps) + looks) / self._length

    def _share(self, result: JobResult) -> float | None:
        """The multiplications of the network that a training ended with, over the dense one's."""
        if self._uses is None or not set(result.layers) <= set(self._uses):
            return None
        kept, whole = (
            multiplications({name: pair[i] for name, pair in result.layers.items()}, self._uses)
            for i in (0, 1)
        )
        return kept / whole

    def _updates(self, key: JobKey) -> MaskUpdatesConfig:
        """How the mask of a training changed."""
        method = self._config.method
        if not key.level or not isinstance(method, ChangingMask):
            return MaskUpdatesConfig()
        return (
            MaskUpdatesConfig() if method.searches_mask and key.kind != SEARCH else method.updates
        )

    def _updated(self, updates: MaskUpdatesConfig, steps: range) -> int:
        """How often it did."""
        return sum(
            updates.due(
                at,
                start=steps.start,
                total=steps.stop,
                steps_per_epoch=self._steps_per_epoch,
            )
            for at in steps
        )

    def _still_there(self, updates: MaskUpdatesConfig, at: int, steps: range) -> float:
        """Of what gradual pruning takes in all, the share that is there at an iteration."""
        return gradual_density(
            at,
            shape=updates.shape,
            initial=1.0,
            final=0.0,
            begin=updates.begins(steps.stop),
            end=updates.ends(steps.stop),
            every=updates.every.iterations(self._steps_per_epoch),
        )

    def _scoring(self, key: JobKey) -> float | None:
        """What it took to score the weights, as many of which as the dense network has."""
        if self._uses is None:
            return None
        prune = self._config.prune
        known = CRITERIA.get(prune.criterion)
        if known is None:  # Nobody imports it to show what it costs.
            return None
        if not key.level or not known.needs_probe:
            return 0.0
        each = prune.rounds * (1 if prune.schedule == "one-shot" else key.level)
        drawn_at = self.run.results[key].provenance.get("drawn_at")
        if drawn_at is not None and isinstance(method := self._config.method, EarlyBird):
            looks = int(drawn_at) // method.every.iterations(self._steps_per_epoch)
            each = prune.rounds * looks * self._config.levels  # Each look prunes to every level.
        # What looks at the network alone needs an input of the right shape, and no examples.
        examples = prune.examples if known.looks_at == "examples" else 1
        products = known.products + known.products_by_output * (self.run.facts.classes or 0)
        step = 3 * self._config.training.batch_size
        return each * examples * products / (self._length * step)

    @property
    def _config(self) -> ExperimentConfig:
        assert isinstance(self.run.config, ExperimentConfig), "asked after `_uses`"
        return self.run.config
