"""What a criterion is given to look at: the network that decides, and training examples."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from lottery.core import Mask, Probe
from lottery.data import Dataset, steps_per_epoch
from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.tickets.config import PruneConfig
from lottery.training import State
from lottery.training.config import LossName
from lottery.training.loss import batch_loss


def check_examples(config: PruneConfig, data: Dataset) -> None:
    """Check that there are as many training examples as the config asks for.

    Raises:
        UsageError: there are fewer.
    """
    if config.examples > len(data.train):
        raise UsageError(
            f"prune.examples: criterion '{config.criterion}' is to look at {config.examples:,} "
            f"training examples, but {data.name} has {len(data.train):,}"
        )


def make_probe(
    config: PruneConfig,
    level: int,
    mask: Mask,
    *,
    model: nn.Module,
    trained: State,
    data: Dataset,
    loss: LossName,
    streams: Streams,
) -> Probe:
    """The network with the weights that decide, and examples drawn from the training set.

    ``config.examples`` of them are drawn without replacement, every choice equally likely, by a
    stream of the level's own, and cut into as few batches of at most ``config.batch_size`` as there
    can be, whose sizes differ by one at most. They are as in the dataset, not augmented.

    Args:
        config: how many examples, and how many in a batch.
        level: the level to make, 1 or more.
        mask: that of the level before; what it prunes is zero in the probe's model.
        model: the experiment's network; its state is overwritten, and it moves to the data's
            device.
        trained: the state that decides.
        data: whose training split is looked at.
        loss: what the training minimizes.
        streams: the replicate's.

    Raises:
        UsageError: there are fewer training examples.
    """
    check_examples(config, data)
    model.load_state_dict(dict(trained))
    # One by one: a weight that two layers share is in the state twice, but masked once.
    with torch.no_grad():
        for name, weight in mask.apply({name: trained[name] for name in mask}).items():
            model.get_parameter(name).copy_(weight)
    model.to(data.train.targets.device)
    order = torch.randperm(
        len(data.train), generator=streams.generator("criterion", level, "examples")
    )
    chosen = order[: config.examples].to(data.train.targets.device)
    parts = steps_per_epoch(config.examples, config.batch_size)
    return Probe(
        model=model,
        batches=tuple(data.batch("train", part) for part in chosen.tensor_split(parts)),
        loss=partial(batch_loss, loss),
    )
