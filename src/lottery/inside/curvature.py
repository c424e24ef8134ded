"""Sharpness of the loss where trainings end, and norms of its gradient where they start and end.

Both are of the training loss, without weight decay and label smoothing, over the same examples for
all networks, and with respect to the prunable weights that are kept: biases and parameters of
normalization are constants.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from lottery.core import Mask, ScoreContext
from lottery.core.criteria.curvature import hessian_product
from lottery.core.criteria.gradients import mean_gradient
from lottery.core.criteria.network import mean_loss, scored_network, weighted_batches
from lottery.errors import UsageError
from lottery.inside.analysis import Analysis
from lottery.inside.measurement import Cell, Measurement, Table
from lottery.inside.probing import probe_of, trainings_to_compare
from lottery.inside.spread import mean, spread
from lottery.inside.subject import Subject
from lottery.store import MAIN, JobKey
from lottery.training import State

Vector = NDArray[np.float64]

_SMALL: Final = 64
"""Up to so many weights, the whole Hessian is computed."""
_TOLERANCE: Final = 1e-3
"""Relative, of eigenvalues: the network computes in single precision."""


def top_eigenvalues(context: ScoreContext, count: int) -> list[float]:
    """The largest eigenvalues of the Hessian of the loss, largest first.

    Of the mean loss over all of the probe's examples, with respect to the weights that the
    context's mask keeps; dropout is off, and batch normalization uses its running statistics.
    Computed by the Lanczos method (scipy's ``eigsh``) from Hessian-vector products, to a relative
    accuracy of 0.001; the whole Hessian is computed only for up to 64 weights.

    Args:
        context: with a probe.
        count: how many, 1 or more; fewer are returned where there are fewer weights.

    Raises:
        UsageError: the iterations do not converge.
    """
    model, mask = scored_network(context), context.mask
    total = mask.kept

    def product(vector: Vector) -> Vector:
        along = _scattered(np.asarray(vector).reshape(-1), mask)
        return _gathered(hessian_product(context, model, along), mask)

    if total <= max(_SMALL, 2 * count + 1):
        whole = np.array([product(unit) for unit in np.eye(total)]).reshape(total, total)
        values = np.linalg.eigvalsh((whole + whole.T) / 2)
    else:
        operator = LinearOperator((total, total), matvec=product, dtype=np.float64)
        start = torch.randn(total, generator=context.generator, dtype=torch.float64).numpy()
        try:
            values = eigsh(
                operator, k=count, which="LA", v0=start, tol=_TOLERANCE, return_eigenvectors=False
            )
        except ArpackNoConvergence as error:
            raise UsageError(
                f"curvature: the {count} largest eigenvalues cannot be told apart; ask for fewer"
            ) from error
    return sorted(map(float, values), reverse=True)[:count]


def gradient_norm(context: ScoreContext) -> float:
    """The L2 norm of the gradient of the mean loss with respect to the weights that the mask keeps.

    Batch normalization uses the statistics of each batch, as in training.
    """
    gradient = mean_gradient(context, batch_statistics=True)
    return float(np.linalg.norm(_gathered(gradient, context.mask)))


def loss_of(context: ScoreContext) -> float:
    """The mean loss over all of the probe's examples, whose Hessian `top_eigenvalues` is of."""
    assert context.probe is not None
    model = scored_network(context)
    with torch.no_grad():
        parts = weighted_batches(context.probe)
        return sum(share * float(mean_loss(context.probe, model, batch)) for batch, share in parts)


def _gathered(tensors: Mapping[str, Tensor], mask: Mask) -> Vector:
    return np.asarray(torch.cat([tensors[name][kept] for name, kept in mask.items()]).numpy())


def _scattered(vector: Vector, mask: Mask) -> dict[str, Tensor]:
    parts = torch.from_numpy(vector.copy()).split([kept for kept, _ in mask.layers.values()])
    found = {}
    for part, (name, kept) in zip(parts, mask.items(), strict=True):
        found[name] = torch.zeros(kept.shape, dtype=torch.float64)
        found[name][kept] = part
    return found


def curvature(subject: Subject, examples: int = 1_000, eigenvalues: int = 3) -> Measurement:
    """Sharpness at the end of trainings, and gradient norms at start, early stop and end.

    Args:
        subject: whose networks and data.
        examples: how many training examples, drawn once, 1 or more.
        eigenvalues: how many of the largest eigenvalues, 1 to 100.

    Raises:
        UsageError: a number is out of range, or eigenvalues do not converge.
    """
    if examples < 1 or not 1 <= eigenvalues <= 100:
        raise UsageError(
            "curvature: expected 1 example or more and 1 to 100 eigenvalues, got "
            f"{examples} and {eigenvalues}"
        )
    sharp: dict[tuple[int, str], list[list[float]]] = defaultdict(list)
    losses: dict[tuple[int, str], list[float]] = defaultdict(list)
    steep: dict[tuple[int, str, str], list[tuple[float, int]]] = defaultdict(list)
    for level in subject.levels:
        for key in trainings_to_compare(subject, level):
            subject.progress(f"curvature of {key}")
            for when, state, mask in _moments(subject, key):
                context = _context(subject, key, state, mask, examples)
                steep[level, key.kind, when].append((gradient_norm(context), mask.kept))
                if when == "end":
                    sharp[level, key.kind].append(top_eigenvalues(context, eigenvalues))
                    losses[level, key.kind].append(loss_of(context))
    return Measurement(
        analysis="curvature",
        found=tuple(_sentences(sharp, steep)),
        tables=(_sharpness_table(sharp, losses, eigenvalues), _gradient_table(steep)),
    )


def _moments(subject: Subject, key: JobKey) -> Iterator[tuple[str, State, Mask]]:
    """The states of a training that are kept: where it started, stopped early, and ended."""
    ticket = subject.ticket(key)
    yield "start", ticket.weights, ticket.mask
    early, mask = subject.weights(key, "early-stop"), subject.mask(key)
    if early and mask == ticket.mask:  # Of masks that changed, nobody knows what they were then.
        yield "early stop", early, mask
    yield "end", subject.weights(key), mask


def _context(
    subject: Subject, key: JobKey, state: State, mask: Mask, examples: int
) -> ScoreContext:
    return ScoreContext(
        weights={name: state[name] for name in mask},
        initial={},
        mask=mask,
        generator=torch.Generator().manual_seed(0),
        probe=probe_of(subject, state, mask, examples, subject.ticket(key).pruned),
    )


def _sharpness_table(
    sharp: Mapping[tuple[int, str], list[list[float]]],
    losses: Mapping[tuple[int, str], list[float]],
    count: int,
) -> Table:
    rows = []
    for (level, branch), found in sharp.items():
        largest = [one[0] for one in found if one]
        means = [mean([one[at] for one in found if len(one) > at]) for at in range(count)]
        row = (level, branch, len(found), means[0], spread(largest), *means[1:])
        rows.append((*row, mean(losses[level, branch])))
    return Table(
        name="sharpness",
        title="Largest eigenvalues of the Hessian of the training loss at the end",
        note=(
            "Means over n replicates, ± the standard deviation of the largest. By the prunable "
            "weights that are kept; what to compare a ticket with is the dense network (level 0) "
            "and its controls: a principal submatrix has no larger eigenvalue than the whole, so "
            "that fewer weights alone make a minimum less sharp. loss: on the same examples. Where "
            "cross-entropy has become next to nothing, so have its derivatives of every order: a "
            "flat end then says that the examples are fitted, and no more."
        ),
        columns=(
            *("level", "branch", "n", "eigenvalue_1", "eigenvalue_1_sd"),
            *(f"eigenvalue_{number}" for number in range(2, count + 1)),
            "loss",
        ),
        rows=tuple(rows),
    )


def _gradient_table(steep: Mapping[tuple[int, str, str], list[tuple[float, int]]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for (level, branch, when), found in steep.items():
        norms = [norm for norm, _ in found]
        each = [norm / math.sqrt(kept) for norm, kept in found if kept]
        rows.append((level, branch, when, len(found), mean(norms), spread(norms), mean(each)))
    return Table(
        name="gradients",
        title="Norm of the gradient of the training loss",
        note=(
            "By the weights that are kept, over the same examples; means over n replicates. per "
            "weight: its root mean square. A run keeps the states at the start and the end of each "
            "training, and at early stopping: between them nothing is known."
        ),
        columns=("level", "branch", "when", "n", "norm", "norm_sd", "per_weight"),
        rows=tuple(rows),
    )


def _sentences(
    sharp: Mapping[tuple[int, str], list[list[float]]],
    steep: Mapping[tuple[int, str, str], list[tuple[float, int]]],
) -> Iterator[str]:
    level = max((level for level, _ in sharp), default=0)

    def largest(branch: str, at: int) -> str:
        values = [one[0] for one in sharp.get((at, branch), []) if one]
        return f"{mean(values):.3g}" if values else "unknown"

    others = [branch for at, branch in sharp if at == level and branch != MAIN and level]
    where = {"dense networks": 0, **({f"tickets of level {level}": level} if level else {})}
    told = [
        f"{largest(MAIN, at)} where {what} end" for what, at in where.items() if (at, MAIN) in sharp
    ]
    told += [f"{largest(branch, level)} for {branch}" for branch in others]
    if told:
        yield (
            f"The largest eigenvalue of the Hessian is {', '.join(told)} "
            f"(n = {len(sharp.get((level, MAIN), []))})."
        )
    if level:
        at_start = {
            branch: mean([norm for norm, _ in steep.get((level, branch, "start"), [])])
            for branch in (MAIN, *others)
        }
        said = ", ".join(
            f"{v:.3g} for {'tickets' if b == MAIN else b}"
            for b, v in at_start.items()
            if v is not None
        )
        yield f"At the start of level {level} the norm of the gradient is {said}."


CURVATURE: Final = Analysis(
    name="curvature",
    sentence="sharpness where trainings end, and norms of the gradient on the way",
    measure=curvature,
    read=False,
)
