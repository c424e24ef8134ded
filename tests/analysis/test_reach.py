"""What can be promised before a run, against the procedure that decides after it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.analysis import reachable
from lottery.analysis.procedure import Samples, Settings, decide

SETTINGS = Settings(margin=0.0, grid=1.0, end=1e9, step=0.0)


def confirmed(replicates: int, levels: int, multiple: float, *, everywhere: bool) -> bool:
    """Whether the last level is, where means lie so many deviations beyond what is tested.

    All levels have the same scatter in the same replicates, which is the hardest case; the others
    lie exactly at the boundary, or as far beyond it as the last. Copies fail by accuracy alone.
    """
    shape = np.linspace(-1, 1, replicates)
    shape = 0.001 * (shape / shape.std(ddof=1))
    shift = np.full((levels, 1), 0.001 * multiple)
    if not everywhere:
        shift[:-1] = -0.001
    dense = np.zeros(replicates)
    accuracy = Samples(
        dense=dense, tickets=shape + shift, copies=-(shape + 0.001 * multiple) - 0 * shift
    )
    logs = 100 * (shape + np.abs(shift))
    stop = Samples(
        dense=np.full(replicates, 1e6) * np.exp(shape),
        tickets=1e6 * np.exp(shape - logs),
        copies=np.full((levels, replicates), 1e6) * np.exp(shape),
    )
    decision = decide(accuracy, stop, SETTINGS)
    return bool(decision.confirmed["matches"][-1] and decision.confirmed["fails"][-1])


@pytest.mark.parametrize("replicates", [3, 4, 5])
@pytest.mark.parametrize("levels", [1, 2, 4, 12])
def test_the_multiple_is_where_the_procedure_begins_to_confirm(
    replicates: int, levels: int
) -> None:
    reach = reachable(replicates, levels)
    assert reach.multiple is not None
    assert reach.multiple_everywhere is not None
    assert confirmed(replicates, levels, reach.multiple * 1.001, everywhere=False)
    assert not confirmed(replicates, levels, reach.multiple * 0.999, everywhere=False)
    assert confirmed(replicates, levels, reach.multiple_everywhere * 1.001, everywhere=True)
    assert not confirmed(replicates, levels, reach.multiple_everywhere * 0.999, everywhere=True)


@pytest.mark.parametrize("replicates", [1, 2])
def test_fewer_than_three_replicates_reach_nothing(replicates: int) -> None:
    reach = reachable(replicates, 12)
    assert (reach.multiple, reach.multiple_everywhere) == (None, None)
    assert "nothing can be confirmed, whatever happens" in reach.sentence
    assert f"at least {reach.recommended} replicates" in reach.sentence


@given(st.integers(1, 12), st.integers(1, 25), st.floats(0.8, 0.99))
def test_the_recommendation_is_the_fewest(replicates: int, levels: int, confidence: float) -> None:
    recommended = reachable(replicates, levels, confidence).recommended
    enough = reachable(recommended, levels, confidence).multiple
    assert enough is not None
    assert enough <= 2.5
    if recommended > 3:
        fewer = reachable(recommended - 1, levels, confidence).multiple
        assert fewer is not None
        assert fewer > 2.5


def test_fifteen_levels_take_five_replicates() -> None:
    assert reachable(3, 15).recommended == 5


def test_the_sentence_fits_the_case() -> None:
    assert "only large effects can be" in reachable(3, 12).sentence
    assert reachable(8, 25).sentence.endswith("where every level's does.")
    assert reachable(5, 0).sentence == ""
    assert "1 level " in reachable(2, 1).sentence
    assert " or " not in reachable(5, 1).sentence


@pytest.mark.parametrize(
    ("replicates", "levels", "confidence"), [(0, 1, 0.95), (1, -1, 0.95), (2, 2, 1.0)]
)
def test_reachable_refuses(replicates: int, levels: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        reachable(replicates, levels, confidence)
