"""A run on disk: one committed directory per job."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from torch import Tensor

from lottery.core import Mask
from lottery.errors import MaskError, StoreError
from lottery.store import commit
from lottery.store.jobs import JobKey, JobResult
from lottery.store.tensors import (
    is_iteration,
    pack_tensors,
    pack_ticket,
    unpack_tensors,
    unpack_ticket,
)
from lottery.tickets import Ticket
from lottery.training import Checkpoint, CurvePoint, Notes, State, TrainingResult

EXPERIMENT = "experiment.json"
_TICKET, _FINAL, _CURVES, _RESULT = (
    "ticket.safetensors",
    "final.safetensors",
    "curves.csv",
    "result.json",
)
_REWIND = "rewind.safetensors"
_NOTES = "notes.safetensors"
_CHECKPOINT = "state.safetensors"
_MASK = "mask/"
_SPLITS: Final[dict[str, Literal["validation", "test"]]] = {
    "validation": "validation",
    "test": "test",
}
_CURVE_COLUMNS = ("iteration", "split", "loss", "accuracy")

Moment = Literal["end", "early-stop"]
"""Which of a training's two kept states: its last, or the one at early stopping."""


class Store:
    """Reads and writes the files of one run; see the page on the on-disk format.

    Args:
        path: the run's directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    # The experiment

    def write_experiment(self, experiment: dict[str, Any]) -> None:
        """Write ``experiment.json``."""
        text = json.dumps(experiment, indent=2, allow_nan=False) + "\n"
        commit.write_file(self.path / EXPERIMENT, text.encode())

    def read_experiment(self) -> dict[str, Any] | None:
        """The contents of ``experiment.json``, or None where there is no run yet.

        Raises:
            StoreError: it is there but cannot be read.
        """
        source = self.path / EXPERIMENT
        try:
            experiment = json.loads(source.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"cannot read {source}: {error}") from error
        if not isinstance(experiment, dict):
            raise StoreError(f"{source} is not an experiment: expected a table")
        return experiment

    # Jobs

    def directory(self, key: JobKey) -> Path:
        """Where a job's files lie once it is finished."""
        return self.path / key.path

    def is_finished(self, key: JobKey) -> bool:
        """Whether the job's directory is there; says nothing of its contents."""
        return (self.directory(key) / commit.MANIFEST).is_file()

    def problems(self, key: JobKey) -> list[str]:
        """What is wrong with a finished job's files, one sentence each; empty when all is well."""
        return commit.problems(self.directory(key))

    def keep_or_set_aside(self, key: JobKey) -> tuple[bool, Path | None]:
        """Check a job's files; set them aside if they are not what was written.

        Returns:
            Whether the job is finished and whole, and where its files went if they were set aside.
        """
        directory = self.directory(key)
        if not directory.exists():
            return False, None
        if self.problems(key):
            return False, commit.set_aside(directory)
        return True, None

    def write_job(self, ticket: Ticket, result: JobResult, trained: TrainingResult | None) -> None:
        """Commit a finished job: all of its files, or none.

        Args:
            ticket: what it started from.
            result: what it found.
            trained: what training gave; None for a ticket that collapsed and was not trained.
        """
        files = {_TICKET: pack_ticket(ticket), _RESULT: result.to_json().encode()}
        if trained is not None:
            files[_CURVES] = _pack_curve(trained.curve)
            if trained.status == "done":
                files[_FINAL] = pack_tensors(
                    {f"end/{name}": value for name, value in trained.final.items()}
                    | {f"early-stop/{name}": value for name, value in trained.early_stop.items()}
                    | {f"{_MASK}{name}": kept for name, kept in (trained.mask or {}).items()}
                )
            if trained.notes:
                files[_NOTES] = pack_tensors(trained.notes)
            for iteration, state in trained.snapshots.items():
                files[_REWIND] = pack_tensors(state, {"iteration": iteration})
        commit.commit_directory(self.directory(result.key), files)
        self.drop_checkpoints(result.key)

    def result(self, key: JobKey) -> JobResult:
        """A finished job's result."""
        directory = self.directory(key)
        content = commit.read_file(directory, _RESULT)
        result = JobResult.from_json(content.decode(errors="replace"), source=directory / _RESULT)
        if result.key != key:
            raise StoreError(f"{directory / _RESULT} is the result of {result.key}, not {key}")
        return result

    def ticket(self, key: JobKey) -> Ticket:
        """The ticket a finished job started from."""
        directory = self.directory(key)
        content = commit.read_file(directory, _TICKET)
        return unpack_ticket(content, source=directory / _TICKET)

    def weights(self, key: JobKey, moment: Moment = "end") -> State:
        """A finished job's trained state, at the end or at early stopping."""
        tensors = self._tensors(key, _FINAL)
        return {
            name.removeprefix(f"{moment}/"): value
            for name, value in tensors.items()
            if name.startswith(f"{moment}/")
        }

    def final_mask(self, key: JobKey) -> Mask:
        """What a finished job keeps at the end of its training.

        The mask of its ticket, unless that changed in training.

        Raises:
            StoreError: the file is damaged, or its mask is not one of the ticket's weights.
        """
        ticket, directory = self.ticket(key).mask, self.directory(key)
        if not (directory / _FINAL).exists():
            return ticket
        kept = {
            name.removeprefix(_MASK): value
            for name, value in self._tensors(key, _FINAL).items()
            if name.startswith(_MASK)
        }
        try:
            final = Mask(kept)
            if kept:
                final.check(dict(ticket))
        except MaskError as error:
            raise StoreError(f"{directory / _FINAL}: {error}") from error
        return final if kept else ticket

    def rewind_weights(self, key: JobKey) -> State:
        """The state that a dense job kept for rewinding to a later point than initialization."""
        return self._tensors(key, _REWIND)

    def notes(self, key: JobKey) -> Notes:
        """What was noted while a job trained; see `lottery.training.Watch`."""
        return self._tensors(key, _NOTES)

    def curve(self, key: JobKey) -> list[CurvePoint]:
        """A finished job's evaluations; empty for a ticket that collapsed."""
        directory = self.directory(key)
        if not (directory / _CURVES).exists():
            return []
        return _unpack_curve(commit.read_file(directory, _CURVES), directory / _CURVES)

    def _tensors(self, key: JobKey, name: str) -> dict[str, Tensor]:
        directory = self.directory(key)
        return unpack_tensors(commit.read_file(directory, name), source=directory / name)[0]

    # Checkpoints: the same protocol, under a name that says how far the job had come.

    def write_checkpoint(self, key: JobKey, checkpoint: Checkpoint) -> None:
        """Keep a training in progress; older checkpoints of it go once the new one is whole."""
        values = {"iteration": checkpoint.iteration, "values": dict(checkpoint.values)}
        target = self._checkpoint_directory(key, checkpoint.iteration)
        if not target.exists():
            commit.commit_directory(target, {_CHECKPOINT: pack_tensors(checkpoint.tensors, values)})
        for path in self._checkpoints(key):
            if path != target:
                shutil.rmtree(path, ignore_errors=True)

    def read_checkpoint(self, key: JobKey) -> Checkpoint | None:
        """The newest whole checkpoint of a job, or None; broken ones are set aside."""
        for path in self._checkpoints(key):
            if commit.problems(path):
                commit.set_aside(path)
                continue
            tensors, values = unpack_tensors(
                commit.read_file(path, _CHECKPOINT), source=path / _CHECKPOINT
            )
            iteration, kept = values.get("iteration"), values.get("values")
            if not is_iteration(iteration) or not isinstance(kept, dict):
                raise StoreError(f"{path / _CHECKPOINT} does not say its iteration and values")
            return Checkpoint(iteration=iteration, tensors=tensors, values=kept)
        return None

    def checkpoint_iteration(self, key: JobKey) -> int | None:
        """The iteration of a job's newest checkpoint by its name, or None; nothing is read."""
        for path in self._checkpoints(key):
            iteration = path.name.rpartition("-")[2]
            if iteration.isdecimal() and (path / commit.MANIFEST).is_file():
                return int(iteration)
        return None

    def drop_checkpoints(self, key: JobKey) -> None:
        """Remove a finished job's checkpoints and what killed processes left of its commits."""
        directory = self.directory(key)
        for path in self._checkpoints(key):
            shutil.rmtree(path, ignore_errors=True)
        for name in (directory.name, self._checkpoint_name(key)):
            commit.remove_leftovers(directory.parent, name)

    def _checkpoint_name(self, key: JobKey) -> str:
        return f".checkpoint-{self.directory(key).name}"

    def _checkpoint_directory(self, key: JobKey, iteration: int) -> Path:
        return self.directory(key).parent / f"{self._checkpoint_name(key)}-{iteration:012d}"

    def _checkpoints(self, key: JobKey) -> list[Path]:
        found = self.directory(key).parent.glob(f"{self._checkpoint_name(key)}-*")
        return sorted(found, reverse=True)

    # What went wrong

    def corrupt(self) -> list[Path]:
        """Everything that was set aside in this run."""
        return sorted(self.path.rglob(f"{commit.CORRUPT}*"))


def _pack_curve(curve: Sequence[CurvePoint]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CURVE_COLUMNS)
    writer.writerows((p.iteration, p.split, repr(p.loss), repr(p.accuracy)) for p in curve)
    return text.getvalue().encode()


def _unpack_curve(content: bytes, source: Path) -> list[CurvePoint]:
    try:
        rows = csv.DictReader(io.StringIO(content.decode()))
        curve = [
            CurvePoint(
                int(row["iteration"]),
                _SPLITS[row["split"]],
                float(row["loss"]),
                float(row["accuracy"]),
            )
            for row in rows
        ]
        if not all(math.isfinite(p.loss) and math.isfinite(p.accuracy) for p in curve):
            raise ValueError("a value is not finite")
        return curve
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise StoreError(f"{source} is not a learning curve: {error}") from error
