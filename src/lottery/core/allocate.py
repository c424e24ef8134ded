"""Scope: where weights compete, and how many of each group are removed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from lottery.core.apportion import apportion, erdos_renyi_share
from lottery.errors import UsageError

Scope = Literal["global", "layer", "uniform", "erk", "lamp"]
"""Where weights compete, and how many of them each layer keeps; see `allocate`."""


@dataclass(frozen=True)
class Group:
    """Layers whose weights compete with one another, and how many of these weights are removed.

    Args:
        layers: parameter names.
        remove: how many surviving weights of the group are removed; 0 or more.
    """

    layers: tuple[str, ...]
    remove: int


def removed_count(survivors: int, fraction: float) -> int:
    """How many of ``survivors`` a prune fraction in [0, 1] removes: ``round(fraction * n)``.

    Halves go to the even neighbour, as in Python's ``round``.

    >>> removed_count(235_200, 0.2), removed_count(10, 0.25), removed_count(3, 1.0)
    (47040, 2, 3)
    """
    return round(fraction * survivors)


def layer_fraction(name: str, fraction: float, fractions: Mapping[str, float]) -> float:
    """The prune fraction of one layer: that of the pattern it matches, else the default.

    Args:
        name: parameter name, such as ``"output.weight"``.
        fraction: the default, in [0, 1].
        fractions: name pattern (``*``, ``?``, ``[...]``) -> fraction. At most one may match, so
            that their order means nothing: see `check_patterns`.

    >>> layer_fraction("output.weight", 0.2, {"output.*": 0.1})
    0.1
    """
    matching = (f for pattern, f in fractions.items() if fnmatchcase(name, pattern))
    return next(matching, fraction)


def deciding_layer(layers: Iterable[str], fractions: Mapping[str, float]) -> str:
    """The layer whose prune fraction applies to a unit that lies in several layers.

    That is the first by name of those that are exempt (fraction 0); if there is none, of those that
    a pattern names; if there is none either, of all.

    Args:
        layers: one or more names.
        fractions: exceptions by name pattern, see `layer_fraction`.

    >>> deciding_layer(["conv2", "shortcut"], {"short*": 0.0}), deciding_layer(["b", "a"], {})
    ('shortcut', 'a')
    """

    def rank(name: str) -> int:
        named = [f for pattern, f in fractions.items() if fnmatchcase(name, pattern)]
        return 2 if not named else 1 if any(named) else 0

    return min(layers, key=lambda name: (rank(name), name))


def check_patterns(layers: Iterable[str], fractions: Mapping[str, float]) -> None:
    """Check that every pattern matches a layer, and every layer at most one pattern.

    Raises:
        UsageError: naming the patterns and the layers there are.
    """
    names = sorted(layers)
    matching = {name: [p for p in fractions if fnmatchcase(name, p)] for name in names}
    lost = set(fractions).difference(*matching.values())
    if lost:
        raise UsageError(
            f"prune.fractions: no layer matches {', '.join(map(repr, sorted(lost)))}; "
            f"the model's prunable layers are {', '.join(names)}"
        )
    for name, patterns in matching.items():
        if len(patterns) > 1:
            raise UsageError(
                f"prune.fractions: '{name}' matches {' and '.join(map(repr, patterns))}; "
                "write patterns of which each layer matches at most one"
            )


def allocate(
    survivors: Mapping[str, int],
    *,
    scope: Scope,
    fraction: float,
    fractions: Mapping[str, float] | None = None,
    keep: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> tuple[Group, ...]:
    """Decide where surviving weights compete and how many are removed.

    Args:
        survivors: parameter name -> number of weights kept now.
        scope: what competes with what.

            - ``"layer"``: weights within each layer, which loses its own fraction.
            - ``"global"``: weights across layers; those with the same fraction form one group, so
              that an exempt layer (fraction 0) stays whole and the rest compete.
            - ``"lamp"``: the same; scores are first rescaled, see `lottery.core.lamp_scores`.
            - ``"uniform"``: weights within each layer; of what a global group keeps, each layer
              keeps the same share of its dense size.
            - ``"erk"``: the same, with shares that favour small layers; see
              `lottery.core.apportion.erdos_renyi_share`.
        fraction: share of the surviving weights to remove, in [0, 1].
        fractions: exceptions by name pattern, see `layer_fraction`.
        keep: how many weights to keep in all, in place of ``fraction``; ``fractions`` may then
            only exempt layers. Not with scope ``"layer"``.
        shapes: parameter name -> shape of the weight; for ``"uniform"`` and ``"erk"``.

    Returns:
        Groups that together hold every layer once. Without ``keep``, each group of ``"layer"``,
        ``"global"`` and ``"lamp"`` removes exactly ``round(fraction * survivors of the group)``,
        and what ``"uniform"`` and ``"erk"`` split up sums to the same. A layer that already has
        less than its share stays as it is, and the others make up for it.

    Raises:
        UsageError: ``keep`` cannot be reached or does not go with the rest; shapes are missing.
    """
    if keep is not None:
        groups = _keeping(keep, survivors, scope, fractions or {})
    else:
        share = {n: layer_fraction(n, fraction, fractions or {}) for n in sorted(survivors)}
        groups = tuple(
            Group(layers, removed_count(sum(survivors[n] for n in layers), share[layers[0]]))
            for layers in _members(share, scope)
        )
    if scope not in ("uniform", "erk"):
        return groups
    if shapes is None:
        raise UsageError(f"scope '{scope}' needs the shapes of the layers")
    return tuple(part for group in groups for part in _split(group, survivors, scope, shapes))


def _members(share: Mapping[str, float], scope: Scope) -> list[tuple[str, ...]]:
    """The layers of each group: those of one fraction, or every layer alone."""
    if scope == "layer":
        return [(name,) for name in share]
    return [
        tuple(name for name in share if share[name] == value)
        for value in dict.fromkeys(share.values())
    ]


def _keeping(
    keep: int, survivors: Mapping[str, int], scope: Scope, fractions: Mapping[str, float]
) -> tuple[Group, ...]:
    """One group that goes down until ``keep`` weights are left in all, and one that is exempt."""
    if scope == "layer" or any(fractions.values()):
        raise UsageError(
            "a density of the whole network says nothing of the fraction of one layer: expected a "
            "scope other than 'layer' and no fraction but 0"
        )
    share = {name: layer_fraction(name, 1.0, fractions) for name in sorted(survivors)}
    exempt = sum(survivors[name] for name in share if not share[name])
    total = sum(survivors.values())
    if not exempt <= keep <= total:
        raise UsageError(
            f"cannot keep {keep} weights: expected {exempt}, as many as are exempt from pruning, "
            f"to {total}, as many as there are"
        )
    return tuple(
        Group(layers, total - keep if share[layers[0]] else 0) for layers in _members(share, scope)
    )


def _split(
    group: Group, survivors: Mapping[str, int], scope: Scope, shapes: Mapping[str, Sequence[int]]
) -> Iterable[Group]:
    """The group's layers, each with its share of what the group removes."""
    most = {name: survivors[name] for name in group.layers}
    shares = {
        n: math.prod(shapes[n]) if scope == "uniform" else erdos_renyi_share(shapes[n])
        for n in most
    }
    kept = apportion(sum(most.values()) - group.remove, shares, most)
    return (Group((name,), most[name] - kept[name]) for name in group.layers)


