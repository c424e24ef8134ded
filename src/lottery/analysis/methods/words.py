"""A comparison in plain words, which claim no more than the tests do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from scipy.special import stdtrit

from lottery.analysis import phrases
from lottery.analysis.lookup import pruned
from lottery.analysis.methods.types import Contrast, Measure, Method, Row, RunComparison

_MEASURE: Measure = "accuracy_at_early_stop"
_FEW = 5
_OUTCOMES = {"ahead": "confirmed", "behind": "confirmed", "unsure": "not confirmed"}


def paragraph(comparison: RunComparison) -> str:
    """Who is ahead of the first method and where, and how sure that is."""
    sentences = list(incomplete(comparison))
    sentences += [
        sentence
        for place in range(1, len(comparison.methods))
        for sentence in _method(comparison, place)
    ]
    sentences += [_smallest(comparison), *_how_sure(comparison)]
    return " ".join(sentence for sentence in sentences if sentence)


def incomplete(comparison: RunComparison) -> Iterator[str]:
    """Which runs have not come to their end, and how far they are."""
    for method in comparison.methods:
        verdict = method.verdict
        if not verdict.complete:
            ended = verdict.jobs_done + verdict.jobs_diverged + verdict.jobs_collapsed
            jobs = phrases.counted(verdict.jobs_planned, "training")
            yield f"{method.label} is not complete: {ended:,} of {jobs} have ended."


def findings(comparison: RunComparison) -> tuple[str, ...]:
    """At each density, how far every method lies from the first."""
    told = [
        f"At {phrases.percent(row.density)}: {'; '.join(parts)}."
        for row in comparison.rows
        if (parts := list(_parts(comparison, row)))
    ]
    return (*told, *_alone(comparison))


def against_first(comparison: RunComparison, place: int) -> list[tuple[Row, Contrast]]:
    """Every density at which a method is compared with the first in accuracy at early stop."""
    return [
        (row, contrast)
        for row in comparison.rows
        if (cell := row.cells[place]) and (contrast := cell.against_first.get(_MEASURE))
    ]


def _method(comparison: RunComparison, place: int) -> Iterator[str]:
    first, method = comparison.methods[0].label, comparison.methods[place].label
    found = against_first(comparison, place)
    for begun in (comparison.methods[0], comparison.methods[place]):
        if not begun.verdict.complete and not pruned(begun.verdict):
            yield f"{begun.label} has no trained ticket yet to compare."
            return
    if not found:
        within = phrases.percent(comparison.tolerance)
        yield f"{method} and {first} have no density (within {within}) at which both have results."
        return
    compared = [(row, contrast) for row, contrast in found if contrast.outcome != "same"]
    if not compared:
        yield f"{method} and {first} have only the same dense trainings in common."
        return
    tests = [(row, contrast) for row, contrast in compared if contrast.p is not None]
    if not tests:
        higher = sum(contrast.difference > 0 for _, contrast in compared)
        lower = sum(contrast.difference < 0 for _, contrast in compared)
        yield (
            f"On the means alone, {method} is more accurate than {first} at {higher} and less "
            f"accurate at {lower} of {_densities(len(compared))}; nothing of that can be tested."
        )
        return
    for outcome, how in (("ahead", "more"), ("behind", "less")):
        sure = [(row, contrast) for row, contrast in tests if contrast.outcome == outcome]
        if sure:
            yield (
                f"{method} is confirmed to be {how} accurate than {first} at {_where(sure)}, by "
                f"{_by(sure)}."
            )
    unsure = [(row, contrast) for row, contrast in tests if contrast.outcome == "unsure"]
    if len(unsure) == len(tests):
        yield (
            f"The tests confirm no difference between {method} and {first} at "
            f"{_where(tests) if len(tests) < 3 else f'any of {len(tests)} densities'}."
        )
    elif unsure:
        yield f"At {_where(unsure)} the tests confirm no difference between the two."


def _densities(number: int) -> str:
    return f"{number:,} {'density' if number == 1 else 'densities'}"


def _where(found: Sequence[tuple[Row, Contrast]]) -> str:
    listed = [phrases.percent(row.density) for row, _ in found]
    return f"{phrases.joined(listed)} density"


def _by(found: Sequence[tuple[Row, Contrast]]) -> str:
    sizes = sorted(abs(100 * contrast.difference) for _, contrast in found)
    if f"{sizes[0]:.2f}" == f"{sizes[-1]:.2f}":
        return f"{sizes[0]:.2f} percentage points"
    return f"{sizes[0]:.2f} to {sizes[-1]:.2f} percentage points"


def _smallest(comparison: RunComparison) -> str:
    """The smallest matching density of each, on the means."""
    told = [
        f"{method.label} "
        + (phrases.percent(place.density) if (place := method.smallest_matching) else _none(method))
        for method in comparison.methods
    ]
    margin = phrases.margin(comparison.margin)
    return (
        f"The smallest density that matches the run's own dense networks on the means (within "
        f"{margin}): {', '.join(told)}."
    )


def _none(method: Method) -> str:
    return "none" if method.verdict.complete else "none so far"


def _how_sure(comparison: RunComparison) -> Iterator[str]:
    found = [
        contrast
        for place in range(1, len(comparison.methods))
        for _, contrast in against_first(comparison, place)
        if contrast.outcome != "same"
    ]
    if not found:
        return
    tests = [contrast for contrast in found if contrast.p is not None]
    if not tests:
        yield "A test needs two replicates of each run or more, five for most purposes."
        return
    number = phrases.counted(len(tests), "comparison")
    yield f"{_kinds_of_test(comparison.methods)}, two-sided, and corrected (Holm) for {number}."
    fewest = min(min(contrast.n, contrast.n_first) for contrast in tests)
    if fewest < _FEW and any(contrast.outcome == "unsure" for contrast in tests):
        paired = any(contrast.paired for contrast in tests)
        yield _few(fewest, len(tests), comparison.confidence, paired=paired)


def _kinds_of_test(methods: Sequence[Method]) -> str:
    paired = [method.label for method in methods if method.paired]
    others = [method.label for method in methods if method.paired is False]
    if not others:
        return "Tests are paired by replicate (same seed, model, data and initial weights)"
    if not paired:
        return "Tests are Welch's, as replicates are not paired"
    return (
        f"Tests are paired by replicate for {phrases.joined(paired)} and Welch's for "
        f"{phrases.joined(others)}"
    )


def _few(n: int, tests: int, confidence: float, *, paired: bool) -> str:
    """What few replicates cannot show: Holm's first step tests at alpha / tests, on two sides."""
    text = f"With {phrases.counted(n, 'replicate')} only large differences can be confirmed"
    if paired:
        quantile = -float(stdtrit(n - 1, (1 - confidence) / (2 * tests)))
        text += f" (here, {quantile / math.sqrt(n):.2g} times their own standard deviation)"
    return f"{text}: not confirmed does not mean equal."


