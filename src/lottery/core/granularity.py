"""Granularity: what is removed as one unit.

A layer's weight has its outputs first: [outputs, inputs] for Linear, [outputs, inputs, *kernel] for
a convolution. Granularities other than ``channel`` need nothing but names and shapes, and every
weight of a layer they apply to lies in exactly one unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Final

import torch
from torch import Tensor

from lottery.core.allocate import deciding_layer
from lottery.core.coupling import Channel, channel_units
from lottery.core.units import Units
from lottery.errors import UsageError, unknown_name

GRANULARITIES: Final[dict[str, str]] = {
    "weight": "single weights",
    "kernel": "one input-output pair of a convolution; linear layers stay whole",
    "filter": "all weights of one output of a convolution; linear layers stay whole",
    "channel": "one output channel with all that is coupled to it in other layers",
    "neuron": "all weights of one output of a linear layer; convolutions stay whole",
    "block-RxC": "tiles of R outputs by C others of the weight as a matrix, such as block-4x4",
    "N:M": "N of every M consecutive inputs of an output stay, such as 2:4",
    "layer": "whole layers",
    "residual-block": "all weights of one residual block, by the layers' names; not its shortcut",
}
"""What is removed as one unit, and what it is. R, C, N and M are numbers of your choice."""

_BLOCK = re.compile(r"block-([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)
_N_OF_M = re.compile(r"([1-9]\d{0,2}):([1-9]\d{0,2})", re.ASCII)
_WHOLE_LAYERS = ("layer", "residual-block")
_SHORTCUT = re.compile(r"shortcut|downsample")

_Labeller = Callable[[Sequence[int]], Tensor | None]
"""Shape -> a labelling that counts from 0 in the order of each unit's first weight, or None."""


def check_granularity(name: str) -> str | None:
    """What is wrong with a granularity's name, or None.

    >>> check_granularity("2:4"), check_granularity("block-16x1")
    (None, None)
    >>> check_granularity("4:2")
    'granularity 4:2 keeps 4 of every 2 inputs; expected N:M with N below M, such as 2:4'
    """
    matched = _N_OF_M.fullmatch(name)
    if matched:
        n, m = matched.groups()
        if int(n) < int(m):
            return None
        return (
            f"granularity {name} keeps {n} of every {m} inputs; "
            "expected N:M with N below M, such as 2:4"
        )
    if _BLOCK.fullmatch(name) or (name in GRANULARITIES and name not in ("block-RxC", "N:M")):
        return None
    return unknown_name("granularity", name, GRANULARITIES) + (
        " (R, C, N and M are numbers without leading zeros: block-4x4, 2:4)"
    )


def n_of_m(name: str) -> tuple[int, int] | None:
    """The numbers of an N:M granularity; None for any other.

    >>> n_of_m("2:4"), n_of_m("filter")
    ((2, 4), None)
    """
    matched = _N_OF_M.fullmatch(name)
    return (int(matched[1]), int(matched[2])) if matched else None


def granularity_problems(
    granularity: str, scope: str, schedule: str, fractions: Mapping[str, float] | None = None
) -> list[str]:
    """Which settings have no meaning with a granularity: one sentence each, with the reason.

    Args:
        granularity: see `GRANULARITIES`; one that `check_granularity` refuses is the only problem.
        scope, schedule: their names in a config.
        fractions: exceptions by name pattern, see `lottery.core.allocate`.

    >>> granularity_problems("filter", "global", "geometric")
    []
    """
    problem = check_granularity(granularity)
    if problem:
        return [f"granularity: {problem}"]
    found = []
    if _N_OF_M.fullmatch(granularity):
        found += _n_of_m_problems(granularity, scope, schedule, fractions or {})
    elif granularity in _WHOLE_LAYERS and scope != "global":
        found.append(
            f"scope: with granularity '{granularity}' a layer is at most one unit and cannot lose "
            f"a part of it; expected 'global', got '{scope}'"
        )
    elif granularity != "weight" and scope in ("erk", "lamp"):
        found.append(
            f"scope: '{scope}' is defined by counts of single weights; with granularity "
            f"'{granularity}' expected 'global', 'layer' or 'uniform'"
        )
    return found


