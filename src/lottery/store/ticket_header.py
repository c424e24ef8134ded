"""Checks of a ticket file's header, and that its tensors have the sizes the header states."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, get_args

import numpy as np
import torch
from torch import Tensor

from lottery.store.jobs import BRANCH, MEASURED, SHARE, Status
from lottery.store.schema import (
    MOST,
    MOST_INPUTS,
    TEXT,
    Kind,
    number,
    one_of,
    schema_problems,
    shape,
    table_of,
    whole,
)
from lottery.training.curve import value_problem

FORMAT: Final = "lottery ticket"
VERSION: Final = 1
HASH: Final = "sha256"
MASK, KEPT, PRUNED, WEIGHTS = "mask/", "kept/", "pruned/", "weights/"

_LONGEST: Final = 4096
_MOST_FIELDS: Final = 200
_TRAINED_IN = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


_SHORT = Kind(
    f"text of at most {_LONGEST:,} characters",
    lambda value: isinstance(value, str) and len(value) <= _LONGEST,
)
_HEX = Kind(
    "64 hexadecimal digits",
    lambda value: (
        isinstance(value, str) and len(value) == 64 and not value.strip("0123456789abcdef")
    ),
)
_TOLD = Kind(
    f"{_SHORT.expected}, or a finite number",
    lambda value: _SHORT.fits(value) or number(-1e300, 1e300).fits(value),
)

_FIELDS: Final[Mapping[str, Kind]] = {
    "format": TEXT,
    "version": whole(VERSION, VERSION),
    "shapes": Kind(
        "a table of the masks' shapes, each of at most 8 whole numbers from 1",
        lambda value: bool(value) and table_of(shape(MOST)).fits(value),
    ),
    "tied": table_of(_SHORT),
    "iteration": whole(),
    "provenance": Kind(
        f"a table of at most {_MOST_FIELDS} fields",
        lambda value: isinstance(value, dict) and len(value) <= _MOST_FIELDS,
    ),
    HASH: _HEX,
}
PROVENANCE: Final[Mapping[str, Kind]] = {
    "experiment": _SHORT,
    "task": _SHORT,
    "model": _SHORT,
    "data": _SHORT,
    "data_sha256": _HEX,
    "input_shape": shape(MOST_INPUTS),
    "classes": whole(1, 2**24),
    "seed": whole(0, 2**64),
    "replicate": whole(),
    "branch": BRANCH,
    "level": whole(),
    "density": SHARE,
    "method": _SHORT,
    "criterion": _SHORT,
    "rewind": _SHORT,
    "pruned_weights": _SHORT,
    "status": one_of(get_args(Status)),
    "score_name": _SHORT,
    "score": MEASURED,
    "dense_score": MEASURED,
    "verdict": _SHORT,
    "identity": _HEX,
    "lottery": _SHORT,
    "torch": _SHORT,
    "engine": _SHORT,
    "device": _SHORT,
}
"""Field of a ticket file's provenance -> what it may hold; any may be missing. Others hold short
texts or finite numbers."""


def header_problems(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with the values in a header, one phrase each."""
    if values.get("format") != FORMAT:
        return [f"format: expected '{FORMAT}'"]
    wrong = schema_problems(values, _FIELDS)
    wrong += [f"{name}: no such field" for name in values if name not in _FIELDS]
    if wrong:
        return wrong
    said = values["provenance"]
    kinds = {name: PROVENANCE.get(name, _TOLD) for name in said}
    wrong = [
        f"provenance.{name}: expected {kinds[name].expected}"
        for name, value in said.items()
        if not kinds[name].fits(value)
    ]
    wrong += [
        f"tied.{other}: expected the name of a mask, and another itself, got '{name}'"
        for other, name in values["tied"].items()
        if name not in values["shapes"] or other in values["shapes"]
    ]
    scores = [said[name] for name in ("score", "dense_score") if name in said and not wrong]
    problems = (value_problem(said.get("score_name", "score"), score) for score in scores)
    return [*wrong, *(f"provenance: {problem}" for problem in problems if problem)]


def tensor_problems(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> list[str]:
    """Where tensors differ from what a valid header states, one phrase each.

    Sizes are compared before anything is unpacked.
    """
    shapes, held = values["shapes"], any(name.startswith(PRUNED) for name in tensors)
    per_mask = (MASK, KEPT, PRUNED) if held else (MASK, KEPT)
    expected = {f"{prefix}{name}" for name in shapes for prefix in per_mask}
    found = {name for name in tensors if not name.startswith(WEIGHTS)}
    wrong = [f"{name}: is missing" for name in sorted(expected - found)]
    wrong += [f"{name}: no such tensor" for name in sorted(found - expected)]
    masked = {*shapes, *values["tied"]}
    wrong += [f"{WEIGHTS}{n}: a mask is of it" for n in masked if f"{WEIGHTS}{n}" in tensors]
    for name, sizes in shapes.items():
        wrong += [] if wrong else _mask_problems(name, math.prod(sizes), tensors)
    if wrong:
        return wrong
    wrong = [
        f"{name}: holds values that are no numbers"
        for name in sorted(tensors)
        if _odd(name, tensors[name])
    ]
    kept = sum(tensors[f"{KEPT}{name}"].numel() for name in shapes)
    total = sum(map(math.prod, shapes.values()))
    stated = values["provenance"].get("density", kept / total)
    if abs(stated - kept / total) > 1e-9:
        wrong.append(f"provenance.density: expected {kept:,} / {total:,}, got {stated}")
    return wrong


def _odd(name: str, value: Tensor) -> bool:
    """Whether values are no numbers; buffers such as an attention's mask may be infinite."""
    if not value.is_floating_point():
        return False
    odd = value.float().isnan() if name.startswith(WEIGHTS) else ~value.isfinite()
    return bool(odd.any())


def _mask_problems(name: str, total: int, tensors: Mapping[str, Tensor]) -> list[str]:
    bits = tensors[f"{MASK}{name}"]
    if bits.dtype != torch.uint8 or tuple(bits.shape) != ((total + 7) // 8,):
        return [f"{MASK}{name}: expected {(total + 7) // 8:,} bytes for {total:,} weights"]
    beyond = np.unpackbits(bits.numpy()[-1:])[total % 8 :] if total % 8 else np.zeros(0)
    if beyond.any():
        return [f"{MASK}{name}: has bits beyond its {total:,} weights"]
    kept = int(np.unpackbits(bits.numpy()).sum())
    lengths = {KEPT: kept, PRUNED: total - kept}
    return [
        f"{prefix}{name}: expected {count:,} floating-point numbers"
        for prefix, count in lengths.items()
        if (values := tensors.get(f"{prefix}{name}")) is not None
        and (values.dtype not in _TRAINED_IN or tuple(values.shape) != (count,))
    ]
