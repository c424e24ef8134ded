"""The ticket: where it starts from, and what it fits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from lottery.core import Mask
from lottery.errors import MaskError
from lottery.models import mlp
from lottery.testing import tiny_job
from lottery.testing.samples import tiny_mlp
from lottery.tickets import Ticket


def ticket() -> Ticket:
    job = tiny_job()
    return Ticket(mask=job.mask, weights=job.start)


def test_start_is_bit_equal_where_kept_and_zero_elsewhere() -> None:
    one = ticket()

    start = one.start()

    assert set(start) == set(one.weights)
    for name, weight in one.weights.items():
        kept = one.mask[name] if name in one.mask else torch.ones_like(weight, dtype=torch.bool)
        assert torch.equal(start[name][kept], weight[kept])
        assert not start[name][~kept].any()
        assert not start[name][~kept].signbit().any()
        assert start[name].data_ptr() != weight.data_ptr()


def test_weights_under_the_mask_are_kept_for_controls() -> None:
    one = ticket()

    assert all(one.weights[name][~one.mask[name]].all() for name in one.mask)


def test_a_notebook_shows_one_line_of_it() -> None:
    one = replace(ticket(), mask=Mask({"fc1.weight": torch.tensor([True, False] * 4)}))
    assert repr(one) == "<Ticket 50.00% of 8 weights>"
    said = replace(one, provenance={"level": 3, "experiment": "a\x1b[1mb\nc"})
    assert repr(said).startswith("<Ticket 50.00% of 8 weights, level 3 of a")
    assert repr(said).isprintable()


def test_check_names_the_layers_without_a_weight() -> None:
    one = ticket()
    one.check()
    emptied = {n: torch.zeros_like(k) if n != "fc1.weight" else k for n, k in one.mask.items()}

    with pytest.raises(MaskError, match=r"keeps no weight of fc2\.weight, output\.weight; no"):
        replace(one, mask=Mask(emptied)).check()


def test_it_fits_the_network_it_was_made_for() -> None:
    ticket().check_fits(tiny_mlp())


def test_another_network_s_mask_is_refused() -> None:
    with pytest.raises(MaskError, match=r"'fc1\.weight' has shape"):
        ticket().check_fits(mlp((1, 3, 4), (9, 7), 3))
    with pytest.raises(MaskError, match=r"'0\.weight' is missing from the mask"):
        ticket().check_fits(nn.Sequential(nn.Linear(2, 2)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fc1.bias", torch.zeros(11)),
        ("fc1.bias", torch.zeros(10, dtype=torch.int64)),
        ("extra.bias", torch.zeros(1)),
        ("fc1.bias", None),
    ],
)
def test_weights_that_do_not_fit_are_named(name: str, value: torch.Tensor | None) -> None:
    weights = dict(ticket().weights)
    weights.pop(name, None)
    if value is not None:
        weights[name] = value

    with pytest.raises(MaskError, match=rf"do not fit the model: {name} missing, unknown, or"):
        replace(ticket(), weights=weights).check_fits(tiny_mlp())


def test_precision_may_differ_from_the_model_s() -> None:
    double = {name: value.double() for name, value in ticket().weights.items()}

    replace(ticket(), weights=double).check_fits(tiny_mlp())


def test_density_of_a_tiny_ticket() -> None:
    assert math.isclose(ticket().mask.density, 0.5, abs_tol=0.01)
