"""Comparisons that fail with a sentence that says what differs.

They raise AssertionError themselves, since ``python -O`` removes ``assert`` statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest

import torch
from torch import Tensor

from lottery.training import State, TrainingResult


def expect(condition: bool, message: str) -> None:
    """Fail with ``message`` unless ``condition``.

    Raises:
        AssertionError: the condition does not hold.
    """
    if not condition:
        raise AssertionError(message)


def same_bytes(a: Tensor, b: Tensor) -> bool:
    """Whether two CPU tensors agree in dtype, shape and every bit, signs of zero included."""

    def flat(tensor: Tensor) -> Tensor:
        return tensor.detach().reshape(-1).contiguous().view(torch.uint8)

    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(flat(a), flat(b))


def copied(state: State) -> dict[str, Tensor]:
    """A copy that shares no memory with ``state``."""
    return {name: value.detach().clone() for name, value in state.items()}


def expect_same_state(got: State, expected: State, what: str) -> None:
    """Fail unless two states hold the same names, each with the same bytes."""
    expect(
        set(got) == set(expected),
        f"{what}: expected the entries {sorted(expected)}, got {sorted(got)}",
    )
    differing = [name for name in expected if not same_bytes(got[name], expected[name])]
    details = [
        f"{name} ({got[name].dtype} {tuple(got[name].shape)} against "
        f"{expected[name].dtype} {tuple(expected[name].shape)}{_largest(got, expected, name)})"
        for name in differing
    ]
    expect(not differing, f"{what}: expected the same bytes, but {', '.join(details)} differ")


def _largest(got: State, expected: State, name: str) -> str:
    if got[name].shape != expected[name].shape or not got[name].numel():
        return ""
    difference = (got[name].double() - expected[name].double()).abs().max()
    return f", by up to {float(difference):.3g}"


def expect_same_result(got: TrainingResult, expected: TrainingResult, what: str) -> None:
    """Fail unless two results agree in everything but the time they took."""
    for field in ("status", "reason", "early_stop_iteration", "engine"):
        values = getattr(got, field), getattr(expected, field)
        expect(values[0] == values[1], f"{what}: {field} is {values[0]!r}, expected {values[1]!r}")
    for number, (point, other) in enumerate(zip_longest(got.curve, expected.curve)):
        expect(point == other, f"{what}: point {number} of the curve is {point}, expected {other}")
    expect((got.mask is None) == (expected.mask is None), f"{what}: only one has a mask of its own")
    if got.mask is not None and expected.mask is not None:
        expect_same_state(got.mask, expected.mask, f"{what}: mask at the end")
    expect_same_state(got.final, expected.final, f"{what}: final weights")
    expect_same_state(got.early_stop, expected.early_stop, f"{what}: weights at early stop")
    expect(
        list(got.snapshots) == list(expected.snapshots),
        f"{what}: snapshots at {list(got.snapshots)}, expected {list(expected.snapshots)}",
    )
    expect_same_state(got.notes, expected.notes, f"{what}: notes")
    for at, state in expected.snapshots.items():
        expect_same_state(got.snapshots[at], state, f"{what}: snapshot at iteration {at}")


def expect_close(got: State, expected: State, tolerance: float, what: str) -> None:
    """Fail unless every entry of ``expected`` is within ``tolerance`` in ``got``."""
    for name, value in expected.items():
        expect(name in got, f"{what}: '{name}' is missing")
        difference = (got[name].double() - value.double()).abs().max()
        expect(
            bool(difference <= tolerance),
            f"{what}: '{name}' is off by up to {float(difference):.3g}; "
            f"at most {tolerance:g} is allowed",
        )


def expect_pruned(state: State, mask: State, held: State | None, what: str) -> None:
    """Fail unless what ``mask`` prunes is exactly zero in ``state``, or what it is held at."""
    for name, kept in mask.items():
        expect(name in state, f"{what}: '{name}' is missing")
        pruned = state[name][~kept]
        wanted = torch.zeros_like(pruned) if held is None else held[name][~kept].to(pruned.dtype)
        moved, is_not = int((pruned != wanted).sum()), "zero" if held is None else "what is held"
        expect(
            not moved,
            f"{what}: {moved} of {len(pruned)} pruned weights of '{name}' are not {is_not}",
        )


def expect_ordinary(state: State, like: State, what: str) -> None:
    """Fail unless a state is a plain ``state_dict``, with the names and types of another."""
    expect(set(state) == set(like), f"{what}: expected {sorted(like)}, got {sorted(state)}")
    wrong = [
        f"{n} ({v.dtype}, {v.device.type}{'' if v.is_contiguous() else ', scattered in memory'})"
        for n, v in state.items()
        if (v.dtype, v.device.type, v.is_contiguous()) != (like[n].dtype, "cpu", True)
    ]
    expect(not wrong, f"{what}: expected the start's types, in order on the CPU; got {wrong}")


def expect_apart(states: Mapping[str, State]) -> None:
    """Fail if states of different labels share memory."""
    owners: dict[int, str] = {}
    for label, state in states.items():
        for name, value in state.items():
            other = owners.setdefault(value.data_ptr(), label)
            expect(other == label, f"'{name}' {label} shares memory with that {other}")
