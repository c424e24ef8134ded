"""One call that prunes a model once more, against sorting by hand."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from kinds_of_networks import COVERED, Embedded
from torch import Tensor, nn

import lottery
from lottery import Mask, prune
from lottery.core import CRITERIA, ScoreContext, Scores, prunable_weights
from lottery.errors import MaskError, UsageError

NAMES = ("0.weight", "2.weight", "4.weight")


def mlp(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)
    return nn.Sequential(*layers)


def batches(count: int = 8) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(count, 5, generator=generator)
    return [(inputs[:5], torch.arange(5) % 3), (inputs[5:], torch.arange(5, count) % 3)]


def by_hand(model: nn.Module, kept: Mapping[str, Tensor], keep: int) -> dict[str, Tensor]:
    """The largest ``keep`` of the weights kept, over all layers; the first of equals."""
    places = [
        (-abs(float(dict(model.named_parameters())[name].detach().view(-1)[i])), name, i)
        for name in sorted(kept)
        for i in range(kept[name].numel())
        if kept[name].view(-1)[i]
    ]
    left = {name: torch.zeros_like(mask) for name, mask in kept.items()}
    for _, name, i in sorted(places)[:keep]:
        left[name].view(-1)[i] = True
    return left


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return Mask(one) == Mask(other)


def test_magnitude_over_the_network_is_sorting_by_hand() -> None:
    model = mlp()
    dense = {name: torch.ones_like(w, dtype=torch.bool) for name, w in lottery_weights(model)}
    first = prune(model)
    assert first.total == 30 + 24 + 12
    assert first.kept == 66 - round(0.2 * 66)
    assert same(first, by_hand(model, dense, first.kept))
    model = mlp(1)
    second = prune(model, 0.5, mask=first)
    assert second.kept == first.kept - round(0.5 * first.kept)
    assert same(second, by_hand(model, first, second.kept))
    assert second.is_subset(first)


def lottery_weights(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*prunable_weights(model).items()]


def test_magnitude_within_layers_is_sorting_each_by_hand() -> None:
    model = mlp()
    found = prune(model, 0.3, scope="layer", fractions={"4.*": 0.0})
    for name, weight in lottery_weights(model):
        keep = weight.numel() - round(0.3 * weight.numel()) if name != "4.weight" else 12
        dense = {name: torch.ones_like(weight, dtype=torch.bool)}
        assert torch.equal(found[name], by_hand(model, dense, keep)[name])


@given(
    fractions=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    scope=st.sampled_from(["global", "lamp", "layer", "erk", "uniform"]),
    equal=st.booleans(),
)
def test_counts_are_exact_and_levels_nest(
    fractions: list[float], seed: int, scope: Any, equal: bool
) -> None:
    model = mlp(seed)
    if equal:
        for _, weight in lottery_weights(model):
            weight.fill_(0.5)
    before = copy.deepcopy(model.state_dict())
    mask: Mask | None = None
    for fraction in fractions:
        found = prune(model, fraction, mask=mask, scope=scope)
        layers = {name: weight.numel() for name, weight in lottery_weights(model)}
        counts = layers if mask is None else {name: k for name, (k, _) in mask.layers.items()}
        if scope == "layer":
            assert {n: k for n, (k, _) in found.layers.items()} == {
                n: k - round(fraction * k) for n, k in counts.items()
            }
        survivors = sum(counts.values())
        if scope != "layer":
            assert found.kept == survivors - round(fraction * survivors)
        assert mask is None or found.is_subset(mask)
        mask = found
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@given(density=st.floats(0.01, 0.99), scope=st.sampled_from(["global", "lamp", "uniform", "erk"]))
def test_a_density_is_met_exactly(density: float, scope: Any) -> None:
    found = prune(mlp(), density=density, scope=scope)
    assert found.kept == round(density * 66)
    assert lottery.density(found) == found.kept / 66


@pytest.mark.parametrize("kind", COVERED)
def test_every_kind_of_network_is_pruned_and_nothing_of_it_changes(kind: str) -> None:
    model = COVERED[kind][0]((1, 3, 4), 3)
    model.train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    mask = prune(model, 0.5, criterion="random", seed=1)
    assert {name: total for name, (_, total) in mask.layers.items()} == COVERED[kind][1]
    assert mask == prune(model, 0.5, criterion="random", seed=1)
    assert mask != prune(model, 0.5, criterion="random", seed=2)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_what_is_covered_goes_on_from_the_mask() -> None:
    model = Embedded((1, 3, 4), 3)
    first = prune(model, 0.5, also=["embedding.*", "mixing"], leave_out="output.*")
    assert [*first] == ["embedding.weight", "mixing"]
    again = prune(model, 0.5, mask=first, also=["embedding.*", "mixing"], leave_out="output.*")
    assert prune(model, 0.5, mask=dict(first)) == again
    assert again.is_subset(first)
    with pytest.raises(MaskError, match=r"'output\.weight' is missing from the mask"):
        prune(model, 0.5, mask=first, also=["embedding.*", "mixing"])
    with pytest.raises(MaskError, match=r"'gone' is not among"):
        prune(model, 0.5, mask={"gone": torch.ones(2, dtype=torch.bool)})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_wrapped_model_has_the_masks_of_the_plain_one() -> None:
    model = mlp()
    layers = [torch.compile(layer) for layer in copy.deepcopy(model)]
    inner = nn.Sequential(*(layer for layer in layers if isinstance(layer, nn.Module)))
    for criterion in ("magnitude", "snip"):
        given = batches() if criterion == "snip" else None
        expected = prune(model, 0.5, criterion=criterion, batches=given, fractions={"0.*": 0.2})
        mask = {f"module.{name}": kept for name, kept in expected.items()}
        for wrapped in (nn.DataParallel(model), torch.compile(model), inner):
            assert isinstance(wrapped, nn.Module)
            found = prune(wrapped, 0.5, criterion=criterion, batches=given, fractions={"0.*": 0.2})
            assert found == expected
            assert prune(wrapped, 0.5, mask=mask) == prune(model, 0.5, mask=expected)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    inputs = torch.cat([batch[0] for batch in batches()])
    targets = torch.cat([batch[1] for batch in batches()])
    loss = F.cross_entropy(model(inputs), targets)
    parameters = {name: model.get_parameter(name) for name in NAMES}
    return dict(zip(parameters, torch.autograd.grad(loss, [*parameters.values()]), strict=True))


class Labelled(nn.Module):
    """Gives its loss where it has labels, as Hugging Face's networks do."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        """An output with the loss."""
        logits = self.inner(x)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return type("Output", (), {"loss": loss, "logits": logits})


