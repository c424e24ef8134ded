"""From a template to one HTML file that needs nothing else and may fetch nothing.

Everything that comes from a run is escaped by the template, or embedded as JSON that no HTML parser
can leave. A content security policy allows the two scripts of a page by their hashes, no other
script, and no address to fetch anything from.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from lottery.report.figure import DrawnFigure, Figure, Gallery, Plot, choices, tones_of
from lottery.report.palette import TONES, Tone
from lottery.report.svg import plot_svg
from lottery.report.tables import Table

PLOTLY = "vendored/plotly-basic-3.7.0.min.js"
"""plotly.js, its basic bundle: npm package plotly.js-basic-dist-min 3.7.0, MIT licence."""
PLOTLY_SHA256 = "c23b03591a6bdad0bd0f47a0c5c52305a5519812b73ce254be65cd841553c9c2"
_HYPHEN = re.compile(r"(?<![\w])-(?=\d)")
"""Before a number, what stands for a minus sign."""
_WITHIN = re.compile(
    r"(?<=\d) (?=[A-Za-z±])|(?<=\d to) (?=\S)|(?<=[<=≥~✓✕·]) (?=\S)|(?<=\b[npz]) (?=[<=])"
)
"""Spaces within a number and its unit, an interval, or a value and its name."""
_LONGEST_WORD = 24
"""Of a table's cell, in letters, that makes its column as wide as it needs."""


def page(
    template: str,
    *,
    figures: Sequence[DrawnFigure],
    tables: Mapping[str, Sequence[Table]] | None = None,
    tones: Mapping[str, Tone] | None = None,
    **values: object,
) -> str:
    """The text of a whole page; the same values give the same text.

    Args:
        template: its file's name in this package.
        figures: what is drawn.
        tables: those that can be saved.
        tones: colours that figures and swatches name, besides the kinds'.
        values: what the template shows.

    Returns:
        HTML to be written as UTF-8; where there are figures, most of it is the plotting library.
    """
    plots = {d.figure.name: d.content for d in figures if isinstance(d.content, dict)}
    scripts = (
        [_script(_asset(PLOTLY)), _script(_asset("saving.js") + _asset("page.js"))]
        if figures
        else []
    )
    colours = {**TONES, **(tones or {}), **tones_of(list(plots.values()))}
    csv = {table.name: table.csv for of in (tables or {}).values() for table in of}
    text = (
        _environment(autoescape=True)
        .get_template(template)
        .render(
            figures={d.figure.name: d for d in figures},
            style=Markup(_asset("style.css")),
            scripts=scripts,
            policy=_policy(scripts),
            choices_of=choices,
            still=lambda drawn: Markup(plot_svg(drawn.content, colours)),
            embedded=embed(
                {
                    "figures": {
                        name: {key: value for key, value in plot.items() if key != "tones"}
                        for name, plot in plots.items()
                    },
                    "tones": {name: (tone.light, tone.dark) for name, tone in colours.items()},
                    "csv": csv,
                }
            ),
            **values,
        )
    )
    return text.encode("utf-8", "replace").decode("utf-8")


def sentence(template: str, **values: object) -> str:
    """A caption from its template: plain text, not yet HTML."""
    return _environment(autoescape=False).from_string(template).render(**values).strip()


def drawn(figure: Figure, content: Plot | Gallery, **values: object) -> DrawnFigure:
    """A figure with its words filled in."""
    section, title, caption = (
        sentence(template, plot=content, **values)
        for template in (figure.section, figure.title, figure.caption)
    )
    return DrawnFigure(
        figure=figure, content=content, section=section, title=title, caption=caption
    )


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        # Names of figures are escaped for Plotly already.
        "unescaped": html.unescape,
        "numbers": numbers,
    }
    environment.tests["long"] = lambda text: any(len(w) > _LONGEST_WORD for w in text.split())
    return environment


def numbers(text: str) -> str:
    """A text with minus signs, and with no number that a line could end in.

    >>> numbers("p < 0.001 (+0.16 to +0.27 points)").replace("\N{NO-BREAK SPACE}", "_")
    'p_<_0.001 (+0.16_to_+0.27_points)'
    """
    return _WITHIN.sub("\N{NO-BREAK SPACE}", _HYPHEN.sub("\N{MINUS SIGN}", text))


def embed(value: Any) -> Markup:
    r"""JSON for a ``script`` element: no sequence of characters in it means anything to HTML.

    >>> print(embed({"name": "</script><!-- &"}))
    {"name":"\u003c/script\u003e\u003c!-- \u0026"}
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


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
