"""Every analysis there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.inside.analysis import Analysis
from lottery.inside.shifts import shifts

SHIFTS: Final = Analysis(
    name="shifts",
    sentence="whether tickets lose more than the dense network on test images made worse",
    measure=shifts,
    read=False,
)

_ALL: Final[tuple[Analysis, ...]] = (SHIFTS,)

ANALYSES: Final[Mapping[str, Analysis]] = {one.name: one for one in _ALL}
"""Name -> record, in the order of lists."""
