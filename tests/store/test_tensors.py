"""Tensors and tickets as bytes."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from lottery.core import Mask
from lottery.errors import StoreError
from lottery.store.tensors import pack_tensors, pack_ticket, unpack_tensors, unpack_ticket
from lottery.tickets import Ticket

SOURCE = Path("somewhere")


def some_ticket() -> Ticket:
    generator = torch.Generator().manual_seed(1)
    weights = {
        "fc1.weight": torch.randn(3, 4, generator=generator),
        "fc1.bias": torch.randn(3, generator=generator),
        "norm.num_batches_tracked": torch.tensor(7),
    }
    mask = Mask({"fc1.weight": torch.rand(3, 4, generator=generator) < 0.5})
    return Ticket(mask=mask, weights=weights, iteration=3, provenance={"level": 2, "model": "m"})


def test_a_ticket_comes_back_bit_equal() -> None:
    ticket = some_ticket()
    back = unpack_ticket(pack_ticket(ticket), source=SOURCE)
    assert back.mask == ticket.mask
    assert back.weights.keys() == ticket.weights.keys()
    for name, value in ticket.weights.items():
        assert back.weights[name].dtype == value.dtype
        torch.testing.assert_close(back.weights[name], value, rtol=0, atol=0)
    assert (back.iteration, back.provenance) == (ticket.iteration, ticket.provenance)
    assert back.pruned is None


def test_what_pruned_weights_keep_comes_back_bit_equal() -> None:
    held = {"fc1.weight": torch.randn(3, 4, generator=torch.Generator().manual_seed(2))}
    ticket = replace(some_ticket(), pruned=held)
    back = unpack_ticket(pack_ticket(ticket), source=SOURCE)
    assert back.pruned is not None
    torch.testing.assert_close(back.pruned, held, rtol=0, atol=0)
    assert torch.equal(back.start()["fc1.weight"], ticket.start()["fc1.weight"])


def test_the_same_ticket_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import test_tensors as t;"
        "print(hashlib.sha256(t.pack_ticket(t.some_ticket())).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_shared_and_strided_tensors_can_be_packed() -> None:
    base = torch.arange(6.0).view(2, 3)
    back, values = unpack_tensors(pack_tensors({"a": base, "b": base.T}, {"n": 1}), source=SOURCE)
    torch.testing.assert_close(back["b"], base.T, rtol=0, atol=0)
    assert values == {"n": 1}


@given(position=st.integers(0, 2000), byte=st.integers(0, 255), cut=st.integers(0, 3000))
def test_damaged_bytes_are_a_clear_error_or_a_ticket(position: int, byte: int, cut: int) -> None:
    content = bytearray(pack_ticket(some_ticket()))
    content[position % len(content)] = byte
    try:
        unpack_ticket(bytes(content[: max(cut, 1)]), source=SOURCE)
    except StoreError as error:
        assert "somewhere" in str(error)


def tampered(change: Any, values: dict[str, Any] | None = None) -> bytes:
    ticket = some_ticket()
    tensors = {f"mask/{name}": tensor for name, tensor in ticket.mask.items()}
    tensors |= {f"weights/{name}": tensor for name, tensor in ticket.weights.items()}
    change(tensors)
    return pack_tensors(tensors, {"iteration": 0, "provenance": {}} | (values or {}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tampered(lambda t: t.update(other=torch.zeros(1))), "neither masks nor weights"),
        (tampered(lambda t: t.update({"mask/fc1.weight": torch.ones(3, 4)})), "bool"),
        (tampered(lambda t: t.update({"mask/fc1.weight": torch.ones(4, 3) > 0})), "shape"),
        (tampered(lambda t: t.update({"mask/ghost": torch.ones(1) > 0})), "ghost"),
        (tampered(lambda t: t.update({"pruned/fc1.weight": torch.ones(4, 3)})), "shape"),
        (tampered(lambda t: t.update({"pruned/ghost": torch.ones(3, 4)})), "ghost"),
        (
            tampered(lambda t: t.update({"pruned/fc1.weight": torch.ones(3, 4) > 0})),
            "not floating-point",
        ),
        (tampered(lambda t: None, {"iteration": -1}), "iteration"),
        (tampered(lambda t: None, {"iteration": "0"}), "iteration"),
        (tampered(lambda t: None, {"provenance": []}), "provenance"),
        (b"", "not a file"),
        (b"\xff" * 40, "not a file"),
        (struct.pack("<Q", 2) + b"{}", "not a file"),
        (safetensors.torch.save({"a": torch.zeros(1)}), "not a file"),
        (safetensors.torch.save({"a": torch.zeros(1)}, metadata={"lottery": "[1]"}), "not a file"),
        (safetensors.torch.save({"a": torch.zeros(1)}, metadata={"lottery": "{"}), "not a file"),
        (
            safetensors.torch.save({}, metadata={"lottery": "[" * 100_000 + "]" * 100_000}),
            "not a file",
        ),
        (tampered(lambda t: None, {"iteration": True}), "iteration"),
        (tampered(lambda t: None, {"provenance": {"drawn": ["never"]}}), "provenance"),
    ],
)
def test_a_ticket_from_anyone_is_checked(content: bytes, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        unpack_ticket(content, source=SOURCE)


def test_values_must_be_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        pack_tensors({}, {"loss": float("nan")})
    assert json.loads(json.dumps(0.1 + 0.2)) == 0.1 + 0.2  # what checkpoints rely on
