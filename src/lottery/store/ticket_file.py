"""Ticket files: one ticket as one small file, with masks as bits and without pruned weights.

A file may come from anyone: sizes are checked before memory is allocated for them, and no code that
it names is imported or run.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from lottery.core import Mask
from lottery.errors import StoreError
from lottery.store.commit import write_file
from lottery.store.files import read_plain
from lottery.store.tensors import pack_tensors, parts, unpack_tensors
from lottery.store.ticket_header import (
    FORMAT,
    HASH,
    KEPT,
    MASK,
    PRUNED,
    VERSION,
    WEIGHTS,
    header_problems,
    tensor_problems,
)
from lottery.tickets import Ticket
from lottery.training.progress import below

_MOST_BYTES: Final = 2**40
_SHOWN: Final = 200
"""Problems that a message names, and characters of each, at most."""


def write_ticket(ticket: Ticket, path: Path) -> None:
    """Write a ticket as one file, whole or not at all; an existing file is replaced.

    Raises:
        StoreError: it cannot be written, or holds a value that could not be read again.
    """
    content = pack_ticket_file(ticket)
    # What could not be read again is found out now, not by whoever it is given to.
    unpack_ticket_file(content, source=path)
    write_file(path, content)


def read_ticket(path: Path) -> Ticket:
    """Read a ticket file, which may come from anyone.

    Raises:
        StoreError: there is no such file, or it is damaged or not a ticket file.
    """
    # Whoever named the file may have named a link; nothing that the file says is followed.
    content = read_plain(path.resolve(), most=_MOST_BYTES)
    try:
        return unpack_ticket_file(content, source=path)
    except MemoryError as error:
        raise StoreError(f"cannot read {path}: its weights do not fit the memory") from error


def pack_ticket_file(ticket: Ticket) -> bytes:
    """A ticket as the bytes of one safetensors file; see the page on the on-disk format.

    Weights that share memory with a masked one are written once, as that one.

    Raises:
        StoreError: its provenance is no plain JSON.
    """
    mask, tied = ticket.mask, _tied(ticket)
    tensors: dict[str, Tensor] = {}
    for name, kept in mask.items():
        tensors[f"{MASK}{name}"] = torch.from_numpy(np.packbits(kept.numpy()))
        tensors[f"{KEPT}{name}"] = ticket.weights[name].detach().cpu()[kept]
        if ticket.pruned is not None:
            tensors[f"{PRUNED}{name}"] = ticket.pruned[name].detach().cpu()[~kept]
    for name, value in ticket.weights.items():
        if name not in mask and name not in tied:
            tensors[f"{WEIGHTS}{name}"] = value
    values = {
        "format": FORMAT,
        "version": VERSION,
        "shapes": {name: list(kept.shape) for name, kept in mask.items()},
        "tied": tied,
        "iteration": ticket.iteration,
        "provenance": dict(ticket.provenance),
    }
    try:
        unnamed = pack_tensors(tensors, values)
        return pack_tensors(tensors, {**values, HASH: contents_sha256(unnamed)})
    except (TypeError, ValueError) as error:
        raise StoreError(f"a ticket's provenance must be plain JSON: {error}") from error


def contents_sha256(content: bytes) -> str:
    """SHA-256 (hex) of the contents of a ticket file, without this hash itself.

    Of the canonical JSON of its values and its table of tensors, followed by the tensors' bytes.
    """
    table, values, data = parts(content)
    about = {"tensors": table, "values": {k: v for k, v in values.items() if k != HASH}}
    canonical = json.dumps(about, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode() + data).hexdigest()


def ticket_sha256(ticket: Ticket) -> str:
    """SHA-256 (hex) of a ticket's file without provenance: equal for equal tickets."""
    return contents_sha256(pack_ticket_file(replace(ticket, provenance={})))


def unpack_ticket_file(content: bytes, *, source: Path) -> Ticket:
    """Read the bytes of a ticket file, which may come from anyone.

    Raises:
        StoreError: lists everything that is wrong.
    """
    tensors, values = unpack_tensors(content, source=source)
    wrong = header_problems(values) or tensor_problems(tensors, values)
    if not wrong and contents_sha256(content) != values[HASH]:
        wrong = [f"{HASH}: its contents have another"]
    if wrong:
        said = "; ".join(phrase[:_SHOWN] for phrase in wrong[:_SHOWN])
        raise StoreError(f"{source} is no whole ticket file: {said}")
    kept = {n: _unpacked(tensors[f"{MASK}{n}"], shape) for n, shape in values["shapes"].items()}
    weights = below(WEIGHTS, tensors)
    weights |= {name: _scattered(bits, tensors[f"{KEPT}{name}"]) for name, bits in kept.items()}
    held = {name: _scattered(~kept[name], value) for name, value in below(PRUNED, tensors).items()}
    for other, name in values["tied"].items():
        if name in held:  # It is one weight, which has one value where it is pruned.
            weights[name] = torch.where(kept[name], weights[name], held[name])
        weights[other] = weights[name]
    return Ticket(
        mask=Mask(kept),
        weights=weights,
        iteration=values["iteration"],
        provenance=values["provenance"],
        pruned=held or None,
    )


def _tied(ticket: Ticket) -> dict[str, str]:
    """Other names of masked weights -> the name in the mask: those that share memory."""
    places = {_place(ticket.weights[name]): name for name in ticket.mask}
    return {
        other: places[_place(value)]
        for other, value in ticket.weights.items()
        if other not in ticket.mask and value.numel() and _place(value) in places
    }


def _place(value: Tensor) -> tuple[object, ...]:
    return value.data_ptr(), value.dtype, value.shape, value.stride()


def _unpacked(bits: Tensor, shape: Any) -> Tensor:
    unpacked = np.unpackbits(bits.numpy(), count=math.prod(shape))
    return torch.from_numpy(unpacked).view(torch.bool).reshape(shape)


def _scattered(where: Tensor, values: Tensor) -> Tensor:
    """Values at the places that are true, in their order; zero elsewhere."""
    found = torch.zeros(where.shape, dtype=values.dtype)
    found[where] = values
    return found
