"""Record what every job of many experiments gives, as hashes, or compare with what was recorded.

A change that is to change no result must reproduce every hash: of each job's ticket, its trained
weights and mask, its curve, what it kept for rewinding and the masks it drew. Hashes are of
contents, not of files. Experiments are tiny ones for each method, control and engine, and every
recipe as ``--smoke`` makes it, with one replicate; some are also stopped time and again, which
must change nothing.

    python scripts/golden_runs.py --jobs 2          # compare; 1 where something differs
    python scripts/golden_runs.py --write           # record anew, once a difference is meant
    python scripts/golden_runs.py --only 'early-bird*' --parts

How floats are rounded depends on the processor and on torch, which are recorded too. Elsewhere
only that is compared which does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final
from unittest.mock import patch

import torch

from golden_case import Case
from golden_cases import RECIPE_CASES, TINY
from golden_hashes import Jobs, Parts, digest, hash_tensors
from golden_machine import machine, other_machine, rounded_the_same
from lottery.errors import DataError, MissingPackageError, Preempted
from lottery.experiments import ExperimentConfig, RunOptions, RunSummary, run_experiment
from lottery.store import MAIN, JobKey, Store
from lottery.tickets import EarlyBirdMask

RECORDED: Final = Path(__file__).parents[1] / "tests" / "golden" / "golden.json"
CASES: Final[Mapping[str, Case]] = {**TINY, **RECIPE_CASES}

# What is hashed


def job_parts(store: Store, key: JobKey, config: ExperimentConfig) -> Parts:
    """Everything of a finished job that is to stay the same, from what a store can read.

    Where the layout of a store changes, this function follows; its values stay.
    """
    result, ticket = store.result(key), store.ticket(key)
    found = {
        "status": result.status,
        "kept": f"{result.weights_kept} of {result.weights_total}",
        "ticket mask": hash_tensors(ticket.mask),
        "ticket weights": hash_tensors(ticket.weights),
        "ticket iteration": str(ticket.iteration),
    }
    if ticket.pruned is not None:
        found["ticket pruned"] = hash_tensors(ticket.pruned)
    curve = [(p.iteration, p.split, p.loss, p.accuracy) for p in store.curve(key)]
    found["curve"] = digest(repr(curve).encode())
    if result.status != "done":
        return found
    found["final mask"] = hash_tensors(store.final_mask(key))
    found["final weights"] = hash_tensors(store.weights(key, "end"))
    found["early-stop weights"] = hash_tensors(store.weights(key, "early-stop"))
    dense = key.branch == MAIN and key.level == 0
    for look in store.looks(key.replicate) if dense else ():
        kept = store.look(look)
        if isinstance(kept, EarlyBirdMask):
            level = look.number
            found[f"early-bird {level}"] = f"{kept.iteration}, {kept.settled}, {kept.spread!r}"
            found[f"early-bird {level} mask"] = hash_tensors(kept.mask)
            if kept.state is not None:
                found[f"early-bird {level} state"] = hash_tensors(kept.state)
        else:
            found[f"state at {config.method.start}"] = hash_tensors(kept)
    return found


def run_parts(store: Store, summary: RunSummary, config: ExperimentConfig) -> Jobs:
    """The parts of every job of a run; of one that could not be run, that it was not."""
    return {
        str(key): {"status": "skipped"} if key in summary.skipped else job_parts(store, key, config)
        for key in sorted({*summary.results, *summary.skipped}, key=_order)
    }


def _order(key: JobKey) -> tuple[int, int, bool, str]:
    """What comes first in a run comes first, so that it is the first that is seen to differ."""
    return key.replicate, key.level, key.branch != MAIN, key.branch


# Running


class StopAfter(threading.Event):
    """A request to stop that comes when it has been looked for so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def is_set(self) -> bool:
        """Whether that has come."""
        self._looks -= 1
        return self._looks < 0


@contextmanager
def fixed_costs() -> Iterator[None]:
    """Kernels chosen by these costs, not by speeds that were measured on the machine."""
    from lottery.training.engines.sparse_cpu import costs, training

    fixed = costs.Costs(dense=0.5, sparse=2.0, update=0.5)
    with patch.object(training, "machine_costs", lambda: fixed):
        yield


def run_case(case: Case, out: Path, *, stops: bool = False) -> Jobs:
    """Run a case in a folder; what came of it.

    Args:
        case: the experiment.
        out: an empty folder.
        stops: whether to stop it time and again, and go on each time.
    """
    with fixed_costs():
        summary = run_to_end(case, out, stops=stops)
    return run_parts(Store(summary.run), summary, case.config())


def run_to_end(case: Case, out: Path, *, stops: bool) -> RunSummary:
    """Run a case's experiment, over and over until nothing stops it any more."""
    options = RunOptions(out=out, jobs=1, device="cpu", engine=case.engine)
    looks = 10
    while True:
        try:
            stop = StopAfter(looks) if stops else None
            return run_experiment(case.config(), options, stop=stop)
        except Preempted:
            # Each time it comes further, and stops elsewhere.
            looks += 17


def run_alone(name: str, stops: bool) -> tuple[Jobs, str]:
    """What came of a case, or why it cannot be run here."""
    torch.set_num_threads(1)
    case = CASES[name]
    if case.missing:
        return {}, f"{case.missing} is not installed"
    # Where there is one, in a file system that lies in memory: large networks make large files.
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="golden-", dir=where) as folder:
        try:
            return run_case(case, Path(folder), stops=stops), ""
        except (DataError, MissingPackageError) as error:
            return {}, str(error).splitlines()[0]


