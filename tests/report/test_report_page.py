from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from lottery.report import ReportData, render
from lottery.report.html import embed
from lottery.store.jobs import CONTROL_KINDS, JobKey

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
            self.text += data
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


def test_a_large_run_stays_below_eight_megabytes(make_data: Callable[..., ReportData]) -> None:
    data = make_data(
        levels=15, branches=("reinit-1", "reinit-2", "random-mask-1"), evaluations=1000
    )
    html = render(data)
    assert len(html.encode()) < 8 * MEGABYTE
    assert "Of each curve, 200 evaluations are drawn." in html


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
def test_unusual_runs_give_figures_that_plotly_accepts(
    make_data: Callable[..., ReportData], case: str
) -> None:
    page = Page(render(make_data(**DEGENERATE[case])))
    assert "accuracy" in page.embedded["figures"]
    for figure in page.embedded["figures"].values():
        go.Figure({"data": figure["data"], "layout": figure["layout"]})


def test_before_any_job_has_ended_the_page_says_so(data: ReportData) -> None:
    verdict = replace(
        data.verdict,
        levels=(),
        complete=False,
        jobs_done=0,
        smallest_winning_level=None,
        smallest_confirmed_level=None,
        speedup=None,
        reinit_costs=None,
        caveats=(),
        hypothesis="undecided",
    )
    html = render(replace(data, verdict=verdict, results=(), curves={}, pixels={}))
    assert "no job has ended" in html
    assert "Preliminary: 0 of 170 jobs" in html
    assert len(html) < 60_000, "without figures there is no need for the library"


def test_tickets_that_keep_trained_weights_are_shown_as_matching_and_not_as_winning(
    data: ReportData,
) -> None:
    verdict = replace(
        data.verdict,
        rewind="learning-rate",
        hypothesis="undecided",
        smallest_winning_level=None,
        smallest_confirmed_level=None,
        speedup=None,
        reinit_costs=None,
    )
    text = Page(render(replace(data, verdict=verdict))).text
    assert "Not tested" in text
    assert "Smallest matching network" in text
    for absent in ("Undecided", "winning ticket", "Time to early stop", "Supported"):
        assert absent not in text
    nothing = replace(verdict, levels=verdict.levels[:1])
    assert (
        "no sparse level so far is as accurate" in Page(render(replace(data, verdict=nothing))).text
    )


def test_missing_curves_are_said_to_be_missing(data: ReportData) -> None:
    page = Page(render(replace(data, curves={}, pixels={})))
    assert "No learning curves were found." in page.text
    assert "input pixels" not in page.text
    assert set(page.embedded["figures"]) == {"accuracy", "early-stop", "layers"}


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        ("supported", "Supported"),
        ("observed", "Observed"),
        ("not supported", "Not supported"),
        ("undecided", "Undecided"),
    ],
)
def test_the_outcome_is_said_in_words(data: ReportData, outcome: Any, word: str) -> None:
    page = Page(render(replace(data, verdict=replace(data.verdict, hypothesis=outcome))))
    assert word in page.text
    assert data.verdict.paragraph in page.text


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
    assert len(page.named("table")) == 6
    assert all(attributes.get("scope") in ("row", "col") for attributes in page.named("th"))
    assert all(attributes.get("alt") for attributes in page.named("img"))
    assert all(attributes.get("type") == "button" for attributes in page.named("button"))
