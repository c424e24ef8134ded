"""ResNet-20 on CIFAR-10 with Early-Bird tickets.

You et al., arXiv:1909.11957.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lottery.experiments.config import ExperimentConfig
from lottery.experiments.recipes.deep import resnet_20
from lottery.experiments.recipes.entry import RecipeEntry
from lottery.tickets import ControlsConfig, EarlyBirdConfig, PruneConfig, RewindConfig
from lottery.training import LearningRateConfig, Length

_DENSITIES: Final = (0.7, 0.5, 0.3)


def early_bird() -> ExperimentConfig:
    """ResNet-20 on CIFAR-10 with filters pruned as soon as the mask has settled.

    You et al. (arXiv:1909.11957): 30%, 50% and 70% of the channels go, those with the smallest
    scales of batch normalization in the whole network; a mask is made after every epoch, and drawn
    when it is within a distance of 0.1 of each of the 4 before it, as in the authors' code (the
    paper's text speaks of distances between consecutive epochs). Tickets train on from the weights
    of that epoch to the end; their control is the same mask with new weights, trained from the very
    beginning (``scratch_epochs``). 160 epochs of SGD with batches of 256 at 0.1, divided by 10 at
    epochs 80 and 120, momentum 0.9 and weight decay 1e-4, as in the authors' code.

    Departures: the paper trains VGG16 and PreResNet101, and draws its scales towards zero by an L1
    penalty of 1e-4, which is left out here. It removes channels with all that reads them and
    compares masks of channels; here the filters go, so that no further package is needed, and
    distances are shares of the weights: ``--set prune.granularity=channel`` is nearer to it, with
    the extra ``structures`` (a channel that several layers write has the mean of their scales). The
    dense network is trained to its end, since tickets are compared with it; a ticket's optimizer is
    a new one. Kaiming initialization; 5,000 examples held out; measured once per epoch; 3
    replicates, with one more reinitialization of each ticket, which starts where the ticket does.
    """
    base = resnet_20()
    return replace(
        base,
        name=f"{base.name}/early-bird",
        replicates=3,
        levels=len(_DENSITIES),
        initialization="kaiming-normal",
        training=replace(
            base.training,
            length=_epochs(160),
            batch_size=256,
            evaluate_every=_epochs(1),
            learning_rate=LearningRateConfig(
                schedule="step", base=0.1, drops=(_epochs(80), _epochs(120))
            ),
        ),
        prune=PruneConfig(
            criterion="bn-scale",
            by="early-bird",
            early_bird=EarlyBirdConfig(every=_epochs(1), window=5, distance=0.1),
            granularity="filter",
            scope="global",
            schedule="one-shot",
            densities=_DENSITIES,
        ),
        rewind=RewindConfig(method="drawn"),
        controls=ControlsConfig(reinit=1, scratch_epochs=1),
    )


def _epochs(amount: int) -> Length:
    return Length(amount=amount, unit="epochs")


ENTRIES: Final[dict[str, RecipeEntry]] = {
    "resnet-20/cifar-10/early-bird": RecipeEntry(
        make=early_bird,
        source="arXiv:1909.11957",
        shows="Masks settle early in the training, at the high learning rate; where few filters "
        "go, the tickets are about as accurate as the dense network.",
    ),
}
"""The recipes of this file."""
