"""Scope: where weights compete, and how many of each group are removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from lottery.errors import UsageError

Scope = Literal["global", "layer"]
"""Where weights compete: in the whole network, or within each layer."""


@dataclass(frozen=True)
class Group:
    """Layers whose weights compete with one another, and how many of them go.

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
) -> tuple[Group, ...]:
    """Decide where surviving weights compete and how many go.

    Args:
        survivors: parameter name -> number of weights kept now.
        scope: ``"layer"``: within each layer, each losing its own fraction. ``"global"``: across
            layers; those with the same fraction form one group, so that an exempt layer
            (fraction 0) stays whole and the rest compete.
        fraction: share of the surviving weights to remove, in [0, 1].
        fractions: exceptions by name pattern, see `layer_fraction`.

    Returns:
        Groups that together hold every layer once; each removes exactly
        ``round(fraction * survivors of the group)``.
    """
    share = {name: layer_fraction(name, fraction, fractions or {}) for name in sorted(survivors)}
    if scope == "layer":
        members: list[tuple[str, ...]] = [(name,) for name in share]
    else:
        members = [
            tuple(name for name in share if share[name] == value)
            for value in dict.fromkeys(share.values())
        ]
    return tuple(
        Group(layers, removed_count(sum(survivors[n] for n in layers), share[layers[0]]))
        for layers in members
    )


def planned_densities(
    totals: Mapping[str, int],
    levels: int,
    *,
    scope: Scope,
    fraction: float,
    fractions: Mapping[str, float] | None = None,
) -> list[float]:
    """The exact density of every level 0..levels, known before any training.

    Args:
        totals: parameter name -> number of weights.
        levels: how many times the network is pruned.
        scope, fraction, fractions: as for `allocate`.

    >>> planned_densities({"a": 100, "b": 100}, 2, scope="global", fraction=0.5)
    [1.0, 0.5, 0.25]
    """
    # Only a group's total matters to its count, so one member can stand for the whole group.
    groups = allocate(totals, scope=scope, fraction=fraction, fractions=fractions)
    kept = {group.layers[0]: sum(totals[n] for n in group.layers) for group in groups}
    whole = sum(kept.values())
    densities = [1.0]
    for _ in range(levels):
        pruned = allocate(kept, scope="layer", fraction=fraction, fractions=fractions)
        for group in pruned:
            kept[group.layers[0]] -= group.remove
        densities.append(sum(kept.values()) / whole)
    return densities
