"""Importing a package that only an extra installs."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from lottery.errors import LotteryError, MissingPackageError


def import_extra(package: str, *, extra: str, what: str) -> ModuleType:
    """Import a package of an extra.

    Args:
        package: the module to import.
        extra: the extra that installs it, as in ``pip install 'lottery[timm]'``.
        what: what needs it, for the error message.

    Raises:
        MissingPackageError: it is not installed, or something it needs itself is not.
        LotteryError: it is installed, but cannot be imported.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        missing = (error.name or package).partition(".")[0]
        raise MissingPackageError(what, missing, extra=extra) from error
    except (ImportError, OSError, RuntimeError) as error:
        # Compiled parts that were made for another torch fail in any of these ways.
        raise LotteryError(
            f"{what} needs the package {package}, which is installed but cannot be imported: "
            f"{error}. Its version may not fit that of torch; try: pip install 'lottery[{extra}]'"
        ) from error
