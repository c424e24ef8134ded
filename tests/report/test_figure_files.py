"""Figures and tables as files."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny

from lottery.csv_text import csv_text
from lottery.experiments import RunOptions, run_experiment
from lottery.report import ReportData, write_figures
from lottery.report import export as exporting
from lottery.report.export import figure_csv
from lottery.report.figure import Gallery
from lottery.report.page import draw
from lottery.report.svg import Axis, gallery_svg, plot_svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = RunOptions(out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu")
    return run_experiment(tiny(), options).run


def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)


def test_every_figure_and_table_is_written_and_what_is_missing_is_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_browser(monkeypatch)
    written, missing = write_figures(run, tmp_path / "new" / "figures")
    names = {path.name for path in written}
    assert {path.name for path in (tmp_path / "new" / "figures").iterdir()} == names
    for figure in ("tested-accuracy", "accuracy", "curves", "layers", "weights", "pixels"):
        assert {f"{figure}.svg", f"{figure}.csv"} <= names
    assert {"table-levels.csv", "table-replicates.csv", "table-reinit.csv"} <= names
    assert missing.startswith("no PNG files: none of chromium")
    again, _ = write_figures(run, tmp_path / "again")
    for path, other in zip(written, again, strict=True):
        assert path.read_bytes() == other.read_bytes()


def test_a_browser_makes_png_files(run: Path, tmp_path: Path) -> None:
    if not any(map(shutil.which, exporting.BROWSERS)):
        pytest.skip(f"no browser on the path: looked for {', '.join(exporting.BROWSERS)}")
    written, missing = write_figures(run, tmp_path)
    assert missing == ""
    pictures = [path for path in written if path.suffix == ".png"]
    assert len(pictures) == sum(path.suffix == ".svg" for path in written)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_a_browser_that_fails_is_said_in_words(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/false")
    written, missing = write_figures(run, tmp_path)
    assert not [path for path in written if path.suffix == ".png"]
    assert re.fullmatch(r"\d+ PNG files: /bin/false did not make them", missing)


def test_a_hostile_name_is_text_in_every_file(hostile_data: ReportData, hostile: str) -> None:
    for drawn in draw(hostile_data):
        content = drawn.content
        text = gallery_svg(content) if isinstance(content, Gallery) else plot_svg(content)
        root = ElementTree.fromstring(text)
        allowed = {"svg", "rect", "line", "path", "circle", "polygon", "text", "g", "image"}
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert tags <= allowed | {"clipPath"}
        keys = {key for element in root.iter() for key in element.attrib}
        assert not [key for key in keys if key.startswith("on")]


def test_a_file_has_every_mark_of_its_figure(data: ReportData) -> None:
    figures = {drawn.figure.name: drawn.content for drawn in draw(data)}
    rows = list(csv.DictReader(io.StringIO(figure_csv(figures["tested-accuracy"]))))
    means = [row for row in rows if row["part"] == "mean"]
    assert len(rows) == 11 * 6
    estimate = data.verdict.levels[1].groups["main"].against_dense["accuracy"].estimate
    assert estimate is not None
    assert float(means[0]["value"]) == pytest.approx(estimate.mean, rel=1e-7)
    assert float(means[0]["low"]) == pytest.approx(estimate.low, rel=1e-7)
    layers = list(csv.DictReader(io.StringIO(figure_csv(figures["layers"]))))
    assert {row["layer"] for row in layers} == set(data.layers)
    curves = list(csv.DictReader(io.StringIO(figure_csv(figures["curves"]))))
    assert list(curves[0])[:5] == ["series", "part", "level", "density", "kind"]
    assert list(curves[0])[5:] == ["iteration", "test_accuracy_percent", "loss"]


def test_every_visible_mark_is_in_the_svg(make_data: Callable[..., ReportData]) -> None:
    data = make_data(levels=4, replicates=3, branches=("reinit-1",))
    figures = {drawn.figure.name: drawn.content for drawn in draw(data)}
    content = figures["accuracy"]
    assert isinstance(content, dict)
    root = ElementTree.fromstring(plot_svg(content))
    texts = {element.text for element in root.iter(f"{SVG}text")}
    assert {"Tickets", "Reinitialized", "Dense, mean", "100", "80", "64", "51.2"} <= texts
    # 3 of each level, its mean, and one in the legend; squares are the reinitialized ones.
    assert len(list(root.iter(f"{SVG}circle"))) == 4 * 3 + 4 + 1
    assert len(list(root.iter(f"{SVG}polygon"))) == 3 * 3 + 3 + 1
    curves = figures["curves"]
    assert isinstance(curves, dict)
    shown = [t for t in curves["data"] if t["visible"] and "lines" in t["mode"]]
    legend = [t for t in shown if t["showlegend"]]
    paths = list(ElementTree.fromstring(plot_svg(curves)).iter(f"{SVG}path"))
    assert len(paths) == len(shown) + len(legend)


def test_a_logarithmic_axis_has_round_ticks_in_their_places() -> None:
    axis = Axis(0, 2, 100, 300, log=True)
    assert axis(10) == 200
    assert axis.ticks() == [1, 2, 5, 10, 20, 50, 100]
    assert Axis(2, 0, 100, 300, log=True)(100) == 100


def test_an_axis_of_one_value_has_a_place_for_it() -> None:
    assert Axis(3, 3, 0, 10)(3) == 0


@given(st.text())
def test_no_text_of_a_file_is_a_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_text([{"a": text, "b": 1.0}]), newline="")))
    cell = rows[1][0]
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert rows[1][1] == "1.0"


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, ""), (float("nan"), ""), (True, "true"), (-0.5, "-0.5"), ("-0.5", "'-0.5"), (3, "3")],
)
def test_numbers_stay_numbers(value: Any, written: str) -> None:
    assert csv_text([{"a": value}]) == f"a\r\n{written}\r\n".replace("\r\n\r\n", '\r\n""\r\n')