def _n_of_m_problems(
    granularity: str, scope: str, schedule: str, fractions: Mapping[str, float]
) -> list[str]:
    found = []
    if scope != "layer":
        found.append(
            f"scope: with granularity {granularity} weights compete within each run of inputs, "
            f"never beyond their layer; expected 'layer', got '{scope}'"
        )
    if schedule != "one-shot":
        found.append(
            f"schedule: granularity {granularity} fixes the density, so there is nothing to prune "
            f"after the first level; expected 'one-shot', got '{schedule}'"
        )
    found += [
        f"fractions.'{pattern}': granularity {granularity} fixes the density of every layer; "
        f"expected 0, which leaves a layer whole, got {fraction}"
        for pattern, fraction in fractions.items()
        if fraction != 0
    ]
    return found


def make_units(
    granularity: str,
    shapes: Mapping[str, Sequence[int]],
    *,
    channels: Iterable[Channel] | None = None,
    fractions: Mapping[str, float] | None = None,
    outputs: Collection[str] = (),
) -> Units | None:
    """The units of a network.

    Blocks at the edge of a matrix may be smaller, and so may the last run of n:m: it too keeps at
    most N. The inputs that n:m counts are those of one output at one place of the kernel.

    Args:
        granularity: see `GRANULARITIES`.
        shapes: parameter name -> shape of each prunable weight.
        channels: for ``channel`` alone: from `lottery.core.find_channels`.
        fractions: exceptions by name pattern, see `lottery.core.allocate`: they say which layer is
            the home of a unit of several, see `lottery.core.allocate.deciding_layer`.
        outputs: layers whose outputs are the network's, from `lottery.core.output_layers`. They
            have no units of whole outputs: no neurons and no filters, and with ``layer`` and
            ``residual-block`` they stay whole. Parts of outputs, such as small blocks, can be
            removed.

    Returns:
        The units; None for ``weight``, where every weight is a unit of its own and
        `lottery.core.select` needs no list of them.

    Raises:
        UsageError: no such granularity, the network has no unit of it, or a fraction above 0
            applies to no unit, such as that of an output layer.
        MaskError: the channels do not fit the shapes, or share a slice.
    """
    problem = check_granularity(granularity)
    if problem:
        raise UsageError(problem)
    if granularity == "weight":
        return None
    if granularity == "channel":
        if channels is None:
            raise UsageError(
                "granularity 'channel' needs to know which channels are coupled; "
                "pass channels=find_channels(model, inputs).channels"
            )
        units = channel_units(channels, shapes, fractions)
    elif granularity == "residual-block":
        units = _block_units(shapes, fractions or {}, outputs)
    else:
        outputs = _spared(granularity, shapes, outputs)
        units = _layer_units(granularity, {n: shapes[n] for n in shapes if n not in outputs})
    if not units.count:
        raise UsageError(
            f"granularity '{granularity}' finds nothing to remove; it removes "
            f"{GRANULARITIES.get(granularity, 'tiles')} (outputs of the network stay), and "
            f"the network's layers are {', '.join(f'{n} {tuple(shapes[n])}' for n in shapes)}"
        )
    _check_fractions(granularity, units, fractions or {}, outputs)
    return units


def _check_fractions(
    granularity: str, units: Units, fractions: Mapping[str, float], outputs: Collection[str]
) -> None:
    """Check that every fraction is that of some unit; 0, which only spares, need not be."""
    for pattern, fraction in fractions.items():
        if fraction and not any(fnmatchcase(home, pattern) for home in units.homes):
            named = [name for name in outputs if fnmatchcase(name, pattern)]
            never = f" ({', '.join(named)}: outputs of the network never go)" if named else ""
            raise UsageError(
                f"prune.fractions.'{pattern}': granularity '{granularity}' removes nothing that "
                f"would have this fraction, {fraction}{never}; set it to 0, leave all patterns out "
                f"(--set prune.fractions={{}}), or match layers that decide: "
                f"{', '.join(units.homes)}"
            )


