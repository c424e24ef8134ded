"""The settings in which runs differ, and labels for runs made from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lottery.analysis.methods.types import MethodRun, Part, SettingDifference

_PARTS: Mapping[str, Part] = {
    "method": "method",
    "prune": "method",
    "model": "conditions",
    "task": "conditions",
    "title": "conditions",
    "data": "conditions",
    "training": "conditions",
}
_ORDER: tuple[Part, ...] = ("method", "conditions", "evidence")
_MOST_IN_A_LABEL = 3
_LONGEST_VALUE = 24
# Last parts of keys that say little without the part before them.
_VAGUE = ("name", "amount", "unit", "base", "to", "kind")


def setting_differences(configs: Sequence[Mapping[str, Any]]) -> tuple[SettingDifference, ...]:
    """Every setting that is not the same in all configs, what decides the method first.

    The experiment's name is left out: it changes nothing. Where own loops are compared with
    recipes, what only one kind has differs among the configs of that kind; that the kinds do is one
    difference, ``task``.

    >>> [found] = setting_differences([{"model": "a", "seed": 0}, {"model": "b", "seed": 0}])
    >>> found.key, found.part, found.values
    ('model', 'conditions', ('a', 'b'))
    """
    whole = [dict(_flat(config)) for config in configs]
    kinds = tuple(map(kind_of_task, configs))
    mixed = len(set(kinds)) > 1
    listed = []
    for key in {key for config in whole for key in config} - {"name"}:
        values = tuple(config.get(key) for config in whole)
        table = key.partition(".")[0]
        compared = [
            config.get(key)
            for config, of in zip(whole, configs, strict=True)
            if not mixed or table in of
        ]
        if any(value != compared[0] for value in compared):
            listed.append(SettingDifference(key=key, part=_part(key), values=values))
    if mixed:
        listed.append(SettingDifference(key="task", part="conditions", values=kinds))
    return tuple(sorted(listed, key=lambda setting: (_ORDER.index(setting.part), setting.key)))


def kind_of_task(config: Mapping[str, Any]) -> str:
    """Whether a config is of a loop of the user's own or of a recipe, or a file like one.

    >>> kind_of_task({"model": "a"})
    'recipe'
    """
    return "own loop" if "task" in config else "recipe"


def _part(key: str) -> Part:
    """What a setting decides, by the longest beginning of its key that is known."""
    names = key.split(".")
    beginnings = (".".join(names[:count]) for count in range(len(names), 0, -1))
    return next((_PARTS[found] for found in beginnings if found in _PARTS), "evidence")


def labels(runs: Sequence[MethodRun], settings: Sequence[SettingDifference]) -> tuple[str, ...]:
    """A unique label for each run.

    The experiment's name where that is enough; else followed by the settings that distinguish the
    runs of that name; and where there are none, by the name of the run's directory or a number.
    """
    names = [run.verdict.name for run in runs]
    telling = distinguishing_settings(names, settings)
    told = [f"{name} ({how})" if how else name for name, how in zip(names, telling, strict=True)]
    for extras in ([run.verdict.run for run in runs], [f"no. {i + 1}" for i in range(len(runs))]):
        told = [
            text if count == 1 or text == extra else f"{text} [{extra}]"
            for (text, count), extra in zip(_counted(told), extras, strict=True)
        ]
    return tuple(told)


def changed_settings(config: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """What a config changes of another, such as its recipe; empty if nothing.

    >>> changed_settings({"seed": 1, "training": {"base": 2}}, {"seed": 0, "training": {"base": 3}})
    'training.base=2, seed=1'
    """
    settings = setting_differences([config, base])
    short = _short_keys([setting.key for setting in settings])
    return ", ".join(f"{short[one.key]}={_cut(format_setting(one.values[0]))}" for one in settings)


def distinguishing_settings(
    names: Sequence[str],
    settings: Sequence[SettingDifference],
    *,
    most: int = _MOST_IN_A_LABEL,
) -> tuple[str, ...]:
    """The settings that distinguish each run from others of its name; empty where the name is
    enough.

    Args:
        names: the experiment's name of each run.
        settings: in which settings the runs differ, from `setting_differences`.
        most: how many settings of a run at most, even if more would be needed.

    >>> distinguishing_settings(["a", "a"], setting_differences([{"seed": 0}, {"seed": 1}]))
    ('seed=0', 'seed=1')
    """
    return tuple(
        _settings(i, names, settings, most) if count > 1 else ""
        for i, (_, count) in enumerate(_counted(names))
    )


def format_setting(value: Any) -> str:
    """A setting's value as it is written on the command line; a dash where there is none.

    >>> format_setting("random"), format_setting(0.5), format_setting([1, 2]), format_setting(None)
    ('random', '0.5', '[1, 2]', '-')
    """
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _counted(texts: Sequence[str]) -> list[tuple[str, int]]:
    counts = Counter(texts)
    return [(text, counts[text]) for text in texts]


def _settings(
    number: int, names: Sequence[str], settings: Sequence[SettingDifference], most: int
) -> str:
    """The first settings that tell a run from others of its name, no more than it takes.

    Hashes of own code tell a reader nothing.
    """
    same = [i for i, name in enumerate(names) if name == names[number]]
    telling: list[SettingDifference] = []
    kinds = 1
    for setting in settings:
        if setting.key.startswith("task."):
            continue
        split = len({tuple(format_setting(s.values[i]) for s in (*telling, setting)) for i in same})
        if split > kinds and len(telling) < most:
            telling.append(setting)
            kinds = split
    short = _short_keys([setting.key for setting in telling])
    return ", ".join(
        f"{short[setting.key]}={_cut(format_setting(setting.values[number]))}"
        for setting in telling
    )


def _short_keys(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, or as many of the last as no other key ends with."""

    def short(key: str) -> str:
        parts = key.split(".")
        for number in range(1, len(parts)):
            ending = ".".join(parts[-number:])
            others = sum(other == ending or other.endswith(f".{ending}") for other in keys)
            if others == 1 and not (number == 1 and ending in _VAGUE):
                return ending
        return key

    return {key: short(key) for key in keys}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
