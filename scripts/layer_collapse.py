"""At which density does a criterion empty whole layers of an untrained network?

The lower the density at which that first happens, the further a criterion can prune (Tanaka et al.,
arXiv:2006.05467, section 3). Where residual connections lead around an empty layer, the network can
still be trained; "cut" says that no signal passes any more. Nothing is trained here; each density
is pruned from the dense network, all layers competing.

    python scripts/layer_collapse.py --data-dir data --model vgg-16
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import torch

from lottery.core import Mask, find_criterion, prunable_weights, signal_passes
from lottery.data import DataConfig, load_dataset
from lottery.models import INITIALIZATIONS, build_model
from lottery.rng import Streams
from lottery.tickets import PruneConfig, make_probe, prune_mask

METHODS: Final[dict[str, tuple[str, int]]] = {
    "random": ("random", 1),
    "magnitude": ("magnitude", 1),
    "SNIP": ("snip", 1),
    "SNIP, 100 rounds": ("snip", 100),
    "GraSP": ("grasp", 1),
    "SynFlow, 1 round": ("synflow", 1),
    "SynFlow, 100 rounds": ("synflow", 100),
}
DENSITIES: Final = tuple(10 ** (-step / 2) for step in range(1, 9))
EXAMPLES: Final = 128


def main() -> None:
    """Print one table: methods down, densities across, how many layers are empty."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--model", default="vgg-16")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    data = load_dataset(DataConfig(name="cifar-10"), data_dir=asked.data_dir)
    streams = Streams(asked.seed, replicate=0)
    model = build_model(asked.model, data.input_shape, data.classes)
    INITIALIZATIONS["kaiming-normal"](model, streams.generator("initialization"))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    dense = Mask(
        {n: torch.ones_like(w, dtype=torch.bool) for n, w in prunable_weights(model).items()}
    )
    print(f"{asked.model}: {dense.total:,} prunable weights in {len(dense)} layers")
    print("| Method | " + " | ".join(f"{density:.2%}" for density in DENSITIES) + " |")
    print("|---|" + "---|" * len(DENSITIES))
    for name, (criterion, rounds) in METHODS.items():
        cells = []
        for density in DENSITIES:
            config = PruneConfig(
                criterion=criterion,
                scope="global",
                schedule="one-shot",
                densities=(density,),
                rounds=rounds,
                examples=EXAMPLES,
                batch_size=EXAMPLES,
            )
            probe = None
            if find_criterion(criterion).needs_probe:
                probe = make_probe(
                    config,
                    1,
                    dense,
                    model=model,
                    trained=state,
                    data=data,
                    loss="cross-entropy",
                    streams=streams,
                )
            mask = prune_mask(
                config,
                1,
                dense,
                trained=state,
                initial=state,
                streams=streams,
                probe=probe,
                levels=1,
            )
            fresh = build_model(asked.model, data.input_shape, data.classes)
            passes = signal_passes(fresh, mask, data.input_shape)
            cells.append(f"{len(mask.empty_layers)}{'' if passes else ' cut'}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