def _parts(comparison: RunComparison, row: Row) -> Iterator[str]:
    for method, cell in zip(comparison.methods, row.cells, strict=True):
        contrast = cell.against_first.get(_MEASURE) if cell else None
        if cell is None or contrast is None:
            continue
        if contrast.outcome == "same":
            yield f"{method.label} has the same dense trainings"
            continue
        notes = [_interval(contrast, comparison.confidence)]
        notes.append(_OUTCOMES.get(contrast.outcome, f"n = {contrast.n}, untested"))
        yield (
            f"{method.label} {phrases.higher_or_lower(contrast.difference)} "
            f"({', '.join(note for note in notes if note)})"
        )


def _interval(contrast: Contrast, confidence: float) -> str:
    if contrast.low is None or contrast.high is None:
        return ""
    low, high = 100 * contrast.low, 100 * contrast.high
    return f"{100 * confidence:g}% interval {low:+.2f} to {high:+.2f}"


def _alone(comparison: RunComparison) -> Iterator[str]:
    """Densities at which a method cannot be compared with the first."""
    for place, method in enumerate(comparison.methods):
        alone = [
            phrases.percent(row.density)
            for row in comparison.rows
            if (cell := row.cells[place])
            and (not cell.against_first if place else not any(row.cells[1:]))
        ]
        if alone:
            others = comparison.methods[:1] if place else comparison.methods[1:]
            whom = comparison.methods[0].label if place else "another run"
            unended = [other.label for other in others if not other.verdict.complete]
            because = f"Since {phrases.joined(unended)} is not complete, " if unended else ""
            yield (
                f"{because}{method.label} cannot be compared with {whom} at "
                f"{phrases.joined(alone)}."
            )