def planned_densities(
    totals: Mapping[str, int],
    levels: int,
    *,
    scope: Scope,
    fraction: float,
    fractions: Mapping[str, float] | None = None,
    keep: Sequence[int] | None = None,
) -> list[float]:
    """The exact density of every level 0..levels, known before any training.

    Args:
        totals: parameter name -> number of weights.
        levels: how many times the network is pruned.
        scope, fraction, fractions: as for `allocate`.
        keep: for every level from 1, how many weights it keeps in all; see `allocate`.

    Raises:
        UsageError: a level cannot keep so many.

    >>> planned_densities({"a": 100, "b": 100}, 2, scope="global", fraction=0.5)
    [1.0, 0.5, 0.25]
    """
    # Only a group's total matters to its count, so one member can stand for the whole group. What
    # scopes share out within a group changes no total either.
    whole: Scope = "layer" if scope == "layer" else "global"
    groups = allocate(totals, scope=whole, fraction=fraction, fractions=fractions)
    kept = {group.layers[0]: sum(totals[n] for n in group.layers) for group in groups}
    total = sum(kept.values())
    densities = [1.0]
    for level in range(levels):
        if keep is None:
            pruned = allocate(kept, scope="layer", fraction=fraction, fractions=fractions)
        else:
            pruned = allocate(
                kept, scope=whole, fraction=fraction, fractions=fractions, keep=keep[level]
            )
        for group in pruned:
            kept[group.layers[0]] -= group.remove
        densities.append(sum(kept.values()) / total)
    return densities
