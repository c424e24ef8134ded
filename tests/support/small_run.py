"""A finished run of so small a network and so few examples that tests can damage many copies."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from tiny import contents, tiny

from lottery.data import DataConfig
from lottery.data.idx import header_of
from lottery.experiments import ExperimentConfig, Listener, RunOptions, RunSummary, run_experiment
from lottery.methods import ControlsConfig, Iterative, RewindConfig
from lottery.training import Length, TrainingConfig


@dataclass(frozen=True, kw_only=True)
class SmallRun:
    """Four trainings of a second in all.

    Args:
        config: what was run.
        path: where it lies.
        contents: its files, without what measures time.
    """

    config: ExperimentConfig
    path: Path
    contents: dict[str, bytes] = field(repr=False)

    def copied(self, out: Path) -> Path:
        """A copy in another folder of runs."""
        return Path(shutil.copytree(self.path, out / self.path.name))

    def again(
        self, out: Path, listener: Listener | None = None, *, engine: str = "torch"
    ) -> RunSummary:
        """Run its experiment in a folder of runs."""
        options = RunOptions(out=out, jobs=1, device="cpu", engine=engine)
        return run_experiment(self.config, options, listener=listener)

    def is_whole(self, path: Path) -> bool:
        """Whether a copy is equal to it, beside what was set aside; that is removed."""
        for aside in list(path.rglob(".corrupt-*")):
            if aside.is_dir() and not aside.is_symlink():
                shutil.rmtree(aside)
            else:
                aside.unlink()
        return contents(path) == self.contents


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    folder = tmp_path_factory.mktemp("small")
    for part, count in (("train", 120), ("t10k", 40)):
        labels = np.arange(count) % 4
        # Each class has a bright corner of its own, and pixels that no rule explains.
        y, x = np.mgrid[0:4, 0:4]
        corner = (y // 2) * 2 + x // 2 == labels[:, None, None]
        noise = (np.arange(count)[:, None, None] * 37 + y * 53 + x * 101) % 97
        images = (corner * 120 + noise).astype(np.uint8)
        for what, values in (("images-idx3", images), ("labels-idx1", labels.astype(np.uint8))):
            content = header_of(values.shape) + values.tobytes()
            (folder / f"{part}-{what}-ubyte").write_bytes(content)
    config = tiny(
        name="small",
        replicates=1,
        model="mlp-4",
        data=DataConfig(name=f"idx:{folder}", validation=20),
        training=TrainingConfig(
            length=Length(amount=20), batch_size=10, evaluate_every=Length(amount=10)
        ),
        method=Iterative(rewind=RewindConfig(to=Length(amount=5))),
        controls=ControlsConfig(random_mask=1),
        levels=1,
    )
    options = RunOptions(out=folder / "runs", jobs=1, device="cpu", engine="torch")
    run = run_experiment(config, options).run
    return SmallRun(config=config, path=run, contents=contents(run))
