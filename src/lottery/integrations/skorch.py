"""Tickets of skorch nets, and a callback with which ``fit`` trains a ticket."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lottery.holding import hold
from lottery.integrations.extra import import_extra
from lottery.integrations.frameworks import seed_all, select_metrics
from lottery.tasks.session import LoopSession

# As skorch calls what the library calls accuracy.
_NAMES = {"acc": "accuracy"}


def skorch_task(
    make_net: Callable[[], Any], train: tuple[Any, Any], test: tuple[Any, Any]
) -> dict[str, Any]:
    """Arguments of `lottery.find_tickets` for a net of skorch.

    Random generators are seeded for each replicate, after ``make_net`` has been called. The curve
    is the net's history of its validation data, one point after each epoch. An interrupted training
    is resumed after the last epoch that it finished.

    Args:
        make_net: returns a new net each time, such as ``NeuralNetClassifier(Net, max_epochs=10)``.
            Masks cover its ``module_``.
        train: X and y for ``fit``.
        test: X and y for ``score``.

    Returns:
        ``make_model``, ``train`` and ``evaluate``. The score is that of the net's ``score``:
        accuracy for classifiers; name any other one: ``score="r2"``.

    Example:
        ``run = lottery.find_tickets(**skorch_task(make_net, (X, y), (X_test, y_test)))``
    """
    return {
        "make_model": partial(_make_model, make_net),
        "train": partial(_train, make_net, train),
        "evaluate": partial(_evaluate, make_net, test),
    }


def ticket_callback(mask: Mapping[str, Tensor], weights: Mapping[str, Tensor] | None = None) -> Any:
    """A skorch callback with which ``fit`` trains a ticket.

    Args:
        mask: parameter name of ``module_`` -> bool tensor, True = kept, such as a `lottery.Mask`.
        weights: the ``state_dict`` that training starts from; None: the module's own weights.

    Raises:
        MissingPackageError: skorch is not installed.

    Example:
        ``NeuralNetClassifier(Net, callbacks=[ticket_callback(ticket.mask, ticket.weights)])``
    """

    class TicketCallback(_callback()):  # type: ignore[misc]
        def __init__(self, mask: Any, weights: Any = None) -> None:
            self.mask, self.weights = mask, weights

        def on_train_begin(self, net: Any, **_: Any) -> None:
            if self.weights is not None:
                net.module_.load_state_dict(dict(self.weights))
            self.held_ = hold(net.module_, self.mask)

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.held_.__exit__(None, None, None)

    return TicketCallback(mask, weights)


def _make_model(make_net: Callable[[], Any]) -> nn.Module:
    seed = torch.initial_seed() % 2**32
    net = make_net()
    seed_all(seed)
    module: nn.Module = net.initialize().module_
    return module


def _net(make_net: Callable[[], Any], model: nn.Module) -> Any:
    """A new net of this very module."""
    net = make_net()
    # A function, since an instance is made again where the net has settings for it.
    return net.set_params(module=lambda **_: model)


def _train(
    make_net: Callable[[], Any], data: tuple[Any, Any], model: nn.Module, session: LoopSession
) -> None:
    net = _net(make_net, model)
    state = _NetState(net)
    net.set_params(callbacks=[*(net.callbacks or ()), ("lottery", _following(session, state))])
    net.initialize()
    seed_all(session.seed("net"))
    session.resume(state)
    net.notify("on_train_begin", X=data[0], y=data[1])
    try:
        net.fit_loop(*data, epochs=net.max_epochs - len(net.history))
    except KeyboardInterrupt as error:
        # As a callback of skorch stops a training; anybody else who does means the run.
        if not _raised_in(error).startswith("on_"):
            raise
    net.notify("on_train_end", X=data[0], y=data[1])


def _raised_in(error: BaseException) -> str:
    """The name of the function that raised it."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code.co_name


def _evaluate(make_net: Callable[[], Any], data: tuple[Any, Any], model: nn.Module) -> float:
    return float(_net(make_net, model).initialize().score(*data))


class _NetState:
    """What changes in a net while it trains, its module excepted."""

    def __init__(self, net: Any) -> None:
        self._net = net
        self._callbacks: dict[str, dict[str, Any]] = {}

    def state_dict(self) -> dict[str, Any]:
        if len(self._net.history) < 2:
            return {}
        return {
            "optimizer": self._net.optimizer_.state_dict(),
            # Without the epoch that has just begun.
            "history": [dict(epoch) for epoch in self._net.history[:-1]],
            "callbacks": {name: _state(one) for name, one in self._net.callbacks_},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._net.optimizer_.load_state_dict(state["optimizer"])
        for epoch in state["history"]:
            self._net.history.append(epoch)
        self._callbacks = state["callbacks"]

    def restore(self) -> None:
        """Load what callbacks know, which they have forgotten as the training began."""
        for name, one in self._net.callbacks_:
            for key, value in self._callbacks.get(name, {}).items():
                part: Any = getattr(one, key, None)
                if hasattr(part, "load_state_dict"):
                    part.load_state_dict(value)
                else:
                    setattr(one, key, value)
        self._callbacks = {}


def _state(callback: Any) -> dict[str, Any]:
    """What a callback learned: names that end with an underscore, of what can be saved."""
    found = {}
    for key, value in vars(callback).items():
        if not key.endswith("_") or isinstance(value, type):
            continue
        if hasattr(value, "load_state_dict"):
            found[key] = value.state_dict()
        elif value is None or isinstance(value, int | float | str):
            found[key] = value
    return found


def _following(session: LoopSession, net_state: _NetState) -> Any:
    """A callback that logs a net's curves and keeps its checkpoints."""

    class Following(_callback()):  # type: ignore[misc]
        def on_train_begin(self, net: Any, **_: Any) -> None:
            net_state.restore()
            self.logged_ = len(net.history)

        def on_epoch_begin(self, net: Any, **_: Any) -> None:
            # Not when the last one ends: other callbacks may end the training then.
            if self.log(net, len(net.history) - 1):
                session.checkpoint(len(net.history) - 1)

        def on_train_end(self, net: Any, **_: Any) -> None:
            self.log(net, len(net.history))

        def log(self, net: Any, epochs: int) -> bool:
            """Log the newest of so many epochs; whether that was to do."""
            if epochs <= self.logged_:
                return False
            self.logged_ = epochs
            measured = net.history[epochs - 1]
            for split, prefix in (("training", "train_"), ("validation", "valid_")):
                found = select_metrics(measured, [prefix])
                if found:
                    session.log(split=split, **{_NAMES.get(k, k): v for k, v in found.items()})
            return True

    return Following()


def _callback() -> Any:
    return import_extra("skorch.callbacks", extra="skorch", what="an skorch net").Callback
