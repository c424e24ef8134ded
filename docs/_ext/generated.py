"""Sphinx: built pages take some generated parts in a longer form than the checkout has.

See `scripts/generate_docs.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from generate_docs import BUILT, MARK

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", _expand)
    app.connect("env-get-outdated", lambda app, env, *_: sorted(_pages(app) & env.all_docs.keys()))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _expand(_app: Sphinx, _page: str, source: list[str]) -> None:
    source[0] = MARK.sub(
        lambda mark: BUILT[mark["what"]](mark["of"]) if mark["what"] in BUILT else mark["text"],
        source[0],
    )


def _pages(app: Sphinx) -> set[str]:
    """Pages with a generated part; they follow the code, so they are always read again."""
    return {
        page
        for page in app.project.docnames
        if MARK.search(app.project.doc2path(page, absolute=True).read_text(encoding="utf-8"))
    }
