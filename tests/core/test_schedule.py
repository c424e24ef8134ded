"""The level whose weights decide."""

from __future__ import annotations

import pytest

from lottery.core import scored_level


@pytest.mark.parametrize("level", [1, 2, 7])
def test_which_level_decides(level: int) -> None:
    assert scored_level("geometric", level) == level - 1
    assert scored_level("one-shot", level) == 0