def test_a_criterion_looks_at_batches_of_any_form() -> None:
    model = mlp()
    scores = {n: (g * model.get_parameter(n)).abs().detach() for n, g in gradients(model).items()}
    ordered = torch.cat([scores[name].flatten() for name in NAMES]).sort(descending=True).values
    expected = Mask({name: score >= ordered[32] for name, score in scores.items()})
    pairs = batches()

    def own(network: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(network(batch["pixels"]), batch["digit"])

    found = [
        prune(model, 0.5, criterion="snip", batches=pairs),
        prune(model, 0.5, criterion="snip", batches=[((x,), y) for x, y in pairs]),
        prune(model, 0.5, criterion="snip", batches=iter([({"input": x}, y) for x, y in pairs])),
        prune(
            model,
            0.5,
            criterion="snip",
            batches=[{"pixels": x, "digit": y, "id": "a"} for x, y in pairs],
            loss=own,
        ),
    ]
    assert all(mask == expected for mask in found)
    given = [{"x": x, "labels": y} for x, y in pairs]
    labelled = prune(Labelled(model), 0.5, criterion="snip", batches=given)
    assert labelled == Mask({f"inner.{name}": kept for name, kept in expected.items()})
    with_none = [{"x": x} for x, _ in pairs]
    assert prune(Labelled(model), 0.5, criterion="wanda", batches=with_none).kept == 33
    assert prune(model, 0.5, criterion="wanda", batches=[x for x, _ in pairs]).kept == 33
    many = prune(model, density=0.1, criterion="synflow", batches=pairs, rounds=20)
    assert (many.kept, many.empty_layers) == (7, ())


def test_a_criterion_of_your_own() -> None:
    def first_weights(context: ScoreContext) -> Scores:
        return {
            n: -torch.arange(w.numel()).view(w.shape).float() for n, w in context.weights.items()
        }

    model = nn.Linear(5, 2)
    mask = prune(model, 0.5, criterion=first_weights)
    assert mask["weight"].flatten().tolist() == [True] * 5 + [False] * 5
    assert prune(model, 0.5, criterion=CRITERIA["magnitude"]) == prune(model, 0.5)


def test_criteria_that_look_at_the_initialization() -> None:
    model, start = mlp(0), mlp(1).state_dict()
    moved = prune(model, 0.5, criterion="movement", initial=start)
    distance = {n: (w - start[n]).abs() for n, w in lottery_weights(model)}
    ordered = torch.cat([distance[name].flatten() for name in NAMES]).sort(descending=True).values
    assert moved == Mask({name: d >= ordered[32] for name, d in distance.items()})
    with pytest.raises(
        UsageError, match=r"'movement' looks at the weights at init.*initial=\{name"
    ):
        prune(model, criterion="movement")
    with pytest.raises(UsageError, match=r"initial has no weights of the shape of 0\.weight"):
        prune(
            model,
            criterion="movement",
            initial={"0.weight": torch.ones(1)} | {name: start[name] for name in NAMES[1:]},
        )

    def own(context: ScoreContext) -> Scores:
        return {name: weight.abs() for name, weight in context.initial.items()}

    with pytest.raises(MaskError, match="NaN"):
        prune(model, criterion=own)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fraction": 1.5}, r"fraction: must lie between 0 and 1, got 1\.5"),
        ({"fraction": 0.5, "density": 0.5}, "either fraction= or density=, got both"),
        ({"density": 1.0}, r"density must lie between 0 and 1, got 1\.0"),
        ({"density": 0.5, "scope": "layer"}, "use scope 'uniform'"),
        ({"scope": "globl"}, "unknown scope 'globl'; did you mean 'global'"),
        ({"criterion": "magnitud"}, "did you mean 'magnitude'"),
        ({"criterion": 3}, "criterion 'int' is a int; expected a function"),
        ({"fractions": {"9.*": 0.1}}, r"no layer matches '9\.\*'"),
        ({"rounds": 0}, "rounds: must be between 1"),
        ({"criterion": "snip"}, r"give batches, such as batches=\[\(inputs, targets\)\]"),
        ({"criterion": "snip", "batches": []}, "give batches"),
        ({"criterion": "snip", "batches": torch.ones(2, 5)}, "looks like one batch"),
        ({"criterion": "snip", "batches": {"x": torch.ones(2, 5)}}, "looks like one batch"),
        ({"criterion": "snip", "batches": batches()[0]}, "looks like one batch"),
        ({"criterion": "snip", "batches": [torch.ones(2, 5)]}, "this criterion needs a loss"),
        ({"criterion": "snip", "batches": [(1, 2, 3)]}, "got 3 parts"),
        ({"criterion": "movement-pruning", "scope": "lamp"}, "'lamp' squares scores"),
        ({"leave_out": "*"}, "nothing to prune"),
    ],
)
def test_a_mistake_is_an_error_that_says_what_to_do(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        prune(mlp(), **arguments)


def test_a_model_without_parameters_has_nothing_to_prune() -> None:
    with pytest.raises(UsageError, match="nothing to prune"):
        prune(nn.ReLU(), criterion="snip", batches=batches())


def test_a_model_without_a_loss_of_its_labels_is_told() -> None:
    class Silent(Labelled):
        def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
            return self.inner(x)

    given = [{"x": x, "labels": y} for x, y in batches()]
    with pytest.raises(UsageError, match="the model gives no `loss`"):
        prune(Silent(mlp()), criterion="snip", batches=given)


def test_density_of_masks_and_models() -> None:
    model = mlp()
    assert lottery.density(model) == 1.0
    mask = prune(model, 0.5)
    assert lottery.density(mask) == 0.5
    with torch.no_grad():
        for name in mask:
            model.get_parameter(name).mul_(mask[name])
        model.get_parameter("0.weight")[0, 0] = math.nan
    first = bool(mask["0.weight"][0, 0])
    assert lottery.density(model) == (33 if first else 34) / 66
    assert lottery.density(nn.DataParallel(model)) == lottery.density(model)
    part = {"4.weight": mask["4.weight"]}
    assert lottery.density(model, part) == float(mask["4.weight"].double().mean())
    assert lottery.density(model, leave_out=["0.*", "2.*"]) == lottery.density(model, part)
    assert math.isnan(lottery.density(nn.LayerNorm(3)))
    with pytest.raises(MaskError, match=r"'5\.weight' is not among"):
        lottery.density(model, {"5.weight": torch.ones(2, dtype=torch.bool)})
