"""Every analysis there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.inside.analysis import Analysis
from lottery.inside.masks import masks

MASKS: Final = Analysis(
    name="masks",
    sentence="what tickets keep, beside what masks drawn at random would: overlap, units, paths",
    measure=masks,
)
_ALL: Final[tuple[Analysis, ...]] = (MASKS,)

ANALYSES: Final[Mapping[str, Analysis]] = {one.name: one for one in _ALL}
"""Name -> record, in the order of lists."""
