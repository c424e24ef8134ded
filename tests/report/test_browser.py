"""The page in a real browser: it runs, fits the screen and fetches nothing."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from browsing import DESK, PHONE, Open
from playwright.sync_api import Page

from lottery.report import ReportData, render
from lottery.report.export import figure_csv
from lottery.report.figure import Gallery
from lottery.report.page import draw
from lottery.report.tables import level_tables

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def html(make_data: Callable[..., ReportData]) -> str:
    return render(make_data())


def visible(page: Page, figure: str, group: str) -> list[Any]:
    found: list[Any] = page.evaluate(
        """([figure, group]) => document.getElementById(`plot-${figure}`).data
            .filter((trace) => trace.legendgroup === group)
            .map((trace) => trace.visible ?? true)""",
        [figure, group],
    )
    return found


def wait_until_visible(page: Page, figure: str, group: str, expected: list[Any]) -> None:
    """Wait until a group's traces are so; Plotly waits for a second click first."""
    page.wait_for_function(
        """([figure, group, expected]) => {
            const found = document.getElementById(`plot-${figure}`).data
                .filter((trace) => trace.legendgroup === group)
                .map((trace) => trace.visible ?? true);
            return JSON.stringify(found) === JSON.stringify(expected);
        }""",
        arg=[figure, group, expected],
    )


def test_the_page_opens_without_error_or_request(open_page: Open, html: str) -> None:
    with open_page(html) as page:
        assert page.title() == "LeNet-300-100 on MNIST – lottery report"  # noqa: RUF001
        for name in ("tested-accuracy", "tested-speed", "accuracy", "early-stop", "curves"):
            assert page.locator(f"#plot-{name} .scatterlayer .trace").count() >= 2
        assert page.locator("#plot-layers .barlayer .point").count() == 3 * 12


@pytest.mark.parametrize("figure", ["accuracy", "early-stop"])
def test_a_click_in_the_legend_hides_line_band_and_points(
    open_page: Open, html: str, figure: str
) -> None:
    with open_page(html) as page:
        assert visible(page, figure, "reinit") == [True] * 3
        names = page.locator(f"#plot-{figure} .legendtext").all_text_contents()
        entry = page.locator(f"#plot-{figure} .legendtoggle").nth(names.index("Reinitialized"))
        entry.click()
        wait_until_visible(page, figure, "reinit", ["legendonly"] * 3)
        assert visible(page, figure, "main") == [True] * 3
        entry.click()
        wait_until_visible(page, figure, "reinit", [True] * 3)


@pytest.mark.parametrize("key", ["Enter", " "])
def test_the_keyboard_reaches_the_legend(open_page: Open, html: str, key: str) -> None:
    with open_page(html) as page:
        entry = page.locator("#plot-accuracy .legendtoggle[aria-label='Reinitialized']")
        assert entry.get_attribute("role") == "button"
        entry.focus()
        page.keyboard.press(key)
        wait_until_visible(page, "accuracy", "reinit", ["legendonly"] * 3)
        entry = page.locator("#plot-accuracy .legendtoggle[aria-label='Reinitialized']")
        assert entry.get_attribute("aria-pressed") == "false"
        entry.focus()
        page.keyboard.press(key)
        wait_until_visible(page, "accuracy", "reinit", [True] * 3)


def test_levels_and_measure_of_the_curves_can_be_chosen(
    open_page: Open, html: str, data: ReportData
) -> None:
    shown = """() => document.getElementById('plot-curves').data
        .filter((trace) => trace.visible === true)
        .map(({ meta }) => `${meta.level} ${meta.kind} ${meta.part}`)"""
    first = "() => document.getElementById('plot-curves').data[1].y.slice(-1)[0]"
    level = data.verdict.level
    with open_page(html) as page:
        before = page.evaluate(shown)
        assert {key.split()[0] for key in before} == {"0", str(level)}
        assert {key.split()[1] for key in before} == {"main", "reinit", "random-mask"}
        accuracy = page.evaluate(first)
        page.locator("#figure-curves button[data-value='3']").click()
        page.locator("#figure-curves button[data-value='0']").click()
        page.locator("#figure-curves button[data-value='replicates']").click()
        after = page.evaluate(shown)
        assert "3 main mean" in after
        assert not [key for key in after if key.startswith("0 ") or "replicates" in key]
        page.locator("#figure-curves button[data-measure='loss']").click()
        assert page.evaluate(first) < 1 < 90 < accuracy
        assert page.locator("#plot-curves .gtitle").text_content() == "Validation loss (nats)"
        page.locator("#figure-curves button[data-measure='accuracy']").click()
        assert page.evaluate(first) == accuracy


