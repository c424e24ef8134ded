"""Histograms of weights from a run's files, one training's tensors at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lottery.experiments import Run
from lottery.report.data import WeightCounts
from lottery.store import JobKey
from lottery.store.jobs import DENSE_WHOLE

BINS = 60


def weight_counts(
    run: Run, tickets: Sequence[JobKey], layers: Sequence[str]
) -> dict[str, WeightCounts]:
    """Initial and trained weights of the dense networks, by whether these tickets keep them.

    Replicates without a dense network that came to its end are left out.

    Args:
        run: the run.
        tickets: of one level, one a replicate.
        layers: their order, where it is known.
    """
    found: dict[str, WeightCounts] = {}
    for key in tickets if run.facts.dense_kind != DENSE_WHOLE else ():
        dense = JobKey(key.replicate, key.branch, 0)
        if dense not in run.results or run.results[dense].status != "done":
            continue
        masks = {name: mask.numpy() for name, mask in run.store.ticket(key).mask.items()}
        for moment in ("initial", "trained"):
            state = (
                run.store.ticket(dense).weights if moment == "initial" else run.store.weights(dense)
            )
            for name in [name for name in layers if name in masks] or list(masks):
                if name in state and tuple(state[name].shape) == masks[name].shape:
                    values = state[name].detach().float().numpy()
                    found[name] = _added(found.get(name), moment, values, masks[name])
    return found


def _added(
    before: WeightCounts | None,
    moment: str,
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
) -> WeightCounts:
    """Counts with those of one more training; the first one's initial weights decide the bins."""
    if before is None:
        sizes = np.abs(values[np.isfinite(values)])
        reach = 2.5 * float(np.quantile(sizes, 0.99)) if sizes.size else 0.0
        reach = reach or 1.0
        before = WeightCounts(edges=np.linspace(-reach, reach, BINS + 1), counts={})
    counts: Mapping[str, NDArray[np.int64]] = {
        f"{moment}-kept": np.histogram(values[mask], before.edges)[0],
        f"{moment}-pruned": np.histogram(values[~mask], before.edges)[0],
    }
    merged = {part: before.counts.get(part, 0) + more for part, more in counts.items()}
    return WeightCounts(edges=before.edges, counts={**before.counts, **merged})
