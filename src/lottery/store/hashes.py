"""Hashes of a run's files and record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from lottery.store.contents import RESULT

RECORD_HASH: Final = "record_sha256"
"""The key of the hash of ``experiment.json``."""
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


def record_hash(experiment: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of ``experiment.json``, but for this hash itself."""
    rest = {key: value for key, value in experiment.items() if key != RECORD_HASH}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
