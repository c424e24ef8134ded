"""What an analysis of masks would find in a run that is made up: plausible, and meaning nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import torch

from lottery.inside import Measurement, Table
from lottery.inside.degrees import degrees
from lottery.inside.mask_sentences import WHOLE
from lottery.inside.masks import COLUMNS
from lottery.inside.measurement import Cell
from lottery.inside.settling import COLUMNS as SETTLING
from lottery.report.data import FirstLayer, Shares

BINS = list(
    degrees(torch.rand(300, 784, generator=torch.Generator().manual_seed(0)) < 0.1, "outputs")
    .histogram()
)  # fmt: skip


def made_up_masks(levels: int, replicates: int, sizes: Mapping[str, int]) -> Measurement:
    """Layers of these sizes, of which each level keeps 80% of the one before."""
    layers = [*sizes, WHOLE]
    total = {**sizes, WHOLE: sum(sizes.values())}
    each = list(product(range(levels), range(replicates)))
    pairs = replicates * (replicates - 1) // 2
    kept = [0.8**level for level in range(levels)]
    rows: dict[str, list[tuple[Cell, ...]]] = {
        "between": [
            (n, layer, pairs, 1.2 * k, k, 1.4 * k, k, k, k, 30.0, 1.2 * k, 0.1)
            for n, k in enumerate(kept)
            for layer in layers
            if pairs
        ],
        "layers": [
            (n, r, layer, size, size, kept[n], size, 0.9 * kept[n], 100, min(n, 99))
            for n, r in each
            for layer, size in total.items()
        ],
        "degrees": [
            (n, r, layer, side, *bin_)
            for n, r in each
            for layer in sizes
            for side in ("outputs", "inputs")
            for bin_ in BINS
        ],
    }
    settling = [(n, r, "start of training", 0, 0.3, 0.85, 0.8, 20.0) for n, r in each if n]
    tables = [
        Table(name=name, title=name, note="", columns=columns, rows=tuple(rows.get(name, ())))
        for name, columns in COLUMNS.items()
    ]
    tables.append(Table(name="settling", title="", note="", columns=SETTLING, rows=tuple(settling)))
    found = ("Two replicates' tickets have as much in common as is made up (z = -1.5).",)
    return Measurement(analysis="masks", found=found, tables=tuple(tables))


def first_layers(
    levels: int, replicates: int, pixels: Sequence[Shares]
) -> dict[tuple[int, int], FirstLayer]:
    """Each ticket's first layer, of pixels by level."""
    noise = np.random.default_rng(0)
    return {
        (n, r): FirstLayer(mask=noise.binomial(64, 0.8**n, (30, 79)) / 64, pixels=pixels[n])
        for n, r in product(range(1, levels), range(replicates))
    }


def made_up_weights(levels: int, layers: Sequence[str]) -> Measurement:
    """Histograms of weights, of which the last bin but one is empty."""
    edges = np.linspace(-0.2, 0.2, 9).tolist()
    shares = (0.05, 0.1, 0.15, 0.2, 0.2, 0.2, 0.1)
    rows = [
        (n, layer, *part, low, high, share)
        for n in range(1, levels)
        for layer in ("(whole)", *layers)
        for part in (
            ("survivors", "start"),
            ("survivors", "end"),
            ("pruned", "initialization"),
            ("pruned", "end of the dense training"),
        )
        for low, high, share in zip(
            edges[:6] + edges[7:8], edges[1:7] + edges[8:], shares, strict=True
        )
    ]
    columns = ("level", "layer", "weights", "when", "from_value", "to_value", "share")
    table = Table(name="histograms", title="", note="", columns=columns, rows=tuple(rows))
    return Measurement(analysis="weights", tables=(table,))
