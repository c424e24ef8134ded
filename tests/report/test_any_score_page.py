"""Pages and files of runs that are judged by other scores than accuracy."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lottery.analysis import Evidence, judge
from lottery.report import ReportData, render
from lottery.report.curves import learning_curves
from lottery.report.export import _files
from lottery.report.page import draw
from lottery.score import Score
from lottery.training import CurvePoint

PERPLEXITY = Score(name="perplexity", higher=False, margin=0.5)


def rescored(
    data: ReportData, score: Score, change: Callable[[float], float], *, curve: bool = True
) -> ReportData:
    """The same run with another score."""
    results = [
        replace(
            r,
            score_at_early_stop=None
            if r.score_at_early_stop is None or not curve
            else change(r.score_at_early_stop),
            score_final=None if r.score_final is None else change(r.score_final),
            early_stop_iteration=r.early_stop_iteration if curve else None,
            validation_loss_at_early_stop=None,
        )
        for r in data.results
    ]
    curves = {
        key: [
            CurvePoint(p.iteration, p.split, {score.name: change(p.accuracy)})
            for p in points
            if curve
        ]
        for key, points in data.curves.items()
    }
    verdict = judge(
        Evidence(
            run=data.verdict.run,
            name="own",
            results=results,
            planned=[result.key for result in results],
            curves=curves,
            score=score,
            confidence=0.95,
            evaluation_interval=100,
        )
    )
    config = {"name": "own", "title": "LSTM on letters", "seed": 0}
    return replace(data, verdict=verdict, results=results, curves=curves, config=config)


def own(data: Any, score: Score = PERPLEXITY, *, curve: bool = True) -> ReportData:
    return rescored(data, score, lambda accuracy: 139 - 100 * accuracy, curve=curve)


def said(page: str) -> str:
    """What a page says, without its scripts, styles and the names of what they look for."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


@pytest.mark.parametrize("curve", [True, False])
def test_a_page_speaks_of_its_own_score(make_data: Any, curve: bool) -> None:
    text = said(render(own(make_data(levels=4, replicates=3), curve=curve)))
    assert "ccuracy" not in text
    assert "accuracies" not in text
    assert "points" not in text
    assert "Perplexity" in text
    assert "Dense minus it" in text
    assert "LSTM on letters" in text
    assert "validation loss" not in text


def test_figures_are_in_the_unit_of_the_score(make_data: Any) -> None:
    drawn = {one.figure.name: one for one in draw(own(make_data(levels=4, replicates=3)))}
    accuracy = drawn["accuracy"]
    assert (accuracy.section, accuracy.title) == ("Perplexity", "Test perplexity against density")
    assert isinstance(accuracy.content, dict)
    assert accuracy.content["layout"]["title"]["text"] == "Test perplexity at early stop"
    names = [trace["name"] for trace in accuracy.content["data"]]
    assert "Dense + 0.5" in names
    main = [t for t in accuracy.content["data"] if t["legendgroup"] == "main"]
    values = [y for t in main for y in t["y"] if y is not None]
    assert 35 < min(values) < max(values) < 50
    forest = drawn["tested-accuracy"].content
    assert isinstance(forest, dict)
    assert forest["layout"]["title"]["text"] == "Dense minus ticket, perplexity"
    (zone,) = [shape for shape in forest["layout"]["shapes"] if shape["name"] == "zone"]
    assert (zone["x0"], zone["x1"]) == (-0.5, 0)


def test_curves_of_a_score_alone_have_no_loss_to_choose(make_data: Any) -> None:
    data = own(make_data(levels=3, replicates=2))
    plot = learning_curves(data)
    assert plot is not None
    assert "measures" not in plot
    assert plot["layout"]["title"]["text"] == "Test perplexity"
    first = next(t for t in plot["data"] if t["meta"]["part"] == "mean")
    dense = [p.values["perplexity"] for p in data.curves[data.results[0].key] if p.split == "test"]
    assert min(y for y in first["y"] if y is not None) == pytest.approx(min(dense), abs=1)


def test_without_a_curve_there_is_nothing_of_time(make_data: Any) -> None:
    names = [one.figure.name for one in draw(own(make_data(levels=3, replicates=3), curve=False))]
    assert "tested-accuracy" in names
    assert not {"tested-speed", "early-stop", "curves"} & set(names)


def test_files_name_the_score(make_data: Any) -> None:
    data = own(make_data(levels=3, replicates=2))
    files = dict(_files(data))
    rows = list(csv.DictReader(io.StringIO(files["table-replicates.csv"])))
    assert float(rows[0]["test_score_at_early_stop"]) == data.results[0].score_at_early_stop
    assert float(rows[0]["test_score_final"]) == data.results[0].score_final
    for name, content in files.items():
        assert "accuracy" not in content.partition("\n")[0], name
    level = list(csv.DictReader(io.StringIO(files["table-levels.csv"])))[1]
    found = data.verdict.levels[1].groups["main"].against_dense["accuracy"].estimate
    assert found is not None
    assert float(level["dense_minus_score"]) == found.mean


def test_a_hostile_name_is_text(make_data: Any, hostile: str) -> None:
    name = "".join(c for c in hostile[:60] if c.isprintable())
    score = Score(name=name, higher=False, unit="<b>", margin=0.5)
    page = render(own(make_data(levels=3, replicates=2), score))
    assert "<img src=x" not in page
    assert "49}" not in page.partition("<script")[0]


def test_without_a_margin_the_page_says_so(make_data: Any) -> None:
    data = own(make_data(levels=3, replicates=3), replace(PERPLEXITY, margin=None))
    text = said(render(data))
    assert "No margin was given, so nothing is tested." in text
    names = [one.figure.name for one in draw(data)]
    assert "tested-accuracy" in names
