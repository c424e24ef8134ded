"""Runs on disk or in memory: commit protocol, manifests, locks, reading back."""

from lottery.store.jobs import MAIN, JobKey, JobResult
from lottery.store.lock import lock_holder, lock_run
from lottery.store.looks import LookKey
from lottery.store.memory import MemoryStore
from lottery.store.store import Moment, Store

__all__ = [
    "MAIN",
    "JobKey",
    "JobResult",
    "LookKey",
    "MemoryStore",
    "Moment",
    "Store",
    "lock_holder",
    "lock_run",
]
