"""Small networks of kinds that people bring, for images (1, 3, 4) of three classes or the like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

Shape = Sequence[int]


def _with_first(shape: Shape, classes: int, first: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(5, classes))


def weight_normed(shape: Shape, classes: int) -> nn.Sequential:
    """A first layer whose weight is computed from a direction and a length."""
    layer = parametrizations.weight_norm(nn.Linear(math.prod(shape), 5))
    return _with_first(shape, classes, layer)


def lazy(shape: Shape, classes: int) -> nn.Sequential:
    """A first layer that learns its width from what it is given, with a lazy batch norm."""
    first = nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d())
    return _with_first(shape, classes, first)


def lazy_and_unused(shape: Shape, classes: int) -> nn.Module:
    """A lazy layer that nothing passes."""
    model = _with_first(shape, classes, nn.Linear(math.prod(shape), 5))
    model[1].register_module("unused", nn.LazyLinear(5))
    return model


def frozen(shape: Shape, classes: int) -> nn.Sequential:
    """A first layer that is not trained."""
    model = _with_first(shape, classes, nn.Linear(math.prod(shape), 5))
    model[1].requires_grad_(False)
    return model


def all_frozen(shape: Shape, classes: int) -> nn.Module:
    """Nothing but biases of the output is trained."""
    model = frozen(shape, classes)
    model[3].weight.requires_grad_(False)
    return model


class Recurrent(nn.Module):
    """Rows of an image as a sequence.

    Args:
        kind: of the recurrent layer.
    """

    def __init__(self, shape: Shape, classes: int, kind: Callable[..., nn.RNNBase]) -> None:
        super().__init__()
        self.rnn = kind(shape[-1], 5, batch_first=True)
        self.output = nn.Linear(5, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.output(self.rnn(inputs[:, 0])[0][:, -1])
        return logits


def lstm(shape: Shape, classes: int) -> nn.Module:
    """Of an LSTM."""
    return Recurrent(shape, classes, nn.LSTM)


def gru(shape: Shape, classes: int) -> nn.Module:
    """Of a GRU."""
    return Recurrent(shape, classes, nn.GRU)


class RecurrentAlone(nn.Module):
    """A recurrent layer whose last state is the logits."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(shape[-1], classes, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.rnn(inputs[:, 0])[0][:, -1]
        return logits


