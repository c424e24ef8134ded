"""Every analysis there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.inside.alignment import alignment
from lottery.inside.analysis import Analysis

ALIGNMENT: Final = Analysis(
    name="alignment",
    sentence="whether replicates are alike up to the order of their neurons, and masks move",
    measure=alignment,
    read=False,
    controls=("reinit", "moved", "aligned"),
)

_ALL: Final[tuple[Analysis, ...]] = (ALIGNMENT,)

ANALYSES: Final[Mapping[str, Analysis]] = {one.name: one for one in _ALL}
"""Name -> record, in the order of lists."""
