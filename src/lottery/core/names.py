"""Names of parameters, whatever a model is wrapped in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lottery.errors import UsageError

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
