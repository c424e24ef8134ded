"""The section about the inside of tickets in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from browsing import Open
from connectivity_samples import made_up

from lottery.inside import Measurement, Table
from lottery.report import ReportData, render

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def html(make_data: Callable[..., ReportData]) -> str:
    return render(make_data())


def test_level_and_replicate_are_chosen_for_all_figures_of_the_inside(
    open_page: Open, html: str
) -> None:
    shown = """() => ['inside-density', 'inside-units'].flatMap((name) =>
        document.getElementById(`plot-${name}`).data.filter((trace) => trace.visible === true)
            .map(({ meta }) => `${meta.level} ${meta.replicate}`))"""
    values = "inside-values"
    with open_page(html) as page:
        chooser = page.locator(".chooser")
        assert chooser.locator("button[aria-pressed='true']").count() == 2
        chooser.locator("button[data-choice='level'][data-value='7']").click()
        chooser.locator("button[data-choice='replicate'][data-value='3']").click()
        assert set(page.evaluate(shown)) == {"7 3"}
        assert (
            page.evaluate(
                "(name) => document.getElementById(`plot-${name}`).data"
                ".filter((trace) => trace.visible === true).map(({ meta }) => meta.level)",
                values,
            )
            == [7] * 4
        )
        pictures = page.locator("#figure-inside-first-layer .picture:visible")
        assert pictures.count() == 2
        assert "replicate 3" in (pictures.first.text_content() or "")
        assert chooser.locator("button[aria-pressed='true']").count() == 2


def test_a_layer_of_lines_brings_its_own_range(open_page: Open, data: ReportData) -> None:
    columns = ("level", "layer", "compared", "n", "cka", "cka_sd")
    rows = [
        (level, layer, "dense network, ticket", 5, cka - level / 100, 0.01)
        for layer, cka in (("fc1.weight", 0.9), ("fc2.weight", 0.4))
        for level in range(1, 12)
    ]
    table = Table(name="layers", title="", note="", columns=columns, rows=tuple(rows))
    alike = replace(data, inside={"cka": Measurement(analysis="cka", tables=(table,))})
    axes = """() => {
        const { xaxis, yaxis } = document.getElementById('plot-inside-cka').layout;
        return [xaxis.range, yaxis.range];
    }"""
    with open_page(render(alike)) as page:
        across, before = page.evaluate(axes)
        page.locator("#figure-inside-cka button[data-value='1']").click()
        same, up = page.evaluate(axes)
        assert same == across
        assert up == pytest.approx([before[0] - 0.5, before[1] - 0.5])
        assert up[0] < 0.4 - 0.11 < 0.4 - 0.01 < up[1]
        page.locator("#plot-inside-cka .legendtoggle").first.click()
        page.wait_for_function(
            "() => document.getElementById('plot-inside-cka').data.every((t) => t.visible !== true)"
        )
        assert page.evaluate(axes)[0] == across


def test_levels_that_lines_were_not_measured_at_are_not_offered(
    open_page: Open, data: ReportData
) -> None:
    measured = made_up()
    (points,) = measured.tables
    kind, at, level = (points.columns.index(name) for name in ("kind", "at", "level"))
    looked_at = {("copies", 0): (0, 5), ("copies", 500): (8,)}
    rows = tuple(
        row
        for row in points.rows
        if row[kind] == "levels" or row[level] in looked_at[str(row[kind]), int(row[at] or 0)]
    )
    few = replace(measured, tables=(replace(points, rows=rows),))
    chips = "#figure-connectivity button[data-choice='line']:visible"
    shown = """() => document.getElementById('plot-connectivity').data
        .filter((trace) => trace.visible === true).map(({ meta }) => meta.line)"""
    with open_page(render(replace(data, inside={"connectivity": few}))) as page:
        offered = "(chips) => chips.map((chip) => Number(chip.dataset.value))"
        for place, levels in enumerate([[0, 5], [8], [*range(1, 12)]]):
            page.locator(f"#figure-connectivity button[data-value='{place}'][data-single]").click()
            found = page.locator(chips).evaluate_all(offered)
            assert found == levels
            # Something is shown whatever is chosen.
            assert page.evaluate(shown)
            assert set(page.evaluate(shown)) <= set(levels)
