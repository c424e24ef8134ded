from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest

from lottery.analysis import Evidence, judge
from lottery.analysis.types import Headline
from lottery.methods import CONTROL_KINDS
from lottery.report import ReportData, render
from lottery.report.export import figure_csv
from lottery.report.html import PLOTLY, PLOTLY_SHA256, embed
from lottery.report.page import draw
from lottery.report.svg import plot_svg
from lottery.report.tables import level_tables
from lottery.report.training_tables import replicates
from lottery.score import ACCURACY
from lottery.store.jobs import JobKey

MEGABYTE = 1_000_000


class Page(HTMLParser):
    """What a browser would make of the page, near enough."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._open.append(tag)
            self.scripts += [""] if tag == "script" else []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open:
            self.text += data.replace("\N{NO-BREAK SPACE}", " ")
        elif self._open[-1] == "script":
            self.scripts[-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def embedded(self) -> Any:
        return json.loads(self.scripts[0])


def test_a_name_is_text_wherever_it_stands(hostile_data: ReportData, hostile: str) -> None:
    page = Page(render(hostile_data))
    shown = hostile.replace("\x00", "\ufffd")
    assert page.text.replace("\x00", "\ufffd").count(shown) >= 6
    assert all((a.get("src") or "data:").startswith("data:") for a in page.named("img"))
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert len(page.scripts) == 3


def test_names_in_figures_carry_no_markup(hostile_data: ReportData) -> None:
    for figure in Page(render(hostile_data)).embedded["figures"].values():
        for trace in figure["data"]:
            assert "<" not in trace["name"]
            trace.pop("customdata", None)  # this and meta.csv go into CSV files alone
            trace["meta"].pop("csv", None)
            assert "<a" not in json.dumps(trace)
            assert "<img" not in json.dumps(trace)


@pytest.mark.parametrize(
    "value",
    ["</script>", "<!--<script>", "]]>", "\u2028\u2029", "&lt;", "\\u003c", "'\"", "\ud800"],
)
def test_embedded_json_reads_back_and_means_nothing_to_html(value: str) -> None:
    text = str(embed({value: [value, None, 1.5]}))
    assert json.loads(text) == {value: [value, None, 1.5]}
    assert not set("<>&\u2028\u2029") & set(text)


def test_a_name_that_is_not_unicode_can_still_be_written(data: ReportData) -> None:
    name = os.fsdecode(b"caf\xe9")
    html = render(replace(data, verdict=replace(data.verdict, name=name)))
    assert "<bdi>caf?</bdi>" in html
    html.encode("utf-8")


def test_nothing_is_fetched_and_only_this_page_s_scripts_run(data: ReportData) -> None:
    page = Page(render(data))
    assert not [a for a in page.named("script") if "src" in a]
    assert [a["href"] for a in page.named("link")] == ["data:,"]
    assert not page.named("iframe") + page.named("object") + page.named("base")
    policy = page.named("meta")[1]["content"] or ""
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for script in page.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_the_same_data_gives_the_same_bytes_in_another_process(data: ReportData) -> None:
    code = (
        "import hashlib, sys; sys.path.append(sys.argv[1]); from report_samples import build;"
        "from lottery.report import render;"
        "print(hashlib.sha256(render(build()).encode()).hexdigest())"
    )
    support = Path(__file__).parents[1] / "support"
    found = subprocess.run(
        [sys.executable, "-c", code, str(support)],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == hashlib.sha256(render(data).encode()).hexdigest()
    assert render(data) == render(replace(data, results=data.results[::-1]))


def test_a_page_is_small(make_data: Callable[..., ReportData]) -> None:
    demo = make_data(levels=5, replicates=8, evaluations=31)
    assert len(render(demo).encode()) < 2.5 * MEGABYTE
    data = make_data(
        levels=15, branches=("reinit-1", "reinit-2", "random-mask-1"), evaluations=1000
    )
    html = render(data)
    assert len(html.encode()) < 5 * MEGABYTE
    assert "Of each curve, 200 evaluations are drawn." in html


def test_the_plotting_library_is_the_one_that_was_checked() -> None:
    package = resources.files("lottery.report")
    script = package.joinpath(PLOTLY).read_bytes()
    assert hashlib.sha256(script).hexdigest() == PLOTLY_SHA256
    assert b"MIT license" in script[:300]
    licence = package.joinpath("vendored/LICENSE-plotly.txt").read_text(encoding="utf-8")
    assert "MIT" in licence


DEGENERATE: dict[str, dict[str, Any]] = {
    "no controls": {"branches": ()},
    "one replicate": {"replicates": 1},
    "one level": {"levels": 1},
    "one of everything": {"levels": 1, "replicates": 1, "branches": (), "evaluations": 1},
    "two levels": {"levels": 2, "replicates": 2},
    "dense diverged": {"levels": 3, "failed": [JobKey(r, "main", 0) for r in range(5)]},
    "a level diverged": {"levels": 4, "failed": [JobKey(r, "main", 2) for r in range(5)]},
    "one job diverged": {"failed": [JobKey(1, "reinit-1", 4)]},
    "every control": {"branches": ("reinit-1", "reinit-2", "random-mask-1", "continued-1")},
    "controls of every kind": {"branches": [f"{kind}-1" for kind in CONTROL_KINDS], "levels": 3},
    "many layers": {"levels": 3, "layers": [f"stage{i}.conv.weight" for i in range(60)]},
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_unusual_runs_give_a_page_and_files(
    make_data: Callable[..., ReportData], case: str
) -> None:
    data = make_data(**DEGENERATE[case])
    page = Page(render(data))
    assert "accuracy" in page.embedded["figures"]
    for figure in page.embedded["figures"].values():
        for trace in figure["data"]:
            assert len(trace["x"]) == len(trace["y"])
    for drawn in draw(data):
        if isinstance(drawn.content, dict):
            ElementTree.fromstring(plot_svg(drawn.content))
        figure_csv(drawn.content)


def test_before_any_job_has_ended_the_page_says_so(data: ReportData) -> None:
    verdict = judge(
        Evidence(
            results=[],
            planned=[result.key for result in data.results],
            score=replace(ACCURACY, margin=0.005),
            confidence=0.95,
            evaluation_interval=100,
        )
    )
    html = render(
        replace(
            replace(data, verdict=verdict, results=(), curves={}, pixels={}, masks={}, weights={}),
            first_layers={},
            inside={},
        )
    )
    assert "no training has ended" in html
    assert "Preliminary: 0 of 170 trainings" in html
    assert len(html) < 60_000, "without figures there is no need for the library"


def test_what_a_run_is_stands_first(data: ReportData) -> None:
    page = render(data)
    strip = page[page.index('<dl class="strip"') : page.index("<h1>")]
    for name, value in (
        ("Model", "lenet-300-100"),
        ("Iterations", "30,000"),
        ("n", "5 replicates"),
        ("Levels", "11"),
        ("Margin", "0.5 percentage points"),
        ("Date", "2026-01-02"),
    ):
        assert f"<dt>{name}</dt><dd><bdi>{value}" in strip


def test_three_cards_answer_three_questions(data: ReportData) -> None:
    page = Page(render(data))
    for answer in data.verdict.answers:
        assert answer.question in page.text
        assert answer.value.replace("-", "−") in page.text  # noqa: RUF001
        assert answer.interval.replace("-", "−") in page.text  # noqa: RUF001
    cards = [a for a in page.named("section") if "card" in (a.get("class") or "").split()]
    assert [card["aria-label"] for card in cards] == [
        "Does it match?",
        "Is it sooner?",
        "Does it need its initialization?",
    ]
    assert [(c.get("class") or "").split()[1] for c in cards] == [
        answer.outcome for answer in data.verdict.answers
    ]


@pytest.mark.parametrize("headline", get_args(Headline))
def test_the_headline_is_said_in_a_word_and_a_sentence(data: ReportData, headline: Any) -> None:
    verdict = replace(data.verdict, headline=headline, why="a dense network is missing")
    page = Page(render(replace(data, verdict=verdict)))
    assert headline.capitalize() in page.text
    assert "A dense network is missing." in page.text
    assert data.verdict.paragraph.replace("-", "−")[:40] in page.text  # noqa: RUF001
    claims_it = "and with new weights it does not" in page.text
    assert claims_it == (headline == "confirmed")


def test_contents_lead_to_sections_that_are_there(data: ReportData) -> None:
    page = Page(render(data))
    ids = {a["id"] for _, a in page.tags if "id" in a}
    links = [(a["href"] or "") for a in page.named("a")]
    assert len(links) >= 7
    assert all(link.startswith("#") and link[1:] in ids for link in links)


def test_winning_is_the_first_thing_a_row_says(data: ReportData) -> None:
    first = level_tables(data.verdict)[0]
    assert first.columns[:2] == ["Density", "Winning?"]
    outcomes = {"confirmed": "✓ yes", "open": "~ open", "against": "✕ no", "untested": "· untested"}
    assert [row[1] for row in first.rows[1:]] == [
        outcomes[level.groups["main"].tests["wins"].outcome] for level in data.verdict.levels[1:]
    ]


def test_every_replicate_has_a_row(data: ReportData) -> None:
    table = replicates(data.results, data.verdict)
    assert len(table.rows) == len(data.results)
    rows = list(csv.DictReader(io.StringIO(table.csv)))
    for row, result in zip(rows, sorted(data.results, key=lambda r: r.key), strict=True):
        assert row["branch"] == result.branch
        assert float(row["test_accuracy_at_early_stop"]) == result.score_at_early_stop
        at_end = result.early_stop_iteration == 30_000
        assert row["early_stop_is_lower_bound"] == str(at_end).lower()


def test_tables_and_their_files_say_the_same(data: ReportData) -> None:
    table = level_tables(data.verdict)[0]
    rows = list(csv.DictReader(io.StringIO(table.csv)))
    for row, level in zip(rows, data.verdict.levels, strict=True):
        group = level.groups["main"]
        assert group.accuracy is not None
        assert group.accuracy.low is not None
        assert float(row["accuracy"]) == group.accuracy.mean
        assert float(row["accuracy_low"]) == group.accuracy.low
        assert row["wins"] == (group.tests["wins"].outcome if level.level else "")


def test_missing_curves_are_said_to_be_missing(data: ReportData) -> None:
    page = Page(render(replace(data, curves={}, pixels={}, masks={}, weights={}, first_layers={})))
    assert "No learning curves were found." in page.text
    assert "Input pixels" not in page.text
    assert {"accuracy", "early-stop", "layers"} <= set(page.embedded["figures"])
    assert not {"curves", "weights"} & set(page.embedded["figures"])


def test_failed_jobs_are_listed_with_their_reason(make_data: Callable[..., ReportData]) -> None:
    html = render(make_data(failed=[JobKey(1, "reinit-1", 4)]))
    assert "Jobs that did not come to a usable end" in html
    assert "the loss stopped being finite at iteration 812" in html
    assert "4 (1 diverged)" in html
    assert "Jobs that did not" not in render(make_data())


def test_provenance_is_complete(data: ReportData) -> None:
    text = Page(render(data)).text
    assert "training.learning_rate" in text
    assert "0.0012" in text
    assert data.command in text
    for key, value in data.hashes.items():
        assert key in text
        assert value in text
    assert "2.13.0" in text


def test_every_table_has_headers_and_every_picture_a_description(data: ReportData) -> None:
    page = Page(render(data))
    assert len(page.named("table")) == 7
    assert all(attributes.get("scope") in ("row", "col") for attributes in page.named("th"))
    assert all(attributes.get("alt") for attributes in page.named("img"))
    assert all(attributes.get("type") == "button" for attributes in page.named("button"))
