"""Conformance suites for engines, criteria, datasets and executors of your own.

A check is a plain function of the thing it checks. It returns nothing, and raises AssertionError
with a sentence when something is not as it should be; no test framework is needed. With pytest,
run an engine through all of them like this:

    >>> import pytest
    >>> from lottery.testing import ENGINE_CHECKS, ENGINE_CHECKS_ANY_MODEL
    >>> from lottery.training.engines.torch_engine import TorchEngine
    >>> checks = ENGINE_CHECKS + ENGINE_CHECKS_ANY_MODEL
    >>> @pytest.mark.parametrize("check", checks, ids=lambda check: check.__name__)
    ... def test_my_engine(check):
    ...     check(TorchEngine("cpu"))

Without it, a loop does:

    >>> from lottery.core import CRITERIA
    >>> from lottery.testing import CRITERION_CHECKS, DATASET_CHECKS, tiny_dataset
    >>> for check in CRITERION_CHECKS:
    ...     check(CRITERIA["magnitude"].score)
    >>> for check in DATASET_CHECKS:
    ...     check(tiny_dataset())

A check of an executor is given what opens it, such as `lottery.experiments.workers.serial_pool`.

An engine that trains fully connected networks alone leaves `ENGINE_CHECKS_ANY_MODEL` out. Some
checks train in double precision, which MPS does not have. A criterion that lets batch norm use the
statistics of each batch leaves `CRITERION_CHECKS_RUNNING_STATISTICS` out.
"""

from lottery.testing.criteria import (
    CRITERION_CHECKS,
    CRITERION_CHECKS_RUNNING_STATISTICS,
    CriterionCheck,
    tiny_context,
)
from lottery.testing.datasets import DATASET_CHECKS, DatasetCheck
from lottery.testing.engines import ENGINE_CHECKS, ENGINE_CHECKS_ANY_MODEL, EngineCheck
from lottery.testing.executors import EXECUTOR_CHECKS, ExecutorCheck, OpenPool
from lottery.testing.samples import tiny_dataset, tiny_job

__all__ = [
    "CRITERION_CHECKS",
    "CRITERION_CHECKS_RUNNING_STATISTICS",
    "DATASET_CHECKS",
    "ENGINE_CHECKS",
    "ENGINE_CHECKS_ANY_MODEL",
    "EXECUTOR_CHECKS",
    "CriterionCheck",
    "DatasetCheck",
    "EngineCheck",
    "ExecutorCheck",
    "OpenPool",
    "tiny_context",
    "tiny_dataset",
    "tiny_job",
]
