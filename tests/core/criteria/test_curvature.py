"""Second-order criteria against the whole Hessian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from probes import classes, context_of, draw, filled, network, some_mask
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev

from lottery.core import CRITERIA, ScoreContext
from lottery.core.criteria.curvature import hessian_diagonal

NAMES = ["0.weight", "2.weight"]


def small(*, masked: bool, held: bool = False) -> ScoreContext:
    """Eight weights, eleven examples in unequal batches."""
    dense = context_of(network(2, 2, 2), draw(11, 2), classes(11), sizes=[4, 1, 6])
    if held:
        assert dense.probe is not None
        values = {name: draw(2, 2, seed=number) for number, name in enumerate(NAMES, 7)}
        dense = replace(dense, probe=replace(dense.probe, pruned=values))
    return replace(dense, mask=some_mask(dense.weights)) if masked else dense


def flat(tensors: Any) -> Tensor:
    return torch.cat([tensors[name].flatten() for name in NAMES])


def gradient_and_hessian(context: ScoreContext, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Both at the masked weights, over all examples at once, as a vector and a matrix."""
    probe = context.probe
    assert probe is not None
    inputs = torch.cat([batch[0] for batch in probe.batches])
    targets = torch.cat([batch[1] for batch in probe.batches])
    masked = context.mask.apply(context.weights)
    for name, value in (probe.pruned or {}).items():
        masked[name][~context.mask[name]] = value[~context.mask[name]]

    def loss(values: Tensor) -> Tensor:
        parts = values.split([masked[name].numel() for name in NAMES])
        weights = {n: p.view(masked[n].shape) for n, p in zip(NAMES, parts, strict=True)}
        outputs = functional_call(probe.model, weights, (inputs,))
        return F.cross_entropy(outputs / temperature, targets)

    at = flat(masked)
    return grad(loss)(at).detach(), jacrev(jacrev(loss))(at).detach()


@pytest.mark.parametrize(("masked", "held"), [(False, False), (True, False), (True, True)])
def test_grasp_against_the_whole_hessian(masked: bool, held: bool) -> None:
    context = small(masked=masked, held=held)
    g, h = gradient_and_hessian(context, temperature=200.0)
    surviving = flat(context.mask)

    scores = CRITERIA["grasp"].score(context)

    expected = flat(context.weights) * (h @ (g * surviving))
    # So small that only the relative error says anything.
    torch.testing.assert_close(flat(scores), expected, rtol=1e-7, atol=0.0)


def test_grasp_keeps_what_the_gradient_flow_needs() -> None:
    """Taking away a share of a weight changes the squared gradient norm by -2 score times it."""
    context, share = small(masked=False), 1e-6
    scores = CRITERIA["grasp"].score(context)
    flow = gradient_and_hessian(context, 200.0)[0].square().sum()

    for name in NAMES:
        for i in range(4):
            less = {n: w.clone() for n, w in context.weights.items()}
            less[name].view(-1)[i] *= 1 - share
            at = replace(context, weights=less)
            moved = gradient_and_hessian(at, 200.0)[0].square().sum()
            change = float(moved - flow) / share
            expected = -2 * float(scores[name].view(-1)[i])
            assert change == pytest.approx(expected, rel=1e-3, abs=1e-9)


def all_signs() -> Iterator[dict[str, Tensor]]:
    for signs in product([1.0, -1.0], repeat=8):
        values = torch.tensor(signs).view(2, 2, 2)
        yield dict(zip(NAMES, values, strict=True))


@pytest.mark.parametrize(("masked", "held"), [(False, False), (True, False), (True, True)])
def test_the_diagonal_over_all_sign_vectors_is_exact(masked: bool, held: bool) -> None:
    context = small(masked=masked, held=held)
    _, h = gradient_and_hessian(context)

    torch.testing.assert_close(flat(hessian_diagonal(context, all_signs())), h.diagonal())


def test_hessian_is_right_on_average() -> None:
    context = small(masked=False)
    _, h = gradient_and_hessian(context)
    w = flat(context.weights)
    draws = torch.stack(
        [
            flat(CRITERIA["hessian"].score(replace(context, generator=generator)))
            for generator in (torch.Generator().manual_seed(seed) for seed in range(30))
        ]
    )

    exact, spread = h.diagonal() * w**2 / 2, draws.std(0)
    off_diagonal = (h**2).sum(1) - h.diagonal() ** 2
    stated = (off_diagonal / 16).sqrt() * w**2 / 2

    # 30 draws know the mean to 1/sqrt(30) of the spread, and the spread to about an eighth.
    assert bool(((draws.mean(0) - exact).abs() < 4 * stated / 30**0.5).all())
    torch.testing.assert_close(spread, stated, rtol=0.5, atol=0.0)


def test_hessian_is_exact_where_weights_do_not_interact() -> None:
    """Squared error of a linear model, each example with one input: the Hessian is diagonal."""
    weight, inputs = draw(1, 3), torch.diag(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    model = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(weight)

    def squared(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[:, 0] - targets).square().mean()

    scores = CRITERIA["hessian"].score(
        context_of(model, inputs, torch.zeros(3), loss=squared, sizes=[1, 2])
    )

    # h_ii is twice the mean of x_i^2.
    expected = weight**2 / 2 * 2 * torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64) / 3
    torch.testing.assert_close(scores["weight"], expected)


@pytest.mark.parametrize("name", ["grasp", "hessian"])
def test_a_loss_that_is_linear_in_the_weights_has_no_curvature(name: str) -> None:
    model = nn.Linear(3, 1, bias=False)
    context = context_of(model, draw(4, 3), classes(4), loss=lambda outputs, _: outputs.mean())

    assert not CRITERIA[name].score(context)["weight"].any()


def test_pruned_weights_have_no_part_in_the_estimate() -> None:
    context = small(masked=True)

    scores = CRITERIA["hessian"].score(context)

    assert not flat(scores)[~flat(context.mask)].any()


class Attention(nn.Module):
    """One head over three tokens of four features."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.output = nn.Linear(4, 12), nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        q, k, v = self.qkv(inputs).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        output: Tensor = self.output(mixed).mean(1)
        return output


@pytest.mark.parametrize("name", ["grasp", "hessian", "wanda", "apoz"])
def test_attention(name: str) -> None:
    scores = CRITERIA[name].score(context_of(filled(Attention()), draw(6, 3, 4), classes(6)))

    assert all(bool(score.isfinite().all()) and bool(score.any()) for score in scores.values())
