"""Calling the user's functions, and reading what they return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from lottery.errors import UsageError
from lottery.tasks.recording import Recording, as_number, measured
from lottery.tasks.session import LoopSession
from lottery.training import CurvePoint


def wants_session(train: Callable[..., Any]) -> bool:
    """Whether ``train`` takes a model and a session, or a model alone.

    The session is a second argument without a default, or one named ``session``.

    Raises:
        UsageError: it can be called neither as ``train(model)`` nor with a session.
    """
    try:
        parameters = inspect.signature(train).parameters
    except (TypeError, ValueError):  # what is made in C may have none
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    others = [p for p in parameters.values() if p.kind in kinds and p.name != "session"]
    required = [p.name for p in others if p.default is p.empty]
    variable = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    if "session" not in parameters and len(required) == 2:
        return True
    takes_model = required or variable or ("session" in parameters and others)
    if len(required) > 1 or not takes_model:
        raise UsageError(
            f"train: expected a function train(model) or train(model, session), got one of "
            f"({', '.join(parameters)}); give other arguments defaults, or use functools.partial"
        )
    return "session" in parameters


def call_train(train: Callable[..., Any], model: nn.Module, session: LoopSession) -> Any:
    """Call ``train`` with the arguments that it takes; see `wants_session`."""
    if not wants_session(train):
        return train(model)
    if "session" in inspect.signature(train).parameters:
        return train(model, session=session)
    return train(model, session)


def read_scores(value: Any, name: str, where: str) -> dict[str, float]:
    """The scores that a function returned: a number, or a dict in which the score is one of them.

    Args:
        value: what it returned.
        name: the score's name.
        where: the function's name, for error messages.

    Returns:
        Name -> number, the score among them.

    Raises:
        UsageError: it returned something else, or a dict without the score.
        FloatingPointError: a number is not finite.
    """
    found = value if isinstance(value, Mapping) else {name: value}
    if name not in found:
        raise UsageError(
            f"{where}: expected a dict with '{name}', got {', '.join(map(str, found)) or 'none'}; "
            "say with score= which of them counts"
        )
    if not isinstance(value, Mapping) and as_number(value) is None:
        raise UsageError(
            f"{where}: expected a number, or a dict of numbers, got {type(value).__name__}"
        )
    return measured(found, where)


def read_returned(
    value: Any, recording: Recording, name: str, *, first: int, evaluated: bool
) -> dict[str, float]:
    """Read what ``train`` returned: nothing, a score, a dict of scores, or curves to record.

    Curves are a list of points. Each is a `CurvePoint`, or a dict with ``step``, numbers by name
    and, if it is not ``"validation"``, ``split``.

    Args:
        value: what ``train`` returned.
        recording: the recording of this training; points are added to it.
        name: the score's name.
        first: the iteration that the points count as step 0.
        evaluated: whether ``evaluate`` gives the score. Then everything but curves is ignored.

    Returns:
        Name -> score at the end of training; empty if ``evaluate`` gives them.

    Raises:
        UsageError: it is none of these, or a point has a wrong step, split or number.
        FloatingPointError: a number is not finite.
    """
    if isinstance(value, list | tuple) and value and all(map(_is_point, value)):
        for point in value:
            if isinstance(point, CurvePoint):
                step, split, numbers = point.iteration, point.split, point.values
            else:
                step, split = point["step"], point.get("split", "validation")
                numbers = {key: one for key, one in point.items() if key not in ("step", "split")}
            recording.add(first + _whole(step), split, measured(numbers, "train"))
        tests = [p for p in recording.curve if p.split == "test" and name in p.values]
        value = dict(tests[-1].values) if tests else None
    if evaluated:
        return {}
    if value is None:
        raise UsageError(
            f"train gave no {name}, and there is no evaluate: return it, or pass "
            "evaluate, a function of the model"
        )
    return read_scores(value, name, "train")


def _whole(step: Any) -> int:
    number = as_number(step)
    if number is None or not number.is_integer():
        raise UsageError(
            f"train: expected a whole number of optimizer steps as 'step' of a point, got {step!r}"
        )
    return int(number)


def _is_point(value: Any) -> bool:
    return isinstance(value, CurvePoint) or (isinstance(value, Mapping) and "step" in value)
