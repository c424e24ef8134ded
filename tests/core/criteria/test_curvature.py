"""Second-order criteria against the whole Hessian."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from probes import classes, context_of, draw, filled, network, some_mask
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev

from lottery.core import CRITERIA, ScoreContext
from lottery.core.criteria import curvature
from lottery.errors import UsageError

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


def piecewise_linear(*, masked: bool, held: bool = False) -> ScoreContext:
    """As `small`, with a ReLU."""
    model = network(2, 2, 2, activation=nn.ReLU)
    dense = context_of(model, draw(11, 2), classes(11), sizes=[4, 1, 6])
    if held:
        assert dense.probe is not None
        values = {name: draw(2, 2, seed=number) for number, name in enumerate(NAMES, 7)}
        dense = replace(dense, probe=replace(dense.probe, pruned=values))
    return replace(dense, mask=some_mask(dense.weights)) if masked else dense


@pytest.mark.parametrize(("masked", "held"), [(False, False), (True, False), (True, True)])
def test_hessian_is_the_whole_hessians_diagonal_in_piecewise_linear_networks(
    masked: bool, held: bool
) -> None:
    context = piecewise_linear(masked=masked, held=held)
    _, h = gradient_and_hessian(context)

    scores = flat(CRITERIA["hessian"].score(context))

    torch.testing.assert_close(
        scores, h.diagonal() * flat(context.weights) ** 2 / 2, rtol=1e-9, atol=1e-14
    )
    assert bool((scores >= 0).all())
    assert int((scores > 0).sum()) >= 4


def test_hessian_of_a_convolution_with_batch_norm_and_pooling_against_differences() -> None:
    """Second differences of the loss, one weight at a time: no derivative of anybody's is used."""
    layers = (nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2))
    model = filled(nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 3)))
    x, y = draw(5, 1, 6, 6), classes(5, 3)
    scores = CRITERIA["hessian"].score(context_of(model, x, y, sizes=[2, 3]))

    model.eval()
    for name, score in scores.items():
        weight = model.get_parameter(name).detach()
        for index in range(weight.numel()):
            losses = []
            for step in (-1e-3, 0.0, 1e-3):
                moved = weight.clone()
                moved.view(-1)[index] += step
                with torch.no_grad():
                    losses.append(
                        float(F.cross_entropy(functional_call(model, {name: moved}, (x,)), y))
                    )
            second = (losses[0] - 2 * losses[1] + losses[2]) / 1e-6
            expected = second * float(weight.view(-1)[index]) ** 2 / 2
            assert float(score.view(-1)[index]) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_hessian_of_a_linear_classifier_in_closed_form() -> None:
    """The mean over examples of p (1 - p) x^2, times w^2 / 2."""
    model, x, y = filled(nn.Linear(4, 3)), draw(9, 4), classes(9, 3)
    weight = model.get_parameter("weight").detach().clone()

    scores = CRITERIA["hessian"].score(context_of(model, x, y, sizes=[4, 5]))

    with torch.no_grad():
        p = model(x).softmax(1)
    h = torch.einsum("nc,ni->ci", p * (1 - p), x**2) / 9
    torch.testing.assert_close(scores["weight"], h * weight**2 / 2, rtol=1e-12, atol=0.0)


def test_where_the_network_curves_it_is_left_out() -> None:
    """J' L J written out for a network with tanh, whose Hessian is another."""
    context = small(masked=False)
    assert context.probe is not None
    x = torch.cat([batch[0] for batch in context.probe.batches])

    def outputs(values: Tensor) -> Tensor:
        weights = dict(zip(NAMES, values.view(2, 2, 2), strict=True))
        found: Tensor = functional_call(context.probe.model, weights, (x,))  # type: ignore[union-attr]
        return found

    at = flat(context.weights)
    j, p = jacrev(outputs)(at).detach(), outputs(at).detach().softmax(1)
    curvature = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    diagonal = torch.einsum("nai,nab,nbi->i", j, curvature, j) / len(x)

    scores = flat(CRITERIA["hessian"].score(context))

    torch.testing.assert_close(scores, diagonal * at**2 / 2)
    assert not torch.allclose(diagonal, gradient_and_hessian(context)[1].diagonal(), rtol=0.1)


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


def test_scores_of_sure_classifications_are_not_negative() -> None:
    """In single precision the curvature of a loss of 1e-8 is noise of either sign."""
    context = context_of(network(6, 12, 5, activation=nn.ReLU), draw(40, 6) * 8, classes(40, 5))
    assert context.probe is not None
    model = context.probe.model.float()
    batches = tuple((inputs.float(), targets) for inputs, targets in context.probe.batches)
    weights = {name: weight.float() for name, weight in context.weights.items()}
    single = replace(
        context, weights=weights, probe=replace(context.probe, model=model, batches=batches)
    )

    scores = flat(CRITERIA["hessian"].score(single))

    assert bool((scores >= 0).all())
    assert bool((scores > 0).any())


def test_hessian_has_no_randomness() -> None:
    context = piecewise_linear(masked=True)
    seeds = [torch.Generator().manual_seed(seed) for seed in (1, 2)]

    one, other = (flat(CRITERIA["hessian"].score(replace(context, generator=g))) for g in seeds)

    assert torch.equal(one, other)


def test_a_loss_without_second_derivatives_is_refused_in_words() -> None:
    context = context_of(
        nn.Linear(3, 2),
        draw(4, 3),
        classes(4),
        loss=lambda outputs, _: (outputs * 1e308).exp().sum(),
    )
    with pytest.raises(UsageError, match="second derivatives that are not finite"):
        CRITERIA["hessian"].score(context)


class _OneAtATime(torch.autograd.Function):
    """An identity whose backward pass cannot take several directions at once."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        return torch.from_numpy(slopes[0].detach().numpy().copy())


class _Own(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = _OneAtATime.apply(inputs)  # type: ignore[no-untyped-call]
        return found


@pytest.mark.parametrize("memory", [1, 2**28])
def test_however_many_directions_go_at_once(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    context = piecewise_linear(masked=False)
    expected = flat(CRITERIA["hessian"].score(context))
    assert context.probe is not None
    own = nn.Sequential(*context.probe.model.children(), _Own())

    monkeypatch.setattr(curvature, "_BYTES_AT_ONCE", memory)
    for model in (context.probe.model, own):
        case = replace(context, probe=replace(context.probe, model=model))
        torch.testing.assert_close(flat(CRITERIA["hessian"].score(case)), expected)


@pytest.mark.parametrize("name", ["grasp", "hessian"])
def test_a_loss_that_is_linear_in_the_weights_has_no_curvature(name: str) -> None:
    model = nn.Linear(3, 1, bias=False)
    context = context_of(model, draw(4, 3), classes(4), loss=lambda outputs, _: outputs.mean())

    assert not CRITERIA[name].score(context)["weight"].any()


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
