"""Every analysis there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.inside.analysis import Analysis
from lottery.inside.connectivity import connectivity
from lottery.inside.weights import weights

WEIGHTS: Final = Analysis(
    name="weights",
    sentence="values of survivors and pruned weights, how far they move, which signs they keep",
    measure=weights,
)


CONNECTIVITY: Final = Analysis(
    name="connectivity",
    sentence="stability to the data order, and lines of low error between levels",
    measure=connectivity,
    read=False,
)


_ALL: Final[tuple[Analysis, ...]] = (
    WEIGHTS,
    CONNECTIVITY,
)

ANALYSES: Final[Mapping[str, Analysis]] = {one.name: one for one in _ALL}
"""Name -> record, in the order of lists."""