def test_one_layer_s_weights_are_shown_at_a_time(open_page: Open, html: str) -> None:
    shown = """() => document.getElementById('plot-weights').data
        .filter((trace) => trace.visible === true).map(({ meta }) => meta.layer)"""
    with open_page(html) as page:
        assert set(page.evaluate(shown)) == {0}
        page.locator("#figure-weights button[data-value='2']").click()
        assert set(page.evaluate(shown)) == {2}
        assert page.locator("#figure-weights button[aria-pressed='true']").count() == 1


@pytest.mark.parametrize("levels", [3, 30])
def test_tick_labels_keep_apart(
    open_page: Open, make_data: Callable[..., ReportData], levels: int
) -> None:
    crowded = """() => {
        const box = (of) => of.getBoundingClientRect();
        const boxes = (plot, of) => [...plot.querySelectorAll(of)].map(box);
        const close = (found, from, to, gap) => found.sort((a, b) => a[from] - b[from])
            .some((box, i) => i && box[from] - found[i - 1][to] < gap);
        return [...document.querySelectorAll('.plot')].filter((plot) =>
            Math.abs(plot._fullLayout.width - plot.clientWidth) > 1
            || close(boxes(plot, '.xtick text'), 'left', 'right', 4)
            || close(boxes(plot, '.ytick text'), 'top', 'bottom', -3)
            || boxes(plot, '.gtitle')[0].right > box(plot).right
        ).map((plot) => plot.id).join();
    }"""
    with open_page(render(make_data(levels=levels, replicates=2, evaluations=5))) as page:
        for width in (1280, 800, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(f"() => ({crowded})() === ''")


def test_the_closer_range_shows_what_is_near_dense(
    open_page: Open, make_data: Callable[..., ReportData]
) -> None:
    span = """() => {
        const [low, high] = document.getElementById('plot-accuracy').layout.yaxis.range;
        return high - low;
    }"""
    with open_page(render(make_data(levels=15))) as page:
        whole = page.evaluate(span)
        page.locator("button[data-range='near']").click()
        assert page.evaluate(span) < 0.6 * whole
        page.locator("button[data-range='all']").click()
        assert page.evaluate(span) == pytest.approx(whole)


def test_light_and_dark_follow_the_reader(open_page: Open, html: str) -> None:
    colours = """() => {
        const gd = document.getElementById('plot-accuracy');
        const line = gd.data.find((t) => t.legendgroup === 'main' && t.showlegend);
        return [getComputedStyle(document.body).backgroundColor, gd.layout.paper_bgcolor,
                gd.layout.font.color, line.line.color];
    }"""
    with open_page(html) as page:
        light = page.evaluate(colours)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(
            f"(light) => ({colours})().every((colour, i) => colour !== light[i])", arg=light
        )
        dark = page.evaluate(colours)
        assert not set(light) & set(dark)
        page.emulate_media(color_scheme="light")
        page.wait_for_function(
            f"(light) => ({colours})().every((colour, i) => colour === light[i])", arg=light
        )
    with open_page(html, dark=True) as page:
        assert page.evaluate(colours) == dark


def test_a_change_of_theme_keeps_what_the_reader_hid(open_page: Open, html: str) -> None:
    colour = "document.getElementById('plot-accuracy').layout.paper_bgcolor"
    with open_page(html) as page:
        page.locator("#plot-accuracy .legendtoggle").last.click()
        wait_until_visible(page, "accuracy", "random-mask", ["legendonly"] * 3)
        light = page.evaluate(colour)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"(light) => {colour} !== light", arg=light)
        assert visible(page, "accuracy", "random-mask") == ["legendonly"] * 3


