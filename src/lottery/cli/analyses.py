"""Verbs of ``analyse`` that look and train nothing: each has its settings as options."""

from __future__ import annotations

from typing import Annotated

from lottery.cli import options
from lottery.cli.analyse import verb


@verb(computes=False)
def masks() -> None:
    """What tickets keep, beside chance.

    Overlap between and within replicates, densities and what lies on a path from input to output,
    weights of each unit, and how masks settle: beside what masks drawn at random would have. Only
    files are read.

    \b
    Examples:
      lottery analyse masks lenet-300-100-mnist
      lottery analyse masks demo --levels 0-2 --csv tables
    """


@verb(computes=False)
def weights() -> None:
    """Sizes, signs and movement of weights.

    How weights are distributed, how far they move and which signs they keep: from files alone. Of
    survivors and of pruned weights, by level, layer and control, beside what chance would give.

    \b
    Examples:
      lottery analyse weights demo
      lottery analyse weights demo --levels 0,4 --csv tables
    """


Examples = Annotated[
    int,
    options.whole("--examples", help="Training examples to look at, the same for all networks."),
]
Recalibrate = Annotated[
    int,
    options.whole(
        "--recalibrate",
        help="Training examples that batch normalization's statistics are computed from, anew for "
        "each network; 0: they stay.",
    ),
]


@verb(computes=True)
def alignment(
    examples: Examples = 1_000,
    test_examples: Annotated[
        int,
        options.whole(
            "--test-examples", help="Test examples that each network is measured on; 0: all."
        ),
    ] = 2_000,
    points: Annotated[
        int,
        options.whole("--points", help="Networks on each line, its ends included."),
    ] = 11,
    recalibrate: Recalibrate = 0,
) -> None:
    """Replicates compared, neurons matched.

    Whether they agree up to permutation. Neurons of each replicate are matched to those of the one
    before by their activations: how similar they are, barriers between the networks and what masks
    share, in place and aligned, beside chance. Where the run has the controls moved and aligned,
    how their masks train on another initialization.

    \b
    Examples:
      lottery analyse alignment lenet-300-100-mnist
      lottery analyse alignment demo --levels 0,2
    """


@verb(computes=True)
def curvature(
    examples: Examples = 1_000,
    eigenvalues: Annotated[
        int,
        options.whole("--eigenvalues", help="How many of the largest eigenvalues."),
    ] = 3,
) -> None:
    """How sharp the minima of trainings are.

    And how steep the loss is where they start. Largest eigenvalues of the Hessian of the training
    loss by the weights that are kept, and norms of its gradient; of tickets and of the first
    control of each kind.

    \b
    Examples:
      lottery analyse curvature demo
      lottery analyse curvature demo --eigenvalues 5
    """


@verb(computes=True)
def cka(examples: Examples = 1_000) -> None:
    """How alike representations are: CKA.

    How alike networks represent the same examples, layer by layer: linear CKA. Of the dense network
    with its tickets and controls, and of tickets with those of other replicates, beside what two
    random networks give.

    \b
    Examples:
      lottery analyse cka demo
      lottery analyse cka demo --levels 0,2,4
    """


@verb(computes=True)
def pools(
    candidates: Annotated[
        int,
        options.whole("--candidates", help="How many of the nearest levels are tried."),
    ] = 4,
    recalibrate: Recalibrate = 1_000,
) -> None:
    """Average tickets of levels side by side.

    Each ticket is averaged with those of the levels around it, to see whether that is better.
    Lottery Pools: chosen greedily on validation data, judged on test data, without any training.

    \b
    Examples:
      lottery analyse pools demo
      lottery analyse pools demo --candidates 12
    """


@verb(computes=True)
def shifts(
    examples: Annotated[
        int,
        options.whole("--examples", help="Test examples at most."),
    ] = 10_000,
) -> None:
    """What tickets lose on worse images.

    Whether it is more than the dense network loses. Noise, blur and little contrast at five
    strengths each, on the test set; nothing is trained.

    \b
    Examples:
      lottery analyse shifts demo
      lottery analyse shifts demo --levels 0,3 --csv tables
    """
