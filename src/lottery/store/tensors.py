"""Tensors as bytes (safetensors) and back, with everything checked before it is used."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import safetensors.torch as safetensors_format
from safetensors import SafetensorError
from torch import Tensor

from lottery.core import Mask
from lottery.errors import MaskError, StoreError
from lottery.store.jobs import is_provenance
from lottery.tickets import Ticket
from lottery.training.progress import below

# A header may name sizes that no memory has.
_NOT_OURS = (
    SafetensorError,
    struct.error,
    ValueError,
    KeyError,
    TypeError,
    OverflowError,
    RuntimeError,
)
_METADATA_KEY = "lottery"
_MASK, _WEIGHTS, _PRUNED = "mask/", "weights/", "pruned/"


def pack_tensors(tensors: Mapping[str, Tensor], values: Mapping[str, Any] | None = None) -> bytes:
    """Tensors, and plain JSON values with them, as the bytes of one safetensors file.

    The same contents give the same bytes: the values go under a single metadata key, since the
    format does not keep several in a fixed order.
    """
    # contiguous clones: the format refuses tensors that share storage.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {_METADATA_KEY: json.dumps(values or {}, sort_keys=True, allow_nan=False)}
    return safetensors_format.save(plain, metadata=metadata)


def unpack_tensors(content: bytes, *, source: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and values that `pack_tensors` wrote.

    Raises:
        StoreError: it is not a safetensors file, or not one of this library.
    """
    try:
        tensors = safetensors_format.load(content)
        _, values, _ = parts(content)
    except _NOT_OURS as error:
        raise StoreError(
            f"{source} is not a file that lottery wrote, or is damaged: expected a ticket, as "
            f"lottery ticket save writes it, or weights of a run ({error})"
        ) from error
    # The library returns them in another order every time.
    return dict(sorted(tensors.items())), values


def parts(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The parts of a safetensors file: its table of tensors, our values, and the tensors' bytes.

    Raises:
        ValueError, KeyError, TypeError, struct.error: it is not a safetensors file, or not one of
            this library.
    """
    (length,) = struct.unpack_from("<Q", content)
    table = _json(content[8 : 8 + length])
    metadata = table.pop("__metadata__")
    values = _json(metadata[_METADATA_KEY])
    if len(metadata) > 1 or not isinstance(values, dict):
        raise TypeError("its values are not one table")
    return table, values, content[8 + length :]


def _json(text: str | bytes) -> Any:
    return json.loads(text, object_pairs_hook=_without_repetition)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON that names nothing twice: readers would differ in which one they take."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header names something twice")
    return found


def pack_ticket(ticket: Ticket) -> bytes:
    """A ticket as the bytes of one safetensors file.

    Its tensors are ``mask/NAME``, ``weights/NAME`` and, where pruned weights are not zero,
    ``pruned/NAME``.
    """
    tensors = {f"{_MASK}{name}": tensor for name, tensor in ticket.mask.items()}
    tensors |= {f"{_WEIGHTS}{name}": tensor for name, tensor in ticket.weights.items()}
    tensors |= {f"{_PRUNED}{name}": value for name, value in (ticket.pruned or {}).items()}
    return pack_tensors(
        tensors, {"iteration": ticket.iteration, "provenance": dict(ticket.provenance)}
    )


def unpack_ticket(content: bytes, *, source: Path) -> Ticket:
    """Read a ticket that may come from anyone.

    Raises:
        StoreError: a name, shape or type is not what a ticket has.
    """
    tensors, values = unpack_tensors(content, source=source)
    mask, weights, pruned = (below(prefix, tensors) for prefix in (_MASK, _WEIGHTS, _PRUNED))
    if len(mask) + len(weights) + len(pruned) != len(tensors):
        raise StoreError(f"{source} holds tensors that are neither masks nor weights")
    iteration, provenance = values.get("iteration"), values.get("provenance")
    if not is_iteration(iteration) or not is_provenance(provenance):
        raise StoreError(f"{source} does not say its rewind iteration and provenance")
    try:
        ticket = Ticket(
            mask=Mask(mask),
            weights=weights,
            iteration=iteration,
            provenance=provenance,
            pruned=pruned or None,
        )
        ticket.mask.check({name: weights[name] for name in mask if name in weights})
        ticket.check_pruned()
    except MaskError as error:
        raise StoreError(f"{source}: {error}") from error
    return ticket


def is_iteration(value: object) -> TypeGuard[int]:
    """Whether a JSON value is a number of iterations: an integer, 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
