"""Apportionment: a whole number of weights shared out among layers, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lottery.errors import UsageError


def apportion(total: int, shares: Mapping[str, int], most: Mapping[str, int]) -> dict[str, int]:
    """Share out ``total`` in proportion to ``shares``, to nobody more than ``most``.

    What one cannot take goes to the others in proportion. The exact shares are then rounded by
    largest remainder: down, and what is left over goes one by one to those that lost most; equal
    ones go to the lower name. All arithmetic is in whole numbers.

    Args:
        total: how much there is, 0 to the sum of ``most``.
        shares: name -> how large its part is, 0 or more; in any unit.
        most: the same names -> the most it can take, 0 or more; 0 where its share is 0.

    Returns:
        name -> its part; the parts sum to ``total``.

    Raises:
        UsageError: there is more than everybody can take, or less than nothing.

    >>> apportion(7, {"a": 1, "b": 1, "c": 2}, {"a": 9, "b": 9, "c": 2})
    {'a': 3, 'b': 2, 'c': 2}
    """
    room = sum(most.values())
    if not 0 <= total <= room:
        raise UsageError(
            f"cannot keep {total} weights of {', '.join(shares)}: expected 0 to {room}"
        )
    found: dict[str, int] = {}
    free, left = sorted(shares), total
    while True:
        whole = sum(shares[name] for name in free)
        full = [name for name in free if left * shares[name] > most[name] * whole]
        if not full:
            break
        found |= {name: most[name] for name in full}
        # Those that are full took less than their share, so the others' only grow: none that is
        # full now would not be later.
        left -= sum(most[name] for name in full)
        free = [name for name in free if name not in found]
    parts = {name: divmod(left * shares[name], whole or 1) for name in free}
    found |= {name: part for name, (part, _) in parts.items()}
    over = left - sum(part for part, _ in parts.values())
    for name in sorted(parts, key=lambda name: (-parts[name][1], name))[:over]:
        found[name] += 1
    return {name: found[name] for name in sorted(shares)}


def erdos_renyi_share(shape: Sequence[int]) -> int:
    """A layer's share of all weights by the Erdos-Renyi-Kernel rule: the sum of its dimensions.

    The rule makes a layer's density proportional to ``(n_in + n_out + k_h + k_w) / (n_in * n_out *
    k_h * k_w)`` (Evci et al. 2020, RigL, arXiv:1911.11134, section 3 (1)); that times the layer's
    size is the sum. For a linear layer it is ``n_in + n_out``, the rule of Mocanu et al. 2018. A
    grouped convolution counts the channels that its weight has, ``n_in / groups``.

    >>> erdos_renyi_share((300, 784)), erdos_renyi_share((64, 3, 3, 3))
    (1084, 73)
    """
    return sum(shape)
