"""Which data an experiment learns from: the config a user writes."""

from __future__ import annotations

from dataclasses import dataclass

from lottery.data.catalog import check_dataset


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """A dataset and how much of it is held out."""

    name: str = "mnist"
    """A dataset's name, or ``idx:FOLDER`` for any folder of four IDX files."""
    validation: int = 5_000
    """Training examples held out for early stopping, 1 or more; the same ones in every run."""

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        unknown = check_dataset(self.name)
        if unknown:
            found.append(f"name: {unknown}")
        if self.validation < 1:
            found.append(f"validation: must be 1 or more, got {self.validation}")
        return found
