"""Measures how often the verdict is wrong, and how often it sees: makes docs/verdict.md's tables.

    python scripts/error_rates.py --runs 2000 --write docs/verdict.md

replaces what stands between the markers of that page; without --write it prints the tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lottery.analysis.level_tests import hommel, one_sided
from lottery.analysis.procedure import (
    Decision,
    Samples,
    Settings,
    decide,
    sooner,
)
from simulated_runs import (
    END,
    GRID,
    MARGIN,
    NOISES,
    SITUATIONS,
    Noise,
    Situation,
    Size,
    learning_curves,
    shifted,
)

REPLICATES, TESTED, LEVELS = (2, 3, 5, 8), (3, 5, 8), (1, 6, 15)
HEADLINES = ("confirmed", "indicated", "open", "contradicted", "not tested")
BEGIN, STOP = "<!-- error rates -->", "<!-- end of error rates -->"


def main() -> int:
    """Measure, and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=2000, help="simulated runs a cell")
    parser.add_argument("--write", type=Path, help="a page with the two markers")
    arguments = parser.parse_args()
    text = "\n\n".join(tables(arguments.runs))
    if not arguments.write:
        print(text)
        return 0
    page = arguments.write.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(STOP)
    if not after:
        print(f"{arguments.write} lacks the markers {BEGIN} and {STOP}", file=sys.stderr)
        return 1
    arguments.write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{STOP}{after}", encoding="utf-8")
    return 0


def decisions(
    situation: Situation, runs: int, replicates: int, levels: int, noise: Noise
) -> Decision:
    """The decisions on one cell's simulated runs; the same every time."""
    size = Size(runs=runs, replicates=replicates, levels=levels, noise=noise)
    seed = [*situation.truth.encode(), *noise.encode(), replicates, levels]
    made = situation.make(size, np.random.default_rng(seed))
    return decide(made.accuracy, made.stop, made.settings)


def tables(runs: int) -> Iterator[str]:
    """Every table as Markdown, each below a sentence that says what it shows."""
    head = [f"n = {n}" for n in REPLICATES]
    yield "**What is simulated.**"
    yield _table(["Situation", "Truth"], [[name, s.truth] for name, s in SITUATIONS.items()])
    false, power, words = [], [], []
    for name, situation in SITUATIONS.items():
        cells = {
            (n, levels): [decisions(situation, runs, n, levels, noise) for noise in NOISES]
            for n in REPLICATES
            for levels in LEVELS
        }
        false.append([name, *_false(situation, cells)])
        power += [[name, *_power(situation, cells)]] if situation.true else []
        words.append([name, *(_headlines(cells[n, 6] + cells[n, 15]) for n in TESTED)])
    yield (
        "**False claims.** Runs in which one of the claims is confirmed at any level, %; the "
        "worst of the claims, of three kinds of noise, and of 1, 6 and 15 levels."
    )
    yield _table(["Situation", "False claims", *head], false)
    yield (
        "**Power.** Runs in which a true claim is confirmed at some level, %, with 1 / 6 / 15 "
        "levels; the least over three kinds of noise."
    )
    yield _table(["Situation", "True claim", *head[1:]], power)
    yield (
        "**The verdict in a word.** Runs, %, mean over noises and 6 and 15 levels; words below 1% "
        "are left out."
    )
    yield _table(["Situation", *head[1:]], words)
    yield (
        "**Time to the dense network's accuracy.** Mean and deviation of the logarithm of the "
        "ratio, and runs in which a test confirms that the tickets are sooner, %; one level."
    )
    titles = ["Truth", "Mean", "Deviation", "Never reached, %", *head[1:]]
    yield _table(titles, list(_times(runs)))
    yield (
        "**Picked levels.** Ten levels, each 0.06 points worse than the one before; each training "
        "scatters by 0.15 points. How many points better than the truth the difference looks at "
        "the level that is picked, on the mean."
    )
    yield _table(["Picked", *head[1:]], list(_picked(runs)))
    yield (
        "**A run that grows.** Runs in which what is false (a match, or being no later) is "
        "confirmed with 5 replicates or, after three more, with 8, %; one level, normal noise, "
        f"{50 * runs:,} runs. Without a correction each look has all of α; with it, as in a "  # noqa: RUF001
        "verdict that knows of the look before, the second has half of it."
    )
    titles = ["Situation", "Without, at either look", "With, at either look"]
    yield _table([*titles, "With, at the second look"], list(_grown(50 * runs)))


Cells = Mapping[tuple[int, int], Sequence[Decision]]
"""(replicates, levels) -> decisions, one for each kind of noise."""


