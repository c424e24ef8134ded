"""Every family of tests that a verdict rests on: each kind of branch against dense and ticket."""

from __future__ import annotations

from dataclasses import dataclass

from lottery.analysis import phrases
from lottery.analysis.compare import Claim, all_true, any_true, compare, over_levels
from lottery.analysis.gather import Jobs, Measure, differences, is_guessing, replicate_values
from lottery.analysis.types import Comparison
from lottery.store.jobs import MAIN

ACCURACY: Measure = "test_accuracy_at_early_stop"
ITERATION: Measure = "early_stop_iteration"
Family = dict[int, Comparison]
PValues = dict[int, float | None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the tests need to know besides the results.

    Args:
        margin: how much lower an accuracy may be and still match.
        confidence: of intervals and tests.
        interval: iterations between two evaluations.
        grid: the step between two possible accuracies; 0 when unknown.
        guessing: test accuracy below which a dense network has learned nothing to compare with.
        stops: whether early stops say how fast a ticket learns; they are not compared else.
    """

    margin: float
    confidence: float
    interval: int
    grid: float
    guessing: float
    stops: bool = True

    @property
    def alpha(self) -> float:
        """The chance of a false confirmation that the tests allow."""
        return 1 - self.confidence

    def matching(self) -> Claim:
        """Not worse than dense by more than the margin."""
        points = phrases.margin(self.margin)
        return Claim(
            words=f"test accuracy at early stop is at most {points} below the dense network's",
            sign=1,
            margin=self.margin,
            resolution=self.grid,
            inclusive=True,
        )

    def no_later(self) -> Claim:
        """Not later than dense, as far as can be measured: by less than one evaluation."""
        return Claim(
            words="early stop comes less than one evaluation "
            f"({self.interval:,} iterations) after the dense network's",
            sign=-1,
            margin=float(self.interval),
            resolution=float(self.interval),
            inclusive=False,
        )

    def lower(self) -> Claim:
        """A control is less accurate than its ticket."""
        words = "test accuracy at early stop is lower than the ticket's"
        return Claim(words=words, sign=1, margin=0.0, resolution=self.grid, inclusive=False)

    def later(self) -> Claim:
        """A control learns later than its ticket."""
        words = "early stop comes later than the ticket's"
        step = float(self.interval)
        return Claim(words=words, sign=1, margin=0.0, resolution=step, inclusive=False)


@dataclass(frozen=True, kw_only=True)
class KindTests:
    """The tests of one kind of branch; each maps level -> outcome, levels from 1.

    Args:
        matching: accuracy, this kind minus dense.
        no_later: early-stop iteration, this kind minus dense.
        winning: p-values that both are true, one level at a time.
        winning_holm: the same, Holm-corrected over the levels.
        not_winning_holm: p-values that at least one is false, Holm-corrected.
        lower: accuracy, ticket minus this kind; empty for the tickets themselves.
        later: early-stop iteration, this kind minus ticket; empty for the tickets themselves.
        worse: p-values that at least one of these two is true, one level at a time.
    """

    matching: Family
    no_later: Family
    winning: PValues
    winning_holm: PValues
    not_winning_holm: PValues
    lower: Family
    later: Family
    worse: PValues


def families_of(jobs: Jobs, kind: str, settings: Settings) -> KindTests:
    """Make every test of one kind of branch.

    Matching and no later are families of their own: being winning takes both. The two ways in which
    a control can do worse are one family: either is enough. Where early stops are not compared,
    nothing is tested for winning.
    """
    levels = sorted(level for found, level in jobs if found == kind and level > 0)

    def values(of: str, level: int, measure: Measure) -> dict[int, float]:
        found = jobs.get((of, level), ())
        if level == 0:
            found = [job for job in found if not is_guessing(job, settings.guessing)]
        return replicate_values(found, measure)

    def apart(
        left: tuple[str, int | None], right: tuple[str, int | None], measure: Measure
    ) -> dict[int, dict[int, float]]:
        """Level -> replicate -> left minus right; a level of None is the level itself."""
        return {
            level: differences(
                *(values(of, level if at is None else at, measure) for of, at in (left, right))
            )
            for level in levels
        }

    own, dense, ticket = (kind, None), (MAIN, 0), (MAIN, None)
    confidence = settings.confidence
    [matching] = compare([(settings.matching(), apart(own, dense, ACCURACY))], confidence)
    stops = apart(own, dense, ITERATION) if settings.stops else {}
    [no_later] = compare([(settings.no_later(), stops)], confidence)
    behind = kind != MAIN and settings.stops
    lower, later = compare(
        [
            (settings.lower(), apart(ticket, own, ACCURACY) if kind != MAIN else {}),
            (settings.later(), apart(own, ticket, ITERATION) if behind else {}),
        ],
        confidence,
    )
    both = sorted(matching.keys() & no_later.keys())
    pairs = {level: (matching[level], no_later[level]) for level in both}
    winning = {level: all_true([a.p, b.p]) for level, (a, b) in pairs.items()}
    opposite = {level: any_true([a.p_opposite, b.p_opposite]) for level, (a, b) in pairs.items()}
    either = sorted(lower.keys() & later.keys())
    return KindTests(
        matching=matching,
        no_later=no_later,
        winning=winning,
        winning_holm=over_levels(winning),
        not_winning_holm=over_levels(opposite),
        lower=lower,
        later=later,
        worse={level: any_true([lower[level].p, later[level].p]) for level in either},
    )
