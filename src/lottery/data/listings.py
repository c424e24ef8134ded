"""What is in a tar file, remembered in the user's cache: listing a packed one is to unpack it.

A listing holds for the file of one place, size, time and inode. Whatever is wrong with what is
remembered, the file is listed anew; what cannot be written is done without.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from lottery.data.known import cache_folder
from lottery.data.parts import new_part, remove_leftovers
from lottery.data.tars import Listing, list_tar

_VERSION: Final = "lottery tar listing 1"
_LARGEST: Final = 2**31


def remembered_listing(path: Path) -> Listing:
    """What is in a tar file; see `list_tar`, whose errors these are."""
    identity = _identity(path)
    if identity is None:
        return list_tar(path)
    place = cache_folder() / "listings" / f"{identity}.json"
    found = _read(place)
    if found is None:
        found = list_tar(path)
        if _identity(path) == identity:
            _write(place, found)
    return found


def _identity(path: Path) -> str | None:
    """What tells a file from another and from itself at another time; None if it cannot be told."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    numbers = f"{_VERSION}\0{state.st_size} {state.st_mtime_ns} {state.st_ino}\0"
    return hashlib.sha256(numbers.encode() + os.fsencode(os.path.realpath(path))).hexdigest()[:32]


def _read(place: Path) -> Listing | None:
    """A listing from the cache; None if there is none that can be used."""
    try:
        if not place.is_file() or place.stat().st_size > _LARGEST:
            return None
        value: Any = json.loads(place.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(value, list) or len(value) != len(Listing._fields):
        return None
    for part, kind in zip(value, (int, str, str), strict=True):
        if not isinstance(part, dict) or not all(type(one) is kind for one in part.values()):
            return None
    found = Listing(*value)
    copied = found.sizes.keys() >= set(found.copies.values())
    return found if copied and all(size >= 0 for size in found.sizes.values()) else None


def _write(place: Path, found: Listing) -> None:
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(place.parent)
        try:
            with new_part(part):
                part.write_text(json.dumps(found))
                os.replace(part, place)
        finally:
            part.unlink(missing_ok=True)