@pytest.mark.parametrize("size", [PHONE, DESK])
@pytest.mark.parametrize("hostile_names", [False, True])
def test_nothing_is_wider_than_the_window(
    open_page: Open,
    html: str,
    hostile_data: ReportData,
    size: tuple[int, int],
    hostile_names: bool,
) -> None:
    with open_page(render(hostile_data) if hostile_names else html, size) as page:
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        for plot in page.locator(".plot").all():
            box = plot.bounding_box()
            svg = plot.locator(".main-svg").first.bounding_box()
            assert box is not None
            assert svg is not None
            assert svg["width"] <= box["width"] + 1
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= size[0]


def test_figures_follow_the_window(open_page: Open, html: str) -> None:
    with open_page(html) as page:
        wide = page.locator("#plot-accuracy g.xtick").count()
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function(
            """(wide) => document.documentElement.scrollWidth <= 390
                && document.querySelectorAll('#plot-accuracy g.xtick').length < wide""",
            arg=wide,
        )
        assert 3 <= page.locator("#plot-accuracy g.xtick").count() < wide == 12


def test_numbers_in_bars_are_all_there_or_none(open_page: Open, html: str) -> None:
    size = "() => document.getElementById('plot-layers')._fullLayout.uniformtext.minsize"
    with open_page(html) as page:
        assert page.evaluate(size) == 7
    with open_page(html, PHONE) as page:
        assert page.evaluate(size) == 99


def test_a_hostile_name_is_shown_and_runs_nothing(
    open_page: Open, hostile_data: ReportData
) -> None:
    with open_page(render(hostile_data)) as page:
        assert "</script><img src=x onerror=alert(1)>\"'{{7*7}}" in page.inner_text("h1")
        assert page.locator("img[src='x'], img[onerror], a:not([href^='#'])").count() == 0
        layers = page.locator("#plot-layers .ytick text").all_text_contents()
        assert any(text.startswith("</script><img src=x") for text in layers)
        assert page.locator("#plot-layers a, #figure-weights a").count() == 0


def test_scripts_that_are_not_the_page_s_own_do_not_run(open_page: Open, html: str) -> None:
    changed = html.replace("</h1>", "</h1><script>window.ran = true</script>")
    with pytest.raises(AssertionError, match="Content Security Policy"), open_page(changed) as page:
        ran = page.evaluate("window.ran ?? false")
    assert not ran


@pytest.mark.parametrize(
    "case",
    [
        {"levels": 1, "replicates": 1, "branches": (), "evaluations": 1},
        {"levels": 2, "replicates": 2},
        {"levels": 3, "layers": [f"stage{i}.conv.weight" for i in range(60)]},
    ],
)
def test_unusual_runs_open_too(
    open_page: Open, make_data: Callable[..., ReportData], case: dict[str, Any]
) -> None:
    with open_page(render(make_data(**case)), PHONE) as page:
        assert page.locator(".plot .main-svg").count() >= 4


def test_the_command_can_be_copied(open_page: Open, html: str) -> None:
    with open_page(html) as page:
        page.locator("button[data-copy]").click()
        assert (
            page.evaluate("getSelection().toString()")
            == "lottery run lenet-mnist --set name='LeNet-300-100 on MNIST' --replicates 5"
        )
        assert page.locator("button[data-copy]").inner_text() in ("Copied", "Selected")


@pytest.mark.parametrize("name", ["tested-accuracy", "layers", "first-layer"])
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_figure_can_be_saved_as_a_picture(
    open_page: Open, html: str, name: str, kind: str
) -> None:
    with open_page(html) as page:
        with page.expect_download() as saved:
            page.locator(f"#figure-{name} button[data-save='{kind}']").click()
        assert saved.value.suggested_filename == f"lottery-{name}.{kind}"
        content = Path(saved.value.path()).read_bytes()
        assert content.startswith(b"\x89PNG" if kind == "png" else b"<svg")


