"""First-order criteria against closed forms, differences and other ways to differentiate."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from probes import classes, context_of, draw, filled, network, some_mask
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from lottery.core import CRITERIA, Criterion, Mask, ScoreContext, find_criterion

FIRST_ORDER = {
    "snip": lambda w, g: (w * g).abs(),
    "taylor": lambda w, g: (w * g) ** 2,
    "movement-pruning": lambda w, g: -w * g,
}
first_order = pytest.mark.parametrize("name", FIRST_ORDER)


def score(name: str) -> Criterion:
    return find_criterion(name).score


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs[:, 0] - targets).square().mean()


def regression() -> tuple[Tensor, Tensor, Tensor]:
    """Weights [1, 3], inputs [7, 3], targets [7] of a linear model."""
    return draw(1, 3, seed=3), draw(7, 3), draw(7, seed=2)


def linear(weight: Tensor) -> nn.Module:
    model = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(weight)
    return model


@first_order
@pytest.mark.parametrize("sizes", [[7], [1, 6], [2, 2, 3]])
def test_linear_regression_in_closed_form(name: str, sizes: list[int]) -> None:
    w, x, y = regression()
    g = (2 * (x @ w[0] - y)[:, None] * x).mean(0, keepdim=True)

    scores = score(name)(context_of(linear(w), x, y, loss=squared, sizes=sizes))

    torch.testing.assert_close(scores["weight"], FIRST_ORDER[name](w, g))


@pytest.mark.parametrize("sizes", [[7], [1, 6], [2, 2, 3]])
def test_fisher_of_linear_regression_in_closed_form(sizes: list[int]) -> None:
    w, x, y = regression()
    each = 2 * (x @ w[0] - y)[:, None] * x

    scores = score("fisher")(context_of(linear(w), x, y, loss=squared, sizes=sizes))

    torch.testing.assert_close(scores["weight"], w**2 / 2 * (each**2).mean(0, keepdim=True))


def differences(context: ScoreContext) -> dict[str, Tensor]:
    """The gradient at the masked weights, one weight at a time, by central differences."""
    probe = context.probe
    assert probe is not None
    inputs = torch.cat([batch[0] for batch in probe.batches])
    targets = torch.cat([batch[1] for batch in probe.batches])
    masked = context.mask.apply(context.weights)

    def loss_at(name: str, index: int, step: float) -> float:
        moved = {n: w.clone() for n, w in masked.items()}
        moved[name].view(-1)[index] += step
        with torch.no_grad():
            outputs = functional_call(probe.model, moved, (inputs,))
            return float(probe.loss(outputs, targets))

    h = 1e-5
    return {
        name: torch.tensor(
            [(loss_at(name, i, h) - loss_at(name, i, -h)) / (2 * h) for i in range(weight.numel())],
            dtype=torch.float64,
        ).view(weight.shape)
        for name, weight in masked.items()
    }


@first_order
def test_a_masked_network_against_differences(name: str) -> None:
    """The gradient is taken at the masked weights; the weight it is multiplied by is not masked."""
    model = network(4, 5, 3)
    dense = context_of(model, draw(9, 4), classes(9, 3), sizes=[4, 5])
    context = replace(dense, mask=some_mask(dense.weights))

    scores = score(name)(context)

    for layer, gradient in differences(context).items():
        expected = FIRST_ORDER[name](context.weights[layer], gradient)
        torch.testing.assert_close(scores[layer], expected, rtol=1e-6, atol=1e-9)
        assert scores[layer][~context.mask[layer]].any()


def test_fisher_against_vectorized_gradients() -> None:
    model = network(4, 5, 3)
    x, y = draw(9, 4), classes(9, 3)
    dense = context_of(model, x, y, sizes=[2, 7])
    context = replace(dense, mask=some_mask(dense.weights))

    def loss(weights: dict[str, Tensor], one: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(model, weights, (one[None],)), target[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(context.mask.apply(context.weights), x, y)
    scores = score("fisher")(context)

    for name, weight in context.weights.items():
        torch.testing.assert_close(scores[name], weight**2 / 2 * each[name].square().mean(0))


def normed() -> nn.Module:
    layers = [nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3)]
    return filled(nn.Sequential(*layers))


@first_order
@pytest.mark.parametrize("batch_statistics", [False, True])
def test_which_statistics_batch_norm_uses_and_no_dropout(name: str, batch_statistics: bool) -> None:
    """Its running ones, as when the network is measured; with `snip` there is a choice."""
    model, x, y = normed(), draw(12, 4), classes(12, 3)
    context = context_of(model, x, y)
    assert context.probe is not None
    probe = replace(context.probe, batch_statistics=batch_statistics)
    scores = score(name)(replace(context, probe=probe))

    model.train(name == "snip" and batch_statistics)
    model[3].eval()  # type: ignore[index]
    weights = {n: model.get_parameter(n) for n in ("0.weight", "4.weight")}
    found = torch.autograd.grad(F.cross_entropy(model(x), y), [*weights.values()])

    for (layer, weight), g in zip(weights.items(), found, strict=True):
        torch.testing.assert_close(scores[layer], FIRST_ORDER[name](weight.detach(), g))


@first_order
def test_a_weight_that_the_loss_does_not_feel(name: str) -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            output: Tensor = self.used(inputs)
            return output

    scores = score(name)(context_of(filled(Idle()), draw(5, 4), classes(5, 3)))

    assert scores["used.weight"].all()
    assert not scores["idle.weight"].any()


def test_without_gradients_around_it() -> None:
    """A caller who has turned gradients off gets the same."""
    context = context_of(network(4, 5, 3), draw(9, 4), classes(9, 3))
    for name in ("snip", "grasp", "fisher", "hessian", "synflow", "wanda"):
        expected = CRITERIA[name].score(replace(context, generator=torch.Generator()))
        with torch.no_grad():
            scores = CRITERIA[name].score(replace(context, generator=torch.Generator()))
        assert all(torch.equal(scores[layer], expected[layer]) for layer in expected)


def test_another_model_s_mask_is_refused() -> None:
    from lottery.errors import MaskError

    context = context_of(network(4, 5, 3), draw(9, 4), classes(9, 3))
    other = Mask.dense({"elsewhere.weight": torch.zeros(3)})
    weights = {"elsewhere.weight": torch.zeros(3)}

    with pytest.raises(MaskError, match=r"'elsewhere\.weight' is not among the prunable weights"):
        CRITERIA["snip"].score(replace(context, mask=other, weights=weights))
