"""Every analysis there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.inside.alignment import alignment
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


ALIGNMENT: Final = Analysis(
    name="alignment",
    sentence="whether replicates are alike up to the order of their neurons, and masks move",
    measure=alignment,
    read=False,
    controls=("reinit", "moved", "aligned"),
)


_ALL: Final[tuple[Analysis, ...]] = (WEIGHTS, CONNECTIVITY, ALIGNMENT,)

ANALYSES: Final[Mapping[str, Analysis]] = {one.name: one for one in _ALL}
"""Name -> record, in the order of lists."""
