"""The report: one HTML file with everything a run found, readable offline."""

from lottery.report.data import ReportData
from lottery.report.of_run import report_data, write_report
from lottery.report.page import render
from lottery.report.pixels import input_pixels

__all__ = ["ReportData", "input_pixels", "render", "report_data", "write_report"]
