"""What a user should know of a dataset before a run."""

from __future__ import annotations

from lottery.data.dataset import SPLITS, Dataset, SplitName
from lottery.data.plain_files import first_names, one_line


def data_notes(data: Dataset) -> list[str]:
    """A dataset's own notes, and one on classes that have no examples in some split.

    Returns:
        Lines without unprintable characters and without a full stop.
    """
    missing = _missing_classes(data)
    return [*map(one_line, data.notes), *([missing] if missing else [])]


def _missing_classes(data: Dataset) -> str:
    """Which classes have no example in which split; empty if each has one in each."""
    present = {name: set(data.split(name).targets.unique().tolist()) for name in SPLITS}
    classes_of: dict[tuple[SplitName, ...], list[int]] = {}
    for label in range(data.classes):
        lacking = tuple(name for name in SPLITS if label not in present[name])
        if lacking:
            classes_of.setdefault(lacking, []).append(label)
    groups = [
        f"{_named(data, labels)} in {_joined(lacking)}" for lacking, labels in classes_of.items()
    ]
    if not groups:
        return ""
    return (
        f"{one_line(data.name)}: without examples, of {data.classes:,} classes: {'; '.join(groups)}"
    )


def _named(data: Dataset, labels: list[int]) -> str:
    names = [
        f"{label} ({data.class_names[label]})" if data.class_names else str(label)
        for label in labels
    ]
    return f"{'class' if len(labels) == 1 else 'classes'} {first_names(names)}"


def _joined(names: tuple[SplitName, ...]) -> str:
    *firsts, last = names
    return f"{', '.join(firsts)} and {last}" if firsts else last
