"""The verdict on transfer: whether tickets work on another task than the one they were found on.

Tickets are compared, replicate by replicate, in the accuracy that runs are judged by: with the
dense network there (no worse by more than the margin), with their masks on new initial weights and
with their masks shuffled (better), and with tickets that were found there (no worse by more than
the margin). The headline is of the first three together. To confirm it each has to pass at the
level of the whole, which then needs no correction (an intersection-union test: Berger 1982,
Technometrics 24). The opposite of one is enough to refute it, so that for refuting the level is
shared out evenly over the three (Bonferroni).
Which trainings count is as in a run's verdict (`lottery.analysis.measured`); without a dense
network there that learned something, nothing is tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lottery.analysis.evidence import evidence_of
from lottery.analysis.formatting import NONE, joined, missing_words, pair_count
from lottery.analysis.measured import Measured
from lottery.analysis.procedure import FEWEST
from lottery.analysis.statistics import paired_difference
from lottery.analysis.text import WIDTH, bare_table, plain_text
from lottery.analysis.types import Missing, Outcome
from lottery.experiments import Run
from lottery.methods import Given
from lottery.store import MAIN, JobKey

Against = Literal["dense", "reinit", "random-mask", "found there", "where found"]
"""What transferred tickets are compared with: ``dense``, the dense network on the new task;
``reinit`` and ``random-mask``, their masks with new initial weights, or shuffled; ``found there``,
tickets found on the new task; ``where found``, how far the tickets themselves were above their
dense networks on the task they were found on."""

_CLAIMS: Final[Mapping[Against, str]] = {
    "dense": "they are as good as the dense network there",
    "reinit": "they are better than their masks with new initial weights",
    "random-mask": "they are better than with their masks shuffled within each layer",
    "found there": "they are as good as tickets found there",
    "where found": "their lead on the dense network is smaller than where they were found",
}
_HEADLINE: Final[tuple[Against, ...]] = ("dense", "reinit", "random-mask")


@dataclass(frozen=True, kw_only=True)
class TransferComparison:
    """Transferred tickets compared with one thing, in accuracy (fractions; above 0 is better)."""

    against: Against
    claim: str
    """In words."""
    outcome: Outcome
    n: int
    """Replicates that have both."""
    missing: int
    """Replicates that lack one of the two: diverged, collapsed, guessing, or not run."""
    mean: float | None
    """Mean difference; None where no replicate has both."""
    low: float | None
    """Lower end of the two-sided t-interval of the mean."""
    high: float | None
    """Upper end of it."""
    p: float | None
    """One-sided p-value of the claim; None where it cannot be tested."""


@dataclass(frozen=True, kw_only=True)
class TransferVerdict:
    """Whether tickets work on another task."""

    headline: Outcome
    """Of the first three claims together: as good as dense, better than both controls."""
    source: str
    """What the tickets are, in words."""
    target: str
    """What they are trained on, in words."""
    density: float | None
    """Mean over the transferred tickets, in [0, 1]."""
    density_found: float | None
    """Mean over the tickets found on the new task, in [0, 1]; None: there are none."""
    replicates: int
    tickets: int
    """How many different tickets the replicates have."""
    dense_missing: Missing
    """Dense networks there that have no result, or do no better than guessing."""
    margin: float
    """How much lower an accuracy may be and still be as good, a fraction."""
    confidence: float
    """Of intervals."""
    test_confidence: float
    """Of tests: ``confidence``, corrected if the run has grown and was looked at before."""
    new_layers: tuple[str, ...]
    """Parameters that were drawn anew and are not pruned."""
    comparisons: tuple[TransferComparison, ...]


def judge_transfer(
    given: Run,
    found: Run | None,
    *,
    source: str,
    target: str = "",
    before: Mapping[int, float] | None = None,
    new_layers: Sequence[str] = (),
) -> TransferVerdict:
    """Judge tickets that were trained on another task.

    Args:
        given: the run on the new task: dense networks, the tickets at level 1, controls.
        found: the run of tickets found there, of which the level is compared whose density is
            nearest to that of the tickets; None: none.
        source: what the tickets are, in words.
        target: what they are trained on, in words; empty: as the run says.
        before: replicate -> by how much its ticket's accuracy (fraction) was above its dense
            network's on the task it was found on; None or empty: this is not compared.
        new_layers: parameters that were drawn anew.

    Raises:
        StoreError: a file of a run is damaged.
    """
    measured, density = Measured(evidence_of(given)), _density(given, 1)
    tickets = measured.comparable(MAIN, 1, "accuracy")
    others: dict[Against, Mapping[int, float]] = {
        "dense": measured.comparable(MAIN, 0, "accuracy"),
        "reinit": measured.comparable("reinit", 1, "accuracy"),
        "random-mask": measured.comparable("random-mask", 1, "accuracy"),
    }
    there = _level_as_dense(found, density) if found else 0
    if found is not None:
        others["found there"] = Measured(evidence_of(found)).comparable(MAIN, there, "accuracy")
    alpha = 1 - measured.evidence.test_confidence
    comparisons = [_compared(one, given, tickets, other, alpha) for one, other in others.items()]
    if before:
        lead = _less(tickets, others["dense"])
        comparisons.append(_compared("where found", given, lead, before, alpha))
    verdict = given.config.verdict
    return TransferVerdict(
        headline=_together([c.outcome for c in comparisons if c.against in _HEADLINE]),
        source=source,
        target=target or given.facts.title,
        density=density,
        density_found=_density(found, there) if found else None,
        replicates=given.config.replicates,
        tickets=_tickets(given),
        dense_missing=measured.missing(MAIN, 0),
        margin=verdict.margin,
        confidence=verdict.confidence,
        test_confidence=measured.evidence.test_confidence,
        new_layers=tuple(new_layers),
        comparisons=tuple(comparisons),
    )


def _compared(
    against: Against,
    run: Run,
    ours: Mapping[int, float],
    theirs: Mapping[int, float],
    alpha: float,
) -> TransferComparison:
    """Test a claim; what is missing on either side speaks against what is confirmed."""
    verdict, examples = run.config.verdict, run.facts.test_examples
    margin = verdict.margin if against in ("dense", "found there") else 0.0
    sign = -1 if against == "where found" else 1
    pairs = list(_less(ours, theirs).values())
    missing = run.config.replicates - len(pairs)
    low = high = p = opposite = None
    if pairs:
        of = {"resolution": 1 / examples if examples else 0.0, "confidence": verdict.confidence}
        plain = paired_difference(pairs, **of)
        tested = paired_difference([sign * (one + margin) for one in pairs], **of)
        low, high, p, opposite = plain.low, plain.high, tested.p_above, tested.p_below
    refuting = alpha / len(_HEADLINE) if against in _HEADLINE else alpha
    return TransferComparison(
        against=against,
        claim=_CLAIMS[against],
        outcome=_outcome((p, opposite), (alpha, refuting), len(pairs), missing),
        n=len(pairs),
        missing=missing,
        mean=fmean(pairs) if pairs else None,
        low=low,
        high=high,
        p=p,
    )


def _outcome(
    p: tuple[float | None, float | None], alpha: tuple[float, float], n: int, missing: int
) -> Outcome:
    """What tests of a claim and of its opposite say, each at a level of its own."""
    confirming, refuting = p
    if confirming is None or refuting is None:
        return "untested"
    if n < FEWEST:
        return "open"
    if refuting <= alpha[1]:
        return "against"
    return "confirmed" if confirming <= alpha[0] and not missing else "open"


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """What holds of several claims together: the least of them."""
    for outcome in ("against", "untested", "open"):
        if outcome in outcomes:
            return outcome
    return "confirmed"


def _tickets(run: Run) -> int:
    method, n = run.config.method, run.config.replicates
    return len(set(map(method.of, range(n)))) if isinstance(method, Given) else n


def _less(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[int, float]:
    return {number: ours[number] - theirs[number] for number in ours if number in theirs}


def _density(run: Run, level: int) -> float | None:
    keys = [JobKey(number, MAIN, level) for number in range(run.config.replicates)]
    found = [run.results[key].density for key in keys if key in run.results]
    return fmean(found) if found else None


def _level_as_dense(found: Run, density: float | None) -> int:
    """The level whose density is nearest, since the run may have been made for a sparser ticket."""
    levels = {key.level for key in found.results if key.branch == MAIN and key.level}
    kept = {level: _density(found, level) or 0.0 for level in levels}
    return min(kept, key=lambda level: abs(kept[level] - (density or 0.0)), default=0)


# As text

_CLAIMED: Final[Mapping[Against, tuple[str, str]]] = {
    "dense": ("the dense network", "as good"),
    "reinit": ("masks, new weights", "better"),
    "random-mask": ("shuffled masks", "better"),
    "found there": ("tickets found there", "as good"),
    "where found": ("lead where found", "smaller"),
}
"""What tickets are compared with, and what they are claimed to be, in few words for a table."""
_REFUTED: Final[Mapping[Against, str]] = {
    "dense": "the tickets are worse than the dense network by more than the margin",
    "reinit": "their masks do better with new initial weights",
    "random-mask": "their masks do better shuffled",
}


def transfer_text(verdict: TransferVerdict) -> str:
    """A verdict as it is printed, in 80 columns: the answer, a table, and how to read it."""
    parts: list[RenderableType] = [Text(_answer(verdict)), Text(_compared_what(verdict))]
    parts += [_table(verdict), Text("\n".join(_notes(verdict)))]
    spaced = [line for part in parts for line in (part, Text())]
    return plain_text(Group(*spaced), width=WIDTH).rstrip("\n")


def _answer(verdict: TransferVerdict) -> str:
    """Whether the tickets transfer, in a sentence or two."""
    by_outcome: dict[Outcome, list[Against]] = {}
    for one in verdict.comparisons:
        if one.against in _HEADLINE:
            by_outcome.setdefault(one.outcome, []).append(one.against)
    match verdict.headline:
        case "confirmed":
            return (
                "Yes: the tickets work on the other task. They match the dense network there, and "
                "do better than with new initial weights or with shuffled masks."
            )
        case "against":
            refuted = joined([_REFUTED[against] for against in by_outcome["against"]])
            return f"No: the tests say that on the other task {refuted}."
        case "open":
            open_ = joined([_CLAIMS[against] for against in by_outcome["open"]])
            return (
                "Open: that the tickets work on the other task is neither confirmed nor refuted. "
                f"Not confirmed is that {open_}."
            )
    if verdict.dense_missing.total == verdict.replicates:
        return (
            "Not tested: no dense network there learned more than guessing, so there is nothing to "
            "compare with."
        )
    lacking = joined([_CLAIMED[against][0] for against in by_outcome["untested"]])
    return f"Not tested: too few replicates have a result to compare with ({lacking})."


def _compared_what(verdict: TransferVerdict) -> str:
    density = "-" if verdict.density is None else f"{verdict.density:.2%}"
    about = f"{verdict.source} are trained on {verdict.target}: {density} of its weights."
    if verdict.new_layers:
        about += (
            f" With another number of classes there, {', '.join(verdict.new_layers)} are drawn "
            "anew and left whole."
        )
    if verdict.tickets == 1 < verdict.replicates:
        about += (
            " It is one ticket in all replicates: intervals show how trainings differ, not tickets."
        )
    elif verdict.tickets < verdict.replicates:
        about += (
            f" They are {verdict.tickets} tickets in {verdict.replicates} replicates, not one for "
            "each."
        )
    if verdict.dense_missing.total:
        about += f" Lost among dense networks there: {missing_words(verdict.dense_missing)}."
    return about


def _table(verdict: TransferVerdict) -> Table:
    table = bare_table(2)
    numbers = ("Points", f"{verdict.confidence:.0%} interval", "n")
    table.add_column("Tickets against")
    for title in numbers:
        table.add_column(title, justify="right")
    table.add_column("Claim")
    table.add_column("Test says")
    for one in verdict.comparisons:
        name, claim = _CLAIMED[one.against]
        mean = NONE if one.mean is None else f"{100 * one.mean:+.2f}"
        interval = NONE
        if one.low is not None and one.high is not None:
            interval = f"{100 * one.low:+.2f} to {100 * one.high:+.2f}"
        table.add_row(name, mean, interval, pair_count(one.n, one.missing), claim, one.outcome)
    return table


def _notes(verdict: TransferVerdict) -> Iterator[str]:
    """How to read the table."""
    margin = 100 * verdict.margin
    yield (
        "Points: test accuracy of the tickets minus that of what they are compared with, in "
        "percentage points; mean over replicates, each against its own."
    )
    led = any(one.against == "where found" for one in verdict.comparisons)
    yield (
        f"As good: no worse by more than the margin of {margin:g} point{'s'[: margin != 1]}. "
        "Better: above 0."
        + " Smaller: the tickets lead the dense network by less than where they were found."
        * led
    )
    yield (
        f"Confirmed: a one-sided test at {100 * verdict.test_confidence:.3g}% confirms the claim. "
        "Against: one confirms the opposite. Open: neither. Untested: there is too little to test."
    )
    yield "The answer at the top is of the first three claims together."
    if any(one.missing for one in verdict.comparisons):
        yield (
            "n: a/b where only a of b replicates have both; then the claim is not confirmed, since "
            "what is missing speaks against it."
        )
    if verdict.replicates < FEWEST:
        yield f"Below {FEWEST} replicates nothing is confirmed."
    if verdict.density_found is not None:
        yield f"Tickets found there keep {verdict.density_found:.2%} of the weights."
