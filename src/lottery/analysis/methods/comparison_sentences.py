"""The sentences about a comparison: templates that are filled in, and claim no more than tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lottery.analysis import formatting
from lottery.analysis.lookup import pruned
from lottery.analysis.methods.settings import format_setting, kind_of_task
from lottery.analysis.methods.types import (
    AgainstFirst,
    Method,
    MethodRun,
    Row,
    RunComparison,
    SettingDifference,
)
from lottery.analysis.rendering import render, sentences
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Missing
from lottery.analysis.verdict_sentences import ticket_caveats
from lottery.store.jobs import MAIN

_FEW = 5
_OUTCOMES = {"ahead": "confirmed", "behind": "confirmed", "open": "not confirmed"}

Found = Sequence[tuple[Row, AgainstFirst]]


def paragraph(comparison: RunComparison) -> str:
    """Which runs are better or worse than the first, at which densities, and how sure that is."""
    runs = [_against_first(comparison, place) for place in range(1, len(comparison.methods))]
    compared = [made for run in runs for _, made in run["compared"]]
    tests = [made for made in compared if made.p is not None]
    fewest = min((min(made.contrast.n, made.n_first) for made in tests), default=_FEW)
    text = render(
        "comparison.txt.jinja",
        c=comparison,
        first=comparison.methods[0].label,
        runs=runs,
        common=sum(bool(row.density < 1 and all(row.cells)) for row in comparison.rows),
        several=all(method.verdict.replicates > 1 for method in comparison.methods),
        tests=len(tests),
        any=bool(compared),
        kinds_of_test=_kinds_of_test(comparison.methods),
        few=fewest if fewest < _FEW and any(made.outcome == "open" for made in tests) else 0,
        where=_where,
        by=lambda found: _by(ScoreFormat(comparison.score), found),
        s=ScoreFormat(comparison.score),
    )
    return " ".join(text.split())


def findings(comparison: RunComparison) -> tuple[str, ...]:
    """One sentence a density: how far the score of every run is from the first run's."""
    told = [
        f"At {formatting.percent(row.density)}: {'; '.join(parts)}."
        for row in comparison.rows
        if (parts := list(_parts(comparison, row)))
    ]
    return (*told, *_alone(comparison))


def warnings(
    runs: Sequence[MethodRun], names: Sequence[str], settings: Sequence[SettingDifference]
) -> tuple[str, ...]:
    """Every condition that is not the same in all runs, a sentence each."""

    def of(values: Sequence[Any], names: Sequence[str] = names) -> list[tuple[str, str]]:
        return [(name, format_setting(value)) for name, value in zip(names, values, strict=True)]

    own = [kind_of_task(run.config) == "own loop" for run in runs]
    # Of own loops it is not recorded what they learn from.
    known = [run for run, is_own in zip(runs, own, strict=True) if not is_own]
    known_names = [name for name, is_own in zip(names, own, strict=True) if not is_own]

    parts = ("training_examples", "validation_examples", "test_examples")
    training = [
        setting.key
        for setting in settings
        if setting.part == "conditions" and setting.key.startswith(("training.", "data.augment"))
    ]
    judged = {"margin": runs[0].verdict.margin, "confidence": runs[0].verdict.confidence}
    text = render(
        "comparison_warnings.txt.jinja",
        own=[name for name, is_own in zip(names, own, strict=True) if is_own],
        mixed=0 < sum(own) < len(own),
        names_of_data=of([run.config["data"]["name"] for run in known], known_names),
        hashes=of([f"SHA-256 {str(run.data.get('sha256'))[:8]}" for run in known], known_names),
        sizes=of([" / ".join(_counts(run.data, parts)) for run in known], known_names),
        models=of([run.config.get("model", run.config.get("title")) for run in runs]),
        schemas=of([f"schema {run.schema}" for run in runs]),
        training=training,
        length=any(key.startswith("training.length") for key in training),
        other_margins=any(
            _settings_of_verdict(run.config)[key] != value
            for run in runs
            for key, value in judged.items()
        ),
        s=ScoreFormat(runs[0].verdict.score),
        same=lambda values: len({value for _, value in values}) < 2,
        **judged,
    )
    return sentences(text)


