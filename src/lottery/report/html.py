"""From a template to one HTML file that needs nothing else and may fetch nothing.

Everything that comes from a run is escaped by the template, or embedded as JSON that no HTML parser
can leave. A content security policy allows the two scripts of a page by their hashes, no other
script, and no address to fetch anything from.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from lottery.errors import MissingPackageError
from lottery.report.palette import Tone
from lottery.report.series import Figure


def page(
    template: str, *, figures: Mapping[str, Figure], tones: Mapping[str, Tone], **values: object
) -> str:
    """The text of a whole page; the same values give the same text.

    Args:
        template: its file's name in this package.
        figures: what is drawn, by the name of its place on the page.
        tones: the colours that figures and swatches name.
        values: what the template shows.

    Returns:
        HTML to be written as UTF-8, about 5 MB where there are figures: most of it is the plotting
        library.

    Raises:
        MissingPackageError: there are figures, and plotly is not installed.
    """
    scripts = [_script(_plotting_library()), _script(_asset("page.js"))] if figures else []
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    colours = {name: (tone.light, tone.dark) for name, tone in tones.items()}
    html = environment.get_template(template).render(
        figures=figures,
        style=Markup(_asset("style.css")),
        scripts=scripts,
        policy=_policy(scripts),
        embedded=embed({"figures": figures, "tones": colours}),
        **values,
    )
    return html.encode("utf-8", "replace").decode("utf-8")


def embed(value: Any) -> Markup:
    r"""JSON for a ``script`` element: no sequence of characters in it means anything to HTML.

    >>> print(embed({"name": "</script><!-- &"}))
    {"name":"\u003c/script\u003e\u003c!-- \u0026"}
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _plotting_library() -> str:
    # Training must run where plotly is missing, so it is asked for only when a page is made.
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise MissingPackageError("a report", "plotly") from error
    return str(get_plotlyjs())


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
