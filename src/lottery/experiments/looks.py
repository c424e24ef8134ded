"""Looks at a dense network in training, which tickets are made from: taking and writing them."""

from __future__ import annotations

from typing import Any

import torch

from lottery.core import Mask, scored_level
from lottery.errors import StoreError
from lottery.experiments.experiment import Experiment
from lottery.methods import EarlyBird
from lottery.store import MAIN, JobKey, LookKey, Store
from lottery.tickets import Ticket, drawn_mask, watch_masks
from lottery.training import Observer, State, TrainingResult


def missing_looks(key: JobKey, experiment: Experiment, store: Store) -> tuple[LookKey, ...]:
    """The looks at a job's training that are needed and not on disk yet."""
    if key.branch != MAIN or key.level:
        return ()
    looks = experiment.looks(key.replicate)
    return tuple(look for look in looks if not store.is_finished(look))


def write_looks(
    key: JobKey,
    experiment: Experiment,
    store: Store,
    trained: TrainingResult,
    about: dict[str, Any],
) -> None:
    """Commit the looks at a training that are missing; of one that diverged, none."""
    if trained.status != "done":
        return
    for look in missing_looks(key, experiment, store):
        if look.kind == "state":
            found: Any = trained.snapshots[look.number]
        else:
            found = drawn_mask(_early_bird(experiment), look.number, trained.notes)
        store.write_look(look, found, {**about, "identity": experiment.identity(look)})


def _early_bird(experiment: Experiment) -> EarlyBird:
    assert isinstance(experiment.method, EarlyBird), "others draw no masks"
    return experiment.method


def check_same(key: JobKey, store: Store, trained: TrainingResult) -> None:
    """Check that a training that was repeated ended with the same weights, bit by bit.

    Raises:
        StoreError: it did not, so that looks at it would be of another network.
    """
    before = store.weights(key)
    same = before.keys() == trained.final.keys() and all(
        before[name]
        .cpu()
        .contiguous()
        .flatten()
        .view(torch.uint8)
        .equal(trained.final[name].cpu().contiguous().flatten().view(torch.uint8))
        for name in before
    )
    if not same:
        raise StoreError(
            f"{key} was trained again, for what is to be kept on the way, and ended with other "
            "weights: the machine, torch or the code is not what it was. Use another --out, or the "
            "machine that the run was made on"
        )


def watch_dense(dense: Ticket, experiment: Experiment, replicate: int) -> Observer:
    """A watch that notes every level's Early-Bird mask while the dense network trains.

    At each check the dense network is pruned to level 1, that to level 2 and so on (with the
    one-shot schedule, the dense network to every level), all by the current weights. These weights
    are noted too if tickets train on from them.
    """
    context, config = experiment.context, experiment.config
    steps = experiment.task.steps()
    assert steps is not None, "a task of unknown length is refused"
    frozen = None
    if experiment.holds_pruned:
        # `EarlyBird.criterion_refusals` refuses what would be held at later values.
        frozen = {name: dense.weights[name] for name in dense.mask}

    def masks(state: State) -> list[Mask]:
        found = [dense.mask]
        for level in range(1, config.levels + 1):
            found.append(
                context.pruned(
                    level,
                    found[scored_level(config.prune.schedule, level)],
                    trained=state,
                    initial=dense.weights,
                    streams=context.streams(replicate),
                    held=frozen,
                )
            )
        return found[1:]

    return watch_masks(
        _early_bird(experiment),
        masks,
        total=steps.total,
        steps_per_epoch=steps.per_epoch,
        trains_on=experiment.method.rewinding == "drawn",
    )
