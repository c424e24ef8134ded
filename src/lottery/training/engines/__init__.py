"""Engines by name; each has a package of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import torch
from torch import nn

from lottery.errors import (
    LotteryError,
    MissingPackageError,
    UsageError,
    describe_error,
    unknown_name,
)
from lottery.training.config import TrainingConfig
from lottery.training.engines.torch_engine import TorchEngine
from lottery.training.interface import Engine

_CANNOT: Final = {
    "augments": "it takes the examples as they are, and data.augmentation is set",
    "learns_masks": "it trains weights, not masks, and controls.edge_popup or supermask is set",
    "holds_values": "its pruned weights are zero, and method.pruned says otherwise",
    "updates_masks": "its kernels are made for one mask, and the method changes masks in training",
}
"""Attribute of `Engine` that some jobs need -> why an engine without it cannot train them."""


def _sparse_cpu(device: torch.device) -> Engine:
    """Compiled kernels that skip pruned weights: fully connected networks, on the CPU."""
    # numba takes a while to load, and only this engine needs it.
    try:
        from lottery.training.engines.sparse_cpu import SparseCpuEngine
    except ImportError as error:
        raise MissingPackageError("the engine sparse_cpu", "numba") from error
    except Exception as error:
        raise UsageError(
            f"the engine sparse_cpu needs numba, which fails to load with {describe_error(error)}; "
            "look at the environment variables that begin with NUMBA_"
        ) from error
    return SparseCpuEngine(device)


ENGINES: Final[dict[str, Callable[[torch.device], Engine]]] = {
    "sparse_cpu": _sparse_cpu,
    "torch": TorchEngine,
}
"""Name of an engine -> what makes it for a device."""

# Fastest first; `auto` takes the first that can train the network. The last one trains any.
_PREFERENCE: Final = ("sparse_cpu", "torch")


def make_engine(
    name: str,
    device: torch.device,
    *,
    model: nn.Module | None = None,
    config: TrainingConfig | None = None,
    needs: Collection[str] = (),
) -> Engine:
    """An engine by name; ``auto`` is the fastest that can train the model.

    Args:
        name: ``auto`` or a key of `ENGINES`.
        device: where to train.
        model: a network like those to train. Without it ``auto`` is the engine that trains any
            network, and it is not checked whether the engine can train it.
        config: how to train it; None: the default config.
        needs: what some of the jobs need: ``augments``, ``learns_masks``, ``holds_values`` or
            ``updates_masks``, see `Engine`.

    Raises:
        UsageError: no such engine, or it cannot train the model.
        MissingPackageError: the engine needs a package that is not installed.
    """
    if name not in ("auto", *ENGINES):
        raise UsageError(unknown_name("engine", name, ["auto", *ENGINES]))
    if model is None:
        return ENGINES[_PREFERENCE[-1] if name == "auto" else name](device)
    config = config or TrainingConfig()
    if name == "auto":
        return _fastest(device, model, config, needs)
    engine = ENGINES[name](device)
    reason = _refusal(engine, model, config, needs)
    if reason is not None:
        raise UsageError(f"engine '{name}' cannot train this: {reason}. Use --engine auto")
    return engine


def refused_engines(
    device: torch.device,
    model: nn.Module,
    config: TrainingConfig,
    *,
    needs: Collection[str] = (),
) -> dict[str, str]:
    """Engines that are faster than the one that ``auto`` chooses, and why it does not choose them.

    Args:
        device, model, config, needs: as for `make_engine`.

    Returns:
        name of an engine -> why it cannot train this, in words.
    """
    found: dict[str, str] = {}
    for name in _PREFERENCE[:-1]:
        try:
            reason = _refusal(ENGINES[name](device), model, config, needs)
        except LotteryError as error:
            reason = str(error)
        if reason is None:
            break
        found[name] = reason
    return found


def _fastest(
    device: torch.device,
    model: nn.Module,
    config: TrainingConfig,
    needs: Collection[str],
) -> Engine:
    """The first engine by preference that is installed and can train the model."""
    over = refused_engines(device, model, config, needs=needs)
    engine = ENGINES[next(name for name in _PREFERENCE if name not in over)](device)
    reason = _refusal(engine, model, config, needs)
    if reason is not None:
        raise UsageError(f"no engine can train this: {reason}")
    return engine


def _refusal(
    engine: Engine, model: nn.Module, config: TrainingConfig, needs: Collection[str]
) -> str | None:
    """Why an engine cannot train this, or None."""
    lacks = next((_CANNOT[need] for need in needs if not getattr(engine, need)), None)
    return lacks or engine.refusal(model, config)
