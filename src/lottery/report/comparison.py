"""The page of a comparison of runs."""

from __future__ import annotations

from pathlib import Path

from lottery.analysis import formatting
from lottery.analysis.methods import comparison_rows
from lottery.analysis.methods.types import Method, RunComparison
from lottery.analysis.score_format import ScoreFormat
from lottery.errors import StoreError, UsageError
from lottery.report import comparison_tables as tables
from lottery.report import html
from lottery.report.comparison_figures import FIGURES
from lottery.report.palette import method
from lottery.store.commit import write_file

GENERATOR = "lottery compare"
_HEAD_BYTES = 4096


def write_comparison(comparison: RunComparison, target: Path) -> Path:
    """Write a comparison's page and return where it is.

    Raises:
        UsageError: there is another file at that place, and it is not such a page.
        StoreError: it cannot be written.
    """
    _check_target(target)
    write_file(target, render_comparison(comparison).encode())
    return target


def render_comparison(comparison: RunComparison) -> str:
    """The text of the whole page; the same comparison gives the same text.

    Args:
        comparison: what to show.

    Returns:
        HTML to be written as UTF-8, more than 1.2 MB, most of it the plotting library.
    """
    interval = f"{100 * comparison.confidence:.3g}%"
    figures = [
        html.drawn(one, content, interval=interval, s=ScoreFormat(comparison.score))
        for one in FIGURES
        if (content := one.draw(comparison))
    ]
    differing, costs = tables.settings(comparison), tables.costs(comparison)
    listed = {
        "measured": tables.measured(comparison),
        "tests": tables.contrasts(comparison),
        "costs": [costs] if costs else [],
        "runs": [tables.runs(comparison)],
        "settings": [differing] if differing else [],
    }
    return html.page(
        "compare.html.jinja",
        figures=figures,
        tables=listed,
        tones={f"method-{i}": method(i)[0] for i in range(len(comparison.methods))},
        generator=GENERATOR,
        comparison=comparison,
        drawn=figures,
        listed=listed,
        cards=[_card(found) for found in comparison.methods],
        notes=comparison_rows.notes(comparison),
        cost_note=" ".join(comparison_rows.cost_notes(comparison)),
        findings_title=comparison_rows.findings_title(comparison),
        fmt=formatting,
    )


def _check_target(target: Path) -> None:
    """Refuse to put a page in the place of anything else."""
    try:
        with target.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}") from error
    if f'name="generator" content="{GENERATOR}"'.encode() not in head:
        raise UsageError(
            f"{target} is there already and is no page of {GENERATOR}: expected such a page or "
            "none; give --report another name, or move that file away"
        )


def _card(found: Method) -> dict[str, str]:
    """The smallest matching density of a run, among those that all have."""
    verdict, place = found.verdict, found.smallest_matching
    sure = found.smallest_confirmed_matching
    if verdict.replicates < 2:
        note = "one replicate shows nothing of what matches"
    elif place is None and sure is None:
        note = "no density that all runs have matches its dense networks"
    elif sure is None:
        note = "smallest matching density that all runs have, on the means; none is confirmed"
    else:
        note = "smallest density that all runs have and that is confirmed to match"
    shown = sure or place
    number = formatting.counted(verdict.replicates, "replicate")
    return {
        "label": found.label,
        "value": formatting.percent(shown.density) if shown else "None",
        "unit": "of weights" if shown else "",
        "note": f"{note}. {number}, {verdict.run}; by itself: {verdict.headline}",
    }
