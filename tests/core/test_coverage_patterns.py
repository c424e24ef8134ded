"""What a user adds to what masks cover, and leaves out of it, by patterns of names."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from kinds_of_networks import Embedded, Routed, all_frozen, lstm, weight_normed
from torch import nn

from lottery.core import (
    check_coverage,
    covered_weights,
    fan_ins,
    outside_mask,
    prunable_weights,
    set_coverage,
    weight_uses,
    without_units,
)
from lottery.errors import UsageError

SHAPE, CLASSES = (1, 3, 4), 3


def names(
    model: nn.Module, also: str | Sequence[str] = (), leave_out: str | Sequence[str] = ()
) -> list[str]:
    return [*prunable_weights(model, also=also, leave_out=leave_out)]


def reasons(model: nn.Module, **patterns: str | Sequence[str]) -> dict[str, str]:
    return {one.name: one.reason for one in outside_mask(model, **patterns)}


def test_patterns_add_and_leave_out() -> None:
    model = Embedded(SHAPE, CLASSES)
    unknown = "of Embedded, a kind of layer that masks do not know"
    assert names(model) == ["output.weight"]
    assert names(model, also="embedding.*") == ["embedding.weight", "output.weight"]
    assert names(model, also=["mix*", "embed*"]) == ["mixing", "embedding.weight", "output.weight"]
    assert names(model, also=["*ing*"], leave_out=["embed*"]) == ["mixing", "output.weight"]
    assert names(model, also=["mixing", "output.weight"]) == ["mixing", "output.weight"]
    assert names(lstm(SHAPE, CLASSES), leave_out="rnn.*_hh_*") == [
        "rnn.weight_ih_l0",
        "output.weight",
    ]
    assert reasons(model) == {"embedding.weight": "an embedding", "mixing": unknown}
    assert reasons(model, also="mixing", leave_out="output.*") == {
        "embedding.weight": "an embedding",
        "output.weight": "left out by prune.leave_out",
    }
    assert reasons(model, also=["mixing", "embedding.weight"]) == {}


def test_what_is_covered_says_what_it_is() -> None:
    model = Embedded(SHAPE, CLASSES)
    set_coverage(model, also=["mixing", "embedding.weight"])
    kinds = {name: one.kind for name, one in covered_weights(model).items()}
    assert kinds == {
        "mixing": "unknown",
        "embedding.weight": "embedding",
        "output.weight": "linear",
    }
    assert fan_ins(model) == {"mixing": 5, "embedding.weight": 6, "output.weight": 5}
    for granularity in ("kernel", "filter", "neuron", "block-2x2", "2:4"):
        assert without_units(granularity, kinds).keys() == {"mixing", "embedding.weight"}
    set_coverage(model, also=["embedding.weight"])
    assert weight_uses(model, SHAPE) == {"embedding.weight": 0, "output.weight": 1}


def test_a_network_keeps_its_rule_in_copies_and_state_and_outputs_stay() -> None:
    model = Embedded(SHAPE, CLASSES)
    plain = copy.deepcopy(model)
    set_coverage(model, also=["mixing"], leave_out="output.weight")
    for twin in (model, copy.deepcopy(model), copy.copy(model).double()):
        assert names(twin) == ["mixing"]
        assert names(twin, also="embed*") == ["mixing", "embedding.weight"]
    assert names(plain) == ["output.weight"]
    assert model.state_dict().keys() == plain.state_dict().keys()
    set_coverage(model)
    assert names(model) == ["output.weight"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_names_of_wrapped_models_are_understood() -> None:
    for model in (nn.DataParallel(Embedded(SHAPE, CLASSES)), torch.compile(Embedded(SHAPE, 3))):
        found = names(model, also=["embedding.*"], leave_out=["output.weight"])  # type: ignore[arg-type]
        assert [name.endswith(".embedding.weight") for name in found] == [True]
    model = Embedded(SHAPE, CLASSES)
    set_coverage(model, also=["mixing"])
    assert names(torch.compile(model)) == ["_orig_mod.mixing", "_orig_mod.output.weight"]  # type: ignore[arg-type]


class Tied(nn.Module):
    """A language model whose last layer has the embedding's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.hidden = nn.Linear(4, 4)
        self.decoder = nn.Linear(4, 7, bias=False)
        self.decoder.weight = self.embedding.weight


