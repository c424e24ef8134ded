"""The page of a comparison in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import DESK, PHONE, Open
from methods_samples import sample
from playwright.sync_api import Page

from lottery.analysis import RunComparison
from lottery.report import render_comparison

pytestmark = pytest.mark.browser


def parts(page: Page, figure: str, group: str) -> dict[str, Any]:
    """Part of a run's drawing -> whether it is shown."""
    found: dict[str, Any] = page.evaluate(
        """([figure, group]) => Object.fromEntries(
            document.getElementById(`plot-${figure}`).data
                .filter((trace) => trace.legendgroup === group)
                .map((trace) => [trace.meta.part, trace.visible ?? true]))""",
        [figure, group],
    )
    return found


def test_parts_of_a_comparison_can_be_shown_and_hidden(
    open_page: Open, comparison: RunComparison
) -> None:
    first = {"band": True, "replicates": True, "line": True, "reinit": False}
    with open_page(render_comparison(comparison)) as page:
        assert parts(page, "accuracy", "method-0") == first
        page.locator("#figure-accuracy button[data-value='reinit']").click()
        page.locator("#figure-accuracy button[data-value='replicates']").click()
        changed = first | {"replicates": False, "reinit": True}
        assert parts(page, "accuracy", "method-0") == changed
        assert parts(page, "early-stop", "method-0") == first
        page.locator("#figure-accuracy button[data-value='reinit']").click()
        page.locator("#figure-accuracy button[data-value='replicates']").click()
        assert parts(page, "accuracy", "method-0") == first


def wait_for_line(page: Page, shown: bool | str) -> None:
    """Wait until the second run's line is so; Plotly waits for a second click first."""
    page.wait_for_function(
        """(shown) => (document.getElementById('plot-accuracy').data.find(
            (trace) => trace.legendgroup === 'method-1' && trace.meta.part === 'line'
        ).visible ?? true) === shown""",
        arg=shown,
    )


def test_a_hidden_run_stays_hidden_when_its_parts_are_asked_for(
    open_page: Open, comparison: RunComparison
) -> None:
    with open_page(render_comparison(comparison)) as page:
        entry = page.locator("#plot-accuracy .legendtoggle").nth(1)
        entry.click()
        wait_for_line(page, "legendonly")
        page.locator("#figure-accuracy button[data-value='reinit']").click()
        shown = parts(page, "accuracy", "method-1")
        assert set(shown.values()) == {"legendonly"}
        assert parts(page, "accuracy", "method-0")["reinit"] is True
        entry.click()
        wait_for_line(page, True)
        assert set(parts(page, "accuracy", "method-1").values()) == {True}


@pytest.mark.parametrize("size", [PHONE, DESK])
@pytest.mark.parametrize("name", ["demo", "hostile"])
def test_a_comparison_is_no_wider_than_the_window(
    open_page: Open, hostile: str, size: tuple[int, int], name: str
) -> None:
    html = render_comparison(sample(name=hostile if name == "hostile" else name))
    with open_page(html, size, dark=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.locator(".plot .main-svg").count() >= 2
        assert page.locator("img, main a").count() == 0
