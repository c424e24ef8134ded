"""The files of a finished job: packing, unpacking, and checking that they belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from lottery.core import Mask
from lottery.errors import MaskError, StoreError
from lottery.store.curves import pack_curve, unpack_curve
from lottery.store.jobs import JobKey, JobResult
from lottery.store.tensors import (
    is_iteration,
    pack_tensors,
    pack_ticket,
    unpack_tensors,
    unpack_ticket,
)
from lottery.tickets import Ticket
from lottery.training import Checkpoint, CurvePoint, TrainingResult
from lottery.training.progress import below

TICKET, FINAL, CURVES, RESULT = (
    "ticket.safetensors",
    "final.safetensors",
    "curves.csv",
    "result.json",
)
REWIND, NOTES = "rewind.safetensors", "notes.safetensors"
"""Files that old runs have beside a dense network's own; see `lottery.store.looks`."""
MASK = "mask/"
EARLY_STOP = "early-stop/"


def pack_job(ticket: Ticket, result: JobResult, trained: TrainingResult | None) -> dict[str, bytes]:
    """The files of a finished job: name -> contents.

    Args:
        ticket: the ticket that the job trained.
        result: the job's result.
        trained: the result of training; None for a ticket that collapsed and was not trained.
    """
    files = {TICKET: pack_ticket(ticket), RESULT: result.to_json().encode()}
    if trained is None:
        return files
    files[CURVES] = pack_curve(trained.curve)
    if trained.status == "done":
        files[FINAL] = pack_tensors(
            {f"end/{name}": value for name, value in trained.final.items()}
            | {f"{EARLY_STOP}{name}": value for name, value in trained.early_stop.items()}
            | {f"{MASK}{name}": kept for name, kept in (trained.mask or {}).items()}
        )
    return files


def unpack_result(key: JobKey, content: bytes, *, source: Path) -> JobResult:
    """Read a job's ``result.json``.

    Raises:
        StoreError: it is not a result, or that of another job.
    """
    result = JobResult.from_json(content.decode(errors="replace"), source=source)
    if result.key != key:
        raise StoreError(f"{source} is the result of {result.key}, not {key}")
    return result


def check_job(key: JobKey, files: Mapping[str, bytes], directory: Path) -> JobResult:
    """Check that files are those of a finished job, and of this one.

    Args:
        key: the job whose directory they are in.
        files: name -> contents.
        directory: the directory, for error messages.

    Returns:
        The job's result.

    Raises:
        StoreError: a file is missing, has wrong contents, or belongs to another job.
    """

    def content(name: str) -> bytes:
        if name not in files:
            raise StoreError(f"{directory / name} is missing")
        return files[name]

    result = unpack_result(key, content(RESULT), source=directory / RESULT)
    ticket = unpack_ticket(content(TICKET), source=directory / TICKET)
    _check_ticket(ticket, result, directory / TICKET)
    if result.status != "collapsed":
        _check_curve(unpack_curve(content(CURVES), source=directory / CURVES), result, directory)
    tensors = {
        name: unpack_tensors(content(name), source=directory / name)[0]
        for name in (FINAL, REWIND, NOTES)
        if name in files or (name == FINAL and result.status == "done")
    }
    # Without an early stop, and of some trainings with one, no weights are kept of it.
    early = any(name.startswith(EARLY_STOP) for name in tensors.get(FINAL, ()))
    parts = ((FINAL, "end/"), *([(FINAL, EARLY_STOP)] if early else ()), (REWIND, ""))
    for name, prefix in parts:
        if name in tensors:
            _check_weights(ticket, tensors[name], prefix, directory / name)
    # Of a training that diverged nothing is kept that tells where its mask had moved to.
    if result.status == "done":
        mask = mask_at_end(ticket.mask, tensors[FINAL], source=directory / FINAL)
        if dict(result.layers) != mask.layers:
            raise StoreError(f"{directory / RESULT}: layers: expected what the mask keeps")
    return result


def mask_at_end(ticket: Mask, final: Mapping[str, Tensor], *, source: Path) -> Mask:
    """The mask at the end of a training: the ticket's mask, unless it changed during training.

    Args:
        ticket: the mask at the start.
        final: the tensors of ``final.safetensors``.
        source: that file, for error messages.

    Raises:
        StoreError: the mask at the end has other names or shapes than the ticket's.
    """
    kept = below(MASK, final)
    if not kept:
        return ticket
    try:
        mask = Mask(kept)
        mask.check(dict(ticket))
    except MaskError as error:
        raise StoreError(f"{source}: {error}") from error
    return mask


def _check_curve(curve: Sequence[CurvePoint], result: JobResult, directory: Path) -> None:
    at = [point.iteration for point in curve]
    if at and not result.start_iteration <= min(at) <= max(at) <= result.iterations:
        raise StoreError(
            f"{directory / CURVES}: iteration: expected {result.start_iteration:,} to "
            f"{result.iterations:,}, got {min(at):,} to {max(at):,}"
        )


def _check_weights(
    ticket: Ticket, tensors: Mapping[str, Tensor], prefix: str, source: Path
) -> None:
    """Check that a state has every weight that the ticket has a mask of."""
    for layer, kept in ticket.mask.items():
        weight = tensors.get(f"{prefix}{layer}")
        if weight is None or weight.shape != kept.shape:
            raise StoreError(
                f"{source}: {prefix}{layer}: expected a tensor of the shape {list(kept.shape)} of "
                "the ticket's mask"
            )


def _check_ticket(ticket: Ticket, result: JobResult, source: Path) -> None:
    made_for = {"replicate": result.replicate, "branch": result.branch, "level": result.level}
    said = ticket.provenance
    # What came before provenance was kept does not say.
    if any(said.get(name, value) != value for name, value in made_for.items()):
        named = ", ".join(f"{name} {said.get(name)}" for name in made_for)
        raise StoreError(f"{source} is the ticket of {named}, not of {result.key}")
    if result.provenance and dict(result.provenance) != dict(said):
        raise StoreError(f"{source}: provenance: expected what result.json beside it says")
    if ticket.iteration != result.start_iteration:
        raise StoreError(
            f"{source}: iteration: expected {result.start_iteration:,} as result.json beside it "
            f"says, got {ticket.iteration:,}"
        )
    totals = {name: total for name, (_, total) in result.layers.items()}
    if totals != {name: total for name, (_, total) in ticket.mask.layers.items()}:
        raise StoreError(f"{source}: its mask is not of the layers in result.json beside it")


def unpack_checkpoint(key: JobKey, content: bytes, source: Path) -> Checkpoint:
    """Read a job's checkpoint.

    Raises:
        StoreError: it is not a checkpoint, or that of another job.
    """
    tensors, about = unpack_tensors(content, source=source)
    iteration, kept = about.get("iteration"), about.get("values")
    if not is_iteration(iteration) or not isinstance(kept, dict):
        raise StoreError(f"{source} does not say its iteration and values")
    # Once, checkpoints did not say whose they are.
    if about.get("job", str(key)) != str(key):
        raise StoreError(f"{source} is a checkpoint of {about['job']}, not of {key}")
    return Checkpoint(iteration=iteration, tensors=tensors, values=kept)