class Cell(nn.Module):
    """An LSTM's cell, stepped by hand."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(shape[-1], 5)
        self.output = nn.Linear(5, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        state = None
        for row in inputs[:, 0].unbind(1):
            state = self.cell(row, state)
        assert state is not None
        logits: Tensor = self.output(state[0])
        return logits


class Attention(nn.Module):
    """Rows of an image as tokens; queries, keys and values are one matrix."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.embed = nn.Linear(shape[-1], 6)
        self.layer = nn.TransformerEncoderLayer(6, 2, 7, dropout=0.0, batch_first=True)
        self.output = nn.Linear(6, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.output(self.layer(self.embed(inputs[:, 0])).mean(1))
        return logits


class CrossAttention(nn.Module):
    """Pixels that attend to rows, which have another width: three matrices of projections."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, kdim=shape[-1], vdim=shape[-1])
        self.output = nn.Linear(6, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        rows = inputs[:, 0].transpose(0, 1)
        pixels = inputs[:, 0].flatten(1).t().unsqueeze(2).expand(-1, -1, 6)
        logits: Tensor = self.output(self.attention(pixels, rows, rows)[0].mean(0))
        return logits


class Transposed(nn.Module):
    """A convolution and a transposed one in two groups, each with batch normalization."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(shape[0], 4, 2)
        self.up = nn.ConvTranspose2d(4, 6, 3, groups=2)
        self.norm = nn.BatchNorm2d(6)
        self.output = nn.Linear(6, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        hidden = self.norm(self.up(torch.relu(self.down(inputs))))
        logits: Tensor = self.output(torch.relu(hidden).mean((2, 3)))
        return logits


class Bilinear(nn.Module):
    """The first row with the second one."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.first = nn.Bilinear(shape[-1], shape[-1], 5)
        self.output = nn.Linear(5, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.output(torch.relu(self.first(inputs[:, 0, 0], inputs[:, 0, 1])))
        return logits


class Conv1D(nn.Module):
    """A linear layer as Hugging Face's of this name: its weight is [inputs, outputs]."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.nf = outputs
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * 0.3)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """``[..., inputs]`` -> ``[..., outputs]``."""
        outputs: Tensor = inputs @ self.weight + self.bias
        return outputs


class Routed(nn.Module):
    """Experts with a matrix each in one parameter, of which each example has the best."""

    def __init__(self, inputs: int, outputs: int, experts: int) -> None:
        super().__init__()
        self.num_experts = experts
        self.router = nn.Linear(inputs, experts, bias=False)
        self.up = nn.Parameter(torch.randn(experts, outputs, inputs) * 0.3)
        self.up_bias = nn.Parameter(torch.zeros(experts, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """``[N, inputs]`` -> ``[N, outputs]``."""
        share, best = self.router(inputs).softmax(-1).max(-1)
        outputs = torch.einsum("noi,ni->no", self.up[best], inputs) + self.up_bias[best]
        weighted: Tensor = outputs * share.unsqueeze(1)
        return weighted


def foreign(shape: Shape, classes: int) -> nn.Module:
    """Layers as other libraries have them."""
    size = math.prod(shape)
    layers = Conv1D(5, size), nn.ReLU(), Routed(5, 6, 3), nn.ReLU(), nn.Linear(6, classes)
    return nn.Sequential(nn.Flatten(), *layers)


class MixedTypes(nn.Module):
    """A first layer in double precision."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(math.prod(shape), 5).double()
        self.output = nn.Linear(5, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        hidden = torch.relu(self.first(inputs.flatten(1).double()))
        logits: Tensor = self.output(hidden.float())
        return logits


class SkippedBlock(nn.Module):
    """Stochastic depth: a block takes part in a training step with a probability.

    Args:
        survival: that probability.
    """

    def __init__(self, shape: Shape, classes: int, survival: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Linear(math.prod(shape), 5)
        self.block = nn.Linear(5, 5)
        self.output = nn.Linear(5, classes)
        self.survival = survival

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        hidden = torch.relu(self.first(inputs.flatten(1)))
        if not self.training or float(torch.rand(())) < self.survival:
            hidden = hidden + torch.relu(self.block(hidden))
        logits: Tensor = self.output(hidden)
        return logits


def never(shape: Shape, classes: int) -> nn.Module:
    """A block that takes part in no step."""
    return SkippedBlock(shape, classes, survival=0.0)


class SharedStorage(nn.Module):
    """Two parameters of their own in one memory."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        size = math.prod(shape)
        self.a, self.b = nn.Linear(size, 5), nn.Linear(size, 5)
        self.b.weight = nn.Parameter(self.a.weight.data)
        self.output = nn.Linear(5, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        flat = inputs.flatten(1)
        logits: Tensor = self.output(torch.relu(self.a(flat) + 2 * self.b(flat)))
        return logits


class TransposedStorage(SharedStorage):
    """The memory is that of a transposed matrix, as in an autoencoder with tied weights."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.b = nn.Linear(5, math.prod(shape))
        self.b.weight = nn.Parameter(self.a.weight.data.t())

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        hidden = torch.relu(self.a(inputs.flatten(1)))
        logits: Tensor = self.output(hidden + torch.relu(self.a(self.b(hidden))))
        return logits


class Embedded(nn.Module):
    """Grey values as tokens, a matrix that no layer has, and a linear layer."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 6)
        self.mixing = nn.Parameter(torch.randn(6, 5) * 0.3)
        self.norm = nn.LayerNorm(5)
        self.output = nn.Linear(5, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        tokens = inputs.flatten(1).mul(2).long().clamp(0, 3)
        hidden = self.embedding(tokens).mean(1) @ self.mixing
        logits: Tensor = self.output(torch.relu(self.norm(hidden)))
        return logits


COVERED: Final[dict[str, tuple[Callable[[Shape, int], nn.Module], dict[str, int]]]] = {
    "lstm": (lstm, {"rnn.weight_ih_l0": 80, "rnn.weight_hh_l0": 100, "output.weight": 15}),
    "gru": (gru, {"rnn.weight_ih_l0": 60, "rnn.weight_hh_l0": 75, "output.weight": 15}),
    "gru-alone": (RecurrentAlone, {"rnn.weight_ih_l0": 36, "rnn.weight_hh_l0": 27}),
    "cell": (Cell, {"cell.weight_ih": 80, "cell.weight_hh": 100, "output.weight": 15}),
    "attention": (
        Attention,
        {
            "embed.weight": 24,
            "layer.self_attn.in_proj_weight": 108,
            "layer.self_attn.out_proj.weight": 36,
            "layer.linear1.weight": 42,
            "layer.linear2.weight": 42,
            "output.weight": 18,
        },
    ),
    "cross-attention": (
        CrossAttention,
        {
            "attention.q_proj_weight": 36,
            "attention.k_proj_weight": 24,
            "attention.v_proj_weight": 24,
            "attention.out_proj.weight": 36,
            "output.weight": 18,
        },
    ),
    "transposed": (Transposed, {"down.weight": 16, "up.weight": 108, "output.weight": 18}),
    "bilinear": (Bilinear, {"first.weight": 80, "output.weight": 15}),
    "foreign": (
        foreign,
        {"1.weight": 60, "3.up": 90, "3.router.weight": 15, "5.weight": 18},
    ),
    "shared-storage": (SharedStorage, {"a.weight": 60, "output.weight": 15}),
    "skipped": (SkippedBlock, {"first.weight": 60, "block.weight": 25, "output.weight": 15}),
}
"""Name -> a network, and how many weights of which name masks cover for (1, 3, 4), 3 classes."""
