"""The store of a run on disk: one committed directory for each job."""

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
    mask_at_end,
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
    with_hash,
)
from lottery.store.jobs import JobKey, JobResult
from lottery.store.looks import LOOK, LookKey, look_key, pack_look, unpack_look
from lottery.store.tensors import pack_tensors, unpack_tensors, unpack_ticket
from lottery.store.ticket_file import read_ticket, ticket_sha256, write_ticket
from lottery.tickets import EarlyBirdMask, Ticket
from lottery.training import Checkpoint, CurvePoint, State, TrainingResult
from lottery.training.progress import below

EXPERIMENT = "experiment.json"
ANALYSES = "analyses"
"""The folder of what analyses found."""
GIVEN = "given"
"""The folder of tickets that were found elsewhere."""
_CHECKPOINT = "state.safetensors"

Moment = Literal["end", "early-stop"]
"""Which of a training's two kept states: the last one, or the one at early stop."""


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
        text = json.dumps(with_hash(experiment), indent=2) + "\n"
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
        """Rename ``experiment.json``, so that another can be written; the new path."""
        return commit.set_aside(self.path / EXPERIMENT)

    # Jobs

    def directory(self, key: JobKey | LookKey) -> Path:
        """The directory of a job's files once it is finished."""
        return self.path / key.path

    def is_there(self, key: JobKey | LookKey) -> bool:
        """Whether anything is at the place of a job's files, whatever it is."""
        return self._in_the_way(key) is not None or os.path.lexists(self.directory(key))

    def is_finished(self, key: JobKey | LookKey) -> bool:
        """Whether a job has a manifest, or something in its place; contents are not checked."""
        manifest = self.directory(key) / commit.MANIFEST
        return self._in_the_way(key) is not None or os.path.lexists(manifest)

    def problems(self, key: JobKey) -> list[str]:
        """What is wrong with a finished job's files, one sentence each; empty if nothing is."""
        return self.examine(key)[1]

    def examine(self, key: JobKey) -> tuple[JobResult | None, list[str]]:
        """A finished job's result, and what is wrong with its files, one sentence each.

        Every file is read and checked: its hash, its contents, and that it belongs to this job.
        The result is None if anything is wrong.
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
        """What is wrong with a look's files, one sentence each; empty if nothing is."""
        try:
            self.look(key)
        except StoreError as error:
            return [str(error)]
        return commit.problems(self.directory(key))

    def looks(self, replicate: int) -> list[LookKey]:
        """The looks of a replicate that are on disk, in the order of their names."""
        folder = self.path / f"replicate-{replicate}" / "looks"
        keys = (look_key(replicate, path.name) for path in sorted(folder.glob("*-*")))
        return [key for key in keys if key is not None]

    def set_aside(self, key: JobKey | LookKey) -> Path:
        """Rename what is at the place of a job's files; the new path."""
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
            ticket: the ticket that it trained.
            result: its result.
            trained: the result of training; None for a ticket that collapsed and was not trained.
            about: identity and origin of the job, for the manifest: see `about`.
        """
        self._commit(result.key, pack_job(ticket, result, trained), about)
        self.drop_checkpoints(result.key)

    def write_look(
        self, key: LookKey, found: State | EarlyBirdMask, about: Mapping[str, Any] | None = None
    ) -> None:
        """Commit a look: a state, or an Early-Bird mask, of the dense network in training."""
        self._commit(key, pack_look(key, found), about)

    def _commit(
        self, key: JobKey | LookKey, files: Mapping[str, bytes], about: Mapping[str, Any] | None
    ) -> None:
        self._check_place(key)
        commit.commit_directory(self.directory(key), files, about)

    def about(self, key: JobKey | LookKey) -> dict[str, Any]:
        """Identity and origin of a finished job, from its manifest; empty in old runs.

        ``identity``: the job's identity; ``computed``: engine, device and versions; ``made_from``:
        job or look that it was made from -> SHA-256 of its contents; ``ticket_seconds``: what
        making its ticket took.

        Raises:
            StoreError: there is no manifest, or it is not one of this library.
        """
        self._check_place(key)
        return commit.about(self.directory(key))

    def contents_hash(self, key: JobKey | LookKey) -> str:
        """SHA-256 (hex) of all files of a finished job but ``result.json``.

        Raises:
            StoreError: there is no manifest, or it is not one of this library.
        """
        self._check_place(key)
        return contents_hash(commit.hashes(self.directory(key)))

    def take_from(self, other: Store, key: JobKey | LookKey) -> None:
        """Copy a finished job or look from another run into this one.

        Raises:
            StoreError: its files are damaged there, or cannot be written here.
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
        """The mask at the end of a finished job: its ticket's, unless it changed during training.

        Raises:
            StoreError: the file is damaged, or its mask does not fit the ticket's.
        """
        ticket = self.ticket(key).mask
        if not self._has(key, FINAL):
            return ticket
        return mask_at_end(ticket, self._tensors(key, FINAL), source=self.directory(key) / FINAL)

    def look(self, key: LookKey) -> State | EarlyBirdMask:
        """Read a look: a state, or an Early-Bird mask.

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
        """Write a checkpoint; older ones of the job are removed once the new one is whole."""
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
        """The newest checkpoint of a job that is whole, or None; damaged ones are set aside."""
        for path in self._checkpoints(key):
            try:
                content = commit.read_file(path, _CHECKPOINT)
                return unpack_checkpoint(key, content, path / _CHECKPOINT)
            except StoreError:
                commit.set_aside(path)
        return None

    def set_checkpoints_aside(self, key: JobKey) -> None:
        """Set aside a job's checkpoints, which are whole but cannot be resumed from."""
        for path in self._checkpoints(key):
            commit.set_aside(path)

    def checkpoint_iteration(self, key: JobKey) -> int | None:
        """The iteration of a job's newest checkpoint, from its name alone; None without one."""
        for path in self._checkpoints(key):
            iteration = path.name.rpartition("-")[2]
            if iteration.isdecimal() and (path / commit.MANIFEST).is_file():
                return int(iteration)
        return None

    def drop_checkpoints(self, key: JobKey) -> None:
        """Remove a finished job's checkpoints, and temporary files of killed processes."""
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
        text = json.dumps(with_hash(found)) + "\n"
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
        """The file with the result of an analysis."""
        return self.path / ANALYSES / f"{name}.json"

    # Tickets that were found elsewhere

    def write_given(self, ticket: Ticket) -> str:
        """Store a ticket that the run is given; its SHA-256, by which it is read again."""
        name = ticket_sha256(ticket)
        write_ticket(ticket, self._given(name))
        return name

    def given(self, name: str) -> Ticket:
        """A ticket that the run was given.

        Raises:
            StoreError: it is missing, damaged, or not the ticket that its name says.
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

    # What went wrong

    def corrupt(self) -> list[Path]:
        """Everything that was set aside in this run."""
        return sorted(self.path.rglob(f"{commit.CORRUPT}*"))
