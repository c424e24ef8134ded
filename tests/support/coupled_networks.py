"""Small networks, one for each way in which channels of several layers can be coupled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.core import Channel


def without_channels(state: Mapping[str, Tensor], channels: Iterable[Channel]) -> dict[str, Tensor]:
    """A state with every slice of these channels zero: weights, biases, normalization."""
    result = {name: value.clone() for name, value in state.items()}
    for name, dim, indices in (one for channel in channels for one in channel):
        result[name].index_fill_(dim, torch.tensor(indices), 0)
    return result


def normalized(conv: nn.Conv2d) -> nn.Sequential:
    """A convolution and its batch normalization."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))


def conv3(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return normalized(nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=False))


def conv1(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return normalized(nn.Conv2d(inputs, outputs, 1, stride, groups=groups, bias=False))


class Residual(nn.Module):
    """What a branch makes of the input, added to it."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.branch(x) + self.shortcut(x))
        return y


def basic(inputs: int, outputs: int, stride: int) -> Residual:
    branch = nn.Sequential(conv3(inputs, outputs, stride), nn.ReLU(), conv3(outputs, outputs))
    same = inputs == outputs and stride == 1
    return Residual(branch, None if same else conv1(inputs, outputs, stride))


def bottleneck(inputs: int, inner: int, outputs: int, stride: int, groups: int = 1) -> Residual:
    branch = nn.Sequential(
        conv1(inputs, inner),
        nn.ReLU(),
        conv3(inner, inner, stride, groups),
        nn.ReLU(),
        conv1(inner, outputs),
    )
    same = inputs == outputs and stride == 1
    return Residual(branch, None if same else conv1(inputs, outputs, stride))


class Pooled(nn.Sequential):
    """A body, then global average pooling and the output layer."""

    def __init__(self, *body: nn.Module, width: int) -> None:
        super().__init__(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5))


def resnet_20() -> nn.Module:
    blocks = [
        basic(width // 2 if i == 0 and width > 4 else width, width, 1 + (i == 0 and width > 4))
        for width in (4, 8, 16)
        for i in range(3)
    ]
    return Pooled(conv3(3, 4), nn.ReLU(), *blocks, width=16)


def resnet_bottleneck() -> nn.Module:
    return Pooled(
        conv3(3, 4),
        nn.ReLU(),
        bottleneck(4, 3, 8, 1),
        bottleneck(8, 3, 8, 1),
        bottleneck(8, 5, 12, 2),
        bottleneck(12, 5, 12, 1),
        width=12,
    )


def resnext() -> nn.Module:
    blocks = [bottleneck(4, 6, 8, 1, groups=3), bottleneck(8, 6, 8, 1, groups=3)]
    return Pooled(conv3(3, 4), nn.ReLU(), *blocks, width=8)


def vgg() -> nn.Module:
    return nn.Sequential(
        conv3(3, 4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv3(4, 6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * 2 * 2, 7),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(7, 5),
    )


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(192, 6), nn.Tanh(), nn.Linear(6, 4), nn.PReLU(4), nn.Linear(4, 5)
    )


class Unpadded(nn.Module):
    """x + f(x) without an activation after it, as in MobileNetV2."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.wide = conv1(width, inner)
        self.depthwise = conv3(inner, inner, groups=inner)
        self.narrow = conv1(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.depthwise(F.relu6(self.wide(x))))
        return x + torch.as_tensor(self.narrow(y))


def mobilenet() -> nn.Module:
    return Pooled(conv3(3, 4), nn.ReLU(), Unpadded(4, 6), Unpadded(4, 6), width=4)


def depth_multiplier(width: int = 4) -> nn.Module:
    """A grouped convolution in which each input has two outputs of its own."""
    grouped = conv3(width, 2 * width, groups=width)
    return Pooled(conv3(3, width), nn.ReLU(), grouped, nn.ReLU(), conv1(2 * width, 6), width=6)


class Dense(nn.Module):
    """A layer of DenseNet: what it makes is appended to what it read."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], 1)


def densenet() -> nn.Module:
    return Pooled(conv3(3, 4), Dense(4, 3), Dense(7, 3), nn.BatchNorm2d(10), nn.ReLU(), width=10)


class Inception(nn.Module):
    """Branches side by side."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.relu(branch(x)) for branch in self.branches], 1)


def inception() -> nn.Module:
    def block(inputs: int) -> nn.Module:
        deep = nn.Sequential(conv1(inputs, 3), nn.ReLU(), conv3(3, 4))
        pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1), conv1(inputs, 2))
        return Inception([conv1(inputs, 3), deep, pooled])

    return Pooled(conv3(3, 4), nn.ReLU(), block(4), block(9), width=9)


