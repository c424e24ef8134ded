"""Who a job is stays the same: a run of an earlier version is grown by a later one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from bound import bound

from golden_cases import TINY
from lottery.data import load_dataset
from lottery.experiments.plan import plan
from lottery.store import JobKey, LookKey

RECORDED = json.loads(Path(__file__).with_name("identities.json").read_text())


def identities() -> dict[str, str]:
    """Name of a case -> a hash of the identities of all its jobs and looks, in no order."""
    found, cases = {}, {case.settings: case for case in TINY.values() if not case.missing}
    for case in cases.values():
        config = case.config()
        experiment = bound(config, load_dataset(config.data, progress=False))
        jobs: list[JobKey | LookKey] = [*plan(config), *experiment.looks(0)]
        whole = sorted(f"{job}: {experiment.identity(job)}" for job in jobs)
        name = case.name.removesuffix(f", {case.engine}")
        found[name] = hashlib.sha256("\n".join(whole).encode()).hexdigest()[:16]
    return found


def test_the_identity_of_every_job_is_what_it_was() -> None:
    found = identities()
    assert {name: found[name] for name in RECORDED if name in found} == {
        name: value for name, value in RECORDED.items() if name in found
    }
    assert len(found) > 100
