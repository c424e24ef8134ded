"""Hashes of a run's files and record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lottery.errors import StoreError
from lottery.store.contents import RESULT

RECORD_HASH: Final = "record_sha256"
"""The key of the hash of ``experiment.json``, and of what analyses found."""
WITHOUT_HASH: Final = {
    "schema",
    "config",
    "config_sha256",
    "data",
    "environment",
    "command",
    "begun",
}
"""The keys that ``experiment.json`` could have before it had its own hash."""


def contents_hash(files: Mapping[str, str]) -> str:
    """One hash of all files of a job but ``result.json``, which holds the time spent.

    Args:
        files: file name -> SHA-256 (hex).
    """
    counting = {name: one for name, one in files.items() if name != RESULT}
    return hashlib.sha256(json.dumps(counting, sort_keys=True).encode()).hexdigest()


def with_hash(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record, as plain JSON, with its own hash in it."""
    plain = json.loads(json.dumps(record, allow_nan=False))
    return {**plain, RECORD_HASH: record_hash(plain)}


def check_record(record: Mapping[str, Any], source: Path) -> None:
    """Check a record by its own hash, if it has one: those from before there was one have none.

    Raises:
        StoreError: it is not what was written.
    """
    stated = record.get(RECORD_HASH)
    try:
        whole = stated is None or stated == record_hash(record)
    except RecursionError as error:
        raise StoreError(f"cannot read {source}: it is nested too deep") from error
    except ValueError as error:
        raise StoreError(f"cannot read {source}: it holds a number that is none") from error
    if not whole:
        raise StoreError(f"{source} is not what was written: its SHA-256 differs")


def record_hash(record: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of a record, but for this hash itself."""
    rest = {key: value for key, value in record.items() if key != RECORD_HASH}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
