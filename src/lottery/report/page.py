"""The page of one run: its verdict, every figure that there is data for, and tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from lottery.analysis import formatting
from lottery.analysis.score_format import ScoreFormat, at_moment
from lottery.analysis.types import Headline
from lottery.inside import ANALYSES
from lottery.report import html, identity, inside, tables, training_tables
from lottery.report.curves import CURVES
from lottery.report.data import ReportData
from lottery.report.density import ACCURACY_FIGURE, SPEED_FIGURE
from lottery.report.distributions import DISTRIBUTIONS
from lottery.report.figure import DrawnFigure, Figure
from lottery.report.forest import MARKS
from lottery.report.inside_alignment import INSIDE_ALIGNMENT
from lottery.report.inside_connectivity import INSIDE_CONNECTIVITY
from lottery.report.inside_masks import INSIDE_MASKS
from lottery.report.inside_shifts import SHIFTS
from lottery.report.inside_values import VALUES
from lottery.report.inside_weights import INSIDE_WEIGHTS
from lottery.report.layers import LAYERS
from lottery.report.pixels import FAINTEST, MASKS, PIXELS
from lottery.report.tested import FORESTS

FIGURES: Final[tuple[Figure, ...]] = (
    *FORESTS,
    ACCURACY_FIGURE,
    SPEED_FIGURE,
    CURVES,
    LAYERS,
    DISTRIBUTIONS,
    MASKS,
    PIXELS,
    *INSIDE_MASKS,
    VALUES,
    *INSIDE_CONNECTIVITY,
    *INSIDE_ALIGNMENT,
    *INSIDE_WEIGHTS,
    SHIFTS,
)
"""Every figure, in the order of the page."""

_HEADLINES: Final[dict[Headline, tuple[str, str]]] = {
    "confirmed": ("✓", "Confirmed"),
    "indicated": ("◐", "Indicated"),
    "open": ("~", "Open"),
    "contradicted": ("✕", "Contradicted"),
    "not tested": ("·", "Not tested"),
}
"""Headline -> its mark and word."""


def render(data: ReportData) -> str:
    """The text of the whole page; the same data gives the same text.

    Args:
        data: what to show.

    Returns:
        HTML to be written as UTF-8, more than 1.2 MB, most of it the plotting library.
    """
    figures = list(draw(data))
    verdict = data.verdict
    return html.page(
        "report.html.jinja",
        figures=figures,
        tables=(listed := _tables(data)),
        generator="lottery report",
        v=verdict,
        sections=[(name, list(of)) for name, of in groupby(figures, lambda d: d.section)],
        inside=inside.SECTION,
        shared=inside.shared_choices(figures),
        found=[(ANALYSES[name].sentence, one.found) for name, one in data.inside.items()],
        not_made=[one for name, one in ANALYSES.items() if name not in data.inside],
        identity=identity.strip(data),
        headline=_HEADLINES[verdict.headline],
        marks=MARKS,
        level_tables=listed["levels"],
        replicates=listed["replicates"][0],
        failures=listed["failures"],
        config=list(identity.flat(data.config)),
        environment=list(identity.flat(data.environment)),
        hashes=sorted(data.hashes.items()),
        command=data.command,
        fmt=formatting,
        s=ScoreFormat(verdict.score),
        moment=at_moment(verdict.timed),
        faintest=FAINTEST,
    )


def draw(data: ReportData) -> Iterator[DrawnFigure]:
    """Every figure that there is something to draw for."""
    values = _values(data)
    for figure in FIGURES:
        try:
            content = figure.draw(data)
        except (
            LookupError,
            TypeError,
            ValueError,
            ArithmeticError,
            AttributeError,
            AssertionError,
        ):
            # Measurements are files, of another version or by anyone: what does not have what is
            # drawn is not drawn.
            if figure.section != inside.SECTION:
                raise
            continue
        if content is not None:
            yield html.drawn(figure, content, **values)


def _tables(data: ReportData) -> dict[str, list[tables.Table]]:
    failed = training_tables.failures(data.results)
    return {
        "levels": tables.level_tables(data.verdict) if data.verdict.levels else [],
        "replicates": [training_tables.replicates(data.results, data.verdict)],
        "failures": [failed] if failed else [],
    }


def _values(data: ReportData) -> dict[str, Any]:
    """What captions are made of."""
    verdict = data.verdict
    groups = [group for level in verdict.levels for group in level.groups.values()]
    return {
        "v": verdict,
        "interval": f"{100 * verdict.confidence:.3g}%",
        "at_end": sum(group.at_end for group in groups),
        "s": ScoreFormat(verdict.score),
        "moment": at_moment(verdict.timed),
        "count": formatting.count,
        "counted": formatting.counted,
        "percent": formatting.percent,
        "density": data.weights_density,
        "masks_are": data.masks_are,
        "masks_block": data.masks_block,
        "known_order": bool(data.layers),
    }