def residual_blocks(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Residual blocks, as far as names tell: module -> the parameters of its residual branch.

    A layer's block is the innermost module around it whose name ends in a digit, such as
    ``layer1.0`` of ``layer1.0.conv2.weight``; a block has two layers or more. Layers whose name has
    ``shortcut`` or ``downsample`` in it are in no block, so that where a block is removed its
    shortcut still carries the signal. It is not checked whether the network adds anything there.

    >>> residual_blocks(["stem.weight", "s1.0.conv1.weight", "s1.0.conv2.weight"])
    {'s1.0': ('s1.0.conv1.weight', 's1.0.conv2.weight')}
    """
    blocks: dict[str, list[str]] = {}
    for name in sorted(names):
        around = name.split(".")[:-2]  # without the layer itself and its parameter
        while around and not around[-1][-1].isdigit():
            around.pop()
        if around and not _SHORTCUT.search(name):
            blocks.setdefault(".".join(around), []).append(name)
    return {block: tuple(members) for block, members in blocks.items() if len(members) > 1}


def _block_units(
    shapes: Mapping[str, Sequence[int]], fractions: Mapping[str, float], outputs: Collection[str]
) -> Units:
    blocks = [names for names in residual_blocks(shapes).values() if not {*names} & {*outputs}]
    members = sorted((deciding_layer(names, fractions), names) for names in blocks)
    return Units(
        labels={
            name: (torch.full([1] * len(shapes[name]), number),)
            for number, (_, names) in enumerate(members)
            for name in names
        },
        homes={home: range(number, number + 1) for number, (home, _) in enumerate(members)},
    )


def _layer_units(granularity: str, shapes: Mapping[str, Sequence[int]]) -> Units:
    labeller, keep = _labeller(granularity)
    labels, homes, first = {}, {}, 0
    for name in sorted(shapes):
        numbers = labeller(shapes[name])
        if numbers is not None and numbers.numel():
            stop = first + int(numbers.max()) + 1
            labels[name] = (numbers + first,)
            homes[name] = range(first, stop)
            first = stop
    return Units(labels=labels, homes=homes, keep=keep)


def _spared(
    granularity: str, shapes: Mapping[str, Sequence[int]], outputs: Collection[str]
) -> list[str]:
    """The layers of these of which a unit would take a whole output, or several."""
    labeller, keep = _labeller(granularity)
    found = []
    for name in outputs:
        numbers = labeller(shapes[name]) if keep is None else None
        if numbers is not None and numbers.numel():
            of_outputs = numbers.flatten(1)
            if bool((of_outputs == of_outputs[:, :1]).all()):
                found.append(name)
    return found


def _labeller(granularity: str) -> tuple[_Labeller, int | None]:
    """How a layer is labelled, and how many weights of a unit stay (None: all or none)."""
    block, n_of_m = _BLOCK.fullmatch(granularity), _N_OF_M.fullmatch(granularity)
    if block:
        return partial(_blocks, rows=int(block[1]), columns=int(block[2])), None
    if n_of_m:
        return partial(_runs, length=int(n_of_m[2])), int(n_of_m[1])
    return _BY_SHAPE[granularity], None


def _kernels(shape: Sequence[int]) -> Tensor | None:
    if len(shape) < 3:
        return None
    return torch.arange(shape[0] * shape[1]).view(*shape[:2], *(1 for _ in shape[2:]))


def _outputs(shape: Sequence[int]) -> Tensor:
    return torch.arange(shape[0]).view(-1, *(1 for _ in shape[1:]))


def _blocks(shape: Sequence[int], *, rows: int, columns: int) -> Tensor:
    height, width = shape[0], math.prod(shape[1:])
    across = math.ceil(width / columns)
    down = torch.arange(height).view(-1, 1) // rows
    return (down * across + torch.arange(width) // columns).view(*shape)


def _runs(shape: Sequence[int], *, length: int) -> Tensor:
    outputs, inputs, places = shape[0], math.prod(shape[1:2]), math.prod(shape[2:])
    runs = math.ceil(inputs / length)
    of_output = torch.arange(outputs).view(-1, 1, 1) * runs
    of_input = torch.arange(inputs).view(1, -1, 1) // length
    return ((of_output + of_input) * places + torch.arange(places)).view(*shape)


_BY_SHAPE: Final[dict[str, _Labeller]] = {
    "kernel": _kernels,
    "filter": lambda shape: _outputs(shape) if len(shape) > 2 else None,
    "neuron": lambda shape: _outputs(shape) if len(shape) == 2 else None,
    "layer": lambda shape: torch.zeros([1] * len(shape), dtype=torch.int64),
}
