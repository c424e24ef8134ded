"""Train ResNet-20 briefly by every method there is, and count what each kept.

One run for each method, a few hundred iterations each: too few to compare accuracies, enough to see
every method do what it says on a deep network with residual connections. Counts are taken from the
files of the runs, weight by weight, and held against what the method's settings ask for. Goes on
where it stopped; with everything there already it only counts.

    python scripts/every_method.py --data-dir data --out runs/every-method
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from torch import Tensor

from exact_counts import (
    Counts,
    channels_of_resnet,
    each_layer,
    level_by_level,
    number_kept,
    tiles_of_four,
    two_of_four,
    units,
    weights,
    weights_of_blocks,
    whole_layers,
)
from lottery.core import Mask
from lottery.experiments import (
    ExperimentConfig,
    RunOptions,
    load_config,
    merge,
    parse_override,
    run_experiment,
)
from lottery.store import MAIN, JobKey, LookKey, Store
from lottery.tickets import EarlyBirdMask

DENSITY: Final = 0.1

BASE: Final = (
    "model=resnet-20",
    "levels=1",
    "replicates=1",
    "initialization=kaiming-normal",
    "data.name=cifar-10",
    "data.validation=1000",
    "data.augmentation.flip=true",
    "data.augmentation.crop_padding=4",
    "training.length.amount=300",
    "training.batch_size=32",
    "training.evaluate_every.amount=300",
    "training.optimizer.name=sgd",
    "training.optimizer.momentum=0.9",
    "training.optimizer.weight_decay=1e-4",
    "training.learning_rate.base=0.05",
    "training.precision=bfloat16",
    "training.channels_last=true",
    "prune.scope=global",
    "prune.schedule=one-shot",
    f"prune.densities=[{DENSITY}]",
    "controls.reinit=0",
)
AT_START: Final = "method.kind=at-step"
BY_FRACTION: Final = "prune.densities=[]", "prune.schedule=geometric", "prune.fraction=0.9"
FEW: Final = "prune.examples=256", "prune.batch_size=64"
FILTERS: Final = (
    "prune.granularity=filter",
    "prune.fractions={'output.weight'=0}",
    # Within layers, as Li et al. (arXiv:1608.08710) do: norms of large filters are large.
    "prune.scope=layer",
    "prune.densities=[]",
    "prune.fraction=0.5",
)
CHANNELS: Final = ("prune.granularity=channel", "prune.densities=[0.5]")
HALF: Final = ("prune.densities=[0.5]",)
MOVES: Final = (
    "method.kind=dynamic",
    "method.every=20",
    "prune.criterion=random",
    "prune.scope=erk",
)
GRADUAL: Final = ("method.kind=gradual", "method.every=10")
EARLY: Final = ("method.kind=early-bird", "method.every=30")


def _criterion(name: str, *more: str) -> tuple[str, ...]:
    return (f"prune.criterion={name}", *more)


METHODS: Final[Mapping[str, tuple[tuple[str, ...], Counts]]] = {
    **{
        f"criterion {name}": (_criterion(name, *FEW), weights(DENSITY))
        for name in (
            "magnitude",
            "random",
            "small-final",
            "large-init",
            "small-init",
            "large-init-large-final",
            "small-init-small-final",
            "magnitude-increase",
            "movement",
            "taylor",
            "movement-pruning",
            "fisher",
            "hessian",
        )
    },
    # Made for layers of their own, not for a comparison of one layer's inputs with another's.
    "criterion wanda, scope uniform": (
        _criterion("wanda", *FEW, "prune.scope=uniform"),
        weights(DENSITY),
    ),
    **{
        f"at initialization: {name}": (_criterion(name, AT_START, *FEW, *more), weights(DENSITY))
        for name, more in {
            "magnitude": (),
            "random": (),
            "snip": (),
            "grasp": (),
            "synflow": ("prune.rounds=100",),
        }.items()
    },
    "at initialization: snip in 10 rounds": (
        _criterion("snip", AT_START, *FEW, "prune.rounds=10"),
        weights(DENSITY),
    ),
    "at initialization: FORCE": (
        _criterion("snip", AT_START, *FEW, "prune.rounds=10", "prune.regrow=true"),
        weights(DENSITY),
    ),
    "at iteration 100: magnitude": (
        _criterion("magnitude", AT_START, "method.step=100"),
        weights(DENSITY),
    ),
    **{
        f"filters by {name}": (
            _criterion(name, *FILTERS, *FEW),
            units(0.5, lambda layer: layer.flatten(1)),
        )
        for name in ("l1", "l2", "mean-activation", "apoz")
    },
    **{
        f"channels by {name}": (_criterion(name, *CHANNELS, *FEW), channels_of_resnet(0.5))
        for name in ("l1", "bn-scale", "taylor")
    },
    "kernels": (
        ("prune.granularity=kernel", *HALF, "prune.fractions={'output.weight'=0}"),
        units(0.5, lambda layer: layer.flatten(0, 1).flatten(1)),
    ),
    "blocks of 4 x 4": (("prune.granularity=block-4x4", "prune.densities=[0.2]"), tiles_of_four),
    "2:4": (
        ("prune.granularity=2:4", "prune.scope=layer", "prune.densities=[]"),
        two_of_four,
    ),
    "residual blocks": (
        ("prune.granularity=residual-block", "prune.densities=[0.8]"),
        weights_of_blocks,
    ),
    "layers": (
        (
            "prune.granularity=layer",
            "prune.densities=[0.8]",
            "prune.fractions={'conv1.weight'=0, '*.shortcut.*'=0, 'output.weight'=0}",
        ),
        # Of the 18 convolutions in blocks round(0.8 * 18) = 14, and four layers that are spared.
        whole_layers(18),
    ),
    "scope layer": (("prune.scope=layer", *BY_FRACTION), each_layer(DENSITY)),
    "scope uniform": (("prune.scope=uniform",), weights(DENSITY)),
    "scope erk": (("prune.scope=erk",), weights(DENSITY)),
    "scope lamp": (("prune.scope=lamp",), weights(DENSITY)),
    "schedule geometric": (
        ("prune.schedule=geometric", "prune.densities=[]", "levels=2", "prune.fraction=0.7"),
        level_by_level(0.7, 2),
    ),
    "schedule linear": (
        ("prune.schedule=linear", "prune.densities=[]", "levels=2", "prune.final_density=0.1"),
        weights(DENSITY),
    ),
    "schedule listed": (
        ("prune.schedule=listed", "prune.densities=[0.4, 0.1]", "levels=2"),
        weights(DENSITY),
    ),
    "gradual, cubic": (
        GRADUAL,
        weights(DENSITY),
    ),
    "gradual, linear": (
        (*GRADUAL, "method.shape=linear"),
        weights(DENSITY),
    ),
    "SET": (
        (*MOVES, "method.update=set"),
        weights(DENSITY),
    ),
    "RigL": (
        (*MOVES, "method.update=rigl"),
        weights(DENSITY),
    ),
    "Early-Bird": (
        (*EARLY, "method.rewind.kind=weights"),
        weights(DENSITY),
    ),
    "Early-Bird, trained on": (
        EARLY,
        weights(DENSITY),
    ),
    "gradual, found and rewound": ((*GRADUAL, "method.then=rewind"), weights(DENSITY)),
    "RigL, found and rewound to iteration 20": (
        (*MOVES, "method.update=rigl", "method.then=rewind", "method.rewind.to=20"),
        weights(DENSITY),
    ),
    "at iteration 100, rewound to 20": (
        (AT_START, "method.step=100", "method.rewind.kind=weights", "method.rewind.to=20"),
        weights(DENSITY),
    ),
    "rewound to iteration 100": (("method.rewind.to=100",), weights(DENSITY)),
    "learning-rate rewinding": (("method.rewind.kind=learning-rate",), weights(DENSITY)),
    "fine-tuning": (
        ("method.rewind.kind=fine-tune", "method.rewind.length=100"),
        weights(DENSITY),
    ),
    "pruned weights frozen": (("method.pruned=frozen",), weights(DENSITY)),
    "pruned weights frozen or zero": (("method.pruned=mixed",), weights(DENSITY)),
    "every control once": (
        (
            # With tickets that start at the initialization, a new start would be `reinit` again.
            "method.rewind.to=20",
            "controls.reinit=1",
            "controls.random_mask=1",
            "controls.continued=true",
            "controls.shuffled_global=1",
            "controls.signs_random_magnitudes=1",
            "controls.signs_constant=true",
            "controls.random_signs=1",
            "controls.initial_signs=1",
            "controls.trained_signs=1",
            "controls.scratch_epochs=1",
            "controls.scratch_flops=1",
            "controls.edge_popup=1",
            "controls.supermask=1",
            # Masks of another replicate's ticket.
            "replicates=2",
            "controls.moved=1",
            "controls.aligned=1",
        ),
        weights(DENSITY),
    ),
}
"""Name -> its settings over `BASE`, and how much its last level keeps."""


def config_of(name: str) -> ExperimentConfig:
    """The experiment of a method."""
    values: dict[str, object] = {"name": _slug(name)}
    for setting in (*BASE, *METHODS[name][0]):
        values = merge(values, parse_override(setting))
    return load_config(values)


def problems_of(run: Path, config: ExperimentConfig, counts: Counts) -> list[str]:
    """What is not exact in a finished run, one sentence each."""
    store, found = Store(run), []
    for key in [JobKey(0, MAIN, level) for level in range(1, config.levels + 1)]:
        if store.result(key).status != "done":
            found.append(f"level {key.level}: {store.result(key).reason}")
            continue
        ticket, mask = store.ticket(key), store.final_mask(key)
        if key.level == config.levels:
            found += counts(mask)
        if config.method.pruned == "zero":
            found += _not_zero(store.weights(key), mask)
        if config.method.rewinding in ("weights", "drawn") and ticket.pruned is None:
            found += _not_rewound(
                ticket.weights, _origin(store, config, ticket.iteration), ticket.mask
            )
    return found


def _origin(store: Store, config: ExperimentConfig, iteration: int) -> Mapping[str, Tensor]:
    """The state of the dense network that a ticket with this first iteration is rewound to."""
    if config.method.rewinding == "drawn":
        looks = [store.look(look) for look in store.looks(0) if look.kind == "drawn"]
        states = {look.iteration: look.state for look in looks if isinstance(look, EarlyBirdMask)}
        return states[iteration] or {}
    if not iteration:
        return store.ticket(JobKey(0, MAIN, 0)).weights
    found = store.look(LookKey(0, "state", iteration))
    return {} if isinstance(found, EarlyBirdMask) else found


def _not_zero(state: Mapping[str, Tensor], mask: Mask) -> list[str]:
    return [
        f"{name}: a pruned weight is not zero after training"
        for name, kept in mask.items()
        if bool(state[name][~kept].any())
    ]


def _not_rewound(
    state: Mapping[str, Tensor], origin: Mapping[str, Tensor], mask: Mask
) -> list[str]:
    return [
        f"{name}: a survivor does not start at the value it is rewound to"
        for name, kept in mask.items()
        if not bool((state[name][kept] == origin[name][kept]).all())
    ]


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def main() -> int:
    """Run what is asked for; 1 where something is not exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path("runs/every-method"))
    parser.add_argument("--jobs", type=int, default=None, help="trainings at once")
    parser.add_argument("--only", nargs="+", choices=METHODS, metavar="NAME", default=[*METHODS])
    asked = parser.parse_args()
    options = RunOptions(out=asked.out, data_dir=asked.data_dir, jobs=asked.jobs)
    wrong = 0
    print("| Method | Kept | Density | Test accuracy | Exact |\n|---|---|---|---|---|")
    for name in asked.only:
        config = config_of(name)
        summary = run_experiment(config, options)
        problems = problems_of(summary.run, config, METHODS[name][1])
        problems += [
            f"{key}: {result.reason}"
            for key, result in summary.results.items()
            if result.status != "done"
        ]
        wrong += bool(problems)
        last = JobKey(0, MAIN, config.levels)
        mask = Store(summary.run).final_mask(last)
        result = summary.results[last]
        kept, total = number_kept(mask), sum(k.numel() for k in mask.values())
        final = result.score_final
        accuracy = "-" if final is None else f"{final:.1%}"
        said = "yes" if not problems else "; ".join(problems)
        print(
            f"| {name} | {kept:,} of {total:,} | {kept / total:.2%} | {accuracy} | {said} |",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
