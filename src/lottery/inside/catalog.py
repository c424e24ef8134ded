"""Every analysis there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.inside.alignment import alignment
from lottery.inside.analysis import Analysis
from lottery.inside.cka import similarity
from lottery.inside.connectivity import connectivity
from lottery.inside.curvature import curvature
from lottery.inside.masks import masks
from lottery.inside.pools import pools
from lottery.inside.shifts import shifts
from lottery.inside.weights import weights

WEIGHTS: Final = Analysis(
    name="weights",
    sentence="values of survivors and pruned weights, how far they move, which signs they keep",
    measure=weights,
)
CURVATURE: Final = Analysis(
    name="curvature",
    sentence="sharpness where trainings end, and norms of the gradient on the way",
    measure=curvature,
    read=False,
)
CKA: Final = Analysis(
    name="cka",
    sentence="how alike tickets and dense networks represent the same examples, layer by layer",
    measure=similarity,
    read=False,
)
POOLS: Final = Analysis(
    name="pools",
    sentence="tickets averaged with those of the levels around them, without any training",
    measure=pools,
    read=False,
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
)


SHIFTS: Final = Analysis(
    name="shifts",
    sentence="whether tickets lose more than the dense network on test images made worse",
    measure=shifts,
    read=False,
)


MASKS: Final = Analysis(
    name="masks",
    sentence="what tickets keep, beside what masks drawn at random would: overlap, units, paths",
    measure=masks,
)

CONNECTIVITY: Final = Analysis(
    name="connectivity",
    sentence="stability to the data order, and lines of low error between levels",
    measure=connectivity,
    read=False,
)


_ALL: Final[tuple[Analysis, ...]] = (
    MASKS,
    WEIGHTS,
    CONNECTIVITY,
    ALIGNMENT,
    CURVATURE,
    CKA,
    POOLS,
    SHIFTS,
)

ANALYSES: Final[Mapping[str, Analysis]] = {one.name: one for one in _ALL}
"""Name -> record, in the order of lists."""
