"""How early masks are decided while networks train, as far as a run keeps states of then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lottery.core import Mask, scored_level
from lottery.inside.measurement import Cell, Table
from lottery.inside.overlap import Overlap, add, layer_overlaps
from lottery.inside.subject import Subject
from lottery.methods import mask_search
from lottery.rng import Streams
from lottery.store import MAIN, JobKey
from lottery.store.jobs import SEARCH
from lottery.tickets import EarlyBirdMask, prune_mask
from lottery.training import State

COLUMNS: Final = (
    "level",
    "replicate",
    "moment",
    "iteration",
    "distance",
    "overlap",
    "chance",
    "z",
)
_CHANGED: Final = (
    "The mask that a training started with against the one that it ended with: on the way a run "
    "keeps none. Distance: share of the prunable weights on which they disagree; overlap: of the "
    "smaller mask's weights those that both keep; chance: the same for masks drawn at random with "
    "as many weights in each layer."
)
_DRAWN: Final = (
    "When each level's mask was drawn from the dense network, and its largest distance then (share "
    "of the prunable weights) from the masks before it; of those masks a run keeps none."
)
_PRUNED: Final = (
    "The mask that pruning would give by the weights of an earlier moment of the same training "
    "against the one that the weights at its end gave, among the weights that were left to choose "
    "from. Distance: share of these on which the two disagree; overlap: of the smaller mask's "
    "weights those that both keep; chance: the same for masks drawn at random with as many weights "
    "in each layer. Of a training a run keeps start and end, of the dense network also states that "
    "tickets are rewound to."
)
_NOTHING: Final = (
    "Of masks on the way this run keeps nothing, and its masks are not made by the magnitudes of "
    "single weights at the end of a training, which would show it."
)

NO_TICKET: Final = (
    "No ticket of the levels looked at has ended well, so nothing is said of tickets."
)
"""Where only dense networks have, or were asked for."""


def settling(subject: Subject) -> Table:
    """A table of how far masks of earlier moments are from the final ones."""
    if rows := list(_changed(subject)):
        note = _CHANGED
    elif rows := list(_drawn(subject)):
        note = _DRAWN
    elif rows := list(_pruned(subject)):
        note = _PRUNED
    elif any(key.level for key in subject.trainings()):
        note = _NOTHING
    else:
        note = NO_TICKET
    return Table(
        name="settling",
        title="How masks settle",
        note=note,
        columns=COLUMNS,
        rows=tuple(rows),
    )


def _changed(subject: Subject) -> Iterator[tuple[Cell, ...]]:
    branch = f"{SEARCH}-1" if mask_search(subject.run.config.method) else MAIN
    if branch == MAIN and subject.run.facts.mask_updates == "none":
        return
    for key in subject.trainings(branch):
        if key.level:
            ticket = subject.ticket(key)
            end = subject.mask(key)
            both = add(layer_overlaps(ticket.mask, end).values())
            yield _row(key, "start of training", ticket.iteration, ticket.mask.hamming(end), both)


def _drawn(subject: Subject) -> Iterator[tuple[Cell, ...]]:
    for replicate in subject.replicates:
        for look in subject.run.store.looks(replicate):
            if look.kind == "drawn" and look.number in subject.levels:
                drawn = subject.look(look)
                assert isinstance(drawn, EarlyBirdMask), "unpacked by its key's kind"
                moment = "settled" if drawn.settled else "never settled"
                key = JobKey(replicate, MAIN, look.number)
                yield _row(key, moment, drawn.iteration, drawn.spread, None)


def _pruned(subject: Subject) -> Iterator[tuple[Cell, ...]]:
    prune = subject.run.config.prune
    if prune.criterion != "magnitude" or prune.granularity != "weight":
        return
    known = False
    for key in subject.trainings():
        decided = JobKey(key.replicate, MAIN, scored_level(prune.schedule, key.level or 1))
        if not key.level or not subject.ended(decided):
            continue
        subject.progress(f"level {key.level}, replicate {key.replicate}: how its mask settled")
        before, mask = subject.ticket(decided), subject.mask(key)
        if not known:
            # Where something else decided the masks, there is nothing to tell.
            if _mask_by(subject, key, before.mask, subject.weights(decided)) != mask:
                return
            known = True
        moments = {before.iteration: before.start()}
        if not decided.level:
            moments |= dict(_states(subject, key.replicate))
        for iteration, weights in sorted(moments.items()):
            earlier = _mask_by(subject, key, before.mask, weights)
            distance = earlier.hamming(mask) * mask.total / max(before.mask.kept, 1)
            both = add(layer_overlaps(earlier, mask, before.mask).values())
            moment = "on the way" if iteration > before.iteration else "start of training"
            yield _row(key, moment, iteration, distance, both)


def _mask_by(subject: Subject, key: JobKey, parent: Mask, weights: State) -> Mask:
    """What pruning would make of a level's parent by some weights."""
    config = subject.run.config
    return prune_mask(
        config.prune,
        key.level,
        parent,
        trained=weights,
        initial=weights,
        streams=Streams(config.seed, key.replicate),
        levels=config.levels,
    )


def _states(subject: Subject, replicate: int) -> Iterator[tuple[int, State]]:
    for look in subject.run.store.looks(replicate):
        if look.kind == "state":
            state = subject.look(look)
            assert not isinstance(state, EarlyBirdMask), "unpacked by its key's kind"
            yield look.number, state


def _row(
    key: JobKey, moment: str, iteration: int, distance: float, both: Overlap | None
) -> tuple[Cell, ...]:
    compared = (None, None, None) if both is None else (both.share, both.chance, both.z)
    return (key.level, key.replicate, moment, iteration, distance, *compared)
