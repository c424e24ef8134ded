"""The verdict of a run on disk."""

from __future__ import annotations

from lottery.analysis.types import Verdict
from lottery.analysis.verdict import judge
from lottery.data import steps_per_epoch
from lottery.experiments import Run, never_run, plan


def judge_run(run: Run, *, margin: float | None = None, confidence: float | None = None) -> Verdict:
    """Test the hypothesis on a run, finished or not.

    Args:
        run: what to judge.
        margin: accuracy a matching ticket may lose, a fraction in [0, 1); None for the config's.
        confidence: of intervals and tests; None for the config's.

    Raises:
        UsageError: an argument is out of range.
    """
    config, data = run.config, run.experiment["data"]
    steps = steps_per_epoch(data["training_examples"], config.training.batch_size)
    return judge(
        list(run.results.values()),
        run=run.name,
        name=config.name,
        planned=plan(config),
        never_run=never_run(config, run.results),
        margin=config.verdict.margin if margin is None else margin,
        confidence=config.verdict.confidence if confidence is None else confidence,
        evaluation_interval=config.training.evaluate_every.iterations(steps),
        test_examples=data["test_examples"],
        classes=data["classes"],
        mask_updates=config.training.mask_updates.method,
        rewind=config.rewind.method,
        pruned_values=config.training.pruned,
    )
