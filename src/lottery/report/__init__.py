"""The report: one HTML file with everything a run, or a comparison of runs, found; offline."""

from lottery.report.comparison import render_comparison, write_comparison
from lottery.report.data import ReportData
from lottery.report.export import replicates_csv, write_figures
from lottery.report.of_run import report_data, write_report
from lottery.report.page import render
from lottery.report.pixels import input_pixels

__all__ = [
    "ReportData",
    "input_pixels",
    "render",
    "render_comparison",
    "replicates_csv",
    "report_data",
    "write_comparison",
    "write_figures",
    "write_report",
]
