"""Tickets of a Lightning module, with either package."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from own_loops import INPUTS, TARGETS, Kept, own_task, same_result, train_once
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lottery
from lottery.errors import Preempted
from lottery.integrations.lightning import lightning_task

ROWS = TensorDataset(INPUTS, TARGETS)
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def package(request: pytest.FixtureRequest) -> ModuleType:
    name: str = request.param
    found: ModuleType = pytest.importorskip(name, reason=f"{name} is not installed")
    return found


@pytest.fixture
def lightning() -> ModuleType:
    found: ModuleType = pytest.importorskip(
        "lightning.pytorch", reason="lightning is not installed"
    )
    return found


def functions(package: ModuleType, **settings: Any) -> dict[str, Any]:
    """What a script has, with the line of lottery."""

    class Net(package.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, width: int = 12) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Dropout(0.2))
            self.last = nn.Linear(width, 2)

        def measured(self, batch: list[Tensor], split: str) -> Tensor:
            logits = self.last(self.net(batch[0]))
            loss = F.cross_entropy(logits, batch[1])
            right = (logits.argmax(1) == batch[1]).float().mean()
            self.log_dict({f"{split}_loss": loss, f"{split}_accuracy": right}, on_epoch=True)
            return loss

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            return self.measured(batch, "train")

        def validation_step(self, batch: list[Tensor], _: int) -> None:
            self.measured(batch, "val")

        def test_step(self, batch: list[Tensor], index: int) -> None:
            self.measured(batch, "test")

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), lr=0.02)
            return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)]

    def make_trainer() -> Any:
        package.seed_everything(3, verbose=False)  # the script's own, in vain
        return package.Trainer(max_epochs=3, log_every_n_steps=1, **QUIET, **settings)

    return lightning_task(
        Net,
        make_trainer,
        train_dataloaders=DataLoader(ROWS, 20, shuffle=True),
        val_dataloaders=DataLoader(ROWS, 60),
        test_dataloaders=DataLoader(ROWS, 40),
    )


def test_a_run(package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> Any:
        return lottery.find_tickets(
            **functions(package), levels=1, replicates=2, out=tmp_path, verbose=False
        )

    found = run()
    assert "accuracy" in found.verdict.paragraph
    monkeypatch.setattr(package.Trainer, "fit", None)
    assert run().verdict.paragraph == found.verdict.paragraph


def test_a_training_goes_on_to_the_same_bytes(lightning: ModuleType) -> None:
    """After every epoch; with dropout, a schedule, hyperparameters and shuffled data."""
    task = own_task(**functions(lightning))
    whole = train_once(task, monitor=(monitor := Kept()))
    assert monitor.calls == 3
    for stop_after in (1, 2, 3):
        stopped = Kept(stop_after=stop_after)
        with pytest.raises(Preempted):
            train_once(task, monitor=stopped)
        again = train_once(task, monitor=(monitor := Kept(newest=stopped.newest)))
        assert monitor.calls == 3 - stop_after
        assert same_result(whole, again), f"stopped after epoch {stop_after}"


def test_seeds_are_those_of_the_replicate(lightning: ModuleType) -> None:
    def first_losses(replicate: int) -> list[float]:
        result = train_once(own_task(**functions(lightning)), replicate=replicate)
        return [p.values["loss"] for p in result.curve if p.split == "training"]

    assert first_losses(0) == first_losses(0) != first_losses(1)


def test_the_curve_is_the_trainers(lightning: ModuleType) -> None:
    result = train_once(own_task(**functions(lightning, val_check_interval=3)))
    found = {(p.iteration, p.split): sorted(p.values) for p in result.curve}
    assert [at for at, split in found if split == "validation"] == [3, 6, 9, 12, 15, 18]
    assert found[3, "validation"] == found[18, "test"] == ["accuracy", "loss"]


def test_a_data_module(lightning: ModuleType, tmp_path: Path) -> None:
    """It stays as it was, so that the same call finds the run that it made."""

    class Rows(lightning.LightningDataModule):  # type: ignore[misc, name-defined]
        def setup(self, stage: str) -> None:
            self.rows = ROWS

        def train_dataloader(self) -> Any:
            return DataLoader(self.rows, 20, shuffle=True)

        def val_dataloader(self) -> Any:
            return DataLoader(self.rows, 60)

    own = functions(lightning)
    task = lightning_task(own["make_model"], own["train"].args[0], datamodule=Rows())
    paragraphs = {
        lottery.find_tickets(
            **task, levels=0, replicates=1, controls={}, out=tmp_path, verbose=False
        ).verdict.paragraph
        for _ in range(2)
    }
    assert len(paragraphs) == 1