class SqueezeExcite(nn.Module):
    """Channels scaled by what a small network makes of their means."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, inner, 1)
        self.excite = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.as_tensor(self.excite(self.squeeze(mean).relu())).sigmoid()


def squeeze_excite() -> nn.Module:
    return Pooled(conv3(3, 4), nn.ReLU(), SqueezeExcite(4, 3), conv3(4, 6), nn.ReLU(), width=6)


class Gated(nn.Module):
    """One half of the channels scales the other."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 2 * outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.conv(x).chunk(2, 1)
        return torch.as_tensor(a * b.sigmoid())


def gated() -> nn.Module:
    return Pooled(conv3(3, 4), nn.ReLU(), Gated(4, 3), conv3(3, 6), nn.ReLU(), width=6)


class Shuffle(nn.Module):
    """Channels dealt out over groups, as in ShuffleNet."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
        return y


def shuffled() -> nn.Module:
    return Pooled(conv3(3, 8), nn.ReLU(), Shuffle(), conv3(8, 6), nn.ReLU(), width=6)


class Attention(nn.Module):
    """Multi-head attention of plain linear layers, with queries, keys and values apart."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = (layer(x) for layer in (self.q, self.k, self.v))
        q, k, v = (p.unflatten(2, (self.heads, -1)).transpose(1, 2) for p in parts)
        y = F.scaled_dot_product_attention(q, k, v)
        return torch.as_tensor(self.proj(y.transpose(1, 2).flatten(2)))


class FusedAttention(nn.Module):
    """Multi-head attention with queries, keys and values from one linear layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        return torch.as_tensor(self.proj(y.transpose(1, 2).flatten(2)))


class TransformerBlock(nn.Module):
    """Attention and a two-layer network, each behind a layer normalization."""

    def __init__(self, width: int, heads: int, attention: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 10), nn.GELU(), nn.Linear(10, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + torch.as_tensor(self.attention(self.norm1(x)))
        return x + torch.as_tensor(self.mlp(self.norm2(x)))


class Transformer(nn.Module):
    """A vision transformer with a class token, on patches of 4x4."""

    def __init__(self, attention: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 12))
        self.positions = nn.Parameter(torch.randn(1, 5, 12))
        self.blocks = nn.Sequential(*(TransformerBlock(12, 3, attention) for _ in range(2)))
        self.norm = nn.LayerNorm(12)
        self.output = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return torch.as_tensor(self.output(self.norm(self.blocks(x))[:, 0]))


def transformer() -> nn.Module:
    return Transformer(Attention)


def fused_transformer() -> nn.Module:
    return Transformer(FusedAttention)


class Network(NamedTuple):
    """How to build a network, and what can be removed from it."""

    build: Callable[[], nn.Module]
    channels: int
    """How many channels there are, counted by hand."""
    left_out: tuple[str, ...] = ()
    """Layers other than the output layer whose outputs are no channels: name patterns."""
    heads: dict[str, int] | None = None


NETWORKS = {
    "mlp": Network(mlp, 6 + 4),
    "vgg": Network(vgg, 4 + 6 + 7),
    # Each stage's channels are one for all of its blocks; each block has inner ones of its own.
    "resnet-20": Network(resnet_20, (4 + 8 + 16) * (1 + 3)),
    "bottleneck": Network(resnet_bottleneck, 4 + 8 + 12 + 2 * (3 + 3) + 2 * (5 + 5)),
    # Of 6 channels in 3 groups, the same place in each group makes one: 2.
    "resnext": Network(resnext, 4 + 8 + 2 * (2 + 2)),
    "mobilenet": Network(mobilenet, 4 + 2 * 6),
    "depth multiplier": Network(depth_multiplier, 4 + 6),
    "densenet": Network(densenet, 4 + 3 + 3),
    "inception": Network(inception, 4 + 2 * (3 + 3 + 4 + 2)),
    "squeeze-excite": Network(squeeze_excite, 4 + 3 + 6),
    "gated": Network(gated, 4 + 3 + 6),
    "shuffled": Network(shuffled, 6, ("0.0.weight",)),
    "transformer": Network(
        transformer,
        2 * (3 + 10),
        ("patches.weight", "*.proj.weight", "*.mlp.2.weight"),
        {"*.proj.weight": 3},
    ),
    "fused transformer": Network(
        fused_transformer,
        2 * (3 + 10),
        ("patches.weight", "*.proj.weight", "*.mlp.2.weight"),
        {"*.proj.weight": 3},
    ),
}


def made(name: str) -> nn.Module:
    """A network in float64 with arbitrary weights, biases and normalization."""
    generator = torch.Generator().manual_seed(1)
    network = NETWORKS[name].build().double().eval()
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(drawn + 0.2 if tensor.dim() == 1 else drawn - 0.5)
    return network


def images() -> Tensor:
    """A batch that all the networks take."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64)
