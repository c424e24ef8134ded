"""The report: one HTML file with everything a run found, readable offline."""

from lottery.report.data import ReportData
from lottery.report.page import render
from lottery.report.pixels import input_pixels

__all__ = ["ReportData", "input_pixels", "render"]
