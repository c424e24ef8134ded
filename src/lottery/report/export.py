"""Every figure and table of a run as files: CSV and SVG always, PNG where there is a browser."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from lottery.analysis import judge_run
from lottery.csv_text import Cell, csv_text
from lottery.errors import StoreError
from lottery.experiments import Run, open_run
from lottery.report import tables, training_tables
from lottery.report.data import ReportData
from lottery.report.figure import Gallery, Plot
from lottery.report.of_run import report_data
from lottery.report.page import draw
from lottery.report.svg import gallery_svg, plot_svg
from lottery.store.commit import write_file

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS: Final = 60


def write_figures(run: Path, directory: Path) -> tuple[list[Path], str]:
    """Write every figure and table of a run's report into a directory.

    Args:
        run: its directory.
        directory: is made if it is not there; files of the same names are replaced.

    Returns:
        The files written, and a sentence on what is missing, empty where nothing is.

    Raises:
        StoreError: a file of the run is damaged, or the directory cannot be written.
    """
    data = report_data(open_run(run))
    written = []
    for name, content in _files(data):
        write_file(directory / name, content.encode())
        written.append(directory / name)
    drawn = [path for path in written if path.suffix == ".svg"]
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return written, f"no PNG files: none of {', '.join(BROWSERS)} is on the path"
    pictures = [target for path in drawn if (target := _photograph(browser, path))]
    missing = len(drawn) - len(pictures)
    return written + pictures, f"{missing} PNG files: {browser} did not make them" * bool(missing)


def replicates_csv(run: Run) -> str:
    """Every training of a run as CSV, one a line, as in the report's table."""
    return training_tables.replicates(list(run.results.values()), judge_run(run)).csv


def figure_csv(content: Plot | Gallery) -> str:
    """What a figure draws, one mark or pixel a line."""
    return csv_text(_pixels(content) if isinstance(content, Gallery) else _marks(content))


def _files(data: ReportData) -> Iterator[tuple[str, str]]:
    """Name and contents of every file but the PNG files."""
    for drawn in draw(data):
        yield f"{drawn.figure.name}.svg", figure_svg(drawn.content)
        yield f"{drawn.figure.name}.csv", figure_csv(drawn.content)
    failed = training_tables.failures(data.results)
    for table in (
        *tables.level_tables(data.verdict),
        training_tables.replicates(data.results, data.verdict),
        *([failed] if failed else []),
    ):
        yield f"table-{table.name}.csv", table.csv


def figure_svg(content: Plot | Gallery) -> str:
    """A figure as the text of an SVG file."""
    return gallery_svg(content) if isinstance(content, Gallery) else plot_svg(content)


def _marks(plot: Plot) -> Iterator[dict[str, Cell]]:
    """What every trace brings with it for the file, else its places; the page's script does so too.

    Plots that say ``columns`` have traces with ``customdata``, which is one row a mark in them.
    """
    columns = plot.get("columns")
    losses = plot.get("measures", {}).get("y")
    across, up = plot.get("names", ("x", "y"))
    for i, trace in enumerate(plot["data"]):
        head: dict[str, Cell] = {
            "series": html.unescape(trace["name"]),
            "part": trace["meta"].get("part", trace["type"]),
            **trace["meta"].get("csv", {}),
        }
        if columns:
            for row in trace.get("customdata", []):
                yield head | dict(zip(columns, row, strict=True))
            continue
        for at, (x, y) in enumerate(zip(trace["x"], trace["y"], strict=True)):
            if x is not None:
                yield head | {across: x, up: y} | ({"loss": losses[i][at]} if losses else {})


def _pixels(gallery: Gallery) -> Iterator[dict[str, Cell]]:
    for picture in gallery.shown:
        for (y, x), share in np.ndenumerate(picture.values):
            yield {"picture": picture.label, "x": x, "y": y, "share": float(share)}


def _photograph(browser: str, source: Path) -> Path | None:
    """A PNG file of an SVG file of ours, by a browser that shows nothing."""
    target = source.with_suffix(".png")
    head = source.read_text(encoding="utf-8")[:400]
    width, height = (head.split(f'{side}="', 1)[1].split('"', 1)[0] for side in ("width", "height"))
    with tempfile.TemporaryDirectory() as profile:
        made = Path(profile) / "figure.png"
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=2",
            # Browsers refuse to run for root with their sandbox; all they open is our own file.
            *(["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []),
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            f"--screenshot={made}",
            source.resolve().as_uri(),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
            write_file(target, made.read_bytes())
        except (OSError, subprocess.SubprocessError, StoreError):
            return None
    return target
