"""Criteria: what makes a weight superfluous.

A criterion maps a `ScoreContext` to scores; **a higher score means keep**. Any callable of that
shape will do. `CRITERIA` has those that come with the package; each looks at the weights alone, or
through a `Probe` at the network and at examples.
"""

from lottery.core.criteria.batches import probe_from_batches
from lottery.core.criteria.catalog import (
    CRITERIA,
    as_criterion,
    check_criterion,
    find_criterion,
)
from lottery.core.criteria.context import (
    Criterion,
    CriterionEntry,
    LooksAt,
    Probe,
    ScoreContext,
    Scores,
)
from lottery.core.criteria.network import scored_network

__all__ = [
    "CRITERIA",
    "Criterion",
    "CriterionEntry",
    "LooksAt",
    "Probe",
    "ScoreContext",
    "Scores",
    "as_criterion",
    "check_criterion",
    "find_criterion",
    "probe_from_batches",
    "scored_network",
]
