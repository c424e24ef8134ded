"""Names of parameters, whatever a model is wrapped in; and patterns of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from lottery.errors import UsageError, some_of

Patterns = str | Iterable[str]
"""One or more patterns of parameter names: ``*`` any characters, ``?`` one, ``[...]`` one of."""

_WRAPPERS: Final = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""What wrappers call the module inside of them, and nobody else does; they may stand anywhere."""


def clean_name(name: str) -> str:
    """A parameter's name without what wrappers add: the one that it has in the plain model.

    ``torch.compile`` adds ``_orig_mod.``, FSDP and activation checkpointing their own, anywhere.
    ``module.`` of DistributedDataParallel, DataParallel and AveragedModel is removed at the
    beginning alone, where it is that of the whole model.

    >>> clean_name("module._orig_mod.fc.weight"), clean_name("encoder._orig_mod.module.weight")
    ('fc.weight', 'encoder.module.weight')
    """
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    while len(parts) > 1 and parts[0] == "module":
        del parts[0]
    return ".".join(parts)


def clean_names(names: Iterable[str]) -> dict[str, str]:
    """Clean name -> name, in the order given.

    Raises:
        UsageError: two names are the same without what wrappers add.
    """
    found: dict[str, str] = {}
    for name in names:
        clean = clean_name(name)
        if found.setdefault(clean, name) != name:
            raise UsageError(
                f"'{found[clean]}' and '{name}' are both '{clean}' without what wrappers add "
                "('module.', '_orig_mod.'), so that a mask cannot say which is meant; rename one"
            )
    return found


def as_patterns(patterns: Patterns) -> tuple[str, ...]:
    """Patterns as a tuple, also if one is given alone."""
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def fits(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether one of a parameter's names fits one of the patterns, as it is or cleaned.

    >>> fits(["module.fc.weight"], ["fc.*"]), fits(["fc.weight"], ["fc"])
    (True, False)
    """
    both = [form for name in names for form in {name, clean_name(name)}]
    return any(fnmatchcase(name, pattern) for name in both for pattern in patterns)


def check_patterns_fit(
    setting: str, patterns: Iterable[str], parameters: Sequence[Sequence[str]], kind: str
) -> None:
    """Check that each pattern fits a parameter.

    Args:
        setting: that has the patterns, for messages.
        patterns: to check.
        parameters: the names of each.
        kind: what the parameters are, for messages.

    Raises:
        UsageError: naming a pattern that fits none, and the nearest names.
    """
    for pattern in patterns:
        if not any(fits(names, [pattern]) for names in parameters):
            known = [name for names in parameters for name in names]
            near = get_close_matches(pattern, known, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"they are {some_of(known)}"
            raise UsageError(f"prune.{setting}: no {kind} fits '{pattern}'; {hint}")
