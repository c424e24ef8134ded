"""The page of a comparison of runs."""

from __future__ import annotations

from pathlib import Path

from lottery.analysis.methods import facts
from lottery.analysis.methods.types import Method, RunComparison
from lottery.errors import StoreError, UsageError
from lottery.report import comparison_tables as tables
from lottery.report import html, words
from lottery.report.comparison_figures import methods_against_density, parts
from lottery.report.figures import ACCURACY, EARLY_STOP
from lottery.report.palette import method
from lottery.report.series import Figure
from lottery.report.summary import Card
from lottery.store.commit import write_file
from lottery.store.jobs import CONTROL_KINDS

GENERATOR = "lottery compare"
_HEAD_BYTES = 4096


def write_comparison(comparison: RunComparison, target: Path) -> Path:
    """Write a comparison's page and return where it is.

    Raises:
        UsageError: there is another file at that place, and it is not such a page.
        StoreError: it cannot be written.
        MissingPackageError: plotly is not installed.
    """
    _check_target(target)
    write_file(target, render_comparison(comparison).encode())
    return target


def render_comparison(comparison: RunComparison) -> str:
    """The text of the whole page; the same comparison gives the same text.

    Args:
        comparison: what to show.

    Returns:
        HTML to be written as UTF-8, about 5 MB, most of it the plotting library.

    Raises:
        MissingPackageError: plotly is not installed.
    """
    drawn = _figures(comparison)
    there = set[str]().union(*map(parts, drawn.values()))
    return html.page(
        "compare.html.jinja",
        figures=drawn,
        tones={f"method-{i}": method(i)[0] for i in range(len(comparison.methods))},
        generator=GENERATOR,
        comparison=comparison,
        cards=[_card(found) for found in comparison.methods],
        captions=_captions(comparison, drawn),
        controls=[(kind, words.KINDS[kind]) for kind in CONTROL_KINDS if kind in there],
        bands="band" in there,
        measured=tables.measured(comparison),
        notes=facts.notes(comparison),
        contrasts=tables.contrasts(comparison),
        runs=tables.runs(comparison),
        settings=tables.settings(comparison),
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


def _figures(comparison: RunComparison) -> dict[str, Figure]:
    built = {
        "accuracy": methods_against_density(comparison, "accuracy_at_early_stop", ACCURACY),
        "early-stop": methods_against_density(comparison, "early_stop_iteration", EARLY_STOP),
    }
    return {name: figure for name, figure in built.items() if figure}


def _card(found: Method) -> Card:
    verdict, place = found.verdict, found.smallest_matching
    sure = found.smallest_confirmed_matching
    if place is None:
        note = "no level matches its dense networks on the means"
    elif sure is None:
        note = "smallest matching density on the means; no level is confirmed"
    elif sure.level == place.level:
        note = "smallest matching density, confirmed"
    else:
        note = f"smallest matching density; confirmed down to {words.density(sure.density)}"
    number = words.plural(verdict.replicates, "replicate")
    return Card(
        found.label,
        words.density(place.density) if place else "None",
        "of weights" if place else "",
        f"{note}. {number}, {verdict.run}",
    )


def _captions(comparison: RunComparison, drawn: dict[str, Figure]) -> dict[str, str]:
    interval = f"{100 * comparison.confidence:.3g}% t-intervals of the mean"
    accuracy = (
        f"Lines are the means of each run's tickets (its dense networks at the left), bands are "
        f"{interval}, cut off where they leave the figure, and each faint mark is one replicate. "
        "Bands may overlap where a paired test tells two runs apart: the tables below say what is "
        "confirmed. Click or tap a name below the figure to hide or show a run. With a mouse, drag "
        "to zoom and double-click to return."
    )
    early_stop = (
        "Lines, bands, marks and names as above. Lower is sooner: the iteration where validation "
        "loss is lowest, found after training has run to its end."
    )
    told = {"accuracy": accuracy, "early-stop": early_stop}
    return {name: told[name] for name in drawn}
