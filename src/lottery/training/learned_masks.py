"""Learning a mask while every weight stays as it is: the settings.

Each prunable weight gets a score, scores make a mask, and the network computes with weights times
mask. Scores are what is trained. Since a mask does not change with small steps of a score, the
gradient goes straight through to something that does (Bengio et al., arXiv:1308.3432, section 4).

- ``edge-popup`` (Ramanujan et al., arXiv:1911.13299, section 3): a layer's mask keeps the weights
  whose scores are largest in magnitude, as many as the job's mask keeps there. The gradient is that
  of weight times magnitude of the score. First scores are uniform within 1 / sqrt(fan-in).
- ``supermask`` (Zhou et al., arXiv:1905.01067, section 5): each weight is kept with a probability,
  the sigmoid of its score, drawn again at every step. The gradient is that of weight times
  probability. A first score is the one whose probability is the density of the job's mask in that
  layer (the paper's is 1/2), at most 99% and at least 1%.

How many weights a supermask keeps is left to training. What is measured and given back is one draw
from its probabilities, with the same random numbers at every measurement; the paper's accuracies
are means over ten draws.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from lottery.training.config import LearningRateConfig, OptimizerConfig, TrainingConfig
from lottery.training.interface import MaskMethod
from lottery.training.mask_updates import MaskUpdatesConfig

MaskWeights = Literal["initial", "signed-constant"]
"""What a mask is learned over, by name in a config; see `MaskTrainingConfig`."""


@dataclass(frozen=True, kw_only=True)
class MaskTrainingConfig:
    """How the scores of one kind of learned mask are trained; all else is as in ``training``."""

    weights: MaskWeights = "initial"
    """The weights that are chosen from: the dense network's ``initial`` ones; or their signs with
    one magnitude in each layer (``signed-constant``)."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """What turns gradients of scores into steps; weight decay is on scores."""
    learning_rate: LearningRateConfig = field(default_factory=LearningRateConfig)
    """The size of the steps."""


@dataclass(frozen=True, kw_only=True)
class LearnedMasksConfig:
    """How the controls that train nothing but a mask train it."""

    edge_popup: MaskTrainingConfig = field(
        default_factory=lambda: MaskTrainingConfig(
            optimizer=OptimizerConfig(name="sgd", momentum=0.9, weight_decay=1e-4),
            learning_rate=LearningRateConfig(schedule="cosine", base=0.1),
        )
    )
    """By default as its authors train on MNIST and CIFAR-10 (arXiv:1911.13299). A signed constant
    is sqrt(2 / (fan-in * density of the layer)) (section 4)."""
    supermask: MaskTrainingConfig = field(
        default_factory=lambda: MaskTrainingConfig(
            optimizer=OptimizerConfig(name="sgd", momentum=0.9),
            learning_rate=LearningRateConfig(base=100.0),
        )
    )
    """By default as its authors train fully connected networks on MNIST (arXiv:1905.01067). A
    signed constant is the deviation of the layer's initial weights."""

    def of(self, method: MaskMethod) -> MaskTrainingConfig:
        """The settings of a method."""
        return self.edge_popup if method == "edge-popup" else self.supermask


def score_training_config(training: TrainingConfig, scores: MaskTrainingConfig) -> TrainingConfig:
    """The config for training scores: the experiment's, with the scores' own optimizer and rate."""
    return replace(training, optimizer=scores.optimizer, learning_rate=scores.learning_rate)


def mask_learning_problems(training: TrainingConfig, updates: MaskUpdatesConfig) -> list[str]:
    """Settings of a training that cannot be combined with learned masks, one sentence each."""
    names = {
        "training.averaging": training.averaging,
        "training.recalibrate_batch_norm": training.recalibrate_batch_norm,
        "training.compile": training.compile,
        "method": updates.active,
    }
    return [
        f"{name}: masks are learned without it; leave it out, or leave out "
        "controls.edge_popup and controls.supermask"
        for name, setting in names.items()
        if setting
    ]
