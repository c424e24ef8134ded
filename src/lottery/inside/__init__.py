"""What is inside tickets: analyses of a run, each beside what would be found by chance."""

from lottery.inside.analysis import Analysis, analyse
from lottery.inside.catalog import ANALYSES
from lottery.inside.kept import kept_problems
from lottery.inside.measurement import Measurement, Table
from lottery.inside.subject import Subject

__all__ = ["ANALYSES", "Analysis", "Measurement", "Subject", "Table", "analyse", "kept_problems"]
