"""The criteria by name, and from a name in a config, or an import path, to a criterion."""

from __future__ import annotations

from typing import Final

from lottery.core.criteria import activations, curvature, gradients, structures, synflow, weights
from lottery.core.criteria.context import Criterion, CriterionEntry
from lottery.errors import UsageError, unknown_name
from lottery.import_paths import imported, is_import_path

_DECONSTRUCTING = "Zhou et al. 2019, arXiv:1905.01067"

CRITERIA: Final[dict[str, CriterionEntry]] = {
    "magnitude": CriterionEntry(
        score=weights.magnitude,
        looks_at="weights",
        about="|w| of the trained weight",
        source="Han et al. 2015, arXiv:1506.02626",
    ),
    "random": CriterionEntry(
        score=weights.random,
        looks_at="weights",
        about="drawn at random",
        source="a control",
    ),
    "small-final": CriterionEntry(
        score=weights.small_final,
        looks_at="weights",
        about="-|wf|: the smallest trained weights stay",
        source=_DECONSTRUCTING,
        rescalable=False,
    ),
    "large-init": CriterionEntry(
        score=weights.large_init,
        looks_at="weights",
        about="|wi|: the largest initial weights stay",
        source=_DECONSTRUCTING,
        needs_initial=True,
    ),
    "small-init": CriterionEntry(
        score=weights.small_init,
        looks_at="weights",
        about="-|wi|: the smallest initial weights stay",
        source=_DECONSTRUCTING,
        rescalable=False,
        needs_initial=True,
    ),
    "large-init-large-final": CriterionEntry(
        score=weights.large_init_large_final,
        looks_at="weights",
        about="large at both ends: the lower percentile in its layer, of |wi| and |wf|",
        source=_DECONSTRUCTING,
        needs_initial=True,
    ),
    "small-init-small-final": CriterionEntry(
        score=weights.small_init_small_final,
        looks_at="weights",
        about="small at both ends: the lower percentile in its layer, of -|wi| and -|wf|",
        source=_DECONSTRUCTING,
        needs_initial=True,
    ),
    "magnitude-increase": CriterionEntry(
        score=weights.magnitude_increase,
        looks_at="weights",
        about="|wf| - |wi|: how much the magnitude grew",
        source=_DECONSTRUCTING,
        rescalable=False,
        at_initialization=False,
        needs_initial=True,
    ),
    "movement": CriterionEntry(
        score=weights.movement,
        looks_at="weights",
        about="|wf - wi|: how far the weight moved in training",
        source=_DECONSTRUCTING,
        at_initialization=False,
        needs_initial=True,
    ),
    "snip": CriterionEntry(
        score=gradients.snip,
        looks_at="examples",
        about="|w g|: sensitivity of the loss to the connection",
        source="Lee et al. 2019, arXiv:1810.02340",
        before_training=True,
    ),
    "grasp": CriterionEntry(
        score=curvature.grasp,
        looks_at="examples",
        about="w (H g): effect of the weight on the gradient flow",
        source="Wang et al. 2020, arXiv:2002.07376",
        products=12,
        before_training=True,
        rescalable=False,
    ),
    "taylor": CriterionEntry(
        score=gradients.taylor,
        looks_at="examples",
        about="(g w)^2: squared change of the loss, first order",
        source="Molchanov et al. 2019, arXiv:1906.10771",
    ),
    "movement-pruning": CriterionEntry(
        score=gradients.movement_pruning,
        looks_at="examples",
        about="-w g: whether one more step would lead away from zero",
        source="Sanh et al. 2020, arXiv:2005.07683",
        rescalable=False,
    ),
    "fisher": CriterionEntry(
        score=gradients.fisher,
        looks_at="examples",
        about="w^2 / 2 times the mean squared gradient of an example",
        source="Theis et al. 2018, arXiv:1801.05787",
    ),
    "hessian": CriterionEntry(
        score=curvature.hessian,
        looks_at="examples",
        about="h_ii w^2 / 2, h_ii the Hessian's diagonal by Gauss-Newton",
        source="LeCun et al. 1990, Optimal Brain Damage",
        products=1,
        products_by_output=2,
    ),
    "mean-activation": CriterionEntry(
        score=activations.mean_activation,
        looks_at="examples",
        about="mean of a unit's output after ReLU",
        source="Molchanov et al. 2017, arXiv:1611.06440",
        products=1,
        per_unit=True,
    ),
    "apoz": CriterionEntry(
        score=activations.apoz,
        looks_at="examples",
        about="share of a unit's outputs that are not zero after ReLU",
        source="Hu et al. 2016, arXiv:1607.03250",
        products=1,
        per_unit=True,
    ),
    "wanda": CriterionEntry(
        score=activations.wanda,
        looks_at="examples",
        about="|w| times the L2 norm of the inputs it meets",
        source="Sun et al. 2024, arXiv:2306.11695",
    ),
    "synflow": CriterionEntry(
        score=synflow.synflow,
        looks_at="network",
        about="|w| dR/d|w|, R the flow of an input of ones through absolute weights",
        source="Tanaka et al. 2020, arXiv:2006.05467",
        before_training=True,
        rescalable=False,
    ),
    "l1": CriterionEntry(
        score=weights.magnitude,
        looks_at="weights",
        about="|w|, magnitude by the name it has for structures: summed over a unit, its L1 norm",
        source="Li et al. 2017, arXiv:1608.08710",
    ),
    "l2": CriterionEntry(
        score=weights.l2,
        looks_at="weights",
        about="w^2: summed over a unit, ordered as its L2 norm",
        source="He et al. 2018, arXiv:1808.06866",
    ),
    "bn-scale": CriterionEntry(
        score=structures.bn_scale,
        looks_at="network",
        about="|gamma| of the batch norm after the layer; a layer without one is never pruned",
        source="Liu et al. 2017, arXiv:1708.06519",
        products=1,
        per_unit=True,
        rescalable=False,
        at_initialization=False,
    ),
}
"""Name in a config -> criterion."""

