"""Every analysis there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.inside.alignment import ALIGNMENT
from lottery.inside.analysis import Analysis
from lottery.inside.cka import CKA
from lottery.inside.connectivity import CONNECTIVITY
from lottery.inside.curvature import CURVATURE
from lottery.inside.masks import MASKS
from lottery.inside.pools import POOLS
from lottery.inside.shifts import SHIFTS
from lottery.inside.weights import WEIGHTS

ANALYSES: Final[Mapping[str, Analysis]] = {
    one.name: one
    for one in (MASKS, WEIGHTS, CONNECTIVITY, ALIGNMENT, CURVATURE, CKA, POOLS, SHIFTS)
}
"""Name -> record, in the order of lists."""
