"""Runs on disk: commit protocol, manifests, ownership, reading back."""

from lottery.store.jobs import CONTROL_KINDS, MAIN, JobKey, JobResult
from lottery.store.lock import holder, own
from lottery.store.store import Moment, Store

__all__ = ["CONTROL_KINDS", "MAIN", "JobKey", "JobResult", "Moment", "Store", "holder", "own"]
