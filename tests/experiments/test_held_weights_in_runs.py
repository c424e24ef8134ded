"""Criteria that look at the network, where pruned weights are held at values and a part of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bound import check, dense_state, make_model
from tiny import tiny
from torch import Tensor

from lottery.core import CRITERIA, Mask, ScoreContext, Scores, select
from lottery.core.criteria.network import scored_network
from lottery.data import Dataset, load_dataset
from lottery.errors import ConfigError, UsageError
from lottery.experiments import ExperimentConfig, RunOptions, run_experiment
from lottery.methods import (
    AnyMethod,
    AtStep,
    ControlsConfig,
    DrawnRewindConfig,
    EarlyBird,
    Iterative,
    RewindConfig,
)
from lottery.store import MAIN, JobKey, Store
from lottery.testing.expect import same_bytes
from lottery.tickets import PruneConfig
from lottery.tickets.counts import level_groups
from lottery.training import Length, PrunedValues, State

TAYLOR = PruneConfig(criterion="taylor", fraction=0.5, examples=50, batch_size=20)
ONE_SHOT = replace(TAYLOR, schedule="one-shot")


def iterated(rule: PrunedValues, to: int = 0) -> Iterative:
    return Iterative(rewind=RewindConfig(to=Length(amount=to)), pruned=rule)


def at_step(rule: PrunedValues, to: int = 0) -> AtStep:
    return AtStep(step=Length(amount=to), pruned=rule)


def early(rule: PrunedValues, to: int = 0) -> EarlyBird:
    """Every level's mask is made once, after 28 of 30 iterations."""
    rewind = DrawnRewindConfig(kind="weights", to=Length(amount=to))
    return EarlyBird(every=Length(amount=14), window=2, rewind=rewind, pruned=rule)


def holding(method: AnyMethod, prune: PruneConfig = TAYLOR, **changes: Any) -> ExperimentConfig:
    values = {
        "replicates": 1,
        "prune": prune,
        "method": method,
        "controls": ControlsConfig(reinit=0),
    }
    return tiny(**(values | changes))


class Seen:
    """A run, and what its criterion was given each time: after the trial, level by level."""

    def __init__(
        self, config: ExperimentConfig, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        contexts: list[ScoreContext] = []
        score = CRITERIA["taylor"].score

        def noting(context: ScoreContext) -> Scores:
            contexts.append(context)
            return score(context)

        monkeypatch.setitem(CRITERIA, "taylor", replace(CRITERIA["taylor"], score=noting))
        summary = run_experiment(config, RunOptions(out=out, jobs=1, device="cpu"))
        assert summary.failed == 0
        self.config, self.contexts, self.store = config, contexts[1:], Store(summary.run)
        self.data: Dataset = load_dataset(config.data)

    def of(self, level: int) -> list[ScoreContext]:
        """What was scored for a level, round by round."""
        rounds = self.config.prune.rounds
        return self.contexts[(level - 1) * rounds : level * rounds]

    def loss(self, context: ScoreContext, state: State) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a state on a probe's examples, and its gradient, both in plain torch."""
        assert context.probe is not None
        model = make_model(self.config, self.data)
        model.load_state_dict(dict(state))
        model.eval()
        total, gradient = torch.zeros(()), dict.fromkeys(context.mask, torch.zeros(()).double())
        for inputs, targets in context.probe.batches:
            share = len(targets) / self.config.prune.examples
            loss = torch.nn.functional.cross_entropy(model(inputs), targets)
            model.zero_grad()
            loss.backward()
            total += loss.detach() * share
            for name in context.mask:
                found = model.get_parameter(name).grad
                assert found is not None
                gradient[name] = gradient[name] + found.double() * share
        return total, gradient

    def probe_loss(self, context: ScoreContext, *, copied: bool) -> Tensor:
        """The loss of the probe's own model, or of the copy that criteria look at."""
        assert context.probe is not None
        model = scored_network(context) if copied else context.probe.model
        return self.loss(context, model.state_dict())[0]


@pytest.mark.parametrize("to", [0, 6])
@pytest.mark.parametrize("rule", ["zero", "frozen", "mixed"])
def test_the_network_that_was_trained_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: PrunedValues, to: int
) -> None:
    """Its loss is that of the trained weights on disk, to the bit, and the mask follows from it."""
    run = Seen(holding(iterated(rule, to)), tmp_path, monkeypatch)
    for level in (1, 2):
        parent = run.store.ticket(JobKey(0, MAIN, level - 1))
        trained = run.store.weights(JobKey(0, MAIN, level - 1))
        (context,) = run.of(level)
        loss, gradient = run.loss(context, trained)
        assert torch.equal(run.probe_loss(context, copied=False), loss)
        assert torch.equal(run.probe_loss(context, copied=True), loss)
        scores = {name: (trained[name].double() * g).square() for name, g in gradient.items()}
        groups = level_groups(TAYLOR, level, parent.mask)
        mask = run.store.ticket(JobKey(0, MAIN, level)).mask
        assert mask == select(scores, parent.mask, groups)
        held = any(bool(trained[name][~kept].any()) for name, kept in parent.mask.items())
        assert held == (level == 2 and rule != "zero")


