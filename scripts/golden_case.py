"""One golden run: its settings, and the axes that many of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Final

from lottery.experiments import (
    RECIPES,
    ExperimentConfig,
    load_config,
    merge,
    parse_override,
    smoke,
)

BOTH: Final = ("torch", "sparse_cpu")
TORCH: Final = ("torch",)
RECIPE: Final = "recipe "


@dataclass(frozen=True, kw_only=True)
class Case:
    """One experiment on one engine.

    Args:
        name: unique; ends with the engine's.
        settings: what is set over `BASE`, as for ``--set``; none for a recipe.
        engine: the engine's name, never ``auto``.
        resumed: whether it must give the same when stopped time and again.
    """

    name: str
    settings: tuple[str, ...]
    engine: str
    resumed: bool = False

    def config(self) -> ExperimentConfig:
        """The experiment."""
        if self.name.startswith(RECIPE):
            name = self.name.removeprefix(RECIPE).removesuffix(f", {self.engine}")
            return replace(smoke(RECIPES[name]()), replicates=1)
        values: dict[str, object] = {"name": "golden"}
        for setting in (*BASE, *self.settings):
            values = merge(values, parse_override(setting), emptying=True)
        return load_config(values)

    @property
    def missing(self) -> str:
        """The package that it needs and that is not installed; empty where nothing is missing."""
        needed = "prune.granularity=channel" in self.settings and not find_spec("torch_pruning")
        return "torch-pruning" if needed else ""


BASE: Final = (
    "model=mlp-20",
    "replicates=1",
    "levels=2",
    "data.name=few:mnist-5k",
    "data.validation=60",
    # Five batches an epoch, the last of them smaller: two epochs end on the way.
    "training.length.amount=12",
    "training.batch_size=1000",
    "training.evaluate_every.amount=4",
    "training.learning_rate.base=3e-3",
    "prune.fraction=0.5",
    "prune.fractions={'output.weight'=0.25}",
    "controls.reinit=0",
)

NO_FRACTIONS: Final = "prune.fractions={}"
SPARED: Final = "prune.fractions={'output.weight'=0}"
EARLY: Final = (
    "method.kind=early-bird",
    "method.every=2",
    "method.window=3",
    "method.distance=0.05",
    "method.rewind.kind=weights",
)
BY: Final[Mapping[str, tuple[str, ...]]] = {
    "trained": (),
    "rewound": ("method.kind=at-step",),
    "early-bird": EARLY,
}
LATE: Final = "method.rewind.to=4"
STEP: Final = "method.step=4"
DRAWN: Final = "method.rewind.kind=drawn"
RATE: Final = "method.rewind.kind=learning-rate"
TUNE: Final = ("method.rewind.kind=fine-tune", "method.rewind.length=4")
FEW: Final = ("prune.examples=40", "prune.batch_size=15")
SCRATCH: Final = ("controls.scratch_epochs=1", "controls.scratch_flops=1")
SGD: Final = (
    "training.optimizer.name=sgd",
    "training.optimizer.momentum=0.9",
    "training.learning_rate.base=0.05",
)
STEPS: Final = (
    "training.learning_rate.schedule=step",
    "training.learning_rate.warmup.amount=3",
    "training.learning_rate.drops=[{amount=8}]",
)
CONVOLUTIONS: Final = (
    "model=resnet-8",
    "levels=1",
    "training.length.amount=3",
    "training.batch_size=10",
    "training.evaluate_every.amount=2",
)

MOVED_CONTROLS: Final = (
    "controls.reinit=1",
    "controls.signs_random_magnitudes=1",
    "controls.signs_constant=true",
    "controls.random_signs=1",
)
TRAINED_CONTROLS: Final = (
    *MOVED_CONTROLS,
    "controls.random_mask=1",
    "controls.continued=true",
    "controls.shuffled_global=1",
    "controls.scratch_flops=1",
)
SIGNED_CONTROLS: Final = ("controls.trained_signs=1", "controls.initial_signs=1")
LEARNED_CONTROLS: Final = ("controls.edge_popup=1", "controls.supermask=1")
CONSTANT: Final = (
    "masks.edge_popup.weights=signed-constant",
    "masks.supermask.weights=signed-constant",
)


def cases(
    name: str, *settings: str, engines: tuple[str, ...] = BOTH, resumed: bool = False
) -> tuple[Case, ...]:
    """A case for each engine."""
    return tuple(
        Case(name=f"{name}, {engine}", settings=settings, engine=engine, resumed=resumed)
        for engine in engines
    )
