"""What lies on a path from input to output, against every path there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from lottery.core import Mask, prunable_weights
from lottery.errors import MaskError, UsageError
from lottery.inside.paths import check_paths, effective_mask
from lottery.models import MODELS, build_model, mlp
from lottery.models.resnet import BasicBlock, cifar_resnet

Place = tuple[int, ...]
"""The number of a layer, then a unit, or a channel and its place in the image."""
Edge = tuple[Place, str, Place]
"""From, weight (empty for none), to."""


def _paths(edges: list[Edge], last: int) -> set[tuple[str, ...]]:
    """Every path from a place of layer 0 to one of the last, as the weights on it."""
    after: dict[Place, list[tuple[str, Place]]] = defaultdict(list)
    for start, weight, end in edges:
        after[start].append((weight, end))

    def onward(place: Place) -> Iterator[tuple[str, ...]]:
        if place[0] == last:
            yield ()
        for weight, end in after[place]:
            for rest in onward(end):
                yield (weight, *rest)

    return {path for start in list(after) if not start[0] for path in onward(start)}


def _on_paths(mask: Mask, edges: list[Edge], last: int) -> Mask:
    on = {weight for path in _paths(edges, last) for weight in path}
    reached = {name: torch.zeros_like(kept) for name, kept in mask.items()}
    for name, kept in mask.items():
        for index in kept.nonzero().tolist():
            reached[name][tuple(index)] = f"{name}{index}" in on
    return Mask(reached)


def _linear(layer: int, name: str, kept: Tensor) -> Iterator[Edge]:
    for out, read in kept.nonzero().tolist():
        yield (layer, read), f"{name}{[out, read]}", (layer + 1, out)


def _convolution(layer: int, name: str, kept: Tensor, side: int, stride: int = 1) -> Iterator[Edge]:
    """Of a 3x3 convolution with padding 1."""
    for out, read, dy, dx in kept.nonzero().tolist():
        for y, x in product(range(-(-side // stride)), repeat=2):
            from_y, from_x = y * stride + dy - 1, x * stride + dx - 1
            if 0 <= from_y < side and 0 <= from_x < side:
                start = (layer, read, from_y, from_x)
                yield start, f"{name}{[out, read, dy, dx]}", (layer + 1, out, y, x)


def _random_mask(network: nn.Module, density: float, seed: int) -> Mask:
    generator = torch.Generator().manual_seed(seed)
    return Mask(
        {
            name: torch.rand(weight.shape, generator=generator) < density
            for name, weight in prunable_weights(network).items()
        }
    )


@pytest.mark.parametrize("seed", range(12))
def test_fully_connected_networks_against_every_path(seed: int) -> None:
    network = mlp((4,), (5, 4, 3), 3, activation="tanh" if seed % 2 else "relu")
    mask = _random_mask(network, 0.2 + 0.02 * seed, seed)
    edges = [edge for i, name in enumerate(mask) for edge in _linear(i, name, mask[name])]
    assert effective_mask(network, mask, (4,)) == _on_paths(mask, edges, 4)


@pytest.mark.parametrize("seed", range(8))
def test_convolutions_pooling_and_flatten_against_every_path(seed: int) -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(2, 2, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8, 2),
    )
    mask = _random_mask(network, 0.15 + 0.03 * seed, seed)
    squares = list(product(range(2), range(4), range(4)))
    edges = [
        *_convolution(0, "0.weight", mask["0.weight"], 4),
        *(((1, c, y, x), "", (2, c, y // 2, x // 2)) for c, y, x in squares),
        *_convolution(2, "4.weight", mask["4.weight"], 2),
        *(((3, c, y, x), "", (4, 4 * c + 2 * y + x)) for c, y, x in product(range(2), repeat=3)),
        *_linear(4, "7.weight", mask["7.weight"]),
    ]
    assert effective_mask(network, mask, (1, 4, 4)) == _on_paths(mask, edges, 5)


@pytest.mark.parametrize("seed", range(6))
def test_residual_blocks_against_every_path(seed: int) -> None:
    network = nn.Sequential(BasicBlock(2, 2, 1))
    mask = _random_mask(network, 0.1 + 0.05 * seed, seed)
    places = list(product(range(2), range(2), range(2)))
    edges = [
        *_convolution(0, "0.conv1.weight", mask["0.conv1.weight"], 2),
        *_convolution(1, "0.conv2.weight", mask["0.conv2.weight"], 2),
        *(((0, *place), "", (2, *place)) for place in places),
    ]
    assert effective_mask(network, mask, (2, 2, 2)) == _on_paths(mask, edges, 2)


def test_a_dead_path_made_by_hand() -> None:
    """Unit 1 has inputs and no output, unit 2 outputs and no input; unit 0 is whole."""
    network = mlp((2,), (3,), 2)
    first = torch.tensor([[1, 1], [1, 0], [0, 0]], dtype=torch.bool)
    second = torch.tensor([[1, 0, 1], [0, 0, 1]], dtype=torch.bool)
    mask = Mask({"fc1.weight": first, "output.weight": second})
    effective = effective_mask(network, mask, (2,))
    assert effective["fc1.weight"].tolist() == [[True, True], [False, False], [False, False]]
    assert effective["output.weight"].tolist() == [[True, False, False], [False, False, False]]


def test_around_an_empty_layer_there_are_shortcuts() -> None:
    network = nn.Sequential(BasicBlock(1, 1, 1), nn.Flatten(), nn.Linear(4, 1))
    dense = Mask.dense(prunable_weights(network))
    cut = Mask({**dense, "0.conv1.weight": torch.zeros(1, 1, 3, 3, dtype=torch.bool)})
    effective = effective_mask(network, cut, (1, 2, 2))
    assert {name: kept for name, (kept, _) in effective.layers.items()} == {
        "0.conv1.weight": 0,
        "0.conv2.weight": 0,
        "2.weight": 4,
    }
    assert effective_mask(network, dense, (1, 2, 2)) == dense


def test_what_only_padding_reads_is_on_no_path() -> None:
    """On an image of a single pixel a 3x3 kernel has eight places that never see it."""
    network = cifar_resnet((3, 4, 4), 10, depth=8)
    dense = Mask.dense(prunable_weights(network))
    density = {
        name: kept / total
        for name, (kept, total) in effective_mask(network, dense, (3, 4, 4)).layers.items()
    }
    assert density["conv1.weight"] == density["output.weight"] == 1
    assert density["stage3.0.conv1.weight"] == pytest.approx(4 / 9)
    assert density["stage3.0.conv2.weight"] == pytest.approx(1 / 9)


def test_nothing_grows_or_dies_in_deep_networks() -> None:
    network = mlp((30,), (30,) * 300, 5)
    dense = Mask.dense(prunable_weights(network))
    assert effective_mask(network, dense, (30,)) == dense
    one_each = Mask({name: torch.eye(*kept.shape).bool() for name, kept in dense.items()})
    kept = effective_mask(network, one_each, (30,)).layers.values()
    assert {kept for kept, _ in kept} == {5}


def test_the_network_stays_as_it_is() -> None:
    network = mlp((4,), (3,), 2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    effective_mask(network, Mask.dense(prunable_weights(network)), (4,))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert network(torch.ones(1, 4)).abs().sum() != 2, "the hooks are gone"


def test_which_built_in_networks_are_known() -> None:
    known = {}
    for name, entry in MODELS.items():
        with torch.device("meta"):
            network = build_model(name, *entry.task)
        try:
            check_paths(network)
            known[name] = True
        except UsageError:
            known[name] = False
    assert {name for name, traced in known.items() if not traced} == {
        name for name in MODELS if name.startswith("vit-")
    }


def test_layers_that_are_not_known_are_refused() -> None:
    with pytest.raises(UsageError, match=r"paths through LayerNorm, Softmax are not known"):
        check_paths(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Softmax(dim=1)))

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

    with pytest.raises(UsageError, match="paths through Own are"):
        check_paths(Own())
    with pytest.raises(MaskError, match="does not fit"):
        effective_mask(mlp((4,), (3,), 2), Mask({"fc9.weight": torch.ones(3, 4).bool()}), (4,))
