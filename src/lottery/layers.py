"""Kinds of layers: which of a layer's parameters are matrices that multiply its input.

Layers of other libraries are recognized by what they say of themselves, without importing anything.
"""

from __future__ import annotations

from typing import Final, Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import UninitializedParameter

Kind = Literal[
    "linear",
    "transposed linear",
    "convolution",
    "transposed convolution",
    "bilinear",
    "recurrent",
    "attention",
    "experts",
    "embedding",
    "unknown",
]
"""What a matrix is. The weights of one output are one index of the first dimension for ``linear``,
``convolution`` and ``bilinear``; of the second one for ``transposed linear`` (Hugging Face's
``Conv1D``) and, group by group, ``transposed convolution``. A matrix of a ``recurrent`` layer holds
its gates one below the other, one of ``attention`` its queries, keys and values. ``experts`` have a
matrix for each index of the first dimension. What is no layer's matrix is covered only where a user
says so: the table of an ``embedding``, or a parameter of a layer of ``unknown`` kind."""

CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMALIZATIONS: Final = (_NormBase, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)
_RECURRENT: Final = (nn.RNNBase, nn.RNNCellBase)
_PROJECTIONS: Final = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
_NUMBERS_OF_EXPERTS: Final = ("num_experts", "num_local_experts", "n_experts")


def matrix_kinds(layer: nn.Module) -> dict[str, Kind]:
    """A layer's own parameters that multiply its input: name in the layer -> what it is.

    Such a name need not be a parameter: one that is parametrized is computed from others.

    >>> matrix_kinds(nn.Linear(2, 3)), matrix_kinds(nn.BatchNorm1d(2))
    ({'weight': 'linear'}, {})
    >>> sorted(matrix_kinds(nn.LSTM(2, 3)))
    ['weight_hh_l0', 'weight_ih_l0']
    """
    if isinstance(layer, nn.Linear):
        return {"weight": "linear"}
    if isinstance(layer, CONVOLUTIONS):
        return {"weight": "convolution"}
    if isinstance(layer, TRANSPOSED):
        return {"weight": "transposed convolution"}
    if isinstance(layer, nn.Bilinear):
        return {"weight": "bilinear"}
    if isinstance(layer, nn.RNNBase):
        weights = [name for name in layer._flat_weights_names if name.startswith("weight_")]
        return dict.fromkeys(weights, "recurrent")
    if isinstance(layer, nn.RNNCellBase):
        return dict.fromkeys(("weight_ih", "weight_hh"), "recurrent")
    if isinstance(layer, nn.MultiheadAttention):
        same = layer._qkv_same_embed_dim
        return dict.fromkeys(_PROJECTIONS[:1] if same else _PROJECTIONS[1:], "attention")
    return _of_another_library(layer)


def _of_another_library(layer: nn.Module) -> dict[str, Kind]:
    own = {
        name: parameter
        for name, parameter in layer.named_parameters(recurse=False)
        if "bias" not in name and not isinstance(parameter, UninitializedParameter)
    }
    weight = own.get("weight")
    if weight is not None and weight.dim() == 2:
        sizes = getattr(layer, "out_features", None), getattr(layer, "in_features", None)
        if sizes == tuple(weight.shape):
            return {"weight": "linear"}
        if sizes == tuple(weight.shape)[::-1]:
            return {"weight": "transposed linear"}
        named = any(kind.__name__ == "Conv1D" for kind in type(layer).__mro__)
        if named and getattr(layer, "nf", None) == weight.shape[1]:
            return {"weight": "transposed linear"}
    numbers = [getattr(layer, name, None) for name in _NUMBERS_OF_EXPERTS]
    return {
        name: "experts"
        for name, parameter in own.items()
        if parameter.dim() == 3
        and any(isinstance(number, int) and number == parameter.shape[0] for number in numbers)
    }


def single_matrices(layer: nn.Module, name: str, parameter: Tensor) -> tuple[Tensor, ...]:
    """The matrices that a parameter holds, as views: one for each gate, projection or expert.

    A matrix with outputs in its columns is given transposed, so that they are first; that of a
    transposed convolution stays as it is. Whatever else is of one piece comes back alone. Experts
    are taken to have their outputs first, unless the layer says ``is_transposed``.

    >>> layer = nn.GRU(2, 4)
    >>> [tuple(gate.shape) for gate in single_matrices(layer, "weight_ih_l0", layer.weight_ih_l0)]
    [(4, 2), (4, 2), (4, 2)]
    """
    kind = matrix_kinds(layer).get(name)
    if kind == "recurrent":
        # All but a projection have one row or more for each hidden unit and gate.
        hidden = layer.hidden_size
        gates = 1 if "weight_hr" in name else parameter.shape[0] // int(hidden)  # type: ignore[arg-type]
        return parameter.chunk(gates)
    if name == "in_proj_weight" and kind == "attention":
        return parameter.chunk(3)
    if kind == "experts":
        transposed = getattr(layer, "is_transposed", False) is True
        return (parameter.transpose(1, 2) if transposed else parameter).unbind()
    return (parameter.t(),) if kind == "transposed linear" else (parameter,)


def fan_in(layer: nn.Module, name: str, parameter: Tensor) -> int:
    """How many weights of a matrix each of its outputs has, 1 or more if there are any.

    >>> layer = nn.ConvTranspose2d(6, 4, 3, groups=2)
    >>> fan_in(layer, "weight", layer.weight)
    27
    """
    if matrix_kinds(layer).get(name) == "transposed convolution":
        return parameter.numel() // int(layer.out_channels)  # type: ignore[arg-type]
    matrix = single_matrices(layer, name, parameter)[0]
    return matrix.numel() // max(1, matrix.shape[0])