_OTHER_NAMES: Final = {"large-final": "magnitude"}


def check_criterion(name: str) -> str | None:
    """What is wrong with a criterion's name, or None. Nothing is imported.

    >>> check_criterion("magnitude"), check_criterion("my_package.criteria:mine")
    (None, None)
    >>> check_criterion("large-final")
    "unknown criterion 'large-final'; it is called 'magnitude' here"
    """
    if name in CRITERIA or is_import_path(name):
        return None
    if name in _OTHER_NAMES:
        return f"unknown criterion '{name}'; it is called '{_OTHER_NAMES[name]}' here"
    return f"{unknown_name('criterion', name, CRITERIA)}, or your own as package.module:name"


def find_criterion(name: str) -> CriterionEntry:
    """The criterion of this name, or the one that an import path leads to.

    Args:
        name: one of `CRITERIA`; or ``package.module:name`` of a function of a `ScoreContext` that
            gives `Scores`, or of a `CriterionEntry`. Its module is imported: **a config that names
            code runs that code**. A function is taken to need a probe.

    Raises:
        UsageError: there is no such criterion, or it cannot be imported, or not be called.
    """
    problem = check_criterion(name)
    if problem:
        raise UsageError(problem)
    if name in CRITERIA:
        return CRITERIA[name]
    return _entry(imported("prune.criterion", name), name)


def as_criterion(criterion: str | Criterion | CriterionEntry) -> tuple[str, CriterionEntry]:
    """A criterion's name and entry, given by its name (see `find_criterion`) or itself.

    Raises:
        UsageError: it is none.
    """
    if isinstance(criterion, str):
        return criterion, find_criterion(criterion)
    name = getattr(criterion, "__name__", type(criterion).__name__)
    return name, _entry(criterion, name)


def _entry(found: object, name: str) -> CriterionEntry:
    if isinstance(found, CriterionEntry):
        return found
    if not callable(found):
        raise UsageError(
            f"criterion '{name}' is a {type(found).__name__}; expected a function of a "
            "ScoreContext, or a CriterionEntry"
        )
    return CriterionEntry(score=found, looks_at="examples", about="your own", source=name)
