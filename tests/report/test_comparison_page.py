"""The page of a comparison: complete, escaped, and never in the place of another file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from methods_samples import compared, criterion, method_run, results_of, sample

from lottery.analysis import RunComparison
from lottery.analysis.methods import comparison_rows
from lottery.analysis.methods.types import MEASURES
from lottery.errors import StoreError, UsageError
from lottery.report import comparison_tables, render_comparison, write_comparison
from lottery.report.comparison_figures import methods_against_density, parts
from lottery.report.density import ACCURACY, EARLY_STOP
from lottery.report.palette import METHODS, Tone, method
from lottery.report.svg import plot_svg
from lottery.store.jobs import JobKey


def embedded(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', html)
    assert found is not None
    return json.loads(found[1])


def text_of(html: str) -> str:
    body = html.partition("<main>")[2].partition("</main>")[0]
    text = unescape(re.sub(r"<[^>]*>", " ", body)).replace("\N{MINUS SIGN}", "-")
    return " ".join(text.split())


# Figures


def test_every_run_has_a_line_a_band_and_its_replicates(comparison: RunComparison) -> None:
    figure = methods_against_density(comparison, "accuracy", ACCURACY)
    assert figure is not None
    for place in range(3):
        drawn = [t for t in figure["data"] if t["legendgroup"] == f"method-{place}"]
        kinds = [t["meta"]["part"] for t in drawn]
        assert kinds == ["band", "replicates", "line", "reinit"]
        cells = [cell for row in comparison.rows if (cell := row.cells[place])]
        estimates = [cell.group.accuracy for cell in cells]
        line, dots = drawn[2], drawn[1]
        assert line["y"] == pytest.approx([100 * e.mean for e in estimates if e], rel=1e-5)
        assert line["x"] == pytest.approx([100 * cell.density for cell in cells], rel=1e-5)
        assert len(dots["x"]) == sum(cell.group.n for cell in cells)
        assert [t.get("visible", True) for t in drawn] == [True, True, True, False]
        assert sum(t.get("showlegend", True) for t in drawn) == 1


def test_controls_are_their_runs_own(comparison: RunComparison) -> None:
    figure = methods_against_density(comparison, "early_stop", EARLY_STOP)
    assert figure is not None
    controls = [t for t in figure["data"] if t["meta"]["part"] == "reinit"]
    for place, trace in enumerate(controls):
        levels = comparison.methods[place].verdict.levels[1:]
        means = [
            estimate.mean for level in levels if (estimate := level.groups["reinit"].early_stop)
        ]
        assert trace["y"] == pytest.approx(means, rel=1e-5)
        assert trace["line"]["dash"] != "solid"
    without = compared(*(method_run(results_of(branches=())) for _ in range(2)))
    other = methods_against_density(without, "early_stop", EARLY_STOP)
    assert other is not None
    assert parts(other) == {"line", "band", "replicates"}


@pytest.mark.parametrize("levels", [1, 8, 30])
def test_tick_labels_of_files_keep_their_distance(levels: int) -> None:
    figure = methods_against_density(sample(levels=levels), "accuracy", ACCURACY)
    assert figure is not None
    labels = re.findall(
        r'<text x="([\d.]+)" [^>]*text-anchor="middle".*>([\d.]+)<', plot_svg(figure)
    )
    assert labels[0][1] == "100"
    assert len(labels) >= min(levels, 7)
    for (left, text), (right, other) in pairwise(labels):
        assert float(right) - float(left) > 3.55 * len(text + other)


def test_nothing_is_drawn_where_nothing_ended() -> None:
    dead = results_of(levels=0, replicates=1, failed=[JobKey(0, "main", 0)])
    found = compared(method_run(dead), method_run(dead))
    assert methods_against_density(found, "accuracy", ACCURACY) is None
    html = render_comparison(found)
    assert "no training came to its end" in html
    assert len(html) < 60_000


def luminance(colour: str) -> float:
    channels = (c / 255 for c in bytes.fromhex(colour[1:]))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_and_no_two_runs_look_alike() -> None:
    for tone, _ in METHODS:
        assert contrast(tone.light, "#ffffff") >= 3  # WCAG 2.1, 1.4.11, for marks and lines
        assert contrast(tone.dark, "#161a21") >= 3
    assert len({tone for tone, _ in METHODS}) == len({symbol for _, symbol in METHODS}) == 8
    assert len({method(place) for place in range(64)}) == 64


# The page


def test_the_page_shows_every_number(comparison: RunComparison) -> None:
    html = render_comparison(comparison)
    text = text_of(html)
    for said in (comparison.paragraph, *comparison.findings, *comparison.caveats):
        assert said in text
    for measure in MEASURES:
        for _, cells in comparison_rows.measure_rows(comparison, measure):
            assert all(cell in text for cell in cells)
    for setting in comparison.settings:
        assert setting.key in text
    assert set(embedded(html)["figures"]) == {"accuracy", "early-stop"}
    assert set(embedded(html)["tones"]) >= {"method-0", "method-1", "method-2"}
    assert 'data-choice="part" data-value="reinit"' in html
    assert 'data-value="random-mask"' not in html
    assert {"measured-accuracy", "tests-accuracy", "measured-runs"} <= set(embedded(html)["csv"])


def test_every_test_has_its_row(comparison: RunComparison) -> None:
    accuracy = comparison_tables.contrasts(comparison)[0]
    made = [cell.against_first for row in comparison.rows for cell in row.cells if cell]
    assert len(accuracy.rows) == sum("accuracy" in of for of in made)
    assert {row[3] for row in accuracy.rows} >= {"✕ worse", "= same trainings"}
    assert accuracy.csv.splitlines()[0].startswith("density,run,difference,difference_low,")
    assert len(accuracy.csv.splitlines()) == len(accuracy.rows) + 1
    assert {row[7] for row in accuracy.rows} == {"paired", "Welch"}
    untested = any(of["accuracy"].why for of in made if "accuracy" in of)
    assert ("Why untested" in accuracy.columns) == untested
    assert accuracy.csv.splitlines()[0].endswith(",why")


def test_hostile_names_are_text_everywhere(hostile: str) -> None:
    found = sample(name=hostile)
    html = render_comparison(found)
    assert "<img" not in html
    assert "{{7*7}}" in html
    assert html.count("<script") == 3
    for figure in embedded(html)["figures"].values():
        for trace in figure["data"]:
            assert "<" not in trace["name"]
            assert "<a" not in json.dumps(trace)
            assert "<img" not in json.dumps(trace)


def test_settings_are_text_too() -> None:
    config = criterion("magnitude")
    runs = [method_run(results_of(levels=1), config=config) for _ in range(2)]
    hostile_config = {**runs[1].config, "</td><script>alert(1)</script>": "<b>"}
    html = render_comparison(compared(runs[0], replace(runs[1], config=hostile_config)))
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


@pytest.mark.parametrize(
    "found",
    [
        sample(replicates=1),
        sample(levels=0),
        compared(*(method_run(results_of(worse=0.001 * i)) for i in range(10))),
    ],
    ids=["one replicate", "dense alone", "ten runs"],
)
def test_unusual_comparisons_give_figures_that_can_be_drawn(found: RunComparison) -> None:
    page = embedded(render_comparison(found))
    tones = {name: Tone(*pair) for name, pair in page["tones"].items()}
    for figure in page["figures"].values():
        assert plot_svg(figure, tones).startswith("<svg")


def test_the_same_comparison_gives_the_same_bytes() -> None:
    assert render_comparison(sample()) == render_comparison(sample())


def test_the_page_fetches_nothing(comparison: RunComparison) -> None:
    html = render_comparison(comparison)
    assert "default-src 'none'; script-src 'sha256-" in unescape(html[:2000])
    page = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page) == []


# Where it is written


def test_a_page_may_be_written_over_its_like_and_over_nothing_else(
    comparison: RunComparison, tmp_path: Path
) -> None:
    target = tmp_path / "deep" / "compare.html"
    assert write_comparison(comparison, target) == target
    first = target.read_bytes()
    write_comparison(sample(levels=2), target)
    assert target.read_bytes() != first
    other = tmp_path / "notes.html"
    other.write_text("<!doctype html><title>mine</title>")
    with pytest.raises(UsageError, match=r"notes\.html is there already and is no page of"):
        write_comparison(comparison, other)
    assert other.read_text() == "<!doctype html><title>mine</title>"


def test_a_place_that_cannot_be_written_is_a_clear_error(
    comparison: RunComparison, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path, tmp_path / "file" / "compare.html"):
        with pytest.raises(StoreError, match="cannot write"):
            write_comparison(comparison, target)
