"""Every analysis there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.inside.analysis import Analysis
from lottery.inside.connectivity import connectivity

CONNECTIVITY: Final = Analysis(
    name="connectivity",
    sentence="stability to the data order, and lines of low error between levels",
    measure=connectivity,
    read=False,
)

_ALL: Final[tuple[Analysis, ...]] = (CONNECTIVITY,)

ANALYSES: Final[Mapping[str, Analysis]] = {one.name: one for one in _ALL}
"""Name -> record, in the order of lists."""
