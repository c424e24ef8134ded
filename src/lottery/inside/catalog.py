"""Every analysis there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.inside.alignment import alignment
from lottery.inside.analysis import Analysis
from lottery.inside.connectivity import connectivity

ALIGNMENT: Final = Analysis(
    name="alignment",
    sentence="whether replicates are alike up to the order of their neurons, and masks move",
    measure=alignment,
    read=False,
)

CONNECTIVITY: Final = Analysis(
    name="connectivity",
    sentence="stability to the data order, and lines of low error between levels",
    measure=connectivity,
    read=False,
)

_ALL: Final[tuple[Analysis, ...]] = (ALIGNMENT, CONNECTIVITY)

ANALYSES: Final[Mapping[str, Analysis]] = {one.name: one for one in _ALL}
"""Name -> record, in the order of lists."""
