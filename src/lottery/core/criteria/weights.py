"""Criteria that look at the weights alone: trained, initial, or neither.

Eight of them are the mask criteria of Deconstructing Lottery Tickets (Zhou et al. 2019,
arXiv:1905.01067, section 2 and figure 2); its "large final" is `magnitude`. With ``wi`` the initial
and ``wf`` the trained weight, and ``alpha``, the scale between the two that the paper leaves open,
equal to 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lottery.core.criteria.context import ScoreContext, Scores


def magnitude(context: ScoreContext) -> Scores:
    """Magnitude of the trained weight, ``|wf|`` (Han et al. 2015, arXiv:1506.02626, section 3).

    It is "large final" of arXiv:1905.01067. Summed over a unit, it is the unit's L1 norm (Li et
    al. 2017, arXiv:1608.08710, section 3.1).
    """
    return {name: context.weights[name].abs() for name in context.mask}


def l2(context: ScoreContext) -> Scores:
    """Square of the trained weight, ``wf^2``: its sum over a unit orders as the unit's L2 norm."""
    return {name: context.weights[name].square() for name in context.mask}


def random(context: ScoreContext) -> Scores:
    """Uniform in [0, 1), drawn in float64 in sorted order of names: every choice equally likely."""
    return {
        name: torch.rand(
            context.weights[name].shape, generator=context.generator, dtype=torch.float64
        )
        for name in sorted(context.mask)
    }


def small_final(context: ScoreContext) -> Scores:
    """``-|wf|``: the smallest trained weights stay (arXiv:1905.01067, figure 2)."""
    return _scores(context, lambda _wi, wf: -wf.abs())


def large_init(context: ScoreContext) -> Scores:
    """``|wi|``: the largest initial weights stay (arXiv:1905.01067, figure 2)."""
    return _scores(context, lambda wi, _wf: wi.abs())


def small_init(context: ScoreContext) -> Scores:
    """``-|wi|``: the smallest initial weights stay (arXiv:1905.01067, figure 2)."""
    return _scores(context, lambda wi, _wf: -wi.abs())


def large_init_large_final(context: ScoreContext) -> Scores:
    """``min(alpha |wf|, |wi|)``, alpha = 1: large at both ends (arXiv:1905.01067, figure 2)."""
    return _scores(context, lambda wi, wf: torch.minimum(wf.abs(), wi.abs()))


def small_init_small_final(context: ScoreContext) -> Scores:
    """``-max(alpha |wf|, |wi|)``, alpha = 1: small at both ends (arXiv:1905.01067, figure 2)."""
    return _scores(context, lambda wi, wf: -torch.maximum(wf.abs(), wi.abs()))


def magnitude_increase(context: ScoreContext) -> Scores:
    """``|wf| - |wi|``: how much the magnitude grew (arXiv:1905.01067, figure 2)."""
    return _scores(context, lambda wi, wf: wf.abs() - wi.abs())


def movement(context: ScoreContext) -> Scores:
    """``|wf - wi|``: how far the weight went (arXiv:1905.01067, figure 2)."""
    return _scores(context, lambda wi, wf: (wf - wi).abs())


def _scores(context: ScoreContext, formula: Callable[[Tensor, Tensor], Tensor]) -> Scores:
    """The formula of (initial, trained) for every layer."""
    return {name: formula(context.initial[name], context.weights[name]) for name in context.mask}
