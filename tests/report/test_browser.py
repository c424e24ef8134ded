"""The page in a real browser: it runs, fits the screen and fetches nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from methods_samples import sample
from playwright.sync_api import Browser, Page, sync_playwright

from lottery.analysis import RunComparison
from lottery.report import ReportData, render, render_comparison

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT = 180_000  # milliseconds; a busy machine is no defect
PHONE, DESK = (390, 844), (1400, 900)


class Open(Protocol):
    def __call__(
        self, html: str, size: tuple[int, int] = DESK, *, dark: bool = False
    ) -> AbstractContextManager[Page]: ...


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no Chromium on the path: looked for {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=ARGUMENTS, timeout=TIMEOUT)
        yield running
        running.close()


@pytest.fixture(scope="module")
def html(make_data: Callable[..., ReportData]) -> str:
    return render(make_data())


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Open:
    """Open a page as a file; at the end nothing may have gone wrong or been asked for."""

    @contextmanager
    def opened(html: str, size: tuple[int, int] = DESK, *, dark: bool = False) -> Iterator[Page]:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            has_touch=size == PHONE,
            is_mobile=size == PHONE,
        )
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        noise: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: noise.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: noise.append(f"error: {error}"))
        page.on("dialog", lambda dialog: noise.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_function(
            "[...document.querySelectorAll('.plot')].every((p) => p.querySelector('.main-svg'))"
        )
        yield page
        page.wait_for_timeout(200)
        context.close()
        assert noise == []
        assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [
            file.as_uri()
        ]

    return opened


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
        for name in ("accuracy", "early-stop", "curves", "layers"):
            assert page.locator(f"#plot-{name} .scatterlayer .trace").count() > 2


@pytest.mark.parametrize("figure", ["accuracy", "early-stop"])
def test_a_click_in_the_legend_hides_line_band_and_points(
    open_page: Open, html: str, figure: str
) -> None:
    with open_page(html) as page:
        assert visible(page, figure, "reinit") == [True] * 3
        names = page.locator(f"#plot-{figure} .legendtext").all_text_contents()
        entry = page.locator(f"#plot-{figure} .legendtoggle").nth(names.index("New initialization"))
        entry.click()
        wait_until_visible(page, figure, "reinit", ["legendonly"] * 3)
        assert visible(page, figure, "main") == [True] * 3
        entry.click()
        wait_until_visible(page, figure, "reinit", [True] * 3)


def test_levels_kinds_and_measure_of_the_curves_can_be_chosen(open_page: Open, html: str) -> None:
    shown = """() => document.getElementById('plot-curves').data
        .filter((trace) => trace.visible)
        .map(({ meta }) => `${meta.level} ${meta.kind} ${meta.part}`)"""
    first = "() => document.getElementById('plot-curves').data[1].y.slice(-1)[0]"
    with open_page(html) as page:
        before = page.evaluate(shown)
        accuracy = page.evaluate(first)
        page.locator("button[data-level='3']").click()
        page.locator("button[data-level='0']").click()
        page.locator("button[data-kind='random-mask']").click()
        page.locator("button[data-part]").click()
        after = page.evaluate(shown)
        assert "3 main mean" in after
        assert "3 main mean" not in before
        assert not [key for key in after if key.startswith("0 ")]
        assert not [key for key in after if "random-mask" in key or "replicates" in key]
        page.locator("button[data-measure='loss']").click()
        assert page.evaluate(first) < 1 < 90 < accuracy
        assert page.locator("#plot-curves .gtitle").text_content() == "Validation loss (nats)"
        page.locator("button[data-measure='accuracy']").click()
        assert page.evaluate(first) == accuracy


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


def test_a_hostile_name_is_shown_and_runs_nothing(
    open_page: Open, hostile_data: ReportData
) -> None:
    with open_page(render(hostile_data)) as page:
        assert "</script><img src=x onerror=alert(1)>\"'{{7*7}}" in page.inner_text("h1")
        assert page.locator("img[src='x'], img[onerror], main a").count() == 0
        legend = page.locator("#plot-layers .legendtext").first.text_content() or ""
        assert legend.startswith("</script><img src=x")
        assert page.locator("#plot-layers a").count() == 0


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


def test_a_figure_can_be_saved_as_a_picture(open_page: Open, html: str) -> None:
    with open_page(html) as page:
        page.locator("#plot-accuracy").hover()
        with page.expect_download() as saved:
            page.locator("#plot-accuracy .modebar-btn").first.click()
        assert saved.value.suggested_filename == "lottery-accuracy.png"
        assert Path(saved.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_printout_fits_the_paper_and_the_screen_comes_back(open_page: Open, html: str) -> None:
    widths = "() => [...document.querySelectorAll('.plot')].map((p) => p._fullLayout.width)"
    with open_page(html, dark=True) as page:
        before = page.evaluate(widths)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate(widths) == [660] * 4
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.wait_for_function(
            f"(before) => JSON.stringify(({widths})()) === JSON.stringify(before)", arg=before
        )


# The page of a comparison


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
        page.locator("button[data-toggle='reinit']").click()
        page.locator("button[data-toggle='replicates']").click()
        for figure in ("accuracy", "early-stop"):
            assert parts(page, figure, "method-0") == first | {"replicates": False, "reinit": True}
        page.locator("button[data-toggle='reinit']").click()
        page.locator("button[data-toggle='replicates']").click()
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
        page.locator("button[data-toggle='reinit']").click()
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
