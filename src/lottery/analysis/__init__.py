"""What results mean: a run's verdict on the hypothesis as it is stated, and runs side by side."""

from lottery.analysis.as_json import to_json
from lottery.analysis.methods.of_runs import compare_runs
from lottery.analysis.methods.text import comparison_text
from lottery.analysis.methods.types import RunComparison
from lottery.analysis.of_run import judge_run
from lottery.analysis.reach import Reach, reachable
from lottery.analysis.statistics import estimate, holm, one_sided_t
from lottery.analysis.text import verdict_table, verdict_text, verdict_view
from lottery.analysis.types import Answer, Comparison, Estimate, Group, LevelVerdict, Verdict
from lottery.analysis.verdict import judge

__all__ = [
    "Answer",
    "Comparison",
    "Estimate",
    "Group",
    "LevelVerdict",
    "Reach",
    "RunComparison",
    "Verdict",
    "compare_runs",
    "comparison_text",
    "estimate",
    "holm",
    "judge",
    "judge_run",
    "one_sided_t",
    "reachable",
    "to_json",
    "verdict_table",
    "verdict_text",
    "verdict_view",
]
