"""In which ways runs are not comparable, and what to keep in mind where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lottery.analysis import phrases
from lottery.analysis.methods.settings import shown
from lottery.analysis.methods.types import MethodRun, RunComparison, SettingDifference
from lottery.analysis.ticket_caveats import ticket_caveats
from lottery.store.jobs import MAIN


def warnings(
    runs: Sequence[MethodRun], names: Sequence[str], settings: Sequence[SettingDifference]
) -> tuple[str, ...]:
    """Every condition that is not the same in all runs, one sentence each."""
    found = [
        _data(runs, names),
        _splits(runs, names),
        _model(runs, names),
        _training(settings),
        _schema(runs, names),
        _margins(runs),
    ]
    return tuple(sentence for sentence in found if sentence)


def caveats(comparison: RunComparison) -> tuple[str, ...]:
    """What weakens the comparison; its own caveats are not read."""
    found = [
        *_failed(comparison),
        *_still_improving(comparison),
        *_masks(comparison),
        _nothing_differs(comparison),
        _several_differ(comparison),
        _cost(comparison),
    ]
    return tuple(sentence for sentence in found if sentence)


# Warnings


def _data(runs: Sequence[MethodRun], names: Sequence[str]) -> str:
    if _same(runs, lambda run: run.data["sha256"]):
        return ""
    if not _same(runs, lambda run: run.config["data"]["name"]):
        told = _told(runs, names, lambda run: run.config["data"]["name"])
        return f"The data are not the same ({told}): accuracies are of different test sets."
    if not _same(runs, lambda run: _sizes(run)):
        return ""  # said of the splits
    return (
        f"The data '{runs[0].config['data']['name']}' had other contents in some of the runs "
        f"({_told(runs, names, lambda run: 'SHA-256 ' + str(run.data['sha256'])[:8])})."
    )


def _splits(runs: Sequence[MethodRun], names: Sequence[str]) -> str:
    if _same(runs, _sizes):
        return ""
    told = _told(runs, names, lambda run: " / ".join(f"{size:,}" for size in _sizes(run)))
    return (
        f"The splits are not the same (training / validation / test examples: {told}): networks "
        "learned from, and stopped by, different examples."
    )


def _sizes(run: MethodRun) -> tuple[int, int, int]:
    data = run.data
    return data["training_examples"], data["validation_examples"], data["test_examples"]


def _model(runs: Sequence[MethodRun], names: Sequence[str]) -> str:
    if _same(runs, lambda run: run.config["model"]):
        return ""
    return (
        f"The models are not the same ({_told(runs, names, lambda run: run.config['model'])}): "
        "one density is another number of weights in each, and accuracies differ for other "
        "reasons than the tickets."
    )


def _training(settings: Sequence[SettingDifference]) -> str:
    keys = [
        setting.key
        for setting in settings
        if setting.part == "conditions" and setting.key.startswith(("training.", "data.augment"))
    ]
    if not keys:
        return ""
    length = any(key.startswith("training.length") for key in keys)
    what = "not even trained for the same length" if length else "trained in different ways"
    return f"The networks were {what} ({', '.join(keys)})."


def _schema(runs: Sequence[MethodRun], names: Sequence[str]) -> str:
    if _same(runs, lambda run: run.schema):
        return ""
    return (
        "The runs were made under different versions of the config's meaning "
        f"({_told(runs, names, lambda run: f'schema {run.schema}')}): equal settings gave other "
        "results then."
    )


def _margins(runs: Sequence[MethodRun]) -> str:
    own = [run.config["verdict"] for run in runs]
    given = {"margin": runs[0].verdict.margin, "confidence": runs[0].verdict.confidence}
    if all(verdict[key] == value for verdict in own for key, value in given.items()):
        return ""
    return (
        f"All runs are judged with a margin of {phrases.margin(given['margin'])} and a "
        f"confidence of {phrases.percent(given['confidence'])}, which is not what each was made "
        "with."
    )


def _same(runs: Sequence[MethodRun], of: Callable[[MethodRun], Any]) -> bool:
    return all(of(run) == of(runs[0]) for run in runs)


def _told(runs: Sequence[MethodRun], names: Sequence[str], of: Callable[[MethodRun], Any]) -> str:
    """What each run has, named."""
    return "; ".join(f"{name}: {shown(of(run))}" for name, run in zip(names, runs, strict=True))


# Caveats


def _failed(comparison: RunComparison) -> list[str]:
    found = []
    for place, method in enumerate(comparison.methods):
        cells = [cell for row in comparison.rows if (cell := row.cells[place])]
        counts = [
            (sum(cell.diverged for cell in cells), "diverged"),
            (sum(cell.collapsed for cell in cells), "collapsed"),
        ]
        if any(count for count, _ in counts):
            told = [f"{phrases.counted(n, 'training')} {what}" for n, what in counts if n]
            found.append(
                f"{method.label}: {phrases.joined(told)}. Means leave such replicates out, which "
                "flatters a method that loses some."
            )
    return found


def _still_improving(comparison: RunComparison) -> list[str]:
    """Early stops that fall on the last evaluation: no more than lower bounds."""
    found = []
    for method in comparison.methods:
        groups = [level.groups[MAIN] for level in method.verdict.levels if MAIN in level.groups]
        late = sum(group.still_improving for group in groups)
        if late:
            trainings = phrases.counted(sum(group.n for group in groups), "training")
            found.append(
                f"{method.label}: in {late:,} of {trainings} the validation loss was lowest at the "
                "very end: with longer training the early stop might come later, and accuracy be "
                "higher."
            )
    return found


def _masks(comparison: RunComparison) -> list[str]:
    return [
        f"{method.label}: {sentence}"
        for method in comparison.methods
        for sentence in ticket_caveats(method.verdict)
    ]


def _nothing_differs(comparison: RunComparison) -> str:
    if comparison.settings:
        return ""
    return (
        "No setting differs between the runs: where their results do, rounding on another "
        "machine, version or engine is the cause."
    )


def _several_differ(comparison: RunComparison) -> str:
    keys = [setting.key for setting in comparison.settings if setting.part == "method"]
    if len(comparison.methods) > 2 or len(keys) < 2:
        return ""
    return (
        f"The methods differ in {len(keys)} settings ({', '.join(keys)}): nothing here tells which "
        "of them makes a difference."
    )


def _cost(comparison: RunComparison) -> str:
    costs = [method.cost for method in comparison.methods]
    same = all(
        (cost.engines, cost.device, cost.hardware)
        == (costs[0].engines, costs[0].device, costs[0].hardware)
        for cost in costs
    )
    also = "" if same else ", and here engines or hardware are not the same"
    return f"Seconds of training depend on what else the machine did{also}."
