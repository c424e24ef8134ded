"""Early-Bird tickets: masks made while the dense network trains, until they have settled.

You et al., "Drawing Early-Bird Tickets" (arXiv:1909.11957, section 3). The paper prunes
channels by the scales of batch normalization; here any criterion, granularity and scope will do.
Each level has a mask of its own, made from the dense network at that moment: at a high density it
may settle later than at a low one, and then it need not contain the sparser one. Tickets train on
from the weights of that moment, as in the paper, if these are noted with the masks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from lottery.core import Mask
from lottery.core.early_bird import has_settled, largest_distance
from lottery.errors import StoreError
from lottery.tickets.config import EarlyBirdConfig
from lottery.training import Notes, Observer, State
from lottery.training.progress import below

_SPREAD = "spread"
_STATE = "state/"
_NEVER_SETTLED = "never settled"


@dataclass(frozen=True, kw_only=True)
class EarlyBirdMask:
    """The Early-Bird mask of one level.

    Args:
        mask: the mask made at ``iteration``.
        iteration: the iteration of the dense training at which the mask had settled; if it never
            did, the last one at which it was made.
        settled: whether it had settled.
        spread: the largest distance of the mask from those before it in the window: the share of
            weights on which two masks differ, in [0, 1].
        state: the dense network's whole state that the mask was made from, if tickets train on
            from it.
    """

    mask: Mask
    iteration: int
    settled: bool
    spread: float
    state: State | None = None

    def describe(self, config: EarlyBirdConfig) -> str:
        """Whether and how closely it had settled, in words, for a ticket's provenance."""
        masks = (
            f"it differs from the {config.window - 1} masks before it in at most "
            f"{self.spread:.3g} of the weights"
        )
        if self.settled:
            return f"settled: {masks}"
        return f"{_NEVER_SETTLED}, drawn at the last look: {masks}, more than {config.distance:g}"


def never_settled(provenance: Mapping[str, str | int]) -> bool:
    """Whether a ticket has an Early-Bird mask that never settled, by its provenance."""
    return str(provenance.get("drawn", "")).startswith(_NEVER_SETTLED)


def check_iterations(
    config: EarlyBirdConfig, *, total: int, steps_per_epoch: int, trains_on: bool = False
) -> tuple[int, ...]:
    """The iterations at which masks are made and compared.

    Args:
        config: how often.
        total: iterations of the dense training.
        steps_per_epoch: batches in one pass over the data.
        trains_on: whether tickets train on from the iteration where they are drawn. Then no mask is
            made at the last iteration, which would leave nothing to train.

    >>> check_iterations(EarlyBirdConfig(), total=12, steps_per_epoch=4)
    (4, 8, 12)
    >>> check_iterations(EarlyBirdConfig(), total=12, steps_per_epoch=4, trains_on=True)
    (4, 8)
    """
    every = config.every.iterations(steps_per_epoch)
    return tuple(range(every, total if trains_on else total + 1, every))


def watch_masks(
    config: EarlyBirdConfig,
    masks: Callable[[State], Sequence[Mask]],
    *,
    total: int,
    steps_per_epoch: int,
    trains_on: bool = False,
) -> Observer:
    """A watch that notes each level's mask once it has settled, or else the last one.

    Args:
        config: how often masks are made, and when one has settled.
        masks: the masks of the levels from 1, made from a state of the dense network.
        total: iterations of the dense training.
        steps_per_epoch: batches in one pass over the data.
        trains_on: whether tickets train on from where they are drawn. Then the states that drawn
            masks were made from are noted as well: one for each iteration, however many levels
            share it, and none of an iteration at which no mask was drawn.
    """
    at = check_iterations(config, total=total, steps_per_epoch=steps_per_epoch, trains_on=trains_on)

    def note(iteration: int, state: State, notes: Notes) -> Notes:
        # Weights that are no numbers belong to a training that is about to be called diverged.
        if not all(bool(value.isfinite().all()) for value in state.values()):
            return notes
        found = {name: t for name, t in notes.items() if name.startswith(_STATE)}
        for level, mask in enumerate(masks(state), start=1):
            prefix = f"level-{level:02d}/"
            noted = {name: t for name, t in notes.items() if name.startswith(prefix)}
            if f"{prefix}{_SPREAD}" not in noted:
                noted = _taken_in(config, prefix, noted, iteration, mask, last=iteration == at[-1])
                if trains_on and f"{prefix}{_SPREAD}" in noted:
                    found |= {f"{_state_prefix(iteration)}{name}": t for name, t in state.items()}
            found |= noted
        return found

    return Observer(at=at, note=note, enough=_all_drawn if config.stop else lambda _: False)


def _all_drawn(notes: Notes) -> bool:
    """Whether every level that has notes has its mask; all levels have some from the first look."""
    levels = {name.partition("/")[0] for name in notes if not name.startswith(_STATE)}
    return bool(levels) and all(f"{level}/{_SPREAD}" in notes for level in levels)


def _taken_in(
    config: EarlyBirdConfig,
    prefix: str,
    noted: Notes,
    iteration: int,
    mask: Mask,
    *,
    last: bool,
) -> dict[str, torch.Tensor]:
    """One level's notes with a new mask: the last few, or the one that is drawn and the spread."""
    window = [*_masks(prefix, noted).items(), (iteration, mask)][-config.window :]
    masks = [mask for _, mask in window]
    over = last or has_settled(masks, window=config.window, distance=config.distance)
    kept = window[-1:] if over else window
    found = {
        f"{prefix}{at:012d}/{name}": layer for at, mask in kept for name, layer in mask.items()
    }
    if over:
        found[f"{prefix}{_SPREAD}"] = torch.tensor(largest_distance(masks), dtype=torch.float64)
    return found


def drawn_mask(config: EarlyBirdConfig, level: int, notes: Notes) -> EarlyBirdMask:
    """The Early-Bird mask of a level, read from the notes of the dense training.

    Raises:
        StoreError: the notes are not those of a training that came to its end.
    """
    prefix = f"level-{level:02d}/"
    try:
        ((iteration, mask),) = _masks(prefix, notes).items()
        apart = float(notes[f"{prefix}{_SPREAD}"])
    except (ValueError, KeyError) as error:
        raise StoreError(
            f"the dense training's notes hold no mask for level {level}: {error}"
        ) from error
    state = below(_state_prefix(iteration), notes)
    return EarlyBirdMask(
        mask=mask,
        iteration=iteration,
        settled=apart <= config.distance,
        spread=apart,
        state=state or None,
    )


def _state_prefix(iteration: int) -> str:
    return f"{_STATE}{iteration:012d}/"


def _masks(prefix: str, notes: Notes) -> dict[int, Mask]:
    """Iteration -> mask, in order."""
    layers: dict[int, dict[str, torch.Tensor]] = {}
    for name, kept in notes.items():
        if name.startswith(prefix) and not name.endswith(f"/{_SPREAD}"):
            at, _, layer = name.removeprefix(prefix).partition("/")
            layers.setdefault(int(at), {})[layer] = kept
    return {at: Mask(found) for at, found in sorted(layers.items())}
