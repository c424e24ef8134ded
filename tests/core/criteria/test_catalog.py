"""Every criterion passes the conformance suite; and what is said about each is so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lottery.core import CRITERIA, Mask, Probe, ScoreContext, Scores
from lottery.errors import UsageError
from lottery.testing import (
    CRITERION_CHECKS,
    CRITERION_CHECKS_RUNNING_STATISTICS,
    CriterionCheck,
    tiny_context,
)
from lottery.testing.samples import CLASSES, INPUT_SHAPE, TiedModel, convolutional, tiny_mlp

BATCH_STATISTICS = {"grasp"}

# Along the gradient of the surviving weights (`test_curvature.py` has it), or by ranks among them.
SURVIVORS_ALONE = {"grasp", "large-init-large-final", "small-init-small-final"}

names = pytest.mark.parametrize("name", CRITERIA)


@names
@pytest.mark.parametrize("check", CRITERION_CHECKS, ids=lambda check: check.__name__)
def test_conformance(name: str, check: CriterionCheck) -> None:
    check(CRITERIA[name].score)


@names
@pytest.mark.parametrize("check", CRITERION_CHECKS_RUNNING_STATISTICS, ids=lambda c: c.__name__)
def test_conformance_with_batch_norm(name: str, check: CriterionCheck) -> None:
    if name not in BATCH_STATISTICS:
        check(CRITERIA[name].score)
        return
    with pytest.raises(AssertionError, match="depend on how 19 examples are cut"):
        check(CRITERIA[name].score)


@names
def test_whether_it_needs_a_probe(name: str) -> None:
    context = replace(tiny_context(), probe=None)

    if CRITERIA[name].needs_probe:
        with pytest.raises(UsageError, match=r"expected ScoreContext\.probe to be a Probe"):
            CRITERIA[name].score(context)
    else:
        CRITERIA[name].score(context)


@pytest.mark.parametrize("name", [name for name, one in CRITERIA.items() if one.needs_probe])
def test_how_many_multiplications_it_takes(name: str) -> None:
    """Counted by torch; to the input of the first layer no pass goes back."""
    width, outputs, examples = 32, 4, 24
    layers = [layer for _ in range(9) for layer in (nn.Linear(width, width), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(width, outputs)).eval()
    weights = {n: p.detach() for n, p in model.named_parameters() if p.ndim > 1}
    inputs, targets = torch.rand(examples, width), torch.rand(examples, outputs)
    context = ScoreContext(
        weights=weights,
        initial=weights,
        mask=Mask.dense(weights),
        generator=torch.Generator(),
        probe=Probe(model=model, batches=[(inputs, targets)], loss=F.mse_loss),
    )
    entry = CRITERIA[name]
    with FlopCounterMode(display=False) as counted:
        entry.score(context)
    each = sum(weight.numel() for weight in weights.values())
    each *= examples if entry.looks_at == "examples" else 1
    expected = entry.products + entry.products_by_output * outputs
    # Of two operations, a product and a sum, torch counts both.
    assert counted.get_total_flops() / 2 / each == pytest.approx(expected, rel=0.15)


@names
def test_whether_it_looks_at_examples(name: str) -> None:
    """What looks at the network alone gives the same with any examples of that shape."""
    context = tiny_context(convolutional)
    assert context.probe is not None
    others = tuple((inputs * 3 - 1, (targets + 1) % 3) for inputs, targets in context.probe.batches)
    moved = replace(tiny_context(convolutional), probe=replace(context.probe, batches=others))

    one, other = (CRITERIA[name].score(c) for c in (context, moved))

    same = all(bool((one[layer] == other[layer]).all()) for layer in one)
    assert same == (CRITERIA[name].looks_at != "examples")


@names
def test_whether_a_score_belongs_to_a_unit(name: str) -> None:
    scores = CRITERIA[name].score(tiny_context(convolutional, density=1.0))
    constant = all(
        bool((s == s.flatten(1)[:, :1].view(-1, *[1] * (s.dim() - 1))).all())
        for s in scores.values()
    )

    assert constant == CRITERIA[name].per_unit


@pytest.mark.parametrize("name", sorted(CRITERIA.keys() - SURVIVORS_ALONE))
@pytest.mark.parametrize("make_model", [tiny_mlp, convolutional, TiedModel])
def test_pruned_weights_that_are_held_are_a_part_of_the_network(
    name: str, make_model: Callable[[], nn.Module]
) -> None:
    """Survivors score as they do in the same network when nothing of it counts as pruned."""
    context = tiny_context(make_model)
    probe, mask, weights = context.probe, context.mask, context.weights
    assert probe is not None
    held = {layer: 0.3 + weight for layer, weight in context.initial.items()}
    whole = {layer: torch.where(mask[layer], weights[layer], held[layer]) for layer in mask}

    def scored(case: ScoreContext) -> Scores:
        return CRITERIA[name].score(replace(case, generator=torch.Generator()))

    zeroed, scores = scored(context), scored(replace(context, probe=replace(probe, pruned=held)))
    expected = scored(replace(context, weights=whole, mask=Mask.dense(whole)))

    for layer, kept in mask.items():
        assert torch.equal(scores[layer][kept], expected[layer][kept])
    same = all(
        torch.equal(scores[layer][kept], zeroed[layer][kept]) for layer, kept in mask.items()
    )
    assert same == (CRITERIA[name].looks_at == "weights" or name == "bn-scale")


def normalized() -> nn.Module:
    """Layer normalization lets a larger signal make the others smaller."""
    hidden = 8
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(INPUT_SHAPE), hidden),
        nn.LayerNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, CLASSES),
    )


@names
def test_whether_its_scores_can_be_rescaled(name: str) -> None:
    """Finite and 0 or more in any network, or else not in some."""
    networks = (tiny_mlp, convolutional, normalized)
    contexts = [tiny_context(network, seed=seed) for network in networks for seed in range(3)]

    fit = all(
        bool((scores.isfinite() & (scores >= 0))[context.mask[layer]].all())
        for context in contexts
        for layer, scores in CRITERIA[name].score(context).items()
    )

    assert fit == CRITERIA[name].rescalable


@names
def test_whether_scores_differ_before_any_training(name: str) -> None:
    """Weights are the initial ones, and normalization has its scales of one."""
    context = tiny_context(convolutional, density=1.0)
    assert context.probe is not None
    with torch.no_grad():
        for module in context.probe.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(1.0)
    scores = CRITERIA[name].score(replace(context, weights=context.initial))

    equal = all(bool((s == s.flatten()[0]).all()) for s in scores.values())

    assert equal != CRITERIA[name].at_initialization


@names
def test_whether_it_scores_what_is_pruned(name: str) -> None:
    """In a later round a weight of an earlier one has its value, and no mask."""
    context = tiny_context(density=0.5)
    whole = tiny_context(density=1.0).weights

    scores = CRITERIA[name].score(replace(context, weights=whole))

    pruned = torch.cat([s[~context.mask[layer]] for layer, s in scores.items()])
    assert bool((pruned == 0).all()) != CRITERIA[name].scores_pruned


@names
def test_every_entry_says_what_it_is_and_where_it_is_from(name: str) -> None:
    entry = CRITERIA[name]

    assert entry.about
    assert "\n" not in entry.about
    assert entry.source
    assert entry.score.__doc__


@pytest.mark.parametrize("name", sorted(BATCH_STATISTICS))
def test_a_batch_of_one_has_no_statistics(name: str) -> None:
    context = tiny_context(convolutional, sizes=(8, 1))

    with pytest.raises(UsageError, match="batches of 2 examples or more, got one of 1"):
        CRITERIA[name].score(context)


@pytest.mark.parametrize("name", sorted(BATCH_STATISTICS))
def test_a_batch_of_one_is_enough_without_batch_norm(name: str) -> None:
    CRITERIA[name].score(tiny_context(sizes=(1,)))


@pytest.mark.parametrize("name", ["snip", "synflow", "apoz"])
@pytest.mark.parametrize("sizes", [(), (3, 0)])
def test_no_examples(name: str, sizes: tuple[int, ...]) -> None:
    context = tiny_context()
    assert context.probe is not None
    inputs, targets = context.probe.batches[0]
    batches = tuple((inputs[:size], targets[:size]) for size in sizes)

    with pytest.raises(UsageError, match="no batch, or an empty one"):
        CRITERIA[name].score(replace(context, probe=replace(context.probe, batches=batches)))


@pytest.mark.parametrize("name", ["snip", "grasp", "fisher"])
def test_a_loss_that_is_no_mean(name: str) -> None:
    context = tiny_context()
    assert context.probe is not None
    probe = replace(context.probe, loss=nn.CrossEntropyLoss(reduction="none"))

    with pytest.raises(UsageError, match="expected the mean over the batch, a scalar"):
        CRITERIA[name].score(replace(context, probe=probe))
