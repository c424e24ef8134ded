"""The page of one run."""

from __future__ import annotations

from collections.abc import Callable

from lottery.report import captions, figures, html, pixels, summary, tables, words
from lottery.report.curves import learning_curves
from lottery.report.data import ReportData
from lottery.report.layers import layer_density
from lottery.report.palette import DASHES, INK, TONES, Tone, steps
from lottery.report.series import Figure


def render(data: ReportData) -> str:
    """The text of the whole page; the same data gives the same text.

    Args:
        data: what to show.

    Returns:
        HTML to be written as UTF-8, about 5 MB, most of it the plotting library.

    Raises:
        MissingPackageError: plotly is not installed.
    """
    drawn = _figures(data)
    return html.page(
        "report.html.jinja",
        figures=drawn,
        tones=_tones(data, drawn),
        generator="lottery report",
        verdict=data.verdict,
        margin=words.counted_points(data.verdict.margin),
        status=summary.status(data.verdict),
        cards=summary.cards(data.verdict),
        levels=tables.levels(data.verdict),
        controls=tables.controls(data.verdict),
        failures=tables.failures(data.results),
        captions=_captions(data, drawn),
        kinds=words.KINDS,
        dashes=DASHES,
        pictures=_pictures(data),
        scale=pixels.scale(),
        pixels_caption=captions.PIXELS,
        config=list(words.flat(data.config)),
        environment=list(words.flat(data.environment)),
        hashes=sorted(data.hashes.items()),
        command=data.command,
    )


def _figures(data: ReportData) -> dict[str, Figure]:
    built = {
        "accuracy": figures.against_density(data.verdict, figures.ACCURACY),
        "early-stop": figures.against_density(data.verdict, figures.EARLY_STOP),
        "curves": learning_curves(data),
        "layers": layer_density(data.verdict, data.results),
    }
    return {name: figure for name, figure in built.items() if figure}


def _captions(data: ReportData, drawn: dict[str, Figure]) -> dict[str, str]:
    makers: dict[str, Callable[[Figure], str]] = {
        "accuracy": lambda figure: captions.accuracy(data.verdict, figure),
        "early-stop": lambda _: captions.early_stop(data.verdict),
        "curves": captions.curves,
        "layers": lambda figure: captions.layers(data.verdict, figure),
    }
    return {name: makers[name](figure) for name, figure in drawn.items()}


def _pictures(data: ReportData) -> list[pixels.Picture]:
    densities = {level.level: level.density for level in data.verdict.levels}
    return pixels.pictures(data.pixels, densities, data.verdict.smallest_winning_level)


def _tones(data: ReportData, drawn: dict[str, Figure]) -> dict[str, Tone]:
    found: dict[str, Tone] = dict(TONES)
    layers = drawn.get("layers", {}).get("layers", 0)
    found |= {f"layer-{i}": tone for i, tone in enumerate(steps(layers))}
    levels = [level.level for level in data.verdict.levels]
    found |= {
        f"level-{level}": tone for level, tone in zip(levels, steps(len(levels)), strict=True)
    }
    found["level-0"] = INK
    if data.verdict.smallest_winning_level:
        found[f"level-{data.verdict.smallest_winning_level}"] = TONES["main"]
    return found
