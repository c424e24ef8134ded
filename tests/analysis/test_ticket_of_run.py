"""Which of a run's tickets is taken where none is asked for."""

from __future__ import annotations

import pytest
from made_up_results import job, judged, simulated

from lottery.analysis.ticket_of_run import pick_level
from lottery.errors import UsageError

WINS, FAILS, LOSES = (0.002, -3000.0), (-0.02, 3000.0), (-0.02, 3000.0)


@pytest.mark.parametrize(
    ("results", "settings", "words"),
    [
        (
            simulated(1, replicates=6, levels=2, ticket=WINS, reinit=FAILS),
            {},
            "the smallest that is confirmed",
        ),
        (
            simulated(1, replicates=6, levels=2, ticket=WINS, reinit=WINS),
            {},
            "the smallest that wins by the tests",
        ),
        (
            simulated(1, replicates=6, levels=2, ticket=WINS, reinit=FAILS),
            {"rewind": "learning-rate"},
            "the smallest that matches by the tests",
        ),
        (
            simulated(1, replicates=1, levels=2, ticket=WINS, reinit=FAILS),
            {},
            "the smallest that wins on the means",
        ),
        (
            simulated(1, replicates=4, levels=2, ticket=(0.0, 3000.0)),
            {},
            "the smallest that matches on the means",
        ),
    ],
)
def test_the_smallest_of_the_best_supported(
    results: list[object], settings: dict[str, str], words: str
) -> None:
    assert pick_level(judged(results, **settings)) == (2, words)  # type: ignore[arg-type]


def test_the_best_where_none_matches() -> None:
    results = [job(0, "main", 0, 0.98), job(0, "main", 1, 0.94), job(0, "main", 2, 0.9)]
    assert pick_level(judged(results)) == (1, "the best, though none matches")


def test_none_where_nothing_was_learned() -> None:
    with pytest.raises(UsageError, match="none can be picked"):
        pick_level(judged([job(0, "main", 0), job(0, "main", 1, status="diverged")]))
