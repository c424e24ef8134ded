"""A run on disk: one committed directory per job."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from lottery.core import Mask
from lottery.errors import StoreError
from lottery.store import commit
from lottery.store.contents import (
    CURVES,
    FINAL,
    RESULT,
    TICKET,
    check_job,
    moved_mask,
    pack_job,
    unpack_checkpoint,
    unpack_result,
)
from lottery.store.curves import unpack_curve
from lottery.store.files import read_json, why_no_directory, why_no_file
from lottery.store.hashes import (
    RECORD_HASH,
    WITHOUT_HASH,
    check_record,
    contents_hash,
    record_hash,
)
from lottery.store.jobs import JobKey, JobResult
from lottery.store.looks import LOOK, LookKey, pack_look, unpack_look
from lottery.store.tensors import pack_tensors, unpack_tensors, unpack_ticket
from lottery.store.ticket_file import read_ticket, ticket_sha256, write_ticket
from lottery.tickets import Drawn, Ticket
from lottery.training import Checkpoint, CurvePoint, State, TrainingResult
from lottery.training.progress import below

EXPERIMENT = "experiment.json"
ANALYSES = "analyses"
"""The folder of what analyses found."""
GIVEN = "given"
"""The folder of tickets that were found elsewhere."""
_CHECKPOINT = "state.safetensors"

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

    def write_experiment(self, experiment: Mapping[str, Any]) -> None:
        """Write ``experiment.json``, with a hash of all that it holds."""
        whole = {**experiment, RECORD_HASH: record_hash(experiment)}
        text = json.dumps(whole, indent=2, allow_nan=False) + "\n"
        commit.write_file(self.path / EXPERIMENT, text.encode())

    def read_experiment(self) -> dict[str, Any] | None:
        """The contents of ``experiment.json``, or None where there is no run yet.

        Raises:
            StoreError: it is there but cannot be read, or is not what was written.
        """
        source = self.path / EXPERIMENT
        if not os.path.lexists(source):
            return None
        experiment = read_json(source)
        if not isinstance(experiment, dict):
            raise StoreError(f"{source} is not an experiment: expected a table")
        # One from before there was a hash holds nothing that came later.
        if RECORD_HASH not in experiment and not experiment.keys() <= WITHOUT_HASH:
            raise StoreError(f"{source} is damaged: {RECORD_HASH}: is missing")
        check_record(experiment, source)
        return experiment

    def set_experiment_aside(self) -> Path:
        """Make room for another ``experiment.json``; where the old one is now."""
        return commit.set_aside(self.path / EXPERIMENT)

    # Jobs

    def directory(self, key: JobKey | LookKey) -> Path:
        """Where a job's files lie once it is finished."""
        return self.path / key.path

    def is_there(self, key: JobKey | LookKey) -> bool:
        """Whether anything lies where a job's files belong; says nothing of what it is."""
        return self._in_the_way(key) is not None or os.path.lexists(self.directory(key))

    def is_finished(self, key: JobKey | LookKey) -> bool:
        """Whether there is a manifest, or what cannot be one; says nothing of the contents."""
        manifest = self.directory(key) / commit.MANIFEST
        return self._in_the_way(key) is not None or os.path.lexists(manifest)

    def problems(self, key: JobKey) -> list[str]:
        """What is wrong with a finished job's files, one sentence each; empty when all is well."""
        return self.examine(key)[1]

    def examine(self, key: JobKey) -> tuple[JobResult | None, list[str]]:
        """A finished job's result, and what is wrong with its files, one sentence each.

        Every file is read and checked: against the manifest, against what such a file may hold,
        and against the place where it lies. There is no result where anything is wrong.
        """
        directory = self.directory(key)
        try:
            self._check_place(key)
        except StoreError as error:
            return None, [str(error)]
        files, found = commit.read_directory(directory)
        if found:
            return None, found
        try:
            return check_job(key, files, directory), []
        except StoreError as error:
            return None, [str(error)]

    def look_problems(self, key: LookKey) -> list[str]:
        """What is wrong with a look's files, one sentence each; empty when all is well."""
        try:
            self.look(key)
        except StoreError as error:
            return [str(error)]
        return commit.problems(self.directory(key))

    def looks(self, replicate: int) -> list[LookKey]:
        """The looks of a replicate that are there, by their names."""
        found = []
        for path in sorted((self.path / f"replicate-{replicate}" / "looks").glob("*-*")):
            kind, _, number = path.name.partition("-")
            if kind in ("state", "drawn") and number.isdecimal():
                key = LookKey(replicate, kind, int(number))  # type: ignore[arg-type]
                if self.directory(key) == path:
                    found.append(key)
        return found

    def set_aside(self, key: JobKey | LookKey) -> Path:
        """Make room for a job's files; where what stood in their place is now."""
        return commit.set_aside(self._in_the_way(key) or self.directory(key))

    def _in_the_way(self, key: JobKey | LookKey) -> Path | None:
        """What is no directory of this run where one on the way to a job's files belongs."""
        parts = key.path.parts
        for number in range(1, len(parts) + 1):
            path = self.path.joinpath(*parts[:number])
            if why_no_directory(path):
                return path
        return None

    def _check_place(self, key: JobKey | LookKey) -> None:
        """Check that nothing on the way to a job's files leads out of the run.

        Raises:
            StoreError: something does, or is no directory.
        """
        path = self._in_the_way(key)
        if path is not None:
            raise StoreError(why_no_directory(path))

    def write_job(
        self,
        ticket: Ticket,
        result: JobResult,
        trained: TrainingResult | None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Commit a finished job: all of its files, or none.

        Args:
            ticket: what it started from.
            result: what it found.
            trained: what training gave; None for a ticket that collapsed and was not trained.
            about: who the job is, what computed it, and from what: see `about`.
        """
        self._commit(result.key, pack_job(ticket, result, trained), about)
        self.drop_checkpoints(result.key)

    def write_look(
        self, key: LookKey, found: State | Drawn, about: Mapping[str, Any] | None = None
    ) -> None:
        """Commit what was kept of a dense network on its way."""
        self._commit(key, pack_look(key, found), about)

    def _commit(
        self, key: JobKey | LookKey, files: Mapping[str, bytes], about: Mapping[str, Any] | None
    ) -> None:
        self._check_place(key)
        commit.commit_directory(self.directory(key), files, about)

    def about(self, key: JobKey | LookKey) -> dict[str, Any]:
        """What the manifest of finished files says of them; empty in runs from before it did.

        ``identity``: that of the job; ``computed``: engine, device and versions; ``made_from``: the
        job or look that it was made from -> SHA-256 of its contents; ``ticket_seconds``: what
        making its ticket took.

        Raises:
            StoreError: there is no manifest, or none of ours.
        """
        self._check_place(key)
        return commit.about(self.directory(key))

    def contents_hash(self, key: JobKey | LookKey) -> str:
        """SHA-256 (hex) of what finished files give to others: everything but the result's text.

        Raises:
            StoreError: there is no manifest, or none of ours.
        """
        self._check_place(key)
        return contents_hash(commit.hashes(self.directory(key)))

    def take_from(self, other: Store, key: JobKey | LookKey) -> None:
        """Make finished files of another run this run's own, whole.

        Raises:
            StoreError: they are not whole there, or cannot be written here.
        """
        files, found = commit.read_directory(other.directory(key))
        if found:
            raise StoreError(found[0])
        self._commit(key, files, other.about(key))

    def result(self, key: JobKey) -> JobResult:
        """A finished job's result."""
        return unpack_result(key, self._read(key, RESULT), source=self.directory(key) / RESULT)

    def ticket(self, key: JobKey) -> Ticket:
        """The ticket a finished job started from."""
        return unpack_ticket(self._read(key, TICKET), source=self.directory(key) / TICKET)

    def weights(self, key: JobKey, moment: Moment = "end") -> State:
        """A finished job's trained state, at the end or at early stopping."""
        return below(f"{moment}/", self._tensors(key, FINAL))

    def final_mask(self, key: JobKey) -> Mask:
        """What a finished job keeps at the end of its training.

        The mask of its ticket, unless that changed in training.

        Raises:
            StoreError: the file is damaged, or its mask is not one of the ticket's weights.
        """
        ticket = self.ticket(key).mask
        if not self._has(key, FINAL):
            return ticket
        return moved_mask(ticket, self._tensors(key, FINAL), source=self.directory(key) / FINAL)

    def look(self, key: LookKey) -> State | Drawn:
        """What was kept of a dense network on its way.

        Raises:
            StoreError: it is missing, damaged, or of another kind.
        """
        return unpack_look(key, self._read(key, LOOK), source=self.directory(key) / LOOK)

    def curve(self, key: JobKey) -> list[CurvePoint]:
        """A finished job's evaluations; empty for a ticket that collapsed."""
        if not self._has(key, CURVES):
            return []
        return unpack_curve(self._read(key, CURVES), source=self.directory(key) / CURVES)

    def _tensors(self, key: JobKey | LookKey, name: str) -> dict[str, Tensor]:
        return unpack_tensors(self._read(key, name), source=self.directory(key) / name)[0]

    def _has(self, key: JobKey | LookKey, name: str) -> bool:
        self._check_place(key)
        return os.path.lexists(self.directory(key) / name)

    def _read(self, key: JobKey | LookKey, name: str) -> bytes:
        """The contents of one of a finished job's files, checked against the manifest."""
        self._check_place(key)
        return commit.read_file(self.directory(key), name)

    # Checkpoints: the same protocol, under a name that says how far the job had come.

    def write_checkpoint(self, key: JobKey, checkpoint: Checkpoint) -> None:
        """Keep a training in progress; older checkpoints of it go once the new one is whole."""
        about = {
            "job": str(key),
            "iteration": checkpoint.iteration,
            "values": dict(checkpoint.values),
        }
        self._check_place(key)
        target = self._checkpoint_directory(key, checkpoint.iteration)
        if not target.exists():
            commit.commit_directory(target, {_CHECKPOINT: pack_tensors(checkpoint.tensors, about)})
        for path in self._checkpoints(key):
            if path != target:
                commit.remove(path)

    def read_checkpoint(self, key: JobKey) -> Checkpoint | None:
        """The newest whole checkpoint of a job, or None; others are set aside."""
        for path in self._checkpoints(key):
            try:
                content = commit.read_file(path, _CHECKPOINT)
                return unpack_checkpoint(key, content, path / _CHECKPOINT)
            except StoreError:
                commit.set_aside(path)
        return None

    def set_checkpoints_aside(self, key: JobKey) -> None:
        """Set aside a job's checkpoints, whole as they are, since nothing can go on from them."""
        for path in self._checkpoints(key):
            commit.set_aside(path)

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
            commit.remove(path)
        for name in (directory.name, self._checkpoint_name(key)):
            commit.remove_leftovers(directory.parent, name)

    def _checkpoint_name(self, key: JobKey) -> str:
        return f".checkpoint-{self.directory(key).name}"

    def _checkpoint_directory(self, key: JobKey, iteration: int) -> Path:
        return self.directory(key).parent / f"{self._checkpoint_name(key)}-{iteration:012d}"

    def _checkpoints(self, key: JobKey) -> list[Path]:
        found = self.directory(key).parent.glob(f"{self._checkpoint_name(key)}-*")
        return sorted(found, reverse=True)

    # What analyses found

    def write_measurement(self, name: str, found: Mapping[str, Any]) -> None:
        """Keep what an analysis found, in place of what it found before, with a hash of it."""
        plain = json.loads(json.dumps(found, allow_nan=False))
        text = json.dumps({**plain, RECORD_HASH: record_hash(plain)}) + "\n"
        commit.write_file(self.measurement_path(name), text.encode())

    def read_measurement(self, name: str) -> Any:
        """What is kept of an analysis, as plain JSON of which only the hash was checked.

        Returns:
            It without its hash; None where nothing is kept.

        Raises:
            StoreError: it cannot be read, is no JSON, or not what was written.
        """
        source = self.measurement_path(name)
        if not os.path.lexists(source):
            return None
        found = read_json(source)
        if isinstance(found, dict):
            check_record(found, source)
            found.pop(RECORD_HASH, None)
        return found

    def measurement_path(self, name: str) -> Path:
        """Where what an analysis found is kept."""
        return self.path / ANALYSES / f"{name}.json"

    # Tickets that were found elsewhere

    def write_given(self, ticket: Ticket) -> str:
        """Keep a ticket that a run is given; the hash by which it is read again."""
        name = ticket_sha256(ticket)
        write_ticket(ticket, self._given(name))
        return name

    def given(self, name: str) -> Ticket:
        """A ticket that the run was given.

        Raises:
            StoreError: it is missing, damaged, or another one.
        """
        path = self._given(name)
        if problem := why_no_directory(path.parent) or why_no_file(path):
            raise StoreError(problem)
        found = read_ticket(path)
        if ticket_sha256(found) != name:
            raise StoreError(f"{path} is another ticket than its name says")
        return found

    def _given(self, name: str) -> Path:
        return self.path / GIVEN / f"{name}.safetensors"

    def names_in(self, folder: str) -> list[str]:
        """What there is in a folder of the run, but for what begins with a dot; empty without one.

        Raises:
            StoreError: it is no directory, or cannot be read.
        """
        path = self.path / folder
        if problem := why_no_directory(path):
            raise StoreError(problem)
        try:
            return sorted(one.name for one in path.iterdir() if not one.name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from error

    # What went wrong

    def corrupt(self) -> list[Path]:
        """Everything that was set aside in this run."""
        return sorted(self.path.rglob(f"{commit.CORRUPT}*"))
