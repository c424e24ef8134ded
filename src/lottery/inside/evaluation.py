"""How well a network does with given weights: its loss and error on a part of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from lottery.data import Dataset
from lottery.data.dataset import Split, SplitName
from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.score import Score
from lottery.tasks.own import OwnTask
from lottery.tasks.protocol import Task
from lottery.tasks.supervised import Supervised
from lottery.training import State, recalibrate_batch_norm
from lottery.training.evaluate import evaluate, input_dtype
from lottery.training.normalization import running_norms

_ANY = Streams(0, 0)


def is_share(score: Score) -> bool:
    """Whether a score is a share of examples that are right, so that the rest is an error."""
    return score.unit == "%" and score.higher


@dataclass(frozen=True)
class Quality:
    """How well a network does on some data.

    Args:
        loss: the training loss; None where only a score is known.
        error: the share of examples that it gets wrong, in [0, 1]. For a score that is no such
            share it is the score, negated where more is better, so that less is always better.
    """

    loss: float | None
    error: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Evaluates a task's network with any given weights.

    Args:
        task: the task with the network and the data. A loop of the user's own is evaluated by its
            ``evaluate``, which counts as the part ``test``.
        examples: how many examples of each part at most, drawn once; None: all. Without effect for
            a loop of the user's own.
        recalibrate: how many training examples to compute running statistics of batch normalization
            from, anew for every state, in whole batches; 0: they stay as given.

    Raises:
        UsageError: the task has no ``evaluate``, or gives no batches to recalibrate with.
    """

    task: Task
    examples: int | None = None
    recalibrate: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.task, OwnTask):
            if self.task.code.evaluate is None:
                raise UsageError(
                    "this looks at networks between those that were trained, which train alone "
                    "does not judge; pass evaluate=, a function of the model"
                )
            if self.recalibrate:
                raise UsageError(
                    "recalibrate: expected 0 with a loop of your own, whose data only it knows; "
                    "recalibrate in evaluate"
                )

    @property
    def parts(self) -> tuple[SplitName, ...]:
        """The parts of the data that can be measured on."""
        return ("train", "test") if isinstance(self.task, Supervised) else ("test",)

    def __call__(self, state: State, part: SplitName = "test") -> Quality:
        """Loss and error of the network with these weights, never augmented.

        Args:
            state: the whole ``state_dict``.
            part: one of `parts`.
        """
        self._model.load_state_dict(dict(state))
        if isinstance(self.task, Supervised):
            if self._batches:
                recalibrate_batch_norm(self._model, self._batches)
            loss, accuracy = evaluate(
                self._model, self._data, part, self.task.settings.training.loss
            )
            return Quality(loss, 1 - accuracy)
        assert isinstance(self.task, OwnTask), "there are two kinds of tasks"
        return self._own(self.task)

    def _own(self, task: OwnTask) -> Quality:
        score = task.score
        try:
            scores = task.scores(self._model, _ANY)
        except FloatingPointError:  # somewhere between two networks there may be none
            return Quality(None, 1.0 if is_share(score) else math.inf)
        value = scores[score.name]
        error = 1 - value if is_share(score) else -score.oriented(value)
        return Quality(scores.get("loss"), error)

    @cached_property
    def _model(self) -> nn.Module:
        model = self.task.make_model()
        return model.to(self._data.test.targets.device) if self.parts != ("test",) else model

    @cached_property
    def _data(self) -> Dataset:
        assert isinstance(self.task, Supervised), "of own code nobody knows the data"
        data, most = self.task.data, self.examples
        if most is not None:
            data = replace(data, train=_some(data.train, most), test=_some(data.test, most))
        return self.task.data_on_device(data)

    @cached_property
    def _batches(self) -> list[Tensor]:
        if not self.recalibrate or not running_norms(self._model):
            return []
        assert isinstance(self.task, Supervised), "refused"
        data = self.task.data
        there = min(self.recalibrate, len(data.train))
        size = min(self.task.settings.training.batch_size, there)
        chosen = _chosen(len(data.train), there // size * size)
        placed, dtype = self.task.data_on_device(data), input_dtype(self._model)
        return [placed.batch("train", part, dtype)[0] for part in chosen.split(size)]


def _some(split: Split, most: int) -> Split:
    """At most so many examples, always the same; files may list one class after another."""
    if len(split) <= most:
        return split
    chosen = _chosen(len(split), most)
    return Split(split.inputs[chosen], split.targets[chosen])


def _chosen(there: int, number: int) -> Tensor:
    """Which examples, int64 ``[number]``, drawn without replacement."""
    return torch.randperm(there, generator=_ANY.generator("inside"))[:number]
