"""The figure of what tickets lose on worse images, against the table that it draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from lottery.inside import Measurement, Table
from lottery.inside.corruptions import CORRUPTIONS, STRENGTHS
from lottery.report import ReportData, render
from lottery.report.export import figure_csv
from lottery.report.figure import Plot
from lottery.report.inside_shifts import losses
from lottery.report.svg import plot_svg

COLUMNS = (
    "corruption",
    "strength",
    "level",
    "density",
    "accuracy",
    "n",
    "lost_more",
    "low",
    "high",
)


def looked_at(
    data: ReportData, levels: Sequence[int], *, spread: float | None = 0.01
) -> ReportData:
    rows: list[tuple[Any, ...]] = [("none", 0, n, 1.0, 0.98, 5, None, None, None) for n in levels]
    for kind, strength, level in product(CORRUPTIONS, STRENGTHS, levels):
        lost = level * strength / 1000
        ends = (None, None) if spread is None else (lost - spread, lost + spread)
        told = (lost, *ends) if level else (None, None, None)
        rows.append((kind, strength, level, 0.8**level, 0.9, 5, *told))
    table = Table(name="shifts", title="", note="", columns=COLUMNS, rows=tuple(rows))
    return replace(data, inside={"shifts": Measurement(analysis="shifts", tables=(table,))})


def shown(plot: Plot | None, part: str) -> list[Any]:
    assert plot is not None
    return [t for t in plot["data"] if t.get("visible", True) and t["meta"]["part"] == part]


def test_every_corruption_is_drawn_in_points_with_its_interval(data: ReportData) -> None:
    level = data.verdict.level or 0
    plot = losses(looked_at(data, [0, 2, level]))
    lines, bands = shown(plot, "line"), shown(plot, "band")
    assert [line["name"] for line in lines] == ["Noise", "Blur", "Low contrast"]
    for line, band in zip(lines, bands, strict=True):
        assert line["x"] == [1, 2, 3, 4, 5]
        assert line["y"] == pytest.approx([level * strength / 10 for strength in line["x"]])
        assert band["y"][:5] == pytest.approx([y - 1 for y in line["y"]])
        assert band["y"][5:10] == pytest.approx([y + 1 for y in reversed(line["y"])])
        assert band["y"][10:] == band["y"][:1], "closed"
    (zero,) = shown(plot, "reference")
    assert zero["y"] == [0, 0]
    assert plot is not None
    (row,) = plot["choices"]
    assert [option["value"] for option in row["options"]] == [2, level]
    assert figure_csv(plot).count("\r\n") == 1 + 2 * 3 * 5
    assert plot_svg(plot).count("<path") == 1 + 2 * 3 + 4


def test_one_replicate_has_no_interval(data: ReportData) -> None:
    plot = losses(looked_at(data, [0, 1], spread=None))
    assert len(shown(plot, "line")) == 3
    assert shown(plot, "band") == []
    assert plot is not None
    assert plot["choices"] == []


def test_it_stands_where_the_analysis_was_kept(data: ReportData) -> None:
    assert 'id="figure-inside-shifts"' in render(looked_at(data, [0, 3]))
    assert losses(data) is None
    assert losses(looked_at(data, [0])) is None