@pytest.mark.parametrize(
    ("method", "prune"),
    [
        (iterated("frozen", 6), TAYLOR),
        (iterated("mixed", 6), TAYLOR),
        (iterated("mixed"), ONE_SHOT),
        (at_step("frozen", 6), TAYLOR),
        (at_step("frozen"), ONE_SHOT),
    ],
    ids=["frozen", "mixed", "one-shot", "rewound", "rewound-one-shot"],
)
def test_what_goes_in_a_round_is_held_where_the_level_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: AnyMethod, prune: PruneConfig
) -> None:
    """What the level's own ticket holds where a round's mask prunes, and what decides elsewhere."""
    run = Seen(holding(method, replace(prune, rounds=2)), tmp_path, monkeypatch)
    for level in (1, 2):
        source = 0 if prune.schedule == "one-shot" else level - 1
        deciding = run.store.weights(JobKey(0, MAIN, source))
        if isinstance(method, AtStep):
            deciding = dense_state(run.store, method.step.amount)
        held = run.store.ticket(JobKey(0, MAIN, level)).pruned
        assert held is not None
        first, second = run.of(level)
        assert first.mask == run.store.ticket(JobKey(0, MAIN, source)).mask
        assert second.mask.kept < first.mask.kept
        for context in (first, second):
            state = scored_network(context).state_dict()
            for name, kept in context.mask.items():
                expected = torch.where(kept, deciding[name], held[name])
                assert same_bytes(state[name], expected)


def test_early_bird_masks_look_at_the_dense_network_and_then_at_what_would_be_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Seen(holding(early("frozen")), tmp_path, monkeypatch)
    initial = run.store.ticket(JobKey(0, MAIN, 0)).weights
    first, second = run.of(1)[0], run.of(2)[0]
    assert first.mask == Mask.dense(first.weights)
    assert second.mask.kept < second.mask.total
    for context in (first, second):
        state = scored_network(context).state_dict()
        for name, kept in context.mask.items():
            expected = torch.where(kept, context.weights[name], initial[name])
            assert same_bytes(state[name], expected)


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        (holding(early("frozen", 6)), True),
        (holding(early("frozen", 6), replace(ONE_SHOT, rounds=2)), True),
        (holding(early("frozen", 6), replace(TAYLOR, rounds=2), levels=1), True),
        (holding(early("frozen", 6), levels=1), False),
        (holding(early("frozen", 6), ONE_SHOT), False),
        (holding(early("frozen")), False),
        (holding(early("zero", 6)), False),
        (holding(early("frozen", 6), replace(TAYLOR, criterion="magnitude")), False),
        (holding(iterated("frozen", 6)), False),
    ],
)
def test_what_is_not_known_when_an_early_bird_mask_is_made_is_refused(
    config: ExperimentConfig, refused: bool
) -> None:
    found = config.problems()
    assert len(found) == refused
    assert all(
        "not known when an Early-Bird mask is made; set method.rewind.to to 0" in one
        for one in found
    )
    own = replace(
        config, prune=replace(config.prune, criterion="lottery.core.criteria.gradients:taylor")
    )
    if refused and config.prune.criterion == "taylor":
        assert own.problems() == []
        with pytest.raises(UsageError, match="not known when an Early-Bird mask is made"):
            check(own, load_dataset(own.data))


def test_it_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not known when an Early-Bird mask is made"):
        run_experiment(holding(early("frozen", 6)), RunOptions(out=tmp_path))
    assert not list(tmp_path.iterdir())
