"""Looks: a state, or an Early-Bird mask, that was kept while the dense network trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lottery.core import Mask
from lottery.errors import MaskError, StoreError
from lottery.store.tensors import is_iteration, pack_tensors, unpack_tensors
from lottery.tickets import EarlyBirdMask
from lottery.training import State
from lottery.training.progress import below

LOOK = "look.safetensors"


@dataclass(frozen=True, order=True)
class LookKey:
    """The key of something kept of the dense network while it trained.

    Args:
        replicate: from 0.
        kind: ``state``: the whole state at an iteration; ``drawn``: the Early-Bird mask of a level.
        number: the iteration, or the level.
    """

    replicate: int
    kind: Literal["state", "drawn"]
    number: int

    @property
    def path(self) -> Path:
        """The directory of its files, relative to the run."""
        digits = 9 if self.kind == "state" else 2
        return Path(f"replicate-{self.replicate}", "looks", f"{self.kind}-{self.number:0{digits}}")

    def __str__(self) -> str:
        what = "state at iteration" if self.kind == "state" else "mask drawn for level"
        return f"replicate {self.replicate}, {what} {self.number}"


def look_key(replicate: int, name: str) -> LookKey | None:
    """The key of the look whose directory has this name; None if that is no look's name."""
    kind, _, number = name.partition("-")
    if kind in ("state", "drawn") and number.isdecimal():
        key = LookKey(replicate, kind, int(number))  # type: ignore[arg-type]
        return key if key.path.name == name else None
    return None


def pack_look(key: LookKey, found: State | EarlyBirdMask) -> dict[str, bytes]:
    """The files of a look: name -> contents."""
    about = {"look": str(key)}
    if not isinstance(found, EarlyBirdMask):
        return {LOOK: pack_tensors({f"state/{name}": t for name, t in found.items()}, about)}
    tensors = {f"mask/{name}": kept for name, kept in found.mask.items()}
    tensors |= {f"state/{name}": value for name, value in (found.state or {}).items()}
    drawn = {"iteration": found.iteration, "settled": found.settled, "spread": found.spread}
    return {LOOK: pack_tensors(tensors, {**about, **drawn})}


def unpack_look(key: LookKey, content: bytes, *, source: Path) -> State | EarlyBirdMask:
    """Read a look that `pack_look` wrote.

    Raises:
        StoreError: it is not a look, or another one.
    """
    tensors, about = unpack_tensors(content, source=source)
    if about.get("look") != str(key):
        raise StoreError(f"{source} is not the {key}")
    kept, state = below("mask/", tensors), below("state/", tensors)
    if len(kept) + len(state) != len(tensors):
        raise StoreError(f"{source} holds tensors that are neither masks nor states")
    if key.kind == "state":
        return state
    iteration, settled, spread = (about.get(n) for n in ("iteration", "settled", "spread"))
    if not is_iteration(iteration) or not isinstance(settled, bool):
        raise StoreError(f"{source} does not say when its mask was drawn")
    if not isinstance(spread, int | float) or not 0 <= spread <= 1:
        raise StoreError(f"{source} does not say how far its masks were apart")
    try:
        mask = Mask(kept)
    except MaskError as error:
        raise StoreError(f"{source}: {error}") from error
    return EarlyBirdMask(
        mask=mask, iteration=iteration, settled=settled, spread=spread, state=state or None
    )
