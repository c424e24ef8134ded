"""Which networks an analysis compares, and the training examples that it passes through them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from lottery.core import Mask, Probe
from lottery.errors import UsageError
from lottery.inside.subject import Subject
from lottery.rng import Streams
from lottery.store import MAIN, JobKey
from lottery.tasks.own import OwnTask
from lottery.tasks.supervised import Supervised
from lottery.tickets import PruneConfig
from lottery.training import State

_BATCH = 250


def trainings_to_compare(subject: Subject, level: int) -> Iterator[JobKey]:
    """The trainings of a level that ended well: the tickets, and the first control of each kind."""
    for key in subject.with_controls(level):
        if key.branch in (MAIN, f"{key.kind}-1"):
            yield key


def probe_of(
    subject: Subject,
    state: State,
    mask: Mask,
    examples: int,
    pruned: Mapping[str, Tensor] | None = None,
) -> Probe:
    """A network with these weights under a mask, and training examples without augmentation.

    The examples are drawn by the run's seed, the same ones for every level and replicate. For a
    loop of the user's own they are taken from its ``batches=``.

    Args:
        subject: whose task it is.
        state: a whole ``state_dict``.
        mask: which weights are kept.
        examples: how many examples; all, where there are fewer.
        pruned: the values that pruned weights are held at; None: zero.

    Raises:
        UsageError: a loop of the user's own has no ``batches=``.
    """
    task = subject.experiment.task
    if isinstance(task, OwnTask) and task.code.batches is None:
        raise UsageError(
            "this looks at examples: pass batches=, a list or DataLoader of them, with the "
            "functions of your loop"
        )
    if isinstance(task, Supervised):
        examples = min(examples, len(task.data.train))
    return task.probe(
        PruneConfig(examples=examples, batch_size=_BATCH),
        0,
        mask,
        trained=state,
        streams=Streams(subject.run.config.seed, 0),
        pruned=pruned,
    )
