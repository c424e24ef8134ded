"""Vision Transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.errors import UsageError
from lottery.models.shapes import check_image

_EPSILON: Final = 1e-6


class VitSize(NamedTuple):
    """How large a Vision Transformer is: width of a token, number of blocks, heads per block."""

    width: int
    depth: int
    heads: int


VIT_SIZES: Final[Mapping[str, VitSize]] = {
    "mini": VitSize(width=128, depth=6, heads=4),
    "tiny": VitSize(width=192, depth=12, heads=3),
    "small": VitSize(width=384, depth=12, heads=6),
    "base": VitSize(width=768, depth=12, heads=12),
}
"""Name -> size: tiny, small and base as in arXiv:2012.12877, table 1; mini is for small images."""


class Attention(nn.Module):
    """Multi-head self-attention (arXiv:2010.11929, appendix A) of plain linear layers.

    ``qkv`` makes queries, keys and values in one, ``proj`` mixes the heads; both can be pruned.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """The attended tokens, ``[batch, tokens, width]`` like the input."""
        qkv: Tensor = self.qkv(x)
        # Each (batch, heads, tokens, width of a head).
        query, key, value = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        seen = F.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return mixed


class TransformerBlock(nn.Module):
    """Attention and a fully connected network of one hidden layer, each beside a shortcut.

    Each is applied to normalized tokens (arXiv:2010.11929, equations 2 and 3).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPSILON)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPSILON)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """The tokens after the block."""
        attended: Tensor = x + self.attention(self.norm1(x))
        added: Tensor = self.fc2(F.gelu(self.fc1(self.norm2(attended))))
        return attended + added


class VisionTransformer(nn.Module):
    """A Vision Transformer: patches and a class token pass its blocks; the latter gives the logits.

    Args:
        image: channels, height and width of one example.
        classes: number of outputs (logits).
        size: width, depth and heads.
        patch: height and width of a patch, in pixels.
    """

    def __init__(
        self, image: tuple[int, int, int], classes: int, *, size: VitSize, patch: int
    ) -> None:
        super().__init__()
        channels, height, width = image
        tokens = (height // patch) * (width // patch) + 1
        # Zero until they are initialized like the rest.
        self.token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.positions = nn.Parameter(torch.zeros(1, tokens, size.width))
        self.conv_patches = nn.Conv2d(channels, size.width, patch, stride=patch)
        self.blocks = nn.Sequential(
            *(TransformerBlock(size.width, size.heads) for _ in range(size.depth))
        )
        self.norm = nn.LayerNorm(size.width, eps=_EPSILON)
        self.output = nn.Linear(size.width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of images."""
        patches: Tensor = self.conv_patches(x).flatten(2).transpose(1, 2)
        token = self.token.expand(len(x), -1, -1)
        tokens: Tensor = self.blocks(torch.cat([token, patches], dim=1) + self.positions)
        logits: Tensor = self.output(self.norm(tokens[:, 0]))
        return logits


def vision_transformer(
    input_shape: Sequence[int], classes: int, *, size: str, patch: int
) -> VisionTransformer:
    """A Vision Transformer (arXiv:2010.11929) of a size of `VIT_SIZES`, without dropout.

    The class token, the position embeddings and normalization are no layers' weights, so they are
    never pruned. Layers are called ``conv_patches``, ``blocks.0.attention.qkv``,
    ``blocks.0.attention.proj``, ``blocks.0.fc1``, ``blocks.0.fc2`` and ``output``.

    For 224x224 images in color and 1000 classes, tiny with patches of 16 has 5,717,416 parameters.

    Args:
        input_shape: (channels, height, width); height and width are multiples of ``patch``.
        classes: number of outputs (logits).
        size: a key of `VIT_SIZES`.
        patch: height and width of a patch, in pixels.

    Raises:
        UsageError: these are not images, or cannot be cut into patches.
    """
    name = f"vit-{size}-{patch}"
    channels, height, width = check_image(name, input_shape, least=patch)
    if height % patch or width % patch:
        raise UsageError(
            f"{name} takes images that can be cut into patches of {patch} x {patch} pixels, got "
            f"{height} x {width}; take images of another size, or patches whose size divides both"
        )
    image = (channels, height, width)
    return VisionTransformer(image, classes, size=VIT_SIZES[size], patch=patch)
