"""Units of networks whose outputs are not the rows of their weights."""

from __future__ import annotations

import pytest
from kinds_of_networks import COVERED

from lottery.core import Mask, covered_weights, prunable_weights, surviving_units, without_units
from lottery.errors import UsageError
from lottery.tickets import PruneConfig, network_units

SHAPE, CLASSES = (1, 3, 4), 3

# Network, granularity -> how many units which layers have.
UNITS: list[tuple[str, str, dict[str, int]]] = [
    (
        "attention",
        "neuron",
        {
            "embed.weight": 6,
            "layer.self_attn.out_proj.weight": 6,
            "layer.linear1.weight": 7,
            "layer.linear2.weight": 6,
        },
    ),
    ("foreign", "neuron", {"3.router.weight": 3}),
    ("transposed", "filter", {"down.weight": 4}),
    ("transposed", "kernel", {"down.weight": 4, "up.weight": 12}),
    ("lstm", "block-5x4", {"rnn.weight_ih_l0": 4, "rnn.weight_hh_l0": 8, "output.weight": 2}),
    ("lstm", "2:4", {"rnn.weight_ih_l0": 20, "rnn.weight_hh_l0": 40, "output.weight": 6}),
    ("foreign", "2:4", {"3.router.weight": 6, "5.weight": 6}),
    ("transposed", "2:4", {"down.weight": 16, "output.weight": 6}),
    ("foreign", "layer", {"1.weight": 1, "3.router.weight": 1, "3.up": 1}),
]


@pytest.mark.parametrize(("name", "granularity", "expected"), UNITS)
def test_layers_whose_outputs_are_not_rows_stay_whole(
    name: str, granularity: str, expected: dict[str, int]
) -> None:
    model = COVERED[name][0](SHAPE, CLASSES)
    units = network_units(PruneConfig(granularity=granularity, scope="layer"), model, SHAPE)
    assert units is not None
    assert {layer: len(numbers) for layer, numbers in units.homes.items()} == expected
    assert len(surviving_units(Mask.dense(prunable_weights(model)), units)) == units.count


@pytest.mark.parametrize(
    ("name", "granularity"),
    [
        *(("gru-alone", "neuron"), ("bilinear", "filter"), ("lstm", "filter")),
        # Their linear layer makes the outputs, which stay.
        *(("lstm", "neuron"), ("bilinear", "neuron")),
    ],
)
def test_a_granularity_that_fits_no_layer_is_refused(name: str, granularity: str) -> None:
    model = COVERED[name][0](SHAPE, CLASSES)
    with pytest.raises(UsageError, match=f"granularity '{granularity}' finds nothing to remove"):
        network_units(PruneConfig(granularity=granularity), model, SHAPE)


def test_the_reason_is_told() -> None:
    kinds = {n: one.kind for n, one in covered_weights(COVERED["gru"][0](SHAPE, CLASSES)).items()}
    assert without_units("neuron", kinds) == {
        "rnn.weight_ih_l0": "the rows of its weight are gates",
        "rnn.weight_hh_l0": "the rows of its weight are gates",
    }
    for granularity in ("weight", "layer", "residual-block", "channel", "block-4x4", "2:4"):
        assert without_units(granularity, kinds) == {}