def _false(situation: Situation, cells: Cells) -> list[str]:
    rates = [
        max(
            _share(decision, claim)
            for levels in LEVELS
            for decision in cells[n, levels]
            for claim in situation.false
        )
        for n in REPLICATES
    ]
    names = ", ".join(f"`{claim}`" for claim in situation.false)
    return [names, *(_percent(rate) for rate in rates)]


def _power(situation: Situation, cells: Cells) -> list[str]:
    def least(n: int, levels: int) -> str:
        return f"{100 * min(_share(d, situation.true) for d in cells[n, levels]):.0f}"

    return [f"`{situation.true}`", *(" / ".join(least(n, k) for k in LEVELS) for n in TESTED)]


def _share(decision: Decision, claim: str) -> float:
    if claim not in decision.confirmed:
        return 0.0
    return float(decision.confirmed[claim].any(-1).mean())


def _headlines(found: Iterable[Decision]) -> str:
    words = np.concatenate([d.headline for d in found])
    shares = {word: float((words == word).mean()) for word in HEADLINES}
    return ", ".join(f"{word} {_percent(s)}" for word, s in shares.items() if s >= 0.01)


def _times(runs: int) -> Iterator[list[str]]:
    settings = Settings(margin=MARGIN, grid=GRID, end=END, step=1e-4)
    for truth, faster, better in (
        ("no difference", 1.0, 0.0),
        ("1.5 times as fast", 1.5, 0.0),
        ("2.5 times as fast, 0.4 points better", 2.5, 0.004),
    ):
        rng = np.random.default_rng([int(10 * faster), int(1000 * better)])
        dense, tickets = learning_curves(
            Size(runs=runs, replicates=8, levels=1), rng, faster=faster, better=better
        )
        both = np.isfinite(dense) & np.isfinite(tickets)
        ratios = np.log(tickets[both] / dense[both])
        row = [truth, f"{ratios.mean():+.2f}", f"{ratios.std():.2f}", _percent(1 - both.mean())]
        for n in TESTED:
            claim = sooner(tickets[:, None, :n], dense[:, :n], settings, slack=0.0)
            row.append(_percent(float(((claim.p < 0.05) & (claim.flips < 0.05)).mean())))
        yield row


def _picked(runs: int) -> Iterator[list[str]]:
    losses = -0.0006 * np.arange(1, 11)
    make = shifted(tickets=(losses, -2_000), copies=(-0.02, 1_500))
    rows: dict[str, list[str]] = {"smallest that is confirmed": [], "smallest on the means": []}
    for n in TESTED:
        rng = np.random.default_rng(n)
        made = make(Size(runs=runs, replicates=n, levels=10), rng)
        # Half as much noise again as elsewhere.
        tickets = made.accuracy.tickets
        tickets = tickets + 0.0011 * rng.standard_normal(tickets.shape)
        differences = (tickets - made.accuracy.dense[:, None]).mean(-1)
        matches = differences >= -MARGIN
        y = tickets - made.accuracy.dense[:, None] + MARGIN
        p = hommel(one_sided(y, 1e-4, np.ones(y.shape[:-1], bool)))
        for name, picks in (
            ("smallest that is confirmed", p < 0.05),
            ("smallest on the means", matches),
        ):
            at = 9 - picks[:, ::-1].argmax(-1)
            some = picks.any(-1)
            seen = np.take_along_axis(differences, at[:, None], -1)[:, 0]
            rows[name].append(f"{100 * (seen - losses[at])[some].mean():+.2f}")
    for name, values in rows.items():
        yield [name, *values]


def _grown(runs: int) -> Iterator[list[str]]:
    """Looks at 5 and at 8 replicates of the same runs, at one level with normal noise."""
    for name, claim in (("margin", "matches"), ("grid", "no_later")):
        situation, size = SITUATIONS[name], Size(runs=runs, replicates=8, levels=1, noise="normal")
        made = situation.make(size, np.random.default_rng([*situation.truth.encode(), 5, 8]))
        first, last, corrected = (
            decide(_of_first(made.accuracy, n), _of_first(made.stop, n), settings)
            .confirmed[claim]
            .any(-1)
            for n, settings in (
                (5, made.settings),
                (8, made.settings),
                (8, replace(made.settings, confidence=1 - made.settings.alpha / 2)),
            )
        )
        rates = (first | last, first | corrected, corrected)
        yield [name, *(_percent(float(found.mean())) for found in rates)]


def _of_first(samples: Samples, replicates: int) -> Samples:
    """What was measured of the first replicates."""
    return replace(
        samples,
        dense=samples.dense[..., :replicates],
        tickets=samples.tickets[..., :replicates],
        copies=None if samples.copies is None else samples.copies[..., :replicates],
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if 0 < share < 0.0995 else f"{100 * share:.0f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
