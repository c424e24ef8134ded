"""Names of parameters, with or without the names that wrappers add; and patterns of names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final, TypeVar

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lottery.errors import UsageError, format_names

Patterns = str | Iterable[str]
"""One or more patterns of parameter names: ``*`` any characters, ``?`` one, ``[...]`` one of."""

_T = TypeVar("_T")

_WRAPPERS: Final = frozenset(
    {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
)
"""The attribute in which a wrapper has the wrapped module."""


def clean_name(name: str) -> str:
    """A parameter's name without what wrappers add: the one that it has in the plain model.

    Wrappers are ``torch.compile``, DistributedDataParallel, DataParallel, AveragedModel, FSDP and
    activation checkpointing, of the whole model or of parts of it.

    >>> clean_name("module._orig_mod.fc.weight"), clean_name("encoder._orig_mod.module.weight")
    ('fc.weight', 'encoder.weight')
    """
    *path, last = name.split(".")
    return ".".join([*(part for part in path if part not in _WRAPPERS), last])


def by_clean_name(named: Mapping[str, _T]) -> dict[str, _T]:
    """The same values under clean names, or as given if two clean names would be the same.

    The latter happens where an attribute of the model itself is called like a wrapper's.

    >>> by_clean_name({"module.fc.weight": 1}), by_clean_name({"module.fc": 1, "fc": 2})
    ({'fc.weight': 1}, {'module.fc': 1, 'fc': 2})
    """
    clean = {clean_name(name): value for name, value in named.items()}
    return clean if len(clean) == len(named) else dict(named)


def unwrapped(model: nn.Module) -> nn.Module:
    """The plain model inside ``torch.compile``, DistributedDataParallel and DataParallel."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if isinstance(model, nn.DataParallel | DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def as_patterns(patterns: Patterns) -> tuple[str, ...]:
    """Patterns as a tuple, also if one is given alone."""
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def matches_any(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether one of a parameter's names, as it is or cleaned, matches one of the patterns.

    >>> matches_any(["module.fc.weight"], ["fc.*"]), matches_any(["fc.weight"], ["fc"])
    (True, False)
    """
    both = [form for name in names for form in {name, clean_name(name)}]
    return any(fnmatchcase(name, pattern) for name in both for pattern in patterns)


def check_patterns_match(
    setting: str, patterns: Iterable[str], parameters: Sequence[Sequence[str]], kind: str
) -> None:
    """Check that each pattern matches a parameter.

    Args:
        setting: the setting that has the patterns, for messages.
        patterns: to check.
        parameters: for each parameter, all of its names.
        kind: what the parameters are, for messages.

    Raises:
        UsageError: naming a pattern that matches none, and the nearest names.
    """
    for pattern in patterns:
        if not any(matches_any(names, [pattern]) for names in parameters):
            known = [name for names in parameters for name in names]
            near = get_close_matches(pattern, known, n=2)
            hint = (
                f"did you mean {' or '.join(near)}?" if near else f"they are {format_names(known)}"
            )
            raise UsageError(f"prune.{setting}: no {kind} matches '{pattern}'; {hint}")
