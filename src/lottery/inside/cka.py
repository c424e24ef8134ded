"""How similar the representations of two networks are: linear CKA, layer by layer.

Centered kernel alignment (Kornblith et al. 2019, arXiv:1905.00414) with the unbiased estimator of
HSIC (Song et al. 2012), summed over minibatches (Nguyen, Raghu & Kornblith 2020, arXiv:2010.15327,
section 2). For representations that have nothing in common its mean is 0, so that single values can
be negative; the usual, biased estimator is far above 0 where there are more features than examples.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

import torch
from torch import Tensor, nn

from lottery.core import Mask, Probe
from lottery.core.criteria.network import pass_batch
from lottery.errors import UsageError
from lottery.inside.analysis import Analysis
from lottery.inside.measurement import Measurement, Table
from lottery.inside.probing import probe_of, trainings_to_compare
from lottery.inside.spread import mean, spread
from lottery.inside.subject import Subject
from lottery.rng import Streams
from lottery.store import MAIN, JobKey

Grams = Mapping[str, Sequence[Tensor]]
"""Layer -> for every batch of n examples its Gram matrix, from `gram`, float64 ``[n, n]``."""

OTHERS = "tickets of other replicates"
RANDOM = "two random networks"


def gram(features: Tensor) -> Tensor:
    """The Gram matrix of examples' features, float64 ``[n, n]``, with zeros on its diagonal.

    Args:
        features: ``[n, ...]``, n examples.
    """
    flat = features.detach().flatten(1).double()
    # Centred, products of large means do not eat the digits; HSIC does not feel it.
    flat = flat - flat.mean(0)
    return (flat @ flat.T).fill_diagonal_(0)


def hsic(one: Tensor, other: Tensor) -> float:
    """The unbiased estimate of HSIC (Song et al. 2012, equation 5).

    Args:
        one: from `gram`, of 4 examples or more.
        other: from `gram`, of the same examples.
    """
    n = len(one)
    trace = float((one * other).sum())
    sums = float(one.sum() * other.sum()) / ((n - 1) * (n - 2))
    mixed = 2 * float(one.sum(0) @ other.sum(0)) / (n - 2)
    return (trace + sums - mixed) / (n * (n - 3))


def cka(one: Sequence[Tensor], other: Sequence[Tensor]) -> float | None:
    """Linear CKA of two representations of the same batches, at most 1; None if one is constant.

    It is 1 for a representation and itself, rotated or scaled.

    Args:
        one: the Gram matrix of every batch, from `gram`.
        other: those of the same batches.

    >>> batch = gram(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
    >>> round(cka([batch], [4 * batch]), 12)
    1.0
    """
    both = sum(map(hsic, one, other))
    scale = sum(map(hsic, one, one)) * sum(map(hsic, other, other))
    return both / math.sqrt(scale) if scale > 0 else None


def grams_of(probe: Probe, mask: Mask) -> Grams:
    """Gram matrices of the outputs, before any activation, of each layer with prunable weights.

    For the probe's examples; batches of fewer than 4 examples are left out.
    """
    found: dict[str, list[Tensor]] = defaultdict(list)
    model = probe.model.eval()

    def keep(name: str, output: object) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor) and len(first) >= 4:
            found[name].append(gram(first))

    def hook(name: str) -> object:
        def heard(_module: nn.Module, _inputs: object, output: object) -> None:
            keep(name, output)

        return model.get_submodule(name.rpartition(".")[0]).register_forward_hook(heard)

    hooks = [hook(name) for name in mask]
    try:
        with torch.no_grad():
            for batch in probe.batches:
                pass_batch(probe, model, batch)
    finally:
        for one in hooks:
            one.remove()  # type: ignore[attr-defined]
    return found


def similarity(subject: Subject, examples: int = 1_000) -> Measurement:
    """CKA of dense networks with their tickets and controls, and of tickets with one another.

    Args:
        subject: whose networks and data.
        examples: how many training examples, drawn once, 4 or more.

    Raises:
        UsageError: ``examples`` is out of range.
    """
    if examples < 4:
        raise UsageError(f"cka: expected 4 examples or more, got {examples}")
    found: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    dense = {key.replicate: key for key in _dense(subject)}
    first = {replicate: _grams(subject, key, examples) for replicate, key in dense.items()}
    for level in subject.levels:
        tickets: dict[int, Grams] = {}
        for key in trainings_to_compare(subject, level):
            subject.progress(f"representations of {key}")
            own = first.get(key.replicate) if not level else None
            own = own or _grams(subject, key, examples)
            if key.branch == MAIN:
                tickets[key.replicate] = own
            if level and key.replicate in first:
                what = "ticket" if key.branch == MAIN else key.kind
                _add(found, (level, f"dense network, {what}"), first[key.replicate], own)
        others = "dense networks of other replicates" if not level else OTHERS
        for one, other in combinations(tickets.values(), 2):
            _add(found, (level, others), one, other)
    for key in dense.values():
        _add(found, (0, RANDOM), *_random(subject, key, examples))
    return Measurement(analysis="cka", found=tuple(_sentences(found)), tables=(_table(found),))


def _dense(subject: Subject) -> Iterator[JobKey]:
    for replicate in subject.replicates:
        if subject.ended(key := JobKey(replicate, MAIN, 0)):
            yield key


def _random(subject: Subject, key: JobKey, examples: int) -> tuple[Grams, Grams]:
    """The dense network as it was drawn, and another drawn from a stream of its own."""
    start = subject.ticket(key)
    streams = Streams(subject.run.config.seed, key.replicate)
    drawn = subject.experiment.task.initial(streams, "inside", "cka").state_dict()
    one, other = (
        grams_of(probe_of(subject, state, start.mask, examples), start.mask)
        for state in (start.weights, drawn)
    )
    return one, other


def _grams(subject: Subject, key: JobKey, examples: int) -> Grams:
    """What a network gives at the end of its training."""
    mask, pruned = subject.mask(key), subject.ticket(key).pruned
    return grams_of(probe_of(subject, subject.weights(key), mask, examples, pruned), mask)


def _add(
    found: dict[tuple[int, str, str], list[float]],
    place: tuple[int, str],
    one: Grams,
    other: Grams,
) -> None:
    for layer in one:
        value = cka(one[layer], other[layer]) if layer in other else None
        if value is not None:
            found[*place, layer].append(value)


def _table(found: Mapping[tuple[int, str, str], Sequence[float]]) -> Table:
    return Table(
        name="layers",
        title="Linear CKA of the outputs of layers",
        note=(
            "Means over n pairs of networks, ± their standard deviation; of the outputs before any "
            "activation, for the same training examples. 1: the same up to rotation and scale. 0: "
            "what representations that have nothing in common give in the mean. Networks with the "
            f"same inputs have some: the rows '{RANDOM}' are untrained ones."
        ),
        columns=("level", "compared", "layer", "n", "cka", "cka_sd"),
        rows=tuple(
            (*place, len(values), mean(values), spread(values)) for place, values in found.items()
        ),
    )


def _sentences(found: Mapping[tuple[int, str, str], Sequence[float]]) -> Iterator[str]:
    if not found:
        yield "No two networks that ended well can be compared."
    level = max((level for level, _, _ in found), default=0)
    random = {layer: mean(v) for (_, what, layer), v in found.items() if what == RANDOM}
    last = [*random][-1] if random else ""
    for what in dict.fromkeys(what for at, what, _ in found if at == level and what != RANDOM):
        values = {layer: mean(v) for (at, w, layer), v in found.items() if (at, w) == (level, what)}
        said = [f"{v:.2f} in {n}" for n, v in _ends(values) if v is not None]
        yield f"At level {level}, CKA of {what}: {', '.join(said)}."
    if random.get(last) is not None:
        said = [f"{v:.2f} in {n}" for n, v in _ends(random) if v is not None]
        yield f"Two random networks have {', '.join(said)}."


def _ends(values: Mapping[str, float | None]) -> list[tuple[str, float | None]]:
    """The first and the last layer."""
    pairs = [*values.items()]
    return pairs if len(pairs) < 3 else [pairs[0], pairs[-1]]


CKA: Final = Analysis(
    name="cka",
    sentence="how alike tickets and dense networks represent the same examples, layer by layer",
    measure=similarity,
    read=False,
)
