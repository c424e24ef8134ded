"""Masks of an experiment: one level's, and those of all levels while the dense network trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from lottery.core import Mask, Units, find_criterion, scored_level
from lottery.data import Dataset, steps_per_epoch
from lottery.experiments.config import ExperimentConfig
from lottery.experiments.network import experiment_units
from lottery.rng import Streams
from lottery.tickets import make_probe, prune_mask, watch_masks
from lottery.training import State, Watch


def level_mask(
    level: int,
    parent: Mask,
    *,
    trained: State,
    initial: State,
    units: Units | None,
    config: ExperimentConfig,
    data: Dataset,
    streams: Streams,
    make_model: Callable[[], nn.Module],
    pruned: Mapping[str, Tensor] | None = None,
) -> Mask:
    """A level's mask by the experiment's criterion, granularity, scope and schedule.

    Args:
        level: 1 or more.
        parent: the mask that is pruned: that of the level before, or of level 0 with the one-shot
            schedule.
        trained: the state that decides.
        initial: the state at initialization.
        units: from `experiment_units`.
        config: the experiment.
        data: its data.
        streams: the replicate's.
        make_model: makes the network, for a criterion that looks at it.
        pruned: what weights are in that network while they are pruned; None: zero.
    """
    probe = None
    if find_criterion(config.prune.criterion).needs_probe:
        probe = make_probe(
            config.prune,
            level,
            parent,
            model=make_model(),
            trained=trained,
            data=data,
            loss=config.training.loss,
            streams=streams,
            pruned=pruned,
        )
    return prune_mask(
        config.prune,
        level,
        parent,
        trained=trained,
        initial=initial,
        streams=streams,
        probe=probe,
        levels=config.levels,
        units=units,
    )


def early_watch(
    dense: Mask,
    initial: State,
    *,
    config: ExperimentConfig,
    data: Dataset,
    streams: Streams,
    make_model: Callable[[], nn.Module],
) -> Watch:
    """Notes every level's mask while the dense network trains, once it has settled.

    At each look the dense network is pruned to level 1, that to level 2 and so on (with the
    one-shot schedule the dense network to every level), all by the weights of the moment. These are
    noted too where tickets go on from them.

    Args:
        dense: the mask of level 0.
        initial: the state at initialization.
        config: the experiment.
        data: its data.
        streams: the replicate's.
        make_model: makes the network.
    """
    units = experiment_units(config, data)
    # `scoring_problems` refuses where what goes on the way would be held at later values.
    frozen = {name: initial[name] for name in dense} if config.training.pruned != "zero" else None

    def below(level: int, parent: Mask, state: State) -> Mask:
        return level_mask(
            level,
            parent,
            trained=state,
            initial=initial,
            units=units,
            config=config,
            data=data,
            streams=streams,
            make_model=make_model,
            pruned=frozen,
        )

    def masks(state: State) -> list[Mask]:
        found = [dense]
        for level in range(1, config.levels + 1):
            parent = found[scored_level(config.prune.schedule, level)]
            found.append(below(level, parent, state))
        return found[1:]

    steps = steps_per_epoch(len(data.train), config.training.batch_size)
    return watch_masks(
        config.prune.early_bird,
        masks,
        total=config.training.length.iterations(steps),
        steps_per_epoch=steps,
        trains_on=config.rewind.method == "drawn",
    )