def test_legends_are_part_of_saved_pictures(open_page: Open, html: str) -> None:
    with open_page(html) as page:
        with page.expect_download() as saved:
            page.locator("#figure-curves button[data-save='svg']").click()
        text = Path(saved.value.path()).read_text(encoding="utf-8")
        assert ">100%, dense<" in text
        assert "reinitialized<" in text


def test_files_of_the_page_say_what_those_of_the_command_say(
    open_page: Open, html: str, data: ReportData
) -> None:
    with open_page(html) as page:
        # Browsers hold back a page that saves many files at once, so these go no further than here.
        page.evaluate(
            """() => {
                window.saved = [];
                URL.createObjectURL = (blob) => {
                    window.saved.push(blob.text());
                    return "data:,";
                };
                HTMLAnchorElement.prototype.click = () => {};
            }"""
        )
        for drawn in draw(data):
            page.locator(f"#figure-{drawn.figure.name} button[data-save='csv']").click()
            found = read(page.evaluate("() => window.saved.pop()"))
            expected = read(figure_csv(drawn.content))
            assert len(found) == len(expected)
            for row, other in zip(found, expected, strict=True):
                assert row.keys() == other.keys()
                close = 0.005 if isinstance(drawn.content, Gallery) else 1e-9
                for cell, expects in zip(row.values(), other.values(), strict=True):
                    same = cell == expects or (
                        isinstance(cell, float)
                        and isinstance(expects, float)
                        and math.isclose(cell, expects, rel_tol=1e-9, abs_tol=close)
                    )
                    assert same, (row, other)
        page.locator("button[data-name='levels']").click()
        assert page.evaluate("() => window.saved.pop()") == level_tables(data.verdict)[0].csv


def read(text: str) -> list[dict[str, Any]]:
    def value(cell: str) -> float | str:
        try:
            return float(cell)
        except ValueError:
            return cell

    return [{k: value(v) for k, v in row.items()} for row in csv.DictReader(io.StringIO(text))]


def test_on_a_phone_the_first_figure_is_on_the_first_screen_but_one(
    open_page: Open, html: str
) -> None:
    with open_page(html, PHONE) as page:
        box = page.locator("figure").first.bounding_box()
        assert box is not None
        assert box["y"] < 2 * PHONE[1]


@pytest.mark.parametrize("size", [PHONE, (1024, 768), (1600, 900)])
def test_tables_fit_their_width(open_page: Open, html: str, size: tuple[int, int]) -> None:
    with open_page(html, size) as page:
        for table in page.locator("#numbers > .scroll").all():
            wide, room = table.evaluate("(box) => [box.scrollWidth, box.clientWidth]")
            assert wide <= room + 1


def test_no_number_of_a_table_is_broken(
    open_page: Open, make_data: Callable[..., ReportData]
) -> None:
    broken = """() => [...document.querySelectorAll('#numbers :is(td, th)')]
        .filter((cell) => cell.firstChild && cell.getClientRects().length)
        .flatMap(({ firstChild: text }) => [...text.data.matchAll(/[^ ]+/g)].filter((word) => {
            const range = document.createRange();
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            return new Set([...range.getClientRects()].map((box) => box.top)).size > 1;
        }).map(String))"""
    html = render(make_data(levels=4, evaluations=5))
    assert '<td data-label="p"><\N{NO-BREAK SPACE}0.001<' in unescape(html)
    with open_page(html) as page:
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        for width in (1280, 1024, 800, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(broken) == []


def test_a_printout_fits_the_paper_and_the_screen_comes_back(open_page: Open, html: str) -> None:
    widths = "() => [...document.querySelectorAll('.plot')].map((p) => p._fullLayout.width)"
    with open_page(html, dark=True) as page:
        before = page.evaluate(widths)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate(widths) == [660] * len(before)
        assert page.locator(".paragraph").is_visible()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.wait_for_function(
            f"(before) => JSON.stringify(({widths})()) === JSON.stringify(before)", arg=before
        )
