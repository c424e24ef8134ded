"""One root class for everything a user can do something about, and its few leaves.

Every message says what was expected, what was found and what to do. The command line prints the
message without a traceback and ends with the class's ``exit_code``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class LotteryError(Exception):
    """Root of the errors that ``lottery`` raises on purpose.

    Names in a message may come from anybody's files, so it is read with `printable` characters
    alone: an escape sequence would reach the terminal.
    """

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(LotteryError):
    """The command, its options or the config ask for something that does not exist or fit."""

    exit_code = 2


class ConfigError(UsageError):
    """A config is wrong; the message lists every problem found, each with its place."""

    def __init__(self, problems: Iterable[str], *, source: str = "the config") -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"{source} has {count} problem{'s'[: count != 1]}:\n{lines}")


class DataError(LotteryError):
    """A dataset is missing, truncated, or not what its file claims."""

    exit_code = 3


class JobsFailedError(LotteryError):
    """A run came to its end, but some of its jobs diverged or collapsed."""

    exit_code = 4


class MaskError(LotteryError):
    """A mask does not fit its model or its scores, or it leaves a layer without a weight."""


class StoreError(LotteryError):
    """A run on disk cannot be read, written or owned."""


class MissingPackageError(LotteryError):
    """Something needs a package that is not installed.

    Args:
        what: what needs it, such as ``"a report"``.
        package: its name for pip.
        extra: the extra of lottery that installs it, if one does.
    """

    def __init__(self, what: str, package: str, *, extra: str | None = None) -> None:
        install = f"'lottery[{extra}]'" if extra else package
        super().__init__(f"{what} needs the package {package}: pip install {install}")


class Preempted(LotteryError):  # noqa: N818 - not an error of anyone's: the process was asked to stop
    """The process was asked to stop; what it had done is on disk and the same command goes on."""

    exit_code = 75


def unknown_name(kind: str, name: str, choices: Iterable[str], *, listed_by: str = "") -> str:
    """The sentence for a name that is not among the choices, with the nearest one.

    Args:
        kind: what it would be a name of.
        name: the unknown name.
        choices: the names that are known.
        listed_by: the command that lists the choices, where they are many; the nearest three are
            named then.

    >>> unknown_name("dataset", "mnits", ["mnist", "mnist-5k"])
    "unknown dataset 'mnits'; did you mean 'mnist'? Choices: mnist, mnist-5k"
    >>> unknown_name("model", "lenet", ["lenet-300-100", "vgg-19"], listed_by="lottery list models")
    "unknown model 'lenet'; did you mean 'lenet-300-100'? lottery list models prints all 2"
    """
    known = sorted(choices)
    near = get_close_matches(name, known, n=3 if listed_by else 1)
    if listed_by and len(name) > 2:
        near += [one for one in sorted(known, key=len) if name in one and one not in near]
    *others, last = [f"'{one}'" for one in near[:3]] or [""]
    meant = f"{', '.join(others)} or {last}" if others else last
    hint = f"; did you mean {meant}?" if near else "."
    if listed_by:
        return f"unknown {kind} '{name}'{hint} {listed_by} prints all {len(known)}"
    return f"unknown {kind} '{name}'{hint} Choices: {', '.join(known)}"


def describe_error(error: BaseException) -> str:
    """An error's type and the beginning of what it says, in one line.

    >>> describe_error(ValueError("expected\\n   images"))
    'ValueError: expected images'
    """
    text = " ".join(str(error).split())
    short = text if len(text) <= 300 else f"{text[:297]}..."
    return f"{type(error).__name__}: {short}" if short else type(error).__name__


def format_names(names: Sequence[str]) -> str:
    """A few names, and how many more there are.

    >>> format_names(["a", "b"]), format_names(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    few = ", ".join(names[:3])
    return f"{few} and {len(names) - 3} more" if len(names) > 3 else few


def printable(text: str) -> str:
    r"""A text of which everything is seen: what a terminal would act on is written out.

    Ends of lines and tabs stay. Escapes are those of JSON and TOML.

    >>> print(printable("red: \x1b[31m, back: \r, name: é"))
    red: \u001b[31m, back: \u000d, name: é
    """
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(c if _is_seen(c) else _escape(ord(c)) for c in text)


def _is_seen(character: str) -> bool:
    # Spaces of other widths count as not printable, and harm nobody.
    return character in "\n\t" or character.isprintable() or unicodedata.category(character) == "Zs"


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
