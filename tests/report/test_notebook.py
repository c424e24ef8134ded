"""A run as pandas and notebooks have it: the same numbers as its files, under names."""

from __future__ import annotations

import csv
import io
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from small_run import SmallRun

from lottery.errors import MissingPackageError
from lottery.experiments import Run, open_run, plan
from lottery.report import replicates_csv


@pytest.fixture
def run(small_run: SmallRun) -> Run:
    return open_run(small_run.path)


def test_a_frame_has_a_row_a_job_with_the_columns_of_the_csv(run: Run) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = run.frame()
    assert list(frame.columns) == next(csv.reader(io.StringIO(replicates_csv(run))))
    assert len(frame) == len(plan(run.config)) == 4
    for row in frame.to_dict("records"):
        (result,) = [r for key, r in run.results.items() if key == _key(row)]
        assert row["kind"] == result.key.kind
        assert (row["control"] == 1) == (row["branch"] != "main")
        assert row["density"] == result.density == pytest.approx(1 - row["sparsity"])
        assert row["status"] == "done"
        assert row["test_accuracy_at_early_stop"] == result.score_at_early_stop
        assert row["early_stop_iteration"] == result.early_stop_iteration
        assert (row["seconds"], row["engine"]) == (result.seconds, "torch")


def _key(row: dict[str, object]) -> object:
    from lottery.store import JobKey

    return JobKey(int(str(row["replicate"])), str(row["branch"]), int(str(row["level"])))


def test_curves_have_a_row_an_evaluation(run: Run) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    curves = run.curves()
    place = ["replicate", "branch", "kind", "level", "density", "iteration", "split"]
    assert list(curves.columns) == [*place, "loss", "accuracy"]
    for key in plan(run.config):
        own = curves[(curves["branch"] == key.branch) & (curves["level"] == key.level)]
        points = run.store.curve(key)
        assert own["iteration"].tolist() == [point.iteration for point in points]
        assert own["split"].tolist() == [point.split for point in points]
        assert own["loss"].tolist() == [point.loss for point in points]


@pytest.mark.parametrize("ask", ["frame", "curves"])
def test_without_pandas_the_error_names_the_extra(
    run: Run, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        MissingPackageError, match=r"run\.\w+\(\) needs .* pandas: .*lottery\[pandas\]"
    ):
        getattr(run, ask)()


def test_figures_are_those_of_the_report_and_a_notebook_can_show_them(
    run: Run, tmp_path: Path
) -> None:
    figures = run.figures()
    assert {"accuracy", "curves", "layers"} <= set(figures)
    for name, figure in figures.items():
        assert figure.name == name
        assert figure.title
        assert figure.caption
        assert ET.fromstring(figure._repr_svg_()).tag.endswith("svg")
        assert len(figure.csv.splitlines()) > 1
        assert figure.svg not in repr(figure)
