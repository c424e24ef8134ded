"""Tiny experiments of every method, control and engine give what they gave when recorded."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch

from golden_cases import TINY
from golden_hashes import Parts, hash_tensors
from golden_machine import other_machine, rounded_the_same
from golden_runs import (
    CASES,
    differences,
    read_record,
    report,
    run_case,
    run_parts,
    run_to_end,
)
from lottery.core import CRITERIA, GRANULARITIES
from lottery.methods import CONTROL_KINDS, ControlsConfig
from lottery.store import JobKey, Store
from lottery.store.store import Moment
from lottery.training import State

RECORDED_ON, RECORDED = read_record()


# Criteria at initialization differ from trained ones by their state alone; the script has them all.
IN_THE_SUITE = {
    name: case
    for name, case in TINY.items()
    if not (name.startswith("criterion ") and name.endswith(", rewound, torch"))
}


@pytest.mark.parametrize(
    ("name", "stops"),
    [
        (name, stops)
        for name, case in IN_THE_SUITE.items()
        for stops in (False, True)[: 1 + case.resumed]
    ],
)
def test_every_job_gives_what_was_recorded(name: str, stops: bool, tmp_path: Path) -> None:
    case, expected = CASES[name], RECORDED[name]
    if case.missing:
        pytest.skip(f"{case.missing} is not installed")
    found = run_case(case, tmp_path, stops=stops)
    elsewhere = other_machine(RECORDED_ON, case)
    if elsewhere:
        expected, found = (rounded_the_same(case, jobs) for jobs in (expected, found))
    lines = differences(expected, found)
    assert not lines, report(name, lines, every=True)
    if elsewhere:
        pytest.skip(f"only what no rounding changes was compared: this machine has {elsewhere}")


def test_nothing_is_left_out() -> None:
    configs = [case.config() for case in TINY.values()]
    assert {*TINY} <= {*RECORDED} <= {*CASES}
    kinds = {job.split(", ")[1].rpartition("-")[0] for jobs in RECORDED.values() for job in jobs}
    assert kinds - {""} == {*CONTROL_KINDS}
    assert all(any(getattr(c.controls, f.name) for c in configs) for f in fields(ControlsConfig))
    assert {config.prune.criterion for config in configs} == {*CRITERIA}
    named = {"2:4": "N:M", "block-4x4": "block-RxC"}
    units = {named.get(c.prune.granularity, c.prune.granularity) for c in configs}
    assert units == {*GRANULARITIES}
    assert {(c.method.kind, c.method.rewinding, c.method.start.amount > 0) for c in configs} == {
        ("iterative", "weights", False),
        ("iterative", "weights", True),
        ("iterative", "learning-rate", False),
        ("iterative", "learning-rate", True),
        ("iterative", "fine-tune", False),
        ("at-step", "weights", False),
        ("at-step", "weights", True),
        ("gradual", "weights", False),
        ("gradual", "weights", True),
        ("dynamic", "weights", False),
        ("dynamic", "weights", True),
        ("early-bird", "weights", False),
        ("early-bird", "weights", True),
        ("early-bird", "drawn", False),
    }
    statuses = {parts["status"] for jobs in RECORDED.values() for parts in jobs.values()}
    assert statuses == {"done", "diverged", "collapsed", "skipped"}


class OneBit(Store):
    """A store whose reader sees one bit of one weight of one job changed."""

    def weights(self, key: JobKey, moment: Moment = "end") -> State:
        state = dict(super().weights(key, moment))
        if (key, moment) == (JobKey(0, "reinit-1", 1), "end"):
            bits = state["fc1.weight"].clone().view(torch.int32)
            bits[3, 400] ^= 1
            state["fc1.weight"] = bits.view(torch.float32)
        return state


def test_one_bit_is_seen_and_named(tmp_path: Path) -> None:
    case = TINY["trained, weights at 0, torch"]
    config, summary = case.config(), run_to_end(case, tmp_path, stops=False)
    found = run_parts(Store(summary.run), summary, config)
    assert differences(found, run_parts(Store(summary.run), summary, config)) == []
    (line,) = differences(found, run_parts(OneBit(summary.run), summary, config))
    assert line.startswith("replicate 0, reinit-1, level 1: final weights: recorded ")
    assert report("a case", [line]) == f"a case: differs\n  {line}"


def test_a_hash_is_of_name_type_shape_and_bytes() -> None:
    tensor = torch.arange(6, dtype=torch.float32)
    alike = {
        hash_tensors(tensors)
        for tensors in (
            {"a": tensor},
            {"b": tensor},
            {"a": tensor.view(2, 3)},
            {"a": tensor.view(3, 2).T},
            {"a": tensor.view(torch.int32)},
            {"a": -tensor},
            {"a": tensor, "b": tensor},
            {},
        )
    }
    assert len(alike) == 8
    assert hash_tensors({"a": -torch.zeros(())}) != hash_tensors({"a": torch.zeros(())})
    one, other = torch.ones(2, dtype=torch.bfloat16), torch.zeros((), dtype=torch.bool)
    assert hash_tensors({"a": one, "b": other}) == hash_tensors({"b": other, "a": one})


def test_the_first_that_differs_is_named_first() -> None:
    recorded: dict[str, Parts] = {"one": {"status": "done", "curve": "a"}, "two": {"curve": "b"}}
    found: dict[str, Parts] = {"one": {"status": "done", "curve": "c"}, "three": {"curve": "d"}}
    lines = differences(recorded, found)
    assert lines == [
        "one: curve: recorded a, got c",
        "two: curve: recorded b, got nothing",
        "three: curve: recorded nothing, got d",
    ]
    assert report("case", lines) == f"case: 3 parts differ, first\n  {lines[0]}"
    assert report("case", lines, every=True).count("\n") == 3
