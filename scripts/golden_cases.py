"""The experiments whose results `golden_runs.py` records: tiny ones, and each recipe made tiny."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from golden_case import (
    BOTH,
    BY,
    CONSTANT,
    CONVOLUTIONS,
    DRAWN,
    EARLY,
    FEW,
    LATE,
    LEARNED_CONTROLS,
    MOVED_CONTROLS,
    NO_FRACTIONS,
    RATE,
    RECIPE,
    SCRATCH,
    SGD,
    SIGNED_CONTROLS,
    SPARED,
    STEP,
    STEPS,
    TORCH,
    TRAINED_CONTROLS,
    TUNE,
    Case,
    cases,
)
from lottery.core import CRITERIA
from lottery.experiments import (
    RECIPES,
)


def _controls() -> tuple[Case, ...]:
    start, late = "rewound to 0", "rewound to 4"
    return (
        *cases(f"controls: trained, {start}", *TRAINED_CONTROLS),
        *cases(f"controls: trained, {late}", *TRAINED_CONTROLS, "controls.scratch_epochs=1", LATE),
        *cases(
            "controls: signed", "levels=1", "method.rewind.kind=learning-rate", *SIGNED_CONTROLS
        ),
        *cases(
            "controls: moved", "levels=1", "replicates=2", "controls.moved=1", "controls.aligned=1"
        ),
        *cases(f"controls: learned, {start}", *LEARNED_CONTROLS, engines=TORCH, resumed=True),
        *cases(f"controls: learned, {late}", *LEARNED_CONTROLS, LATE, engines=TORCH),
        *cases("controls: learned constants", *LEARNED_CONTROLS, *CONSTANT, engines=TORCH),
        *cases(
            "controls: several of each, two replicates",
            "replicates=2",
            "levels=1",
            LATE,
            "seed=7",
            *(
                f"controls.{name}=2"
                for name in (
                    "reinit",
                    "random_mask",
                    "shuffled_global",
                    "signs_random_magnitudes",
                    "random_signs",
                    "scratch_epochs",
                    "scratch_flops",
                )
            ),
        ),
    )


def _methods() -> tuple[Case, ...]:
    two = ("controls.reinit=1", "controls.random_mask=1")
    return (
        *cases("trained, weights at 0", *two),
        *cases("trained, weights at 4", *two, *STEPS, LATE, resumed=True),
        *cases("trained, weights at 1 epoch", *two, "method.rewind.to={amount=1, unit='epochs'}"),
        *cases("trained, learning-rate to 0", *two, *STEPS, RATE),
        *cases("trained, learning-rate to 4", *two, *STEPS, *SCRATCH, RATE, LATE),
        *cases("trained, fine-tune", *two, *STEPS, *SCRATCH, *TUNE, resumed=True),
        *cases("rewound, weights at 0", *two, *BY["rewound"]),
        *cases("rewound, weights at 4", *two, *SCRATCH, *BY["rewound"], STEP),
        *cases("early-bird, weights at 0", *two, *EARLY),
        *cases("early-bird, weights at 4", *two, *SCRATCH, *EARLY, LATE),
        *cases("early-bird, drawn", *two, *SCRATCH, *EARLY, DRAWN, resumed=True),
        *cases("early-bird, drawn, never settled", *EARLY, DRAWN, "method.distance=0.0"),
    )


def _schedules() -> tuple[Case, ...]:
    linear = ("prune.schedule=linear", "prune.final_density=0.2")
    shot = ("prune.schedule=one-shot", "prune.densities=[0.5, 0.1]")
    listed = ("prune.schedule=listed", "prune.densities=[0.5, 0.1]")
    found: list[Case] = []
    for by, settings in BY.items():
        # Masks are made alike on every engine, so that one way to them on both is enough.
        engines = BOTH if by == "trained" else TORCH
        for name, schedule in {
            "one-shot": ("prune.schedule=one-shot",),
            "one-shot to densities, scope global": (*shot, "prune.scope=global"),
            "linear, scope global": (*linear, "prune.scope=global"),
            "listed, scope erk": (*listed, "prune.scope=erk"),
        }.items():
            each = (*settings, "controls.reinit=1", NO_FRACTIONS, *schedule)
            found += cases(f"{by}, {name}", *each, engines=engines)
    for scope in ("global", "uniform", "erk", "lamp"):
        spared = (SPARED, f"prune.scope={scope}")
        found += cases(f"scope {scope}, an exempt layer", *spared, engines=TORCH)
    found += cases("one-shot, fine-tune", "prune.schedule=one-shot", *TUNE)
    return tuple(found)


def _criteria() -> tuple[Case, ...]:
    found: list[Case] = []
    for name, entry in CRITERIA.items():
        units = ("prune.granularity=neuron", SPARED) if entry.per_unit else ()
        network = ("prune.granularity=filter", SPARED) if name == "bn-scale" else units
        settings = (f"prune.criterion={name}", *FEW, *network, "levels=1")
        if name == "bn-scale":
            found += cases(f"criterion {name}", *CONVOLUTIONS, *settings, engines=TORCH)
            continue
        found += cases(f"criterion {name}", *settings, engines=TORCH)
        if entry.at_initialization:
            at_start = (*settings, *BY["rewound"])
            found += cases(f"criterion {name}, rewound", *at_start, engines=TORCH)
    for name in ("snip", "random"):
        criterion = (f"prune.criterion={name}", *FEW)
        for by in ("trained", "early-bird"):
            found += cases(
                f"criterion {name} in rounds, {by}", *criterion, *BY[by], *ROUNDS, engines=TORCH
            )
        found += cases(
            f"criterion {name} in rounds, rewound to 4",
            *criterion,
            *AT_LATE,
            *ROUNDS,
            engines=TORCH,
        )
    force = ("prune.criterion=snip", *FEW, *ROUNDS, "prune.regrow=true")
    found += cases("criterion snip with regrowth", *force, *BY["rewound"], "controls.reinit=1")
    found += cases("criterion snip with regrowth, one-shot", *force, "prune.schedule=one-shot")
    found += cases(
        "criterion snip by batch statistics",
        *(*CONVOLUTIONS, "prune.criterion=snip", "prune.batch_statistics=true", *FEW),
        *BY["rewound"],
        engines=TORCH,
    )
    flow = ("prune.criterion=synflow", "prune.rounds=4", "prune.round_schedule=linear")
    found += cases("criterion synflow in linear rounds", *flow, *BY["rewound"], engines=TORCH)
    return tuple(found)


ROUNDS: Final = ("prune.rounds=3", "prune.scope=global", NO_FRACTIONS)
AT_LATE: Final = (*BY["rewound"], STEP)


def _structures() -> tuple[Case, ...]:
    def unit(name: str) -> str:
        return f"prune.granularity={name}"

    shuffled = ("controls.random_mask=1", "controls.shuffled_global=1", "controls.scratch_flops=1")
    deep = (*CONVOLUTIONS, SPARED, "prune.scope=global")
    whole = (*CONVOLUTIONS, NO_FRACTIONS, "prune.scope=global", "controls.shuffled_global=1")
    found = [
        *cases("neurons", unit("neuron"), "model=mlp-20-10", SPARED, *shuffled),
        *cases("neurons by l2, drawn", unit("neuron"), "prune.criterion=l2", SPARED, *EARLY, DRAWN),
        *cases("blocks", unit("block-4x4"), *shuffled),
        *cases(
            "2:4",
            unit("2:4"),
            "levels=1",
            "prune.schedule=one-shot",
            SPARED,
            "controls.random_mask=1",
        ),
    ]
    for name in ("kernel", "filter", "channel"):
        found += cases(f"units: {name}", *deep, unit(name), *shuffled, engines=TORCH)
    for name in ("layer", "residual-block"):
        found += cases(f"units: {name}", *whole, unit(name), engines=TORCH)
    found += cases("channels, frozen", *deep, unit("channel"), *FROZEN, engines=TORCH)
    return tuple(found)


FROZEN: Final = ("method.pruned=frozen",)
MIXED: Final = ("method.pruned=mixed",)


def _held() -> tuple[Case, ...]:
    settings = {
        "frozen": (*FROZEN, *TRAINED_CONTROLS),
        "frozen at 4": (*FROZEN, *TRAINED_CONTROLS, LATE),
        "frozen, rewound at 4": (*FROZEN, *BY["rewound"], STEP, "controls.random_mask=1"),
        "frozen, early-bird": (*FROZEN, *EARLY, "controls.random_mask=1"),
        "mixed": (*MIXED, *TRAINED_CONTROLS, *SGD),
        "mixed at 4": (*MIXED, *TRAINED_CONTROLS, LATE),
        "mixed, one-shot": (*MIXED, "prune.schedule=one-shot", "controls.random_mask=1"),
        "frozen, snip in rounds": (*FROZEN, "prune.criterion=snip", *FEW, *ROUNDS),
    }
    return tuple(
        case
        for name, given in settings.items()
        for case in cases(f"pruned {name}", *given, engines=TORCH, resumed=name == "mixed at 4")
    )


def _changing() -> tuple[Case, ...]:
    def method(name: str) -> tuple[str, ...]:
        kind = ("kind=gradual",) if name == "gradual" else ("kind=dynamic", f"update={name}")
        return (*(f"method.{setting}" for setting in kind), "method.every=2")

    found: list[Case] = []
    for name in ("set", "rigl"):
        drawn = (*method(name), "prune.criterion=random", "prune.scope=erk", NO_FRACTIONS)
        controls = (*MOVED_CONTROLS, "controls.random_mask=1", "controls.scratch_flops=1")
        found += cases(name, *drawn, *controls, engines=TORCH, resumed=True)
        found += cases(f"{name} at 4", *drawn, STEP, *SGD, engines=TORCH)
    learned = (*method("rigl"), *FEW, "prune.criterion=snip", "controls.shuffled_global=1")
    found += cases("rigl from snip, one-shot", *learned, "prune.schedule=one-shot", engines=TORCH)
    gradual = method("gradual")
    found += cases("gradual", *gradual, *MOVED_CONTROLS, engines=TORCH, resumed=True)
    found += cases("gradual at 4, scope global", *gradual, STEP, *GLOBAL, engines=TORCH)
    shape = "method.shape=linear"
    densities = ("prune.schedule=one-shot", "prune.densities=[0.5, 0.1]", *GLOBAL)
    found += cases("gradual to densities, linear", *gradual, shape, *densities, engines=TORCH)
    return tuple(found)


GLOBAL: Final = ("prune.scope=global", NO_FRACTIONS)


def _trainings() -> tuple[Case, ...]:
    decay = "training.optimizer.weight_decay=1e-2"
    images = ("data.augmentation.flip=true", "data.augmentation.crop_padding=2")
    settings: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "nesterov, steps": ((*SGD, *STEPS, "training.optimizer.nesterov=true"), BOTH),
        "decay": ((*SGD, decay), BOTH),
        "adamw, cosine": (
            ("training.optimizer.name=adamw", decay, "training.learning_rate.schedule=cosine"),
            TORCH,
        ),
        "squared error": (("training.loss=mse", LATE), BOTH),
        "smoothing, clipping": (
            (
                "training.label_smoothing=0.1",
                "training.clip_gradients=0.5",
                decay,
                "training.optimizer.decay=weights",
            ),
            TORCH,
        ),
        "dropout": (("model=mlp-20-10-dropout0.5",), BOTH),
        "averaging": (("training.averaging=0.9", LATE), TORCH),
        "bfloat16": (("training.precision=bfloat16",), TORCH),
        "float16": (("training.precision=float16",), TORCH),
        "augmentation": (images, TORCH),
        "batch norm": (
            (*CONVOLUTIONS, *SGD, "training.recalibrate_batch_norm=40", "method.rewind.to=1"),
            TORCH,
        ),
        "channels last": ((*CONVOLUTIONS, "training.channels_last=true"), TORCH),
        "kaiming": (("initialization=kaiming-normal", "model=mlp-20-tanh"), BOTH),
        "truncated": (("initialization=truncated-normal",), BOTH),
    }
    stopped = ("dropout", "averaging", "augmentation", "float16")
    found: list[Case] = []
    for name, (given, engines) in settings.items():
        resumed = name in stopped
        found += cases(f"training: {name}", *given, engines=engines, resumed=resumed)
    # The kernels hear of a stop every 100 steps, and at the end.
    long = ("training.length.amount=230", "training.evaluate_every.amount=100", LATE)
    found += cases("training: long", *long, "levels=1", engines=("sparse_cpu",), resumed=True)
    return tuple(found)


def _endings() -> tuple[Case, ...]:
    harsh = ("training.optimizer.name=sgd", "training.learning_rate.base=1e30")
    emptied = ("prune.fractions={'output.weight'=0.99}", "levels=4", "controls.reinit=1")
    narrow = (
        "model=mlp-1",
        "levels=1",
        "prune.fraction=0.99",
        "prune.fractions={'output.weight'=0.1}",
        "controls.shuffled_global=3",
    )
    scores = ("controls.edge_popup=1", "masks.edge_popup.learning_rate.base=1e38")
    return (
        *cases("ending: the dense network diverges", *harsh, "controls.reinit=1"),
        *cases("ending: a control diverges", *scores, engines=TORCH),
        *cases("ending: a ticket collapses", *emptied),
        *cases("ending: a control collapses", *narrow),
    )


TINY: Final[Mapping[str, Case]] = {
    case.name: case
    for cases in (
        _controls(),
        _methods(),
        _schedules(),
        _criteria(),
        _structures(),
        _held(),
        _changing(),
        _trainings(),
        _endings(),
    )
    for case in cases
}
"""Name -> case; each takes a fraction of a second."""

RECIPE_CASES: Final[Mapping[str, Case]] = {
    case.name: case
    for name in RECIPES
    for case in cases(
        f"{RECIPE}{name}",
        engines=BOTH if RECIPES[name]().model == "lenet-300-100" else TORCH,
    )
}
"""Name -> each recipe as ``--smoke`` makes it, with one replicate."""
