"""The strip of facts at the top of a page, and a run's settings line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lottery.analysis import formatting
from lottery.analysis.score_format import ScoreFormat
from lottery.report.data import ReportData


def strip(data: ReportData) -> list[tuple[str, str]]:
    """Model, data, iterations, optimizer, n, levels, margin, date: name and value of each."""
    verdict, config = data.verdict, data.config
    training = config.get("training", {})
    iterations = max((result.iterations for result in data.results), default=0)
    found = [
        ("Trained", config.get("title")),
        ("Model", _named(config.get("model"))),
        ("Data", _named(config.get("data"))),
        ("Iterations", formatting.count(iterations) if iterations else _length(training)),
        ("Optimizer", _optimizer(training)),
        ("n", formatting.counted(verdict.replicates, "replicate")),
        ("Levels", f"{max((level.level for level in verdict.levels), default=0)}"),
        ("Outside masks", _outside(data)),
        ("Margin", ScoreFormat(verdict.score).margin(verdict.margin)),
        ("Date", data.date[:10]),
    ]
    return [(name, str(value)) for name, value in found if value not in (None, "")]


def _outside(data: ReportData) -> str:
    """How many weights no mask covers, and in how many matrices."""
    outside = data.verdict.outside_mask
    weights = sum(one.weights for one in outside)
    return f"{weights:,} weights, {len(outside):,} of the matrices" if outside else ""


def flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as lines of dotted key and JSON value, as ``--set`` takes them.

    >>> list(flat({"training": {"epochs": 10}, "name": "lenet"}))
    [('training.epochs', '10'), ('name', '"lenet"')]
    """
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, ensure_ascii=False, default=str)


def _named(value: object) -> object:
    return value.get("name") if isinstance(value, Mapping) else value


def _optimizer(training: Mapping[str, Any]) -> str:
    rate = training.get("learning_rate")
    base = rate.get("base") if isinstance(rate, Mapping) else rate
    name = _named(training.get("optimizer"))
    at = "" if base is None else f"learning rate {base:g}"
    batch = training.get("batch_size")
    size = "" if batch is None else f"batches of {batch}"
    return ", ".join(str(part) for part in (name, at, size) if part)


def _length(training: Mapping[str, Any]) -> object:
    length = training.get("length")
    if isinstance(length, Mapping):
        return " ".join(str(length[key]) for key in ("amount", "unit") if key in length)
    return length
