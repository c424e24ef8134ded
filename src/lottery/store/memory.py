"""A store in memory: the run is gone when the process ends."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from typing_extensions import override

from lottery.errors import StoreError
from lottery.store.hashes import contents_hash
from lottery.store.jobs import JobKey, JobResult
from lottery.store.looks import LookKey
from lottery.store.store import Store
from lottery.training import Checkpoint


class MemoryStore(Store):
    """A store without a directory: it keeps the same files as bytes, and no checkpoints."""

    def __init__(self) -> None:
        super().__init__(Path("in memory"))
        self._files: dict[JobKey | LookKey, dict[str, bytes]] = {}
        self._about: dict[JobKey | LookKey, dict[str, Any]] = {}
        self._experiment: dict[str, Any] | None = None
        self._measurements: dict[str, Any] = {}

    @override
    def write_experiment(self, experiment: Mapping[str, Any]) -> None:
        self._experiment = dict(experiment)

    @override
    def read_experiment(self) -> dict[str, Any] | None:
        return self._experiment

    @override
    def is_there(self, key: JobKey | LookKey) -> bool:
        return key in self._files

    @override
    def is_finished(self, key: JobKey | LookKey) -> bool:
        return key in self._files

    @override
    def examine(self, key: JobKey) -> tuple[JobResult | None, list[str]]:
        return self.result(key), []

    @override
    def about(self, key: JobKey | LookKey) -> dict[str, Any]:
        return self._about[key]

    @override
    def contents_hash(self, key: JobKey | LookKey) -> str:
        return contents_hash({n: sha256(c).hexdigest() for n, c in self._files[key].items()})

    @override
    def write_checkpoint(self, key: JobKey, checkpoint: Checkpoint) -> None:
        """Nothing: what would go on from it is gone with the process."""

    @override
    def read_checkpoint(self, key: JobKey) -> Checkpoint | None:
        return None

    @override
    def checkpoint_iteration(self, key: JobKey) -> int | None:
        return None

    @override
    def drop_checkpoints(self, key: JobKey) -> None:
        """Nothing: there are none."""

    @override
    def write_measurement(self, name: str, found: Mapping[str, Any]) -> None:
        self._measurements[name] = found

    @override
    def read_measurement(self, name: str) -> Any:
        return self._measurements.get(name)

    @override
    def corrupt(self) -> list[Path]:
        return []

    @override
    def _commit(
        self, key: JobKey | LookKey, files: Mapping[str, bytes], about: Mapping[str, Any] | None
    ) -> None:
        self._files[key], self._about[key] = dict(files), dict(about or {})

    @override
    def _has(self, key: JobKey | LookKey, name: str) -> bool:
        return name in self._files.get(key, {})

    @override
    def _read(self, key: JobKey | LookKey, name: str) -> bytes:
        try:
            return self._files[key][name]
        except KeyError as error:
            raise StoreError(f"{key} has not ended, so there is no {name} of it") from error
