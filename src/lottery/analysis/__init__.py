"""What results mean: a run's verdict on the hypothesis as it is stated, and runs side by side."""

from lottery.analysis.as_json import to_json
from lottery.analysis.evidence import Evidence
from lottery.analysis.reach import Reach, reachable
from lottery.analysis.text import verdict_table, verdict_text, verdict_view
from lottery.analysis.types import Answer, Contrast, Estimate, Group, LevelVerdict, Test, Verdict
from lottery.analysis.verdict import judge, judge_run

__all__ = [
    "Answer",
    "Contrast",
    "Estimate",
    "Evidence",
    "Group",
    "LevelVerdict",
    "Reach",
    "Test",
    "Verdict",
    "judge",
    "judge_run",
    "reachable",
    "to_json",
    "verdict_table",
    "verdict_text",
    "verdict_view",
]