# What differs


def differences(recorded: Mapping[str, Parts], found: Mapping[str, Parts]) -> list[str]:
    """Where two sets of jobs differ, one line for each part, the first to differ first."""
    lines = []
    for job in dict.fromkeys((*recorded, *found)):
        ours, theirs = recorded.get(job, {}), found.get(job, {})
        for part in dict.fromkeys((*ours, *theirs)):
            before, now = ours.get(part, "nothing"), theirs.get(part, "nothing")
            if before != now:
                lines.append(f"{job}: {part}: recorded {before}, got {now}")
    return lines


def report(name: str, lines: list[str], *, every: bool = False) -> str:
    """What differs in a case, as text: the first part and how many, or every part."""
    if every or len(lines) < 2:
        return "\n  ".join([f"{name}: differs", *lines])
    return f"{name}: {len(lines)} parts differ, first\n  {lines[0]}"


# The record


def read_record(path: Path = RECORDED) -> tuple[dict[str, str], dict[str, Jobs]]:
    """The machine that hashes were recorded on, and the jobs of every case."""
    content = json.loads(path.read_text())
    return content["machine"], content["cases"]


def write_record(cases: Mapping[str, Jobs], path: Path = RECORDED) -> None:
    """Write hashes and this machine, one line for each job."""
    blocks = []
    for name in (name for name in CASES if name in cases):
        jobs = [f"   {json.dumps(job)}: {json.dumps(parts)}" for job, parts in cases[name].items()]
        blocks.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(jobs) + "\n  }")
    text = json.dumps(machine(), indent=1)
    path.write_text(f'{{"machine": {text},\n "cases": {{\n' + ",\n".join(blocks) + "\n }}\n")


# The command


def run_all(names: Iterable[tuple[str, bool]], workers: int) -> Iterator[tuple[str, bool, Jobs]]:
    """Each case as it ends, with whether it was stopped on the way; what cannot be run is said."""
    asked, begun = list(names), time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = {pool.submit(run_alone, name, stops): (name, stops) for name, stops in asked}
        for number, future in enumerate(as_completed(futures), start=1):
            (name, stops), (jobs, why_not) = futures[future], future.result()
            seconds = f"{time.monotonic() - begun:.0f} s"
            what = f"{name}{', stopped' if stops else ''}"
            print(f"[{number}/{len(asked)}, {seconds}] {what}", file=sys.stderr, flush=True)
            if why_not:
                print(f"not run: {what}: {why_not}", flush=True)
            else:
                yield name, stops, jobs


def compare(names: list[str], workers: int, *, every: bool) -> int:
    """Run cases and print what differs from the record; how many cases do."""
    recorded_on, recorded = read_record()
    wrong = 0
    elsewhere = {name: other_machine(recorded_on, CASES[name]) for name in names}
    for why in sorted({*elsewhere.values()} - {""}):
        print(f"Only what no rounding changes is compared in some cases: this machine has {why}.")
    for name in names:
        if name not in recorded:
            print(f"not recorded: {name}")
    runs = [
        (name, stops)
        for name in names
        if name in recorded
        for stops in (False, True)[: 1 + CASES[name].resumed]
    ]
    count = 0
    for name, stops, jobs in run_all(runs, workers):
        expected = recorded[name]
        if elsewhere[name]:
            expected, jobs = (rounded_the_same(CASES[name], one) for one in (expected, jobs))
        lines = differences(expected, jobs)
        count, wrong = count + 1, wrong + bool(lines)
        if lines:
            print(report(f"{name}{', stopped' if stops else ''}", lines, every=every), flush=True)
    print(f"{wrong} of {count} runs differ from the record")
    return wrong


def write(names: list[str], workers: int) -> None:
    """Record cases anew; the others stay, if this is the machine they were recorded on."""
    recorded: dict[str, Jobs] = {}
    if RECORDED.exists() and len(names) < len(CASES):
        recorded_on, recorded = read_record()
        elsewhere = ", ".join(
            {*filter(None, (other_machine(recorded_on, CASES[n]) for n in names))}
        )
        if elsewhere:
            sys.exit(f"expected the machine of the other hashes, or no --only: it has {elsewhere}")
    for name, _, jobs in run_all([(name, False) for name in names], workers):
        recorded[name] = jobs
    write_record(recorded)
    print(f"{len(recorded)} cases are recorded in {RECORDED}")


def main() -> int:
    """Compare or write; 1 where something differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="record instead of comparing")
    parser.add_argument(
        "--only", metavar="PATTERN", default="*", help="cases by name, such as '*sgd*'"
    )
    parser.add_argument("--tiny", action="store_true", help="leave out the recipes")
    parser.add_argument("--parts", action="store_true", help="name every part that differs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    asked = parser.parse_args()
    cases = TINY if asked.tiny else CASES
    names = [name for name in cases if fnmatchcase(name, asked.only)]
    if not names:
        parser.error(f"--only {asked.only}: no case has such a name")
    if asked.write:
        write(names, asked.jobs)
        return 0
    return 1 if compare(names, asked.jobs, every=asked.parts) else 0


if __name__ == "__main__":
    sys.exit(main())
