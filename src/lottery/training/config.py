"""How a network is trained: the config a user writes, and the learning rate by its schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from lottery.training.length import Length, take_lengths

LossName = Literal["cross-entropy", "mse"]
"""What a training can minimize, by its name in a config; see `lottery.training.loss`."""

PrunedValues = Literal["zero", "frozen", "mixed"]
"""What values pruned weights have, by name in a config; see `lottery.tickets.pruned_values`."""


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The optimizer, as torch defines it; its steps do not change pruned weights."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    """Adam (Kingma & Ba 2015); Adam with decoupled weight decay (Loshchilov & Hutter 2019,
    arXiv:1711.05101, algorithm 2); or stochastic gradient descent."""
    momentum: float = 0.0
    """SGD's momentum, in [0, 1)."""
    nesterov: bool = False
    """Nesterov's form of SGD's momentum; needs momentum above 0."""
    weight_decay: float = 0.0
    """Strength of weight decay, 0 or more: an L2 penalty, whose gradient is this times the weight;
    with ``adamw`` each step multiplies the weight by 1 - rate * this instead."""
    decay: Literal["all", "weights"] = "all"
    """What decays: every parameter, or those of two or more dimensions alone, which leaves out
    biases and the scales and shifts of normalization."""
    beta1: float = 0.9
    """Adam's decay rate of the mean gradient, in [0, 1)."""
    beta2: float = 0.999
    """Adam's decay rate of the mean squared gradient, in [0, 1)."""
    epsilon: float = 1e-8
    """Adam's denominator offset, above 0."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = [
            f"{name}: must be at least 0 and below 1, got {value}"
            for name, value in (
                ("momentum", self.momentum),
                ("beta1", self.beta1),
                ("beta2", self.beta2),
            )
            if not 0 <= value < 1
        ]
        if not 0 <= self.weight_decay < math.inf:
            found.append(f"weight_decay: must be 0 or more, got {self.weight_decay}")
        if not 0 < self.epsilon < math.inf:
            found.append(f"epsilon: must be above 0, got {self.epsilon}")
        if self.name != "sgd" and (self.momentum or self.nesterov):
            found.append("momentum: Adam has none; use beta1, or name = 'sgd'")
        elif self.nesterov and not self.momentum:
            found.append("nesterov: needs momentum above 0")
        return found


@dataclass(frozen=True, kw_only=True)
class LearningRateConfig:
    """The learning rate over the course of a training."""

    schedule: Literal["constant", "step", "cosine"] = "constant"
    """Constant; multiplied by ``factor`` at each of ``drops``; or half a cosine down to 0."""
    base: float = 1.2e-3
    """The rate after warm-up and before any drop, above 0."""
    warmup: Length = field(default_factory=lambda: Length(amount=0))
    """The rate rises linearly from 0 over this length first."""
    drops: tuple[Length, ...] = ()
    """Where the step schedule drops, counted from the start of training."""
    factor: float = 0.1
    """What each drop multiplies the rate by, in (0, 1)."""

    def __post_init__(self) -> None:
        take_lengths(self, "warmup", arrays=["drops"])

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        if not 0 < self.base < math.inf:
            found.append(f"base: must be above 0, got {self.base}")
        if not 0 < self.factor < 1:
            found.append(f"factor: must lie between 0 and 1, got {self.factor}")
        if self.schedule == "step" and not self.drops:
            found.append("drops: the step schedule needs at least one")
        if self.schedule != "step" and self.drops:
            found.append(f"drops: the {self.schedule} schedule has none; use schedule = 'step'")
        return found


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One training, from its start weights to its end."""

    length: Length = field(default_factory=lambda: Length(amount=50_000))
    """How long; training always runs to its end."""
    batch_size: int = 60
    """Examples a step, 1 or more; the last batch of an epoch may be smaller."""
    evaluate_every: Length = field(default_factory=lambda: Length(amount=100))
    """How often validation and test are measured; also at the start and at the end."""
    loss: LossName = "cross-entropy"
    """What is minimized and measured: cross-entropy, or the squared difference between outputs and
    one-hot targets, its mean over examples and outputs."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """What turns gradients into steps."""
    learning_rate: LearningRateConfig = field(default_factory=LearningRateConfig)
    """The size of the steps."""
    label_smoothing: float = 0.0
    """Share of each example's target that is spread evenly over all classes, in [0, 1) (Szegedy et
    al. 2015, arXiv:1512.00567, section 7). It changes what is minimized; the loss that is measured
    stays plain cross-entropy."""
    clip_gradients: float = 0.0
    """The largest norm of a step's gradient; a longer one is scaled down to it (Pascanu et al.
    2012, arXiv:1211.5063, algorithm 1). The norm is over surviving weights and all other parameters
    together. 0 for no limit."""
    averaging: float = 0.0
    """Decay, in [0, 1), of an exponential moving average of the weights: after each step it becomes
    decay * average + (1 - decay) * weights, from the start weights on (Tarvainen & Valpola 2017,
    arXiv:1703.01780, section 2). The average, with the buffers of the network in training, is what
    is measured, and what the weights at early stop and at the end are; training and snapshots for
    rewinding use the weights themselves. 0 for none."""
    recalibrate_batch_norm: int = 0
    """Number of training examples over which the running statistics of batch normalization are
    recomputed for the measurements at the start, right after pruning, and at the end: the mean over
    whole batches of a random but fixed choice of examples, without augmentation. They are part of
    the state at the end; training itself does not use them. 0 for none."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """In what forward and backward passes are computed, also for measurements: the start weights'
    own type, which is float32 as a rule; or a shorter one wherever torch's autocast holds that to
    be sound. Weights and optimizer stay float32. With float16 losses are scaled against underflow;
    a step whose gradients overflow is left out, and counts as an iteration."""
    channels_last: bool = False
    """Whether the channels of images and of convolutions lie side by side in memory, which many
    devices compute faster. It changes how sums are rounded."""
    compile: bool = False
    """Whether the network in training goes through ``torch.compile``, as one graph for each size of
    batch; measurements do not. A network or a platform that it cannot be done for is an error."""

    def __post_init__(self) -> None:
        take_lengths(self, "length", "evaluate_every")

    def limits(self) -> list[str]:
        """What makes even a finished run unreadable, one sentence each."""
        counts = {
            "length.amount": self.length.amount,
            "evaluate_every.amount": self.evaluate_every.amount,
            "batch_size": self.batch_size,
        }
        return [f"{name}: must be 1 or more, got {n}" for name, n in counts.items() if n < 1]

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = self.limits()
        for name, value in (
            ("label_smoothing", self.label_smoothing),
            ("averaging", self.averaging),
        ):
            if not 0 <= value < 1:
                found.append(f"{name}: must be at least 0 and below 1, got {value}")
        if self.label_smoothing and self.loss != "cross-entropy":
            found.append(f"label_smoothing: needs loss = 'cross-entropy', not '{self.loss}'")
        if not 0 <= self.clip_gradients < math.inf:
            found.append(f"clip_gradients: must be 0 or more, got {self.clip_gradients}")
        if self.recalibrate_batch_norm < 0:
            found.append(
                f"recalibrate_batch_norm: must be 0 or more, got {self.recalibrate_batch_norm}"
            )
        return found


def learning_rate(
    config: LearningRateConfig, iteration: int, *, total: int, steps_per_epoch: int
) -> float:
    """The learning rate of the step that leads from ``iteration`` to ``iteration + 1``.

    Linear warm-up over w iterations gives ``base * (iteration + 1) / w`` (Goyal et al. 2017,
    arXiv:1706.02677, section 2.2), so its last step already has the full rate. The cosine falls
    from ``base`` at the end of the warm-up to 0 at ``total`` (Loshchilov & Hutter 2017,
    arXiv:1608.03983, equation 5, one period).

    Args:
        config: the schedule.
        iteration: steps done so far, in [0, total).
        total: the whole training's iterations.
        steps_per_epoch: batches in one pass over the data.

    >>> learning_rate(LearningRateConfig(base=0.5), 7, total=10, steps_per_epoch=5)
    0.5
    """
    warmup = config.warmup.iterations(steps_per_epoch)
    if iteration < warmup:
        return config.base * (iteration + 1) / warmup
    if config.schedule == "cosine":
        progress = (iteration - warmup) / max(1, total - warmup)
        return config.base * 0.5 * (1 + math.cos(math.pi * progress))
    passed = sum(iteration >= drop.iterations(steps_per_epoch) for drop in config.drops)
    return config.base * config.factor**passed
