"""Schedules: densities by level and by iteration."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.core import gradual_density, kept_at_density, kept_linearly, scored_level
from lottery.core.schedule import GradualShape

quick = settings(max_examples=100, deadline=None)


def test_one_shot_alone_looks_at_the_dense_network() -> None:
    assert [scored_level("one-shot", level) for level in (1, 2, 3)] == [0, 0, 0]
    for schedule in ("geometric", "linear", "listed"):
        assert [scored_level(schedule, level) for level in (1, 2, 3)] == [0, 1, 2]


@given(st.integers(1, 10**7), st.integers(1, 40), st.floats(0, 1))
@quick
def test_linear_levels_lose_equally_many_and_end_exactly(
    total: int, levels: int, final: float
) -> None:
    kept = [kept_linearly(total, n, levels=levels, final_density=final) for n in range(levels + 1)]

    assert kept[0] == total
    assert kept[-1] == kept_at_density(total, final) == round(final * total)
    lost = [before - after for before, after in pairwise(kept)]
    assert max(lost) - min(lost) <= 1
    assert min(lost) >= 0


shapes = st.sampled_from(["cubic", "linear"])


@given(
    shapes,
    st.floats(0.01, 1),
    st.floats(0.01, 1),
    st.integers(0, 50),
    st.integers(0, 200),
    st.integers(1, 60),
)
@quick
def test_gradual_density_falls_in_steps_from_begin_to_end(
    shape: GradualShape, one: float, other: float, begin: int, length: int, every: int
) -> None:
    initial, final = max(one, other), min(one, other)
    density = [
        gradual_density(
            i,
            shape=shape,
            initial=initial,
            final=final,
            begin=begin,
            end=begin + length,
            every=every,
        )
        for i in range(begin + length + 5)
    ]

    assert density[:begin] == [1.0] * min(begin, len(density))
    assert set(density[begin + length :]) == {final}
    assert all(after <= before + 1e-12 for before, after in pairwise(density))
    for i in range(begin + 1, begin + length):
        if (i - begin) % every:
            assert density[i] == density[i - 1]


@pytest.mark.parametrize("iteration", [100, 150, 320, 410, 500])
def test_cubic_is_the_papers_sparsity(iteration: int) -> None:
    """arXiv:1710.01878, equation 1, with t0 = 100, n = 8, every 50, from 0.5 to 0.9 sparsity."""
    s_i, s_f, t_0, n, step = 0.5, 0.9, 100, 8, 50
    t = t_0 + (iteration - t_0) // step * step
    sparsity = s_f + (s_i - s_f) * (1 - (t - t_0) / (n * step)) ** 3

    density = gradual_density(
        iteration, shape="cubic", initial=0.5, final=0.1, begin=100, end=500, every=50
    )

    assert density == pytest.approx(1 - sparsity, abs=1e-12)


def test_an_end_at_the_beginning_is_one_pruning() -> None:
    for iteration, expected in ((6, 1.0), (7, 0.3), (8, 0.3)):
        found = gradual_density(
            iteration, shape="linear", initial=0.8, final=0.3, begin=7, end=7, every=10
        )
        assert found == expected
