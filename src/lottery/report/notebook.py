"""A run's results for Python: pandas data frames, and figures that notebooks show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lottery.analysis import judge_run
from lottery.integrations.extra import import_extra
from lottery.report.export import figure_csv, figure_svg
from lottery.report.of_run import report_data
from lottery.report.page import draw
from lottery.report.training_tables import replicate_records

if TYPE_CHECKING:
    from pandas import DataFrame

    from lottery.experiments import Run


@dataclass(frozen=True, kw_only=True, repr=False)
class RunFigure:
    """A figure of a run's report; where it is the value of a notebook's cell, it is shown."""

    name: str
    title: str
    caption: str
    """How to read it."""
    svg: str
    """The text of an SVG file."""
    csv: str
    """What is drawn, as CSV with one mark or pixel a line."""

    def __repr__(self) -> str:
        return f"<figure {self.name}: {self.title}>"

    def _repr_svg_(self) -> str:
        return self.svg


def run_frame(run: Run) -> DataFrame:
    """Every job that has ended, one a row, with the columns of ``lottery show RUN --csv``.

    Accuracies, densities and sparsities are fractions in [0, 1]. ``control`` is the number in the
    branch of a control.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    pandas = import_extra("pandas", extra="pandas", what="run.frame()")
    results = list(run.results.values())
    frame: DataFrame = pandas.DataFrame(replicate_records(results, judge_run(run)))
    return frame


def run_curves(run: Run) -> DataFrame:
    """Every evaluation of every job that has ended, one a row.

    Columns are ``replicate``, ``branch``, ``kind``, ``level``, ``density``, ``iteration``,
    ``split`` (``validation`` or ``test``), and one for each value that was measured, such as
    ``loss``.

    Raises:
        MissingPackageError: pandas is not installed.
        StoreError: a file of the run is damaged.
    """
    pandas = import_extra("pandas", extra="pandas", what="run.curves()")
    frame: DataFrame = pandas.DataFrame(
        {
            "replicate": key.replicate,
            "branch": key.branch,
            "kind": key.kind,
            "level": key.level,
            "density": result.density,
            "iteration": point.iteration,
            "split": point.split,
            **point.values,
        }
        for key, result in sorted(run.results.items())
        for point in run.store.curve(key)
    )
    return frame


def run_figures(run: Run) -> dict[str, RunFigure]:
    """The figures of a run's report that there is something to draw for, by name.

    Raises:
        StoreError: a file of the run is damaged.
    """
    return {
        drawn.figure.name: RunFigure(
            name=drawn.figure.name,
            title=drawn.figure.title,
            caption=drawn.caption,
            svg=figure_svg(drawn.content),
            csv=figure_csv(drawn.content),
        )
        for drawn in draw(report_data(run))
    }
