"""The verdict on a run with the means and spreads of LeNet-300-100 on MNIST, n = 5.

The numbers are those of docs/results/lenet-mnist.md as they were first published: 15 levels, means
and half intervals of accuracy (%) and early stop, and the accuracy of the reinitialized copies;
their early stops are read off the text there (3,960 at 80%, 5,893 at 13.5%, 9,633 at 3.6%).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lottery.analysis import Verdict
from lottery.store.jobs import JobResult

Job = Callable[..., JobResult]
Judged = Callable[..., Verdict]

DENSE = (97.75, 0.17, 4620, 1622)
TICKETS = (
    (97.72, 0.24, 3260, 1522, 97.76),
    (98.03, 0.14, 3580, 1483, 97.86),
    (97.88, 0.19, 2880, 1809, 97.82),
    (97.94, 0.14, 2740, 898, 97.91),
    (98.02, 0.19, 2460, 524, 97.86),
    (98.13, 0.13, 2460, 661, 97.84),
    (98.24, 0.15, 3080, 939, 97.90),
    (98.21, 0.19, 2320, 442, 97.84),
    (98.25, 0.13, 2480, 943, 97.84),
    (98.26, 0.13, 2200, 383, 97.73),
    (98.25, 0.08, 2340, 417, 97.65),
    (98.24, 0.12, 2580, 918, 97.58),
    (98.31, 0.11, 2980, 721, 97.54),
    (98.27, 0.09, 3120, 871, 97.38),
    (98.25, 0.06, 2980, 792, 97.25),
)
"""By level: accuracy, half its interval, early stop, half its interval, accuracy of copies."""
COPY_STOPS = np.exp(np.interp(range(1, 16), [1, 9, 15], np.log([3960, 5893, 9633])))
HALF = 2.776 / 5**0.5
"""Sample deviations in half a 95% interval of 5."""


def published(job: Job, seed: int) -> list[JobResult]:
    """Five replicates with exactly these means and deviations."""
    noise = np.random.default_rng(seed)

    def drawn(mean: float, half: float, *, log: bool = False) -> list[float]:
        z = noise.normal(size=5)
        z = (z - z.mean()) / z.std(ddof=1)
        deviation = half / HALF
        if log:
            spread = np.sqrt(np.log1p((deviation / mean) ** 2))
            return list(mean * np.exp(spread * z - spread**2 / 2))
        return list(mean + deviation * z)

    places = [("main", 0, *DENSE)]
    for level, (accuracy, half, stop, half_stop, copy) in enumerate(TICKETS, 1):
        places.append(("main", level, accuracy, half, stop, half_stop))
        places.append(("reinit-1", level, copy, 0.15, COPY_STOPS[level - 1], 650))
    results = []
    for branch, level, accuracy, half, stop, half_stop in places:
        values = zip(drawn(accuracy, half), drawn(stop, half_stop, log=True), strict=True)
        for replicate, (a, s) in enumerate(values):
            results.append(
                job(replicate, branch, level, round(a / 100, 4), 100 * max(1, round(s / 100)))
            )
    return results


@pytest.mark.parametrize("seed", range(4))
def test_the_published_tickets_are_confirmed_to_win(job: Job, judged: Judged, seed: int) -> None:
    """What Holm over raw differences could not see: they match and are no later, at most levels."""
    verdict = judged(published(job, seed), classes=10)
    tests = [level.groups["main"].tests for level in verdict.levels[1:]]
    assert sum(test["wins"].outcome == "confirmed" for test in tests) >= 5
    assert all(test["matches"].outcome == "confirmed" for test in tests[5:])
    copies = verdict.levels[15].groups["reinit"].tests
    assert copies["fails"].outcome == "confirmed"
    assert verdict.headline in ("confirmed", "indicated")
    assert verdict.level is not None