def _counts(data: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    return [f"{data[part]:,}" if part in data else "?" for part in parts]


def _settings_of_verdict(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a run was to be judged by; the margin of an own loop is its score's."""
    return {
        **config["verdict"],
        **({"margin": config["score"]["margin"]} if "score" in config else {}),
    }


def caveats(comparison: RunComparison) -> tuple[str, ...]:
    """What weakens the comparison; its own caveats are not read."""
    methods = comparison.methods
    keys = [setting.key for setting in comparison.settings if setting.part == "method"]
    costs = [method.cost for method in methods]
    text = render(
        "comparison_caveats.txt.jinja",
        c=comparison,
        lost=[(method.label, _lost(method)) for method in methods],
        at_end=[(method.label, *_at_end(method)) for method in methods],
        ticket_caveats=ticket_caveats,
        method_keys=keys,
        hardware={(cost.engines, cost.device, cost.hardware) for cost in costs},
    )
    return sentences(text)


def _against_first(comparison: RunComparison, place: int) -> dict[str, Any]:
    """Every density at which a run is compared with the first in accuracy at early stop."""
    method = comparison.methods[place]
    found = [
        (row, made)
        for row in comparison.rows
        if (cell := row.cells[place]) and (made := cell.against_first.get("accuracy"))
    ]
    compared = [(row, made) for row, made in found if made.outcome != "same"]
    unstarted = [
        begun.label
        for begun in (comparison.methods[0], method)
        if not begun.verdict.complete and not pruned(begun.verdict)
    ]
    return {
        "label": method.label,
        "unstarted": formatting.joined(unstarted[:1]) if unstarted else "",
        "found": found,
        "compared": [] if unstarted else compared,
        "tests": [(row, made) for row, made in compared if made.p is not None],
    }


def _where(found: Found) -> str:
    return f"{formatting.joined([formatting.percent(row.density) for row, _ in found])} density"


def _by(score: ScoreFormat, found: Found) -> str:
    sizes = sorted(abs(made.mean) for _, made in found)
    least, most = score.size(sizes[0]), score.size(sizes[-1])
    return most if least == most else f"{least.split()[0]} to {most}"


def _kinds_of_test(methods: Sequence[Method]) -> str:
    paired = [method.label for method in methods if method.paired]
    others = [method.label for method in methods if method.paired is False]
    if not others:
        return "Tests are paired by replicate (same seed, model, data and initial weights)"
    if not paired:
        return "Tests are Welch's, as replicates are not paired"
    return (
        f"Tests are paired by replicate for {formatting.joined(paired)} and Welch's for "
        f"{formatting.joined(others)}"
    )


def _lost(method: Method) -> Missing:
    found = [level.groups[MAIN].missing for level in method.verdict.levels if MAIN in level.groups]
    return Missing(
        diverged=sum(missing.diverged for missing in found),
        collapsed=sum(missing.collapsed for missing in found),
        guessing=sum(missing.guessing for missing in found),
    )


def _at_end(method: Method) -> tuple[int, int]:
    groups = [level.groups[MAIN] for level in method.verdict.levels if MAIN in level.groups]
    return sum(group.at_end for group in groups), sum(group.n for group in groups)


def _parts(comparison: RunComparison, row: Row) -> Iterator[str]:
    for method, cell in zip(comparison.methods, row.cells, strict=True):
        made = cell.against_first.get("accuracy") if cell else None
        if cell is None or made is None or made.contrast.estimate is None:
            continue
        if made.outcome == "same":
            yield f"{method.label} has the same dense trainings"
            continue
        score = ScoreFormat(comparison.score)
        interval = score.interval(made.contrast.estimate)
        notes = [f"{100 * comparison.confidence:g}% interval {interval}"] if interval else []
        notes.append(_OUTCOMES.get(made.outcome, f"n = {made.contrast.n}, untested"))
        yield f"{method.label} {score.higher_or_lower(made.mean)} ({', '.join(notes)})"


def _alone(comparison: RunComparison) -> Iterator[str]:
    """Densities at which a run cannot be compared with the first."""
    for place, method in enumerate(comparison.methods):
        alone = [
            formatting.percent(row.density)
            for row in comparison.rows
            if (cell := row.cells[place])
            and (not cell.against_first if place else not any(row.cells[1:]))
        ]
        if alone:
            others = comparison.methods[:1] if place else comparison.methods[1:]
            whom = comparison.methods[0].label if place else "another run"
            unended = [other.label for other in others if not other.verdict.complete]
            because = f"Since {formatting.joined(unended)} is not complete, " if unended else ""
            yield (
                f"{because}{method.label} cannot be compared with {whom} at "
                f"{formatting.joined(alone)}."
            )
