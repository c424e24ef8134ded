"""The controls: one record each, of what is broken on purpose, how that trains, and how it looks.

A control of a ticket shares data order and settings with it; the difference between the two is the
effect of what was broken. Its kind and number are the name of its random stream.

Colours come in a version for light and one for dark pages. Blue is the tickets' alone. The dense
network, the tickets and the three most used controls can be told apart by colour with every kind of
colour blindness; there are not thirteen colours of which that could be said, so that of any other
two kinds marks or dashes differ as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Final

from lottery.core import Mask, fan_ins, layer_fraction, n_of_m
from lottery.core.matching import correlate, match
from lottery.core.symmetry import permute, probe_symmetry
from lottery.methods.base import Method
from lottery.methods.control import Control, ControlContext
from lottery.methods.gradual import GradualPruning
from lottery.tickets import (
    PruneConfig,
    Ticket,
    continued,
    moved,
    random_mask,
    random_signs,
    reinit,
    reinit_with_signs,
    scratch,
    shuffled_global,
    signs_constant,
    signs_random_magnitudes,
    signs_scaled_constant,
    untrained,
)


def _dense(method: Method, why: str) -> str:
    """Why a control has no meaning where tickets start with the whole network."""
    dense = isinstance(method, GradualPruning) and not method.searches_mask
    return f"every training starts dense, and {why}; use 0" if dense else ""


def _units(prune: PruneConfig, why: str) -> str:
    return f"with prune.granularity = '{prune.granularity}' {why}"


def _same_units(method: Method, prune: PruneConfig) -> str:
    if prune.granularity in ("layer", "residual-block"):
        why = "as many units in each layer are the same ones, since it has one at most; use 0, or "
        return _units(prune, f"{why}controls.shuffled_global")
    return _dense(method, "there is no mask to draw")


def _nothing_moves(method: Method, prune: PruneConfig) -> str:
    if n_of_m(prune.granularity):
        why = "every run of inputs keeps as many, so that nothing moves between layers; use 0, or "
        return _units(prune, f"{why}controls.random_mask")
    return _dense(method, "there is no mask to shuffle")


def _not_continued(method: Method, _: PruneConfig) -> str:
    if method.rewinding != "weights":
        return (
            f"with method.rewind.kind = '{method.rewinding}' the tickets themselves go on from "
            "where their masks were decided; use false"
        )
    return method.no_trained_weights and f"{method.no_trained_weights}; use false"


def _as_reinit(method: Method, _: PruneConfig) -> str:
    late = method.rewinding != "weights" or method.start.amount
    as_reinit = "with tickets from the initialization this is what controls.reinit is; use that"
    return "" if late else as_reinit


def _singly(_: Method, prune: PruneConfig) -> str:
    why = "single weights are learned to be kept, in no structure; use 0"
    return "" if prune.granularity == "weight" else _units(prune, why)


def _no_trained_signs(method: Method, _: PruneConfig) -> str:
    return method.no_trained_weights and f"{method.no_trained_weights}; use 0"


def _no_mask_to_move(method: Method, _: PruneConfig) -> str:
    return _dense(method, "there is no mask to move")


def _not_aligned(method: Method, prune: PruneConfig) -> str:
    granularity = prune.granularity
    if n_of_m(granularity) or granularity.startswith("block-"):
        why = "units are neighbours, and neurons that change places part them; use 0, or "
        return _units(prune, f"{why}controls.moved")
    return _no_mask_to_move(method, prune)


def _shuffled(it: ControlContext) -> Ticket:
    prune, units = it.context.prune, it.units
    names = it.ticket.mask if units is None else units.homes
    exempt = [n for n in names if not layer_fraction(n, prune.fraction, prune.fractions)]
    return shuffled_global(it.ticket, it.generator, units, exempt)


def _edge_popup(it: ControlContext) -> Ticket:
    whole = untrained(it.ticket, it.inputs.initial)
    if it.context.masks.edge_popup.weights == "initial":
        return whole
    return signs_scaled_constant(whole, fan_ins(it.initialize()))


def _supermask(it: ControlContext) -> Ticket:
    whole = untrained(it.ticket, it.inputs.initial)
    if it.context.masks.supermask.weights == "initial":
        return whole
    return signs_constant(whole, whole.weights)


def _aligned(it: ControlContext) -> Ticket:
    prune, dense, streams = it.context.prune, it.inputs.ticket(0), it.inputs.streams
    # The same examples at every level.
    probe = it.context.task.probe(
        prune, 0, dense.mask, trained=it.inputs.trained(0), streams=streams
    )
    other = deepcopy(probe.model)
    other.load_state_dict(dict(it.source.trained(0)))
    symmetry = probe_symmetry(probe)
    permutations = match(correlate(probe, other, symmetry))
    mask = Mask(permute(it.source.ticket(it.level).mask, symmetry, permutations))
    return moved(it.ticket, mask)


_CONTROLS: Final = (
    Control(
        kind="reinit",
        label="Reinitialized",
        column="Re-\ninit",
        sentence="With new random weights the same mask",
        note="the ticket's mask, but freshly drawn initial weights",
        light="#b83200",
        dark="#e58842",
        symbol="square",
        dash="dash",
        make=lambda it: reinit(it.ticket, it.initialize),
        draws_weights=True,
        default=1,
    ),
    Control(
        kind="random-mask",
        label="Random mask",
        column="Random\nmask",
        sentence="With as many weights in each layer, but others, drawn at random, the network",
        note="as many weights in each layer, but others, drawn at random, from their own values at "
        "the ticket's start",
        light="#479b54",
        dark="#008a3c",
        symbol="diamond",
        dash="dot",
        make=lambda it: random_mask(it.ticket, it.generator, it.units),
        details="By whole units, or within runs, where ``prune.granularity`` says so.",
        refusal=_same_units,
    ),
    Control(
        kind="continued",
        label="Not rewound",
        column="Conti-\nnued",
        sentence="Trained on from its trained weights the same mask",
        note="the ticket's mask, but training goes on from the trained weights",
        light="#cf74a9",
        dark="#d94f8a",
        symbol="triangle-up",
        dash="dashdot",
        make=lambda it: continued(it.ticket, it.trained()),
        needs_trained=True,
        default=False,
        refusal=_not_continued,
    ),
    Control(
        kind="shuffled-global",
        label="Shuffled globally",
        column="Shuffled\nglobally",
        sentence="With its mask shuffled over all layers that are pruned, the network",
        note="the ticket's mask shuffled over all layers that are pruned, weights from their own "
        "values at the ticket's start",
        light="#929123",
        dark="#c6c13c",
        symbol="star-diamond",
        dash="longdash",
        make=_shuffled,
        details="As many weights, or units, in all.",
        refusal=_nothing_moves,
    ),
    Control(
        kind="signs-random-magnitudes",
        label="Signs, random magnitudes",
        column="Signs,\nrandom",
        sentence="With its signs, but magnitudes drawn afresh, the same mask",
        note="the ticket's mask and signs, but magnitudes drawn afresh",
        light="#8a6f4a",
        dark="#a18210",
        symbol="cross",
        dash="dash",
        make=lambda it: signs_random_magnitudes(it.ticket, it.initialize),
        draws_weights=True,
    ),
    Control(
        kind="signs-constant",
        label="Signs, one magnitude",
        column="Signs,\nconstant",
        sentence="With its signs, but one magnitude in each layer, the same mask",
        note="the ticket's mask and signs, but one magnitude in each layer",
        light="#c60000",
        dark="#f0605a",
        symbol="x",
        dash="dot",
        make=lambda it: signs_constant(it.ticket, it.inputs.initial),
        default=False,
        details="The magnitude is the standard deviation of its initial weights.",
    ),
    Control(
        kind="random-signs",
        label="Random signs",
        column="Random\nsigns",
        sentence="With its magnitudes, but signs drawn at random, the same mask",
        note="the ticket's mask and magnitudes, but signs drawn at random",
        light="#b3527f",
        dark="#f10cb9",
        symbol="triangle-down",
        dash="dashdot",
        make=lambda it: random_signs(it.ticket, it.generator),
    ),
    Control(
        kind="trained-signs",
        label="Trained signs, reinitialized",
        column="Trained\nsigns",
        sentence="With new random weights, but the signs of the trained ones, the same mask",
        note="the ticket's mask and the signs of the trained weights that decided it, but freshly "
        "drawn initial weights",
        light="#5d6b00",
        dark="#c3d13c",
        symbol="hexagram",
        dash="dot",
        make=lambda it: reinit_with_signs(it.ticket, it.trained(), it.initialize),
        draws_weights=True,
        needs_trained=True,
        details="See arXiv:2504.05357.",
        refusal=_no_trained_signs,
    ),
    Control(
        kind="initial-signs",
        label="Initial signs, reinitialized",
        column="Initial\nsigns",
        sentence="With new random weights, but the signs of the first initialization, the same "
        "mask",
        note="the ticket's mask and the signs of its initial weights, but freshly drawn initial "
        "weights",
        light="#7a3b1d",
        dark="#d6a184",
        symbol="octagon",
        dash="longdash",
        make=lambda it: reinit_with_signs(it.ticket, it.inputs.initial, it.initialize),
        draws_weights=True,
        details="What ``trained_signs`` is compared with.",
    ),
    Control(
        kind="scratch-epochs",
        label="Scratch, same epochs",
        column="Scratch,\nepochs",
        sentence="Trained from fresh weights and the very beginning the same mask",
        note="the ticket's mask, trained from fresh weights and the very beginning",
        light="#6b3001",
        dark="#d5a980",
        symbol="pentagon",
        dash="longdash",
        make=lambda it: scratch(it.ticket, it.initialize),
        draws_weights=True,
        starts_over=True,
        refusal=_as_reinit,
    ),
    Control(
        kind="scratch-flops",
        label="Scratch, same FLOPs",
        column="Scratch,\nFLOPs",
        sentence="Trained from fresh weights for as many multiplications as dense the same mask",
        note="the ticket's mask, trained from fresh weights for as many multiplications as the "
        "dense network, at most twice as long",
        light="#265d2e",
        dark="#92d880",
        symbol="star",
        dash="dash",
        make=lambda it: scratch(it.ticket, it.initialize),
        draws_weights=True,
        starts_over=True,
        same_multiplications=True,
        refusal=lambda method, _: _dense(method, "saves other multiplications at every step"),
    ),
    Control(
        kind="edge-popup",
        label="Mask learned, same counts",
        column="Edge-\npopup",
        sentence="With its mask learned and no weight trained, as many in each layer, the network",
        note="initial weights, never trained; the mask is learned, as many in each layer",
        light="#d67165",
        dark="#f15f9b",
        symbol="hexagon",
        dash="dot",
        make=_edge_popup,
        starts_over=True,
        mask_method="edge-popup",
        details="See arXiv:1911.13299; how is in ``masks``.",
        refusal=_singly,
    ),
    Control(
        kind="supermask",
        label="Mask learned, free density",
        column="Super-\nmask",
        sentence="With its mask learned and no weight trained, at a density of its own, the "
        "network",
        note="initial weights, never trained; the mask is learned, with a density of its own",
        light="#004743",
        dark="#19e8aa",
        symbol="hourglass",
        dash="dashdot",
        make=_supermask,
        starts_over=True,
        mask_method="supermask",
        details="It begins at the ticket's density in each layer (arXiv:1905.01067); how is in "
        "``masks``.",
        refusal=_singly,
    ),
    Control(
        kind="moved",
        label="Moved mask",
        column="Moved\nmask",
        sentence="With the mask of another replicate's ticket as it is, the network",
        note="the mask of another replicate's ticket as it is, its own weights at the ticket's "
        "start",
        light="#9016fa",
        dark="#8f5bf5",
        symbol="bowtie",
        dash="longdash",
        make=lambda it: moved(it.ticket, it.source.ticket(it.level).mask),
        moves_mask="as it is",
        details="The replicate before it, for replicate 0 replicate 1; 0 or 1, and it needs 2 "
        "replicates or more.",
        refusal=_no_mask_to_move,
    ),
    Control(
        kind="aligned",
        label="Aligned mask",
        column="Aligned\nmask",
        sentence="With the mask of another replicate's ticket, its neurons aligned, the network",
        note="the mask of another replicate's ticket, its neurons matched to this one's by what "
        "they do in the dense networks, its own weights at the ticket's start",
        light="#3a0496",
        dark="#fefae3",
        symbol="diamond-tall",
        dash="dash",
        make=_aligned,
        moves_mask="aligned",
        details="Their activations are looked at on ``prune.examples`` training examples "
        "(arXiv:2505.05143). 0 or 1; it needs 2 replicates or more, and the package torch-pruning.",
        refusal=_not_aligned,
    ),
)

CONTROLS: Final[Mapping[str, Control]] = {control.kind: control for control in _CONTROLS}
"""Kind of control -> its record, in the order they run and are shown."""

CONTROL_KINDS: Final = tuple(CONTROLS)
"""The kinds of control; a control's branch is its kind and a number from 1."""
