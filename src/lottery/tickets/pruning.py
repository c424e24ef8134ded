"""Pruning once, as a config says: score, allocate, select, in one or more rounds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import torch
from torch import nn

from lottery.core import (
    Coupling,
    CriterionEntry,
    Group,
    Mask,
    Probe,
    ScoreContext,
    Scores,
    Units,
    covered_weights,
    find_channels,
    find_criterion,
    lamp_scores,
    make_units,
    output_layers,
    prune_in_rounds,
    select,
    unit_counts,
    without_units,
)
from lottery.core.embeddings import any_numbers_as_tokens
from lottery.core.unit_scores import score_units
from lottery.core.units import surviving_units
from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.tickets.config import PruneConfig
from lottery.tickets.counts import groups_from_dense, level_groups
from lottery.tickets.probe import stream_level
from lottery.training import State
from lottery.training.evaluate import input_dtype


def prune_mask(
    config: PruneConfig,
    level: int,
    mask: Mask,
    *,
    trained: State,
    initial: State,
    streams: Streams,
    probe: Probe | None = None,
    levels: int | None = None,
    units: Units | None = None,
    criterion: CriterionEntry | None = None,
) -> Mask:
    """The mask of ``level``: ``mask`` pruned once more, or with one-shot the dense network pruned.

    Args:
        config: criterion, scope, schedule, fractions and rounds.
        level: the level to make, 1 or more; names the criterion's random stream, see
            `stream_level`.
        mask: that of the level before; with the one-shot schedule that of level 0. See
            `lottery.core.scored_level`.
        trained: the trained weights that are scored.
        initial: the weights at initialization.
        streams: the replicate's.
        probe: from `make_probe`, for a criterion that evaluates the network.
        levels: how many levels there are in all; used by the linear schedule alone.
        units: from `network_units`.
        criterion: used instead of the one that the config names.

    Returns:
        A subset of ``mask`` with exactly the count that the config says. It may leave a layer
        empty: see `Ticket.check`.

    Raises:
        UsageError: there is no such criterion, it needs a probe and has none, weights with an
            infinite score would have to be pruned, or the schedule has no density for the level or
            one that cannot be reached.
        MaskError: scores that selection or the scope cannot use, such as NaN.
    """
    criterion = criterion or find_criterion(config.criterion)
    context = ScoreContext(
        weights={name: trained[name] for name in mask},
        initial={name: initial[name] for name in mask},
        mask=mask,
        generator=streams.generator("criterion", stream_level(config, level)),
        probe=probe,
    )
    counted = groups_from_dense if config.schedule == "one-shot" else level_groups
    groups = counted(config, level, mask, levels=levels, units=units)

    def score(current: Mask) -> Scores:
        scores = criterion.score(replace(context, mask=current))
        return lamp_scores(scores, current) if config.scope == "lamp" else scores

    def choose(scores: Scores, before: Mask, going: Sequence[Group], /) -> Mask:
        after = select(
            scores, before, going, units, reduce=config.reduce, per_unit=criterion.per_unit
        )
        wrong = _lost_with_infinity(scores, before, after, units, per_unit=criterion.per_unit)
        if wrong:
            raise UsageError(
                f"prune: criterion '{config.criterion}' cannot say what of {', '.join(wrong)} is "
                "superfluous (its scores there are infinite), but some must go; give such layers a "
                "fraction of 0 in prune.fractions, or choose another criterion"
            )
        return after

    return prune_in_rounds(
        score,
        mask,
        groups,
        rounds=config.rounds,
        schedule=config.round_schedule,
        regrow=config.regrow,
        choose=choose,
        survivors=unit_counts(mask, units),
    )


def network_coupling(model: nn.Module, input_shape: Sequence[int]) -> Coupling:
    """The coupled channels of a network for examples of this shape, and layers that have none.

    Raises:
        UsageError: the network cannot be traced.
        MissingPackageError: the package torch-pruning is not installed.
    """
    with any_numbers_as_tokens(model):
        return find_channels(model, torch.zeros(2, *input_shape, dtype=input_dtype(model)))


def network_outputs(model: nn.Module, input_shape: Sequence[int]) -> dict[str, str]:
    """The prunable layers whose outputs are the network's, for examples of this shape, and why.

    Raises:
        UsageError: the network gives no tensor that can be traced.
    """
    with any_numbers_as_tokens(model):
        return output_layers(model, torch.zeros(2, *input_shape, dtype=input_dtype(model)))


def network_units(
    config: PruneConfig,
    model: nn.Module,
    input_shape: Sequence[int],
    *,
    coupling: Coupling | None = None,
    outputs: Collection[str] | None = None,
) -> Units | None:
    """The units of weights that the config removes together; None for single weights.

    Args:
        config: the granularity, and the fractions.
        model: the network; the values of its weights do not matter.
        input_shape: the shape of one example.
        coupling: for granularity ``channel``, from `network_coupling`; None: found here.
        outputs: for other granularities, from `network_outputs`; None: found here.

    Raises:
        UsageError: the network has no such units, a pattern of ``fractions`` matches none, or the
            network cannot be traced.
        MissingPackageError: coupled channels need the package torch-pruning.
    """
    granularity, channels = config.granularity, None
    if granularity == "channel":
        channels = (coupling or network_coupling(model, input_shape)).channels
    elif granularity != "weight" and outputs is None:
        outputs = network_outputs(model, input_shape)
    covered = covered_weights(model)
    whole = without_units(granularity, {name: one.kind for name, one in covered.items()})
    if len(whole) == len(covered):
        raise UsageError(
            f"granularity '{granularity}' finds nothing to remove: "
            f"{'; '.join(f'{name} ({why})' for name, why in whole.items())}; use granularity "
            "'weight'"
        )
    shapes = {n: tuple(one.tensor.shape) for n, one in covered.items() if n not in whole}
    return make_units(
        granularity, shapes, channels=channels, fractions=config.fractions, outputs=outputs or ()
    )


def _lost_with_infinity(
    scores: Scores, before: Mask, after: Mask, units: Units | None, *, per_unit: bool
) -> list[str]:
    """Layers of which something with a score of infinity was pruned: which, would mean nothing."""
    wrong = [
        name
        for name in before
        if bool(torch.isposinf(scores[name].cpu()[before[name] & ~after[name]]).any())
    ]
    if not wrong or units is None or not units.outputs:
        return wrong
    # What reads a channel goes with it, whatever it scores itself; the channel's score decides.
    _, values = score_units(scores, before, units, per_unit=per_unit)
    lost = values.isposinf() & surviving_units(before, units) & ~surviving_units(after, units)
    return [name for name, own in units.homes.items() if bool(lost[own.start : own.stop].any())]
