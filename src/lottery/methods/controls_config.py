"""The config table of controls: a number for each record."""

from __future__ import annotations

from dataclasses import Field, field, make_dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lottery.methods.base import Method
from lottery.methods.control import Control
from lottery.methods.controls import CONTROLS
from lottery.tickets import PruneConfig


class _Numbers:
    """Control runs at every level but the dense one, each with one thing broken on purpose."""

    def limits(self) -> list[str]:
        """The limits without which even an old run could not be read, one sentence each."""
        return [
            f"{c.setting}: must be between 0 and 99, got {number}"
            for c in CONTROLS.values()
            if not 0 <= (number := getattr(self, c.setting)) <= 99
        ]

    # Nothing more can be wrong with them alone.
    problems = limits


if TYPE_CHECKING:

    class ControlsConfig(_Numbers):
        """A number for each record, by its setting."""

        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

        def __init__(self, **numbers: int) -> None: ...

        def __getattr__(self, setting: str) -> int: ...

else:
    ControlsConfig = make_dataclass(
        "ControlsConfig",
        [
            (c.setting, type(c.default), field(default=c.default, metadata={"meaning": c.meaning}))
            for c in CONTROLS.values()
        ],
        bases=(_Numbers,),
        namespace={"__doc__": _Numbers.__doc__, "__module__": __name__},
        frozen=True,
        kw_only=True,
    )


def requested_controls(controls: ControlsConfig) -> list[Control]:
    """The controls whose number is 1 or more, in the order of `CONTROLS`."""
    return [control for control in CONTROLS.values() if getattr(controls, control.setting)]


def control_problems(controls: ControlsConfig, method: Method, prune: PruneConfig) -> list[str]:
    """The requested controls that have no meaning for these tickets, one sentence each."""
    return [
        f"controls.{control.setting}: {reason}"
        for control in requested_controls(controls)
        if (reason := control.refusal(method, prune))
    ]
