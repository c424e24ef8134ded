"""What results mean: a run's verdict on the hypothesis as it is stated, and runs side by side."""

from lottery.analysis.as_json import to_json
from lottery.analysis.evidence import Evidence
from lottery.analysis.methods.of_runs import compare_runs
from lottery.analysis.methods.text import comparison_text
from lottery.analysis.methods.types import RunComparison
from lottery.analysis.reach import Reach, reachable
from lottery.analysis.text import verdict_table, verdict_text, verdict_view
from lottery.analysis.ticket_of_run import run_ticket
from lottery.analysis.transfer import (
    TransferComparison,
    TransferVerdict,
    judge_transfer,
    transfer_text,
)
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
    "RunComparison",
    "Test",
    "TransferComparison",
    "TransferVerdict",
    "Verdict",
    "compare_runs",
    "comparison_text",
    "judge",
    "judge_run",
    "judge_transfer",
    "reachable",
    "run_ticket",
    "to_json",
    "transfer_text",
    "verdict_table",
    "verdict_text",
    "verdict_view",
]
