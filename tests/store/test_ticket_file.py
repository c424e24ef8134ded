"""A ticket as one file: small, bit-equal, and safe to open from anyone."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lottery.core import Mask
from lottery.errors import StoreError
from lottery.store.tensors import pack_tensors, parts, unpack_tensors
from lottery.store.ticket_file import contents_sha256, pack_ticket_file, unpack_ticket_file
from lottery.tickets import Ticket

SOURCE = Path("somewhere")


def some_ticket(density: float = 0.5, size: int = 13) -> Ticket:
    generator = torch.Generator().manual_seed(1)
    weights = {
        "fc.weight": torch.randn(size, 5, generator=generator),
        "fc.bias": torch.randn(size, generator=generator),
        "norm.num_batches_tracked": torch.tensor(7),
        "out.weight": torch.randn(2, size, generator=generator).to(torch.float16),
    }
    kept = {
        name: torch.rand(weights[name].shape, generator=generator) < density
        for name in ("fc.weight", "out.weight")
    }
    told = {"level": 2, "model": "m", "density": Mask(kept).density, "score": 0.5, "mine": "x"}
    return Ticket(mask=Mask(kept), weights=weights, iteration=3, provenance=told)


def assert_same(back: Ticket, ticket: Ticket) -> None:
    assert back.mask == ticket.mask
    assert (back.iteration, back.provenance) == (ticket.iteration, ticket.provenance)
    start = ticket.start()
    assert back.weights.keys() == start.keys()
    for name, value in back.start().items():
        assert value.dtype == start[name].dtype
        torch.testing.assert_close(value, start[name], rtol=0, atol=0)


@given(density=st.sampled_from([0.0, 0.1, 0.5, 1.0]), size=st.integers(1, 20))
def test_what_survives_comes_back_bit_equal(density: float, size: int) -> None:
    ticket = some_ticket(density, size)
    back = unpack_ticket_file(pack_ticket_file(ticket), source=SOURCE)
    assert_same(back, ticket)
    assert not back.weights["fc.weight"][~ticket.mask["fc.weight"]].any()
    assert pack_ticket_file(back) == pack_ticket_file(ticket)


def test_what_pruned_weights_are_held_at_comes_back() -> None:
    ticket = some_ticket()
    ticket = replace(ticket, pruned={name: ticket.weights[name] + 1 for name in ticket.mask})
    assert_same(unpack_ticket_file(pack_ticket_file(ticket), source=SOURCE), ticket)


@pytest.mark.parametrize("held", [False, True])
def test_a_tied_weight_is_written_once(held: bool) -> None:
    ticket = some_ticket()
    tied = {**ticket.weights, "tied.weight": ticket.weights["fc.weight"]}
    pruned = {name: ticket.weights[name] + 1 for name in ticket.mask} if held else None
    ticket = replace(ticket, pruned=pruned)
    content = pack_ticket_file(replace(ticket, weights=tied))
    assert len(content) < len(pack_ticket_file(ticket)) + 200
    back = unpack_ticket_file(content, source=SOURCE)
    assert back.weights["tied.weight"] is back.weights["fc.weight"]
    assert torch.equal(back.weights["tied.weight"], ticket.start()["fc.weight"])
    assert pack_ticket_file(back) == content


@pytest.mark.parametrize("value", [torch.ones(3), torch.arange(3.0)])
def test_equal_weights_are_not_one_weight(value: Tensor) -> None:
    kept = torch.tensor([True, False, True])
    weights = {"first.weight": value, "second.weight": value.clone()}
    ticket = Ticket(mask=Mask({"first.weight": kept}), weights=weights)
    back = unpack_ticket_file(pack_ticket_file(ticket), source=SOURCE)
    assert torch.equal(back.weights["first.weight"], value * kept)
    assert torch.equal(back.weights["second.weight"], value)


@pytest.mark.parametrize("density", [0.01, 0.05, 0.2, 0.5, 1.0])
def test_its_size_is_in_proportion_to_density(density: float) -> None:
    """Of every weight a bit, of every survivor its bytes, and a header."""
    weights = {"fc.weight": torch.randn(400, 300), "fc.bias": torch.randn(400)}
    mask = Mask({"fc.weight": torch.rand(400, 300) < density})
    size = len(pack_ticket_file(Ticket(mask=mask, weights=weights)))
    dense = 4 * 400 * 300
    assert 0 < size - (4 * mask.kept + dense / 32 + 4 * 400) < 1000
    if density < 0.9:
        assert size < (density + 0.05) * dense


def test_the_same_ticket_gives_the_same_bytes() -> None:
    assert pack_ticket_file(some_ticket()) == pack_ticket_file(some_ticket())


def test_it_is_saved_whole_and_loaded_also_through_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "folder" / "t.safetensors", tmp_path / "link"
    some_ticket().save(path)
    link.symlink_to(path)
    assert_same(Ticket.load(link), some_ticket())
    assert os.listdir(path.parent) == ["t.safetensors"]


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    for wrong in ({"level": "two"}, {"mine": [1]}, {"mine": {1, 2}}, {"mine": float("nan")}):
        with pytest.raises(StoreError, match="provenance"):
            replace(some_ticket(), provenance=wrong).save(tmp_path / "t")
    weights = {**some_ticket().weights, "fc.weight": torch.full((13, 5), torch.nan)}
    with pytest.raises(StoreError, match=r"kept/fc\.weight: holds values that are no numbers"):
        replace(some_ticket(), weights=weights).save(tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="pipe"):
        Ticket.load(tmp_path / "pipe")
    with pytest.raises(StoreError, match="No such file"):
        Ticket.load(tmp_path / "nothing")
    with pytest.raises(StoreError, match=r"cannot read|directory"):
        Ticket.load(tmp_path)


def forged(
    tensors: Callable[[dict[str, Tensor]], Any] = lambda t: None,
    values: Callable[[dict[str, Any]], Any] = lambda v: None,
    *,
    hashed: bool = True,
) -> bytes:
    """A file of which something was changed, with the hash of its contents then."""
    inside, said = unpack_tensors(pack_ticket_file(some_ticket()), source=SOURCE)
    tensors(inside)
    values(said)
    if hashed and "sha256" in said:
        said["sha256"] = contents_sha256(pack_tensors(inside, said))
    return pack_tensors(inside, said)


def set_to(place: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    """Sets ``a`` or ``a.b`` of a header."""
    table, _, name = place.rpartition("/")
    return lambda values: (values[table] if table else values).update({name: value})


def with_text(old: str, new: str) -> bytes:
    """A file whose header has another text in it; its length is put right."""
    content = pack_ticket_file(some_ticket())
    (length,) = struct.unpack_from("<Q", content)
    header = content[8 : 8 + length].decode()
    assert old in header
    changed = header.replace(old, new, 1).encode()
    return struct.pack("<Q", len(changed)) + changed + content[8 + length :]


bits = "mask/fc.weight"
FORGERIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not a file"),
    "other bytes": (b"\xff" * 40, "not a file"),
    "another file": (safetensors.torch.save({"a": torch.zeros(1)}), "not a file"),
    "not a ticket": (pack_tensors({"a": torch.zeros(1)}, {}), "format: expected 'lottery ticket'$"),
    "a long header": (struct.pack("<Q", 2**60) + b"{}", "not a file"),
    "bad json": (with_text('\\"iteration\\"', '\\"iteration'), "not a file"),
    "a field again": (with_text('\\"iteration\\": 3', '\\"iteration\\": 3, \\"tied\\":0'), "twice"),
    "a tensor twice": (with_text('"kept/out.weight"', '"kept/fc.weight"'), "not a file"),
    "other metadata": (with_text('"__metadata__":{', '"__metadata__":{"a":"b",'), "one table"),
    "a huge tensor": (with_text('"shape":[13]', '"shape":[1300000000000]'), "not a file"),
    "an odd type": (with_text('"dtype":"F32"', '"dtype":"F99"'), "not a file"),
    "cut": (pack_ticket_file(some_ticket())[:-1], "not a file"),
    "longer": (pack_ticket_file(some_ticket()) + b"0", "not a file"),
    "other version": (forged(values=set_to("version", 2)), "version: expected"),
    "other format": (forged(values=set_to("format", "x")), "format: expected"),
    "unknown field": (forged(values=set_to("code", "os.system")), "code: no such field"),
    "no hash": (forged(values=lambda v: v.pop("sha256")), "sha256: is missing"),
    "a hash of no form": (forged(values=set_to("sha256", "x" * 64), hashed=False), "sha256: expec"),
    "another hash": (forged(values=set_to("sha256", "0" * 64), hashed=False), "have another"),
    "changed": (forged(lambda t: t["weights/fc.bias"].add_(1), hashed=False), "have another"),
    "told otherwise": (forged(values=set_to("provenance/model", "n"), hashed=False), "another"),
    "iteration below 0": (forged(values=set_to("iteration", -1)), "iteration: expected"),
    "iteration true": (forged(values=set_to("iteration", True)), "iteration: expected"),
    "iteration huge": (forged(values=set_to("iteration", 10**400)), "iteration: expected"),
    "no shapes": (forged(values=set_to("shapes", {})), "shapes: expected"),
    "shapes a list": (forged(values=set_to("shapes", [1])), "shapes: expected"),
    "a huge shape": (forged(values=set_to("shapes/fc.weight", [2**40, 2**40])), "shapes: expected"),
    "a large shape": (forged(values=set_to("shapes/fc.weight", [2**50])), "bytes for 1,125,"),
    "a small shape": (forged(values=set_to("shapes/fc.weight", [5])), "expected 1 bytes for 5"),
    "a negative shape": (forged(values=set_to("shapes/fc.weight", [-13, -5])), "shapes: expected"),
    "a shape of zero": (forged(values=set_to("shapes/fc.weight", [0, 2**52])), "shapes: expected"),
    "a shape of text": (forged(values=set_to("shapes/fc.weight", ["13", 5])), "shapes: expected"),
    "many dimensions": (forged(values=set_to("shapes/fc.weight", [1] * 64)), "shapes: expected"),
    "another mask": (forged(values=set_to("shapes/ghost", [3])), "mask/ghost: is missing"),
    "a mask too few": (forged(values=lambda v: v["shapes"].pop("fc.weight")), "no such tensor"),
    "tied to nothing": (forged(values=set_to("tied/a", "ghost")), "tied.a: expected the name"),
    "tied to itself": (forged(values=set_to("tied/fc.weight", "fc.weight")), "tied.fc.weight"),
    "tied and there": (forged(values=set_to("tied/fc.bias", "fc.weight")), "a mask is of it"),
    "tied to a list": (forged(values=set_to("tied/a", ["b"])), "tied: expected"),
    "no mask": (forged(lambda t: t.pop(bits)), "mask/fc.weight: is missing"),
    "no weights": (forged(lambda t: t.pop("kept/fc.weight")), "kept/fc.weight: is missing"),
    "half held": (forged(lambda t: t.update({"pruned/fc.weight": torch.zeros(9)})), "pruned/out.w"),
    "another tensor": (forged(lambda t: t.update(odd=torch.zeros(1))), "odd: no such tensor"),
    "also whole": (forged(lambda t: t.update({"weights/fc.weight": torch.ones(1)})), "mask is"),
    "a mask of bools": (forged(lambda t: t.update({bits: t[bits].bool()})), "9 bytes for 65"),
    "a mask too short": (forged(lambda t: t.update({bits: t[bits][:-1]})), "9 bytes for 65"),
    "a mask too long": (forged(lambda t: t.update({bits: torch.zeros(10).byte()})), "9 bytes"),
    "a mask in two dimensions": (forged(lambda t: t.update({bits: t[bits].view(3, 3)})), "9 bytes"),
    "bits beyond the end": (forged(lambda t: t[bits][-1].bitwise_or_(1)), "bits beyond its 65"),
    "a weight more": (forged(lambda t: t.update({"kept/fc.weight": torch.zeros(65)})), "floating"),
    "weights of whole numbers": (
        forged(lambda t: t.update({"kept/fc.weight": t["kept/fc.weight"].int()})),
        "floating-point",
    ),
    "no numbers": (forged(lambda t: t["kept/fc.weight"][0].fill_(torch.nan)), "are no numbers"),
    "infinite": (forged(lambda t: t["kept/fc.weight"][0].fill_(torch.inf)), "are no numbers"),
    "a bias of no numbers": (forged(lambda t: t["weights/fc.bias"].fill_(torch.nan)), "no numbers"),
    "a score that is no share": (
        forged(values=lambda v: v["provenance"].update(score_name="accuracy", score=1e300)),
        "provenance: accuracy: expected a number from 0 to 1",
    ),
    "a score of a name that is none": (
        forged(values=lambda v: v["provenance"].update(score_name="", score=0.5)),
        "expected a name of 1 to 60",
    ),
    "provenance a list": (forged(values=set_to("provenance", [])), "provenance: expected"),
    "too much provenance": (
        forged(values=set_to("provenance", {str(n): n for n in range(999)})),
        "provenance: expected",
    ),
    "nested provenance": (forged(values=set_to("provenance/a", {"b": 1})), "provenance.a: exp"),
    "long provenance": (forged(values=set_to("provenance/a", "b" * 5000)), "provenance.a: exp"),
    "a level of text": (forged(values=set_to("provenance/level", "1")), "provenance.level: exp"),
    "another density": (forged(values=set_to("provenance/density", 0.123)), "provenance.density"),
    "a density of 2": (forged(values=set_to("provenance/density", 2)), "provenance.density"),
    "a huge input": (
        forged(values=set_to("provenance/input_shape", [2**40])),
        "provenance.input_shape: expected",
    ),
    "a branch": (forged(values=set_to("provenance/branch", "../..")), "provenance.branch: exp"),
    "a long name": (forged(values=set_to("\x1b" * 9000, 1)), "no such field|u001b"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_file_is_refused(name: str) -> None:
    content, message = FORGERIES[name]
    with pytest.raises(StoreError, match=message) as error:
        unpack_ticket_file(content, source=SOURCE)
    said = str(error.value)
    assert "somewhere" in said
    assert "\x1b" not in said
    assert len(said) < 2000


def test_not_a_number_in_the_header_is_refused() -> None:
    content = with_text('\\"score\\": 0.5', '\\"score\\": NaN')
    with pytest.raises(StoreError, match=r"provenance\.score: expected"):
        unpack_ticket_file(content, source=SOURCE)


@given(position=st.integers(0, 3000), byte=st.integers(0, 255), cut=st.integers(1, 4000))
def test_no_damage_goes_unnoticed(position: int, byte: int, cut: int) -> None:
    whole = pack_ticket_file(some_ticket())
    damaged = bytearray(whole)
    damaged[position % len(damaged)] = byte
    content = bytes(damaged[:cut])
    try:
        back = unpack_ticket_file(content, source=SOURCE)
    except StoreError:
        assert content != whole
    else:
        # What means the same in JSON, such as another space between two words of it.
        assert_same(back, some_ticket())


@given(
    st.dictionaries(
        st.sampled_from(["format", "version", "shapes", "tied", "iteration", "provenance"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["fc.weight", "level", "seed"]), inner, max_size=2
                )
            ),
            max_leaves=5,
        ),
        min_size=1,
    )
)
def test_any_header_is_a_ticket_or_a_clear_error(changes: dict[str, Any]) -> None:
    inside, said = unpack_tensors(pack_ticket_file(some_ticket()), source=SOURCE)
    said |= json.loads(json.dumps(changes, allow_nan=True))
    try:
        said["sha256"] = contents_sha256(pack_tensors(inside, said))
        content = pack_tensors(inside, said)
    except ValueError:  # infinite, which is no JSON
        return
    try:
        unpack_ticket_file(content, source=SOURCE)
    except StoreError as error:
        assert str(error).isprintable()


def test_the_hash_is_of_all_that_the_file_holds() -> None:
    content = pack_ticket_file(some_ticket())
    table, values, data = parts(content)
    assert values["sha256"] == contents_sha256(content)
    assert set(table) == set(safetensors.torch.load(content))
    assert content.endswith(data)
