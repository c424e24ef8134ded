"""The report of a run, or of a comparison of runs: one HTML file that needs no network."""

from lottery.report.comparison import render_comparison, write_comparison
from lottery.report.data import ReportData
from lottery.report.export import replicates_csv, write_figures
from lottery.report.latex import latex_table
from lottery.report.notebook import RunFigure, run_curves, run_figures, run_frame
from lottery.report.of_run import report_data, write_report
from lottery.report.page import render
from lottery.report.pixels import input_pixels

__all__ = [
    "ReportData",
    "RunFigure",
    "input_pixels",
    "latex_table",
    "render",
    "render_comparison",
    "replicates_csv",
    "report_data",
    "run_curves",
    "run_figures",
    "run_frame",
    "write_comparison",
    "write_figures",
    "write_report",
]
