"""Whether tickets lose more accuracy than the dense network on corrupted test images.

A ticket that fits this kind of image more narrowly than the dense network would lose more. Nothing
is trained: the weights at the end of each training are evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from statistics import fmean
from typing import Final

import torch

from lottery.data.dataset import Split
from lottery.errors import UsageError
from lottery.inside.analysis import Analysis
from lottery.inside.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from lottery.inside.measurement import Cell, Measurement, Table
from lottery.inside.spread import half_interval
from lottery.inside.subject import Subject
from lottery.store import MAIN, JobKey
from lottery.tasks.supervised import Supervised
from lottery.training.evaluate import evaluate

EXAMPLES: Final = 10_000
CLEAN: Final = ("none", 0)
_Shift = tuple[str, int]
_SHIFTS: Final[tuple[_Shift, ...]] = tuple(product(CORRUPTIONS, STRENGTHS))
_Accuracies = Mapping[_Shift, Mapping[JobKey, float]]


def shifts(subject: Subject, *, examples: int = EXAMPLES) -> Measurement:
    """Accuracy on test images with noise, blur and less contrast, of dense networks and tickets.

    Args:
        subject: of a run on images, with level 0 among its levels.
        examples: how many test examples at most, evenly spaced in the test set; 1 or more.

    Raises:
        UsageError: the data are no images, level 0 is not among the levels, or ``examples`` is out
            of range.
    """
    task = subject.experiment.task
    if not isinstance(task, Supervised):
        raise UsageError(
            "this makes the test images of a dataset worse, and those of a loop of your own are "
            "not known"
        )
    if examples < 1:
        raise UsageError(f"examples: expected 1 or more, got {examples}")
    if 0 not in subject.levels:
        raise UsageError("tickets are compared with the dense network: look at level 0 as well")
    keys = list(subject.trainings())
    measured = _measured(subject, task, keys, examples)
    step = 1 / min(examples, len(task.data.test))
    by_level = [(level, _lost_more(measured, keys, level)) for level in subject.levels if level]
    rows = [
        row for shift in (CLEAN, *_SHIFTS) for row in _rows(subject, measured, keys, shift, step)
    ]
    means = [(level, _mean_of(lost)) for level, lost in by_level]
    return Measurement(
        analysis="shifts",
        found=_sentences(subject, means, step),
        tables=(
            Table(
                name="means",
                title="Mean of all corruptions",
                note="lost more: what the ticket's accuracy falls by, less what its dense "
                "network's falls by (a fraction), on the mean of all corruptions; its 95% "
                "t-interval over n replicates. By chance an interval leaves out 0 at one level "
                "in 20.",
                columns=("level", "density", "n", "lost_more", "low", "high"),
                rows=tuple(
                    (level, _density(subject, level), *_interval(list(lost.values()), step))
                    for level, lost in means
                ),
            ),
            Table(
                name="shifts",
                title="Each corruption and strength",
                note="accuracy: mean test accuracy at the end of training (a fraction); none: as "
                "the images are.",
                columns=(
                    *("corruption", "strength", "level", "density", "accuracy"),
                    *("n", "lost_more", "low", "high"),
                ),
                rows=tuple(rows),
            ),
        ),
    )


def _measured(
    subject: Subject, task: Supervised, keys: Sequence[JobKey], examples: int
) -> _Accuracies:
    """The accuracy of every training on the images as they are, and on worse ones."""
    whole = task.data.test
    count = min(examples, len(whole))
    chosen = torch.arange(count) * len(whole) // count
    test = Split(whole.inputs[chosen], whole.targets[chosen])
    model, loss = task.make_model(), task.settings.training.loss
    found: dict[_Shift, dict[JobKey, float]] = {}
    for kind, strength in (CLEAN, *_SHIFTS):
        worse = test if kind == CLEAN[0] else corrupt(test, kind, strength)
        data = task.data_on_device(replace(task.data, test=worse))
        model.to(data.test.targets.device)
        found[kind, strength] = {}
        for key in keys:
            subject.progress(f"{kind} {strength}: {key}")
            model.load_state_dict(dict(subject.weights(key)))
            found[kind, strength][key] = evaluate(model, data, "test", loss)[1]
    return found


def _lost_more(
    measured: _Accuracies, keys: Sequence[JobKey], level: int
) -> dict[_Shift, dict[int, float]]:
    """Corruption -> replicate -> what the ticket loses more than its dense network."""
    pairs = [
        (key, JobKey(key.replicate, MAIN, 0))
        for key in keys
        if key.level == level and JobKey(key.replicate, MAIN, 0) in keys
    ]
    clean = measured[CLEAN]
    return {
        shift: {
            key.replicate: (clean[key] - worse[key]) - (clean[dense] - worse[dense])
            for key, dense in pairs
        }
        for shift, worse in measured.items()
        if shift != CLEAN
    }


def _mean_of(lost: Mapping[_Shift, Mapping[int, float]]) -> dict[int, float]:
    """Replicate -> mean over the corruptions."""
    replicates = next(iter(lost.values()))
    return {number: fmean(one[number] for one in lost.values()) for number in replicates}


def _rows(
    subject: Subject, measured: _Accuracies, keys: Sequence[JobKey], shift: _Shift, step: float
) -> list[tuple[Cell, ...]]:
    rows = []
    for level in subject.levels:
        values = [measured[shift][key] for key in keys if key.level == level]
        lost = _lost_more(measured, keys, level).get(shift, {}) if level else {}
        accuracy = fmean(values) if values else None
        head = (*shift, level, _density(subject, level), accuracy)
        rows.append((*head, *_interval(list(lost.values()), step, len(values))))
    return rows


def _interval(values: Sequence[float], step: float, n: int = 0) -> tuple[Cell, ...]:
    """Count, mean and the ends of its interval, which is no narrower than a step each way."""
    if not values:
        return n, None, None, None
    mean, half = fmean(values), half_interval(values, resolution=step)
    if half is None:
        return len(values), mean, None, None
    return len(values), mean, mean - half, mean + half


def _density(subject: Subject, level: int) -> float | None:
    found = [subject.run.results[key].density for key in subject.trainings() if key.level == level]
    return fmean(found) if found else None


def _sentences(
    subject: Subject, means: Sequence[tuple[int, Mapping[int, float]]], step: float
) -> tuple[str, ...]:
    """What the means say, one sentence for the levels that lose more, less, or neither."""
    said: dict[str, list[str]] = {"more than": [], "less than": [], "": [], "untested": []}
    for level, lost in means:
        n, mean, low, high = _interval(list(lost.values()), step)
        if not isinstance(mean, float):
            continue
        words = f"level {level} ({_density(subject, level):.2%} of the weights) {100 * mean:+.2f}"
        if not isinstance(low, float) or not isinstance(high, float):
            said["untested"].append(words)
            continue
        words += f" ({100 * low:+.2f} to {100 * high:+.2f}, n = {n})"
        said["more than" if low > 0 else "less than" if high < 0 else ""].append(words)
    tail = (
        f"Points of accuracy lost beyond what the dense network loses, on the mean of "
        f"{len(_SHIFTS)} corruptions of the test images, with 95% intervals"
    )
    heads = {
        "more than": "Tickets lose more than the dense network",
        "less than": "Tickets lose less than the dense network",
        "": "Neither is shown",
        "untested": "One replicate alone shows nothing",
    }
    found = [f"{heads[which]}: {'; '.join(ones)}." for which, ones in said.items() if ones]
    none = ("No replicate has a dense network and a ticket.",) if subject.dense else ()
    return (*found, f"{tail}.") if found else none


SHIFTS: Final = Analysis(
    name="shifts",
    sentence="whether tickets lose more than the dense network on test images made worse",
    measure=shifts,
    read=False,
)
