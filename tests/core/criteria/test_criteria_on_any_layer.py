"""Criteria on layers other than linear ones and convolutions."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from kinds_of_networks import COVERED
from torch import Tensor, nn

from lottery.core import (
    CRITERIA,
    Mask,
    Probe,
    ScoreContext,
    prunable_weights,
    signal_passes,
    tie_parameters,
)
from lottery.errors import UsageError

SHAPE, CLASSES, EXAMPLES = (1, 3, 4), 3, 10


@cache
def network(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = COVERED[name][0](SHAPE, CLASSES).double()
    tie_parameters(model)
    return model


def context(name: str) -> ScoreContext:
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randn(EXAMPLES, *SHAPE, generator=generator, dtype=torch.float64)
    targets = torch.arange(EXAMPLES) % CLASSES
    weights = prunable_weights(network(name))
    return ScoreContext(
        weights=weights,
        initial=weights,
        mask=Mask.dense(weights),
        generator=generator,
        probe=Probe(
            model=network(name),
            batches=[(inputs[:4], targets[:4]), (inputs[4:], targets[4:])],
            loss=nn.functional.cross_entropy,
        ),
    )


# The rest look at units or at the inputs of single layers.
ANYWHERE = sorted(CRITERIA.keys() - {"mean-activation", "apoz", "wanda", "bn-scale"})


@pytest.mark.parametrize("criterion", ANYWHERE)
@pytest.mark.parametrize("name", COVERED)
def test_weights_and_gradients_score_any_layer(name: str, criterion: str) -> None:
    given = context(name)
    scores = CRITERIA[criterion].score(given)
    assert {n: s.shape for n, s in scores.items()} == {n: w.shape for n, w in given.weights.items()}
    for score in scores.values():
        assert score.isfinite().all()


@pytest.mark.parametrize("name", ["lstm", "attention", "bilinear", "foreign", "shared-storage"])
def test_snip_is_the_weight_times_the_gradient(name: str) -> None:
    given, model = context(name), network(name)
    assert given.probe is not None
    inputs, targets = (torch.cat(parts) for parts in zip(*given.probe.batches, strict=True))
    loss = nn.functional.cross_entropy(model.eval()(inputs), targets)
    scores = CRITERIA["snip"].score(given)
    for layer, score in scores.items():
        weight = model.get_parameter(layer)
        (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
        torch.testing.assert_close(score, (weight * gradient).abs().detach())


def seen_by(name: str, layer: str) -> list[tuple[Tensor, ...]]:
    """The inputs that a layer is called with."""
    found = list[tuple[Tensor, ...]]()
    module = network(name).eval().get_submodule(layer)
    hook = module.register_forward_pre_hook(lambda _, inputs: found.append(inputs))
    probe = context(name).probe
    assert probe is not None
    with torch.no_grad():
        for inputs, _ in probe.batches:
            network(name)(inputs)
    hook.remove()
    return found


def test_wanda_of_a_bilinear_layer_is_by_products_of_its_inputs() -> None:
    given = context("bilinear")
    one, two = (torch.cat(parts) for parts in zip(*seen_by("bilinear", "first"), strict=True))
    norms = (one.unsqueeze(2) * two.unsqueeze(1)).square().sum(0).sqrt()
    expected = given.weights["first.weight"].abs() * norms
    torch.testing.assert_close(CRITERIA["wanda"].score(given)["first.weight"], expected)


def test_wanda_of_a_transposed_convolution_is_by_its_input_channel() -> None:
    # Without padding every place of the kernel meets every position.
    given = context("transposed")
    (inputs,) = (torch.cat(parts) for parts in zip(*seen_by("transposed", "up"), strict=True))
    norms = inputs.square().sum((0, 2, 3)).sqrt()
    expected = given.weights["up.weight"].abs() * norms.view(-1, 1, 1, 1)
    torch.testing.assert_close(CRITERIA["wanda"].score(given)["up.weight"], expected)


@pytest.mark.parametrize(
    ("criterion", "name", "layers"),
    [
        ("wanda", "lstm", r"rnn\.weight_hh_l0, rnn\.weight_ih_l0"),
        ("wanda", "attention", r"layer\.self_attn\.in_proj_weight, layer\.self_attn\.out_proj\.w"),
        ("apoz", "transposed", r"up\.weight"),
        ("mean-activation", "bilinear", r"first\.weight"),
        ("mean-activation", "foreign", r"1\.weight, 3\.up"),
    ],
)
def test_what_a_criterion_cannot_look_at_is_refused_by_name(
    criterion: str, name: str, layers: str
) -> None:
    with pytest.raises(UsageError, match=rf"looks at the layers of {layers}"):
        CRITERIA[criterion].score(context(name))


def test_batch_norm_says_nothing_of_outputs_that_are_not_rows() -> None:
    scores = CRITERIA["bn-scale"].score(context("transposed"))
    assert all(score.isposinf().all() for score in scores.values())


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("lstm", "rnn.weight_ih_l0"),
        ("gru-alone", "rnn.weight_ih_l0"),
        ("cell", "cell.weight_ih"),
        ("cross-attention", "attention.v_proj_weight"),
        ("transposed", "up.weight"),
        ("bilinear", "first.weight"),
        ("foreign", "3.up"),
        ("shared-storage", "a.weight"),
    ],
)
def test_a_signal_does_not_pass_an_empty_layer_of_any_kind(name: str, cut: str) -> None:
    dense = Mask.dense(prunable_weights(COVERED[name][0](SHAPE, CLASSES)))
    without = Mask({n: kept & (n != cut) for n, kept in dense.items()})
    assert signal_passes(COVERED[name][0](SHAPE, CLASSES), dense, SHAPE)
    assert not signal_passes(COVERED[name][0](SHAPE, CLASSES), without, SHAPE)


@pytest.mark.parametrize(
    ("name", "cut"), [("lstm", "rnn.weight_hh_l0"), ("skipped", "block.weight")]
)
def test_a_signal_passes_beside_an_empty_layer(name: str, cut: str) -> None:
    dense = Mask.dense(prunable_weights(COVERED[name][0](SHAPE, CLASSES)))
    without = Mask({n: kept & (n != cut) for n, kept in dense.items()})
    assert signal_passes(COVERED[name][0](SHAPE, CLASSES), without, SHAPE)
