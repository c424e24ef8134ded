"""Apportionment: a whole number of weights divided among layers, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lottery.errors import UsageError


def apportion(total: int, shares: Mapping[str, int], most: Mapping[str, int]) -> dict[str, int]:
    """Divide ``total`` into whole parts in proportion to ``shares``, none larger than ``most``.

    What exceeds a limit goes to the others in proportion. The exact parts are then rounded by the
    method of largest remainders: all down, and what is left is given out one by one, to the largest
    remainders first and among equals to the lower name. All arithmetic is in integers.

    Args:
        total: what to divide, from 0 to the sum of ``most``.
        shares: name -> how large its part is in relation to the others, 0 or more; in any unit.
        most: the same names -> the largest part it may get, 0 or more; 0 where its share is 0.

    Returns:
        name -> its part; the parts sum to ``total``.

    Raises:
        UsageError: ``total`` is negative, or more than the sum of ``most``.

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
