"""A ticket put into the network of another task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lottery.core import Mask, prunable_weights
from lottery.errors import MaskError, StoreError
from lottery.models import mlp
from lottery.store import Store
from lottery.testing import tiny_job
from lottery.tickets import Ticket, new_outputs, transplant


def given() -> Ticket:
    job = tiny_job()
    return Ticket(mask=job.mask, weights=job.start, iteration=7, provenance={"level": 1})


def dense(classes: int = 3, hidden: tuple[int, ...] = (10, 7)) -> Ticket:
    model = mlp((1, 3, 4), hidden, classes)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    return Ticket(mask=Mask.dense(prunable_weights(model)), weights=weights)


def test_survivors_are_the_tickets_and_what_is_pruned_is_as_here() -> None:
    ticket, here = given(), dense()
    made = transplant(ticket, here)
    assert made.mask == ticket.mask
    assert (made.iteration, dict(made.provenance), made.pruned) == (0, {}, None)
    for name, kept in ticket.mask.items():
        assert torch.equal(made.weights[name][kept], ticket.weights[name][kept])
        assert torch.equal(made.weights[name][~kept], here.weights[name][~kept])
    assert torch.equal(made.weights["fc1.bias"], ticket.weights["fc1.bias"])
    assert not new_outputs(ticket, here)


def test_with_other_classes_the_head_is_new_and_whole() -> None:
    ticket, here = given(), dense(classes=5)
    made = transplant(ticket, here)
    assert new_outputs(ticket, here) == ("output.weight", "output.bias")
    assert made.mask["output.weight"].all()
    for name in ("output.weight", "output.bias"):
        assert torch.equal(made.weights[name], here.weights[name])
    assert torch.equal(made.mask["fc2.weight"], ticket.mask["fc2.weight"])


def test_a_ticket_from_a_file_is_put_in_alike(tmp_path: Path) -> None:
    ticket, here, path = given(), dense(), tmp_path / "t"
    ticket.save(path)
    made, again = transplant(ticket, here), transplant(Ticket.load(path), here)
    assert made.mask == again.mask
    torch.testing.assert_close(dict(made.weights), dict(again.weights), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("ticket", "here", "message"),
    [
        (given(), dense(hidden=(10, 6)), r"output\.weight is float32 of shape \(3, 7\) in the t"),
        (given(), dense(hidden=(10,)), r"fc2\.weight is not in the network"),
        (
            replace(
                given(), pruned={n: w for n, w in given().weights.items() if n in given().mask}
            ),
            dense(),
            "held at other values than zero",
        ),
        (
            given(),
            replace(dense(), mask=Mask({"fc1.weight": dense().mask["fc1.weight"]})),
            r"fc2\.weight is masked in the ticket alone",
        ),
        (
            replace(given(), mask=Mask({"output.weight": given().mask["output.weight"]})),
            dense(classes=4),
            "no mask of the ticket is of a layer",
        ),
        (
            replace(given(), mask=Mask({n: torch.zeros_like(k) for n, k in given().mask.items()})),
            dense(),
            "it keeps no weight",
        ),
    ],
)
def test_another_network_is_refused(ticket: Ticket, here: Ticket, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        transplant(ticket, here)


def test_a_run_keeps_what_it_is_given(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    name = store.write_given(given())
    assert name == store.write_given(replace(given(), provenance={"level": 2}))
    assert store.given(name).mask == given().mask
    path = next((tmp_path / "run" / "given").iterdir())
    path.rename(path.with_name(f"{'0' * 64}.safetensors"))
    with pytest.raises(StoreError, match="is another ticket than its name says"):
        store.given("0" * 64)
    with pytest.raises(StoreError, match="No such file"):
        store.given(name)
