"""The states of objects as tensors and plain JSON values, and back, without pickles."""

from __future__ import annotations

import math
import random
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from lottery.errors import UsageError

_DICTS: Final = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}


def object_state(value: Any) -> Any:
    """The state of an object, to be saved.

    Args:
        value: a model, optimizer, scheduler, scaler or other object with ``state_dict`` and
            ``load_state_dict``; a random generator of torch, numpy or Python; a dict or a list.

    Raises:
        UsageError: it is none of these.
    """
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return value.state_dict()
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, dict | list):
        return value
    raise UsageError(
        f"session.resume: expected objects with state_dict and load_state_dict, random generators, "
        f"dicts or lists, got {type(value).__name__}"
    )


def load_object_state(value: Any, state: Any) -> None:
    """Restore, in place, a state that `object_state` returned."""
    if isinstance(value, torch.Generator):
        value.set_state(state)
    elif isinstance(value, np.random.Generator):
        value.bit_generator.state = state
    elif isinstance(value, random.Random):
        value.setstate(state)
    elif isinstance(value, list):
        value[:] = state
    elif isinstance(value, nn.Module) or not isinstance(value, dict):
        value.load_state_dict(state)
    else:
        value.clear()
        value.update(state)


def flatten(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Turn nested containers, numbers, strings and tensors into plain JSON; tensors go beside it.

    Args:
        value: the state of an object.
        name: the object's name, for error messages.
        tensors: label -> copy on the CPU of each tensor and array; entries are added.

    Returns:
        Plain JSON with labels in the places of tensors; `unflatten` turns it back.

    Raises:
        UsageError: the state contains a value of another type.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if type(value) is list:
        return [flatten(one, f"{name}/{i}", tensors) for i, one in enumerate(value)]
    if type(value) in (tuple, torch.Size):
        return {"tuple": [flatten(one, f"{name}/{i}", tensors) for i, one in enumerate(value)]}
    if isinstance(value, Mapping) and type(value).__name__ in _DICTS:
        pairs = [
            [flatten(key, f"{name}/keys/{i}", tensors), flatten(one, f"{name}/{key}", tensors)]
            for i, (key, one) in enumerate(value.items())
        ]
        return {type(value).__name__: pairs}
    if type(value) in (Tensor, nn.Parameter):
        tensors[label := str(len(tensors))] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": [label, str(value.device)]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        # As bytes, since not every type of an array is one of tensors.
        as_bytes = torch.from_numpy(np.frombuffer(value.tobytes(), np.uint8).copy())
        tensors[label := str(len(tensors))] = as_bytes
        return {"array": [label, value.dtype.str, list(value.shape)]}
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return {"scalar": [flatten(value.item(), name, tensors), value.dtype.str]}
    raise UsageError(
        f"session.checkpoint: {name.replace('/', ' > ')} is of type {type(value).__name__}; a "
        "state is saved as tensors, numbers, strings, and dicts, lists and tuples of these: leave "
        "it out of state_dict, or turn it into these there"
    )


def unflatten(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The state that `flatten` was given; tensors are copies, on the device they were on."""
    if isinstance(value, list):
        return [unflatten(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(unflatten(one, tensors) for one in content)
    if kind in _DICTS:
        return _DICTS[kind]({unflatten(k, tensors): unflatten(v, tensors) for k, v in content})
    if kind == "tensor":
        label, device = content
        return tensors[label].to(device, copy=True)
    if kind == "array":
        label, dtype, shape = content
        found = np.frombuffer(tensors[label].numpy().tobytes(), np.dtype(dtype))
        return found.reshape(shape).copy()
    number, dtype = content
    return np.dtype(dtype).type(unflatten(number, tensors))