def test_a_tied_weight_is_added_by_any_of_its_names_and_counts_once() -> None:
    for pattern in ("embedding.weight", "decoder.*"):
        found = covered_weights(Tied(), also=[pattern])
        assert [*found] == ["embedding.weight", "hidden.weight"]
        assert found["embedding.weight"].kind == "linear"
    assert names(Tied(), also="decoder.*", leave_out="embedding.*") == ["hidden.weight"]


REFUSED = {
    "norm.weight": r"norm\.weight is a normalization",
    "norm.*": r"norm\.weight is a normalization; norm\.bias is a normalization",
    "output.bias": r"output\.bias is a bias",
    "frozen.weight": r"frozen\.weight is frozen",
    "sparse.weight": r"sparse\.weight is an embedding with sparse gradients",
    "slope.weight": r"slope\.weight is a vector",
    "*original1": r"normed\.parametrizations\.weight\.original1 is what a parametrized weight is",
}


def strange() -> nn.Module:
    model = Embedded(SHAPE, CLASSES)
    model.frozen = nn.Embedding(3, 4)
    model.frozen.requires_grad_(False)
    model.sparse = nn.Embedding(3, 4, sparse=True)
    model.slope = nn.PReLU(5)
    model.normed = nn.utils.parametrizations.weight_norm(nn.Embedding(3, 2))
    return model


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_cannot_be_masked_is_refused_with_the_reason(pattern: str) -> None:
    with pytest.raises(UsageError, match=rf"^prune\.also: {REFUSED[pattern]}.*masks cannot cover"):
        names(strange(), also=[pattern])
    with pytest.raises(UsageError, match=r"prune\.also"):
        outside_mask(strange(), also=[pattern])


def test_a_pattern_that_fits_nothing_is_an_error_with_near_names() -> None:
    model = Embedded(SHAPE, CLASSES)
    with pytest.raises(
        UsageError,
        match=r"also: no parameter of the network matches 'embeding\.weight'; did you mean "
        r"embedding\.weight",
    ):
        names(model, also=["embeding.weight"])
    with pytest.raises(UsageError, match=r"also: .*'nothing-like-it'; they are mixing, embedding"):
        names(model, also=["nothing-like-it"])
    for pattern in ("embedding.weight", "x"):
        with pytest.raises(
            UsageError, match=rf"leave_out: no weight that masks cover matches '{pattern}'"
        ):
            names(model, leave_out=[pattern])


def test_a_computed_weight_that_is_left_out_is_no_error() -> None:
    model = weight_normed(SHAPE, CLASSES)
    assert names(model, leave_out=["1.*"]) == ["3.weight"]
    with pytest.raises(UsageError, match=r"1\.weight: computed .* prune\.leave_out"):
        names(model, leave_out=["3.weight"])


def test_a_network_of_which_all_is_left_out_has_nothing_to_prune() -> None:
    model = lstm(SHAPE, CLASSES)
    set_coverage(model, leave_out="*")
    with pytest.raises(UsageError, match=r"output\.weight \(left out by prune\.leave_out\)"):
        check_coverage("lstm", model)
    frozen = all_frozen(SHAPE, CLASSES)
    set_coverage(frozen, also="1.weight")
    with pytest.raises(UsageError, match=r"1\.weight is frozen"):
        check_coverage("frozen", frozen)


def test_experts_may_say_that_their_outputs_come_last() -> None:
    layer = Routed(inputs=5, outputs=7, experts=3)
    assert fan_ins(layer)["up"] == 5
    setattr(layer, "is_transposed", True)  # noqa: B010 - no attribute that its class declares
    assert fan_ins(layer)["up"] == 7


class Adapted(nn.Module):
    """A frozen linear layer with a trained update of low rank, as LoRA has it."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(6, 8).requires_grad_(False)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(6, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 8, bias=False)})


def test_of_a_low_rank_adapter_what_is_trained_is_covered() -> None:
    model = Adapted()
    assert names(model) == ["lora_A.default.weight", "lora_B.default.weight"]
    assert reasons(model) == {"base.weight": "frozen"}
    with pytest.raises(UsageError, match=r"base\.weight is frozen"):
        names(model, also="base.weight")
