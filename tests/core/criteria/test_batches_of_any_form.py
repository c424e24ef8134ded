"""Criteria score the same network alike, in whatever form the examples come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core import CRITERIA, Mask, Probe, ScoreContext, prunable_weights
from lottery.core.criteria.batches import (
    call_model,
    example_count,
    map_tensors,
    single_examples,
)
from lottery.errors import UsageError

FIRST_ORDER = ("snip", "taylor", "movement-pruning", "fisher")
SECOND_ORDER = ("grasp", "hessian")
OUTPUTS = ("mean-activation", "apoz", "wanda")


class Model(nn.Module):
    """Called with one tensor, two arguments or names; gives its loss where it has labels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 6), nn.Linear(6, 3)
        self.whole = True

    def forward(self, x: Tensor, scale: Tensor | None = None, labels: Tensor | None = None) -> Any:
        """Logits, or what Hugging Face's networks give."""
        hidden = torch.relu(self.first(x if scale is None else x * scale))
        logits = self.second(hidden)
        if labels is None:
            return logits if self.whole else SimpleNamespace(logits=logits)
        return SimpleNamespace(loss=F.cross_entropy(logits, labels), logits=logits)


def examples() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(7, 5, generator=generator)
    return x, torch.full((7, 1), 2.0), torch.tensor([0, 1, 2, 0, 1, 2, 2])


def context(probe: Callable[[Model], Probe]) -> ScoreContext:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = Model()
    weights = {name: weight.clone() for name, weight in prunable_weights(model).items()}
    return ScoreContext(
        weights=weights,
        initial=weights,
        mask=Mask({name: weight > -0.2 for name, weight in weights.items()}),
        generator=torch.Generator(),
        probe=probe(model),
    )


def plain(model: Model) -> Probe:
    x, scale, labels = examples()
    batches = [(x[part] * scale[part], labels[part]) for part in (slice(0, 4), slice(4, 7))]
    return Probe(model=model, batches=batches, loss=F.cross_entropy)


def arguments(model: Model) -> Probe:
    x, scale, labels = examples()
    parts = slice(0, 4), slice(4, 7)
    return Probe(model=model, batches=[((x[p], scale[p]), labels[p]) for p in parts])


def named(model: Model) -> Probe:
    probe = arguments(model)
    model.whole = False
    batches = [({"x": x, "scale": scale}, labels) for (x, scale), labels in probe.batches]
    return replace(probe, batches=batches)


def labelled(model: Model) -> Probe:
    batches = [
        {"x": x, "scale": scale, "labels": labels, "extra": None}
        for (x, scale), labels in arguments(model).batches
    ]

    def loss(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        found: Tensor = network(**{n: v for n, v in batch.items() if n != "extra"}).loss
        return found

    return Probe(model=model, batches=batches, batch_loss=loss)


@pytest.mark.parametrize("probe", [arguments, named, labelled])
@pytest.mark.parametrize("criterion", [*FIRST_ORDER, *SECOND_ORDER, *OUTPUTS, "bn-scale"])
def test_the_form_of_batches_changes_no_score(
    criterion: str, probe: Callable[[Model], Probe]
) -> None:
    score = CRITERIA[criterion].score
    if probe is labelled and criterion in SECOND_ORDER:
        with pytest.raises(UsageError, match=r"got a loss of \(model, batch\)"):
            score(context(probe))
        return
    expected, found = score(context(plain)), score(context(probe))
    assert expected.keys() == found.keys()
    for name in expected:
        assert torch.equal(expected[name], found[name])


@pytest.mark.parametrize("probe", [arguments, named, labelled])
def test_synflow_refuses_what_is_no_input_of_ones(probe: Callable[[Model], Probe]) -> None:
    with pytest.raises(UsageError, match="synflow gives the network an input of ones"):
        CRITERIA["synflow"].score(context(probe))


def giving(value: Any, model: Model) -> Probe:
    return replace(labelled(model), batch_loss=lambda *_: value)


def test_a_loss_that_is_no_scalar_is_refused() -> None:
    for value, got in ((0.5, "0.5"), (torch.ones(2), r"shape \(2,\)")):
        given = context(partial(giving, value))
        with pytest.raises(UsageError, match=rf"loss gave .*{got}; expected the mean"):
            CRITERIA["snip"].score(given)


def test_batches_are_counted_and_cut() -> None:
    x, scale, labels = examples()
    batch = {"x": (x, [labels]), "scale": torch.tensor(2.0), "table": torch.ones(3), "n": None}
    assert example_count(batch) == 7
    assert example_count({"a": None}) == example_count(torch.ones(())) == 0
    parts = [*single_examples(batch)]
    assert len(parts) == 7
    assert torch.equal(torch.cat([part["x"][0] for part in parts]), x)
    assert torch.equal(torch.cat([part["x"][1][0] for part in parts]), labels)
    assert all(part["table"] is batch["table"] and part["n"] is None for part in parts)
    doubled, text = map_tensors((scale, "a"), lambda tensor: 2 * tensor)
    assert torch.equal(doubled, 2 * scale)
    assert text == "a"
    with pytest.raises(
        UsageError, match=r"outputs are a tensor, or have one as `logits`, got dict"
    ):
        call_model(Dictionary(), x)


class Dictionary(nn.Module):
    """Gives what is no tensor."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The same."""
        return {"x": x}
