"""The probe that a criterion evaluates: the network to prune, and batches of training examples."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from lottery.core import Mask, Probe, tie_parameters
from lottery.data import Dataset, steps_per_epoch
from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.tickets.config import PruneConfig
from lottery.training import State
from lottery.training.config import LossName
from lottery.training.evaluate import input_dtype
from lottery.training.loss import batch_loss


def check_examples(config: PruneConfig, data: Dataset) -> None:
    """Check that there are as many training examples as the config asks for.

    Raises:
        UsageError: there are fewer.
    """
    if config.examples > len(data.train):
        raise UsageError(
            f"prune.examples: expected {len(data.train):,} or fewer, the training examples of "
            f"{data.name}, to look at; got {config.examples:,}"
        )


def stream_level(config: PruneConfig, level: int) -> int:
    """The level that the criterion's random streams are named by when ``level`` is made.

    With the one-shot schedule it is 0 for all: the dense network is scored, by the same examples
    and random numbers for every density, so that a level's mask depends on its density alone and
    not on which other levels there are.

    >>> stream_level(PruneConfig(), 2), stream_level(PruneConfig(schedule="one-shot"), 2)
    (2, 0)
    """
    return 0 if config.schedule == "one-shot" else level


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
    pruned: Mapping[str, Tensor] | None = None,
) -> Probe:
    """The network with the weights to score, and batches drawn from the training set.

    ``config.examples`` of them are drawn without replacement, every choice equally likely, by the
    level's stream (see `stream_level`), and cut into as few batches of at most
    ``config.batch_size`` as there can be, whose sizes differ by one at most. They are as in the
    dataset, not augmented.

    Args:
        config: how many examples, how many in a batch, and what batch norm uses.
        level: the level to make, 1 or more.
        mask: the mask that is to be pruned, see `prune_mask`; weights it has pruned already are
            zero in the probe's model, or as ``pruned`` says.
        model: the experiment's network; its state is overwritten, and it moves to the data's
            device.
        trained: the weights to score, as a whole ``state_dict``.
        data: the dataset whose training split is used.
        loss: the loss that training minimizes.
        streams: the replicate's.
        pruned: the values that pruned weights are held at, for every weight of the mask, see
            `pruned_values`; None: zero.

    Raises:
        UsageError: there are fewer training examples.
        MaskError: ``pruned`` does not have the mask's names and shapes.
    """
    check_examples(config, data)
    tie_parameters(model)
    model.load_state_dict(dict(trained))
    # One by one: a weight that two layers share is in the state twice, but masked once.
    with torch.no_grad():
        for name, weight in mask.apply({name: trained[name] for name in mask}, pruned).items():
            model.get_parameter(name).copy_(weight)
    model.to(data.train.targets.device)
    generator = streams.generator("criterion", stream_level(config, level), "examples")
    order = torch.randperm(len(data.train), generator=generator)
    chosen = order[: config.examples].to(data.train.targets.device)
    dtype = input_dtype(model)
    parts = steps_per_epoch(config.examples, config.batch_size)
    return Probe(
        model=model,
        batches=tuple(data.batch("train", part, dtype) for part in chosen.tensor_split(parts)),
        loss=partial(batch_loss, loss),
        pruned=pruned,
        batch_statistics=config.batch_statistics,
    )
