"""Criteria that use the weights alone: trained, initial, or neither.

Eight of them are the mask criteria of Deconstructing Lottery Tickets (Zhou et al. 2019,
arXiv:1905.01067, section 2 and figure 2); its "large final" is `magnitude`. ``wi`` is the initial
and ``wf`` the trained weight. Two of them use both: there the authors' code cuts both magnitudes of
a layer at the same percentile, chosen so that as many weights survive as should.
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
    """The lower of two percentiles in the layer, of ``|wi|`` and ``|wf|``: large at both ends.

    Those that stay lie above one percentile of the layer's survivors with both, as in the authors'
    code (arXiv:1905.01067, figure 2). A percentile is the share of survivors that are smaller, in
    [0, 1); layers that compete do so by percentiles of their own.
    """
    return _lower_percentile(context, torch.abs)


def small_init_small_final(context: ScoreContext) -> Scores:
    """The lower of two percentiles, of ``-|wi|`` and ``-|wf|``: small at both ends.

    See `large_init_large_final`: with both, those that stay lie below one percentile.
    """
    return _lower_percentile(context, lambda w: -w.abs())


def magnitude_increase(context: ScoreContext) -> Scores:
    """``|wf| - |wi|``: how much the magnitude grew (arXiv:1905.01067, figure 2)."""
    return _scores(context, lambda wi, wf: wf.abs() - wi.abs())


def movement(context: ScoreContext) -> Scores:
    """``|wf - wi|``: how far the weight went (arXiv:1905.01067, figure 2)."""
    return _scores(context, lambda wi, wf: (wf - wi).abs())


def _scores(context: ScoreContext, formula: Callable[[Tensor, Tensor], Tensor]) -> Scores:
    """The formula of (initial, trained) for every layer."""
    return {name: formula(context.initial[name], context.weights[name]) for name in context.mask}


def _lower_percentile(context: ScoreContext, measure: Callable[[Tensor], Tensor]) -> Scores:
    """For every weight the lower percentile of its two measures, initial and trained."""
    return {
        name: torch.minimum(
            _percentile(measure(context.initial[name]), kept),
            _percentile(measure(context.weights[name]), kept),
        )
        for name, kept in context.mask.items()
    }


def _percentile(values: Tensor, kept: Tensor) -> Tensor:
    """The share of what is kept that is below each value, in [0, 1]; float64, NaN for a NaN."""
    exact = values.detach().cpu().double()
    survivors = exact[kept].sort().values
    below = torch.searchsorted(survivors, exact).double()
    return (below / max(1, len(survivors))).masked_fill(exact.isnan(), torch.nan)
