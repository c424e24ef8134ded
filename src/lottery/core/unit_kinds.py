"""Which layers have no units of a granularity because of their kind, whatever their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lottery.layers import Kind

_WHY: Final[dict[Kind, str]] = {
    "transposed linear": "its outputs are the columns of its weight",
    "transposed convolution": "the outputs of a transposed convolution are not its weight's rows",
    "bilinear": "a bilinear layer has a matrix for each output",
    "recurrent": "the rows of its weight are gates",
    "attention": "the rows of its weight are parts of queries, keys and values",
    "experts": "it has a matrix for each expert",
    "embedding": "the rows of an embedding are its entries",
    "unknown": "the layer is of a kind that masks do not know",
}
_NO_LAYER: Final[tuple[Kind, ...]] = ("embedding", "unknown")
_EXCLUDED: Final[dict[str, tuple[Kind, ...]]] = {
    "kernel": ("bilinear", "experts", *_NO_LAYER),
    "filter": ("bilinear", "experts", "transposed convolution", *_NO_LAYER),
    "neuron": ("transposed linear", "recurrent", "attention", *_NO_LAYER),
}
# Tiles and runs go by the weight as a matrix, outputs by inputs.
_NO_ROWS: Final[tuple[Kind, ...]] = (
    "transposed linear",
    "transposed convolution",
    "experts",
    *_NO_LAYER,
)
_ANY: Final = ("weight", "layer", "residual-block", "channel")


def without_units(granularity: str, kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Layers that a granularity leaves whole since their outputs are not the rows of their weight.

    Layers that it leaves whole because of their shape, such as convolutions with ``neuron``, are
    not listed: see `lottery.core.make_units`.

    Args:
        granularity: a valid name.
        kinds: parameter name -> its kind, see `lottery.layers.Kind`.

    Returns:
        parameter name -> why.

    >>> without_units("neuron", {"fc.weight": "linear", "rnn.weight_hh_l0": "recurrent"})
    {'rnn.weight_hh_l0': 'the rows of its weight are gates'}
    """
    excluded = () if granularity in _ANY else _EXCLUDED.get(granularity, _NO_ROWS)
    return {name: _WHY[kind] for name, kind in kinds.items() if kind in excluded}
