"""The page: one HTML file that needs nothing else and may fetch nothing.

Everything that comes from the run is escaped by the template, or embedded as JSON that no HTML
parser can leave. A content security policy allows the two scripts of this page by their hashes,
no other script, and no address to fetch anything from.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lottery.errors import MissingPackageError
from lottery.report import captions, figures, pixels, summary, tables, words
from lottery.report.curves import learning_curves
from lottery.report.data import ReportData
from lottery.report.series import Figure
from lottery.report.layers import layer_density
from lottery.report.palette import DASHES, INK, TONES, Tone, steps


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
    scripts = [_script(_plotting_library()), _script(_asset("page.js"))] if drawn else []
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(_asset("template.html.jinja"))
    html = template.render(
        verdict=data.verdict,
        margin=words.counted_points(data.verdict.margin),
        status=summary.STATUS[data.verdict.hypothesis],
        cards=summary.cards(data.verdict),
        levels=tables.levels(data.verdict),
        controls=tables.controls(data.verdict),
        failures=tables.failures(data.results),
        figures=drawn,
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
        style=Markup(_asset("style.css")),
        scripts=scripts,
        policy=_policy(scripts),
        embedded=embed({"figures": drawn, "tones": _tones(data, drawn)}),
    )
    return html.encode("utf-8", "replace").decode("utf-8")


def _plotting_library() -> str:
    # Training must run where plotly is missing, so it is asked for only when a page is made.
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise MissingPackageError("a report", "plotly") from error
    return str(get_plotlyjs())


def embed(value: Any) -> Markup:
    r"""JSON for a ``script`` element: no sequence of characters in it means anything to HTML.

    >>> print(embed({"name": "</script><!-- &"}))
    {"name":"\u003c/script\u003e\u003c!-- \u0026"}
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


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


def _tones(data: ReportData, drawn: dict[str, Figure]) -> dict[str, tuple[str, str]]:
    """Name of a colour -> its light and its dark version."""
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
    return {name: (tone.light, tone.dark) for name, tone in found.items()}


def _asset(name: str) -> str:
    return resources.files("lottery.report").joinpath(name).read_text(encoding="utf-8")


def _script(text: str) -> Markup:
    """A script as it will stand in the page, byte for byte, or its hash would not fit."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError("a script of the report would end its element early")
    return Markup(text)


def _policy(scripts: list[Markup]) -> str:
    hashes = (
        base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
        for script in scripts
    )
    allowed = " ".join(f"'sha256-{value}'" for value in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
