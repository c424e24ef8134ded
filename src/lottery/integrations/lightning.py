"""Tickets of models trained by a Lightning Trainer (``lightning`` or ``pytorch-lightning``)."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from torch import nn

from lottery.integrations.extra import import_extra
from lottery.integrations.frameworks import seed_all, select_metrics
from lottery.tasks.session import LoopSession

_PREFIXES: Final = ("val_", "val/", "valid_", "valid/", "validation_", "validation/")
_TRAINING: Final = ("train_", "train/")
_TEST: Final = ("test_", "test/")


def lightning_task(
    make_module: Callable[[], nn.Module], make_trainer: Callable[[], Any], **data: Any
) -> dict[str, Any]:
    """Arguments of `lottery.find_tickets` for a module and a Trainer of Lightning.

    Random generators are seeded for each replicate, after ``make_trainer`` has been called. Each
    validation is a point of the curve: a metric logged as ``val_loss`` or ``val/loss`` is its
    ``loss``. An interrupted training is resumed after the last epoch that it finished.

    Args:
        make_module: returns a new ``LightningModule`` each time.
        make_trainer: returns a new ``Trainer`` each time.
        data: arguments of ``Trainer.fit``: ``train_dataloaders`` and ``val_dataloaders``, or a
            ``datamodule``; and ``test_dataloaders``. Networks are evaluated at the end on the
            ``test_dataloaders``; without these, on the validation data.

    Returns:
        ``make_model``, ``train`` and ``evaluate``. Scores are named as they are logged, without
        ``val_`` or ``test_``.

    Example:
        ``run = lottery.find_tickets(**lightning_task(Net, make_trainer, datamodule=digits))``
    """
    test = data.pop("test_dataloaders", None)
    judged = {**data} if test is None else {"dataloaders": test}
    if test is None:
        judged.pop("train_dataloaders", None)
        judged["dataloaders"] = judged.pop("val_dataloaders", None)
    return {
        "make_model": make_module,
        "train": partial(_train, make_trainer, data),
        "evaluate": partial(_evaluate, make_trainer, judged, test is not None),
    }


def _train(
    make_trainer: Callable[[], Any], data: dict[str, Any], model: nn.Module, session: LoopSession
) -> None:
    trainer = make_trainer()
    seed_all(session.seed("trainer"))
    state = _TrainerState(trainer, model)
    session.resume(state)
    trainer.callbacks.append(_following(session, trainer))
    with TemporaryDirectory(prefix="lottery-") as folder:
        trainer.fit(model, **_unused(data), ckpt_path=state.write(Path(folder)))


def _evaluate(
    make_trainer: Callable[[], Any], data: dict[str, Any], test: bool, model: nn.Module
) -> dict[str, float]:
    trainer = make_trainer()
    judge, prefixes = (trainer.test, _TEST) if test else (trainer.validate, _PREFIXES)
    found: dict[str, float] = {}
    for metrics in judge(model, **_unused(data), verbose=False):
        found |= select_metrics(metrics, prefixes)
    return found


def _unused(data: dict[str, Any]) -> dict[str, Any]:
    """The data with a module of its own for each Trainer, since a Trainer changes it."""
    return {name: copy(it) if name == "datamodule" else it for name, it in data.items()}


class _TrainerState:
    """A checkpoint of a Trainer, without the weights, which are kept beside it."""

    def __init__(self, trainer: Any, model: nn.Module) -> None:
        self._trainer, self._model = trainer, model
        self._loaded: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        if not self._trainer.optimizers:
            return {}
        # With optimizers and loops, without which a Trainer cannot go on.
        whole = self._trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        return {
            key: value
            for key, value in whole.items()
            if key != "state_dict" and "hyper_parameters" not in key and "hparams" not in key
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._loaded = state

    def write(self, folder: Path) -> str | None:
        """The checkpoint as a file for the Trainer; None without one."""
        if not self._loaded:
            return None
        path = folder / "start.ckpt"
        torch.save({**self._loaded, "state_dict": self._model.state_dict()}, path)
        return str(path)


def _following(session: LoopSession, trainer: Any) -> Any:
    """A callback that logs a Trainer's curves and keeps its checkpoints."""
    packages = {one.__module__.partition(".")[0] for one in type(trainer).__mro__}
    name = "pytorch_lightning" if "pytorch_lightning" in packages else "lightning.pytorch"
    lightning = import_extra(name, extra="lightning", what="lightning_task")

    class Following(lightning.Callback):  # type: ignore[misc, name-defined]
        def on_validation_end(self, trainer: Any, *_: Any) -> None:
            if not trainer.sanity_checking:
                session.log(**select_metrics(trainer.callback_metrics, _PREFIXES))

        def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
            found = select_metrics(trainer.callback_metrics, _TRAINING)
            if found:
                session.log(split="training", **found)
            session.checkpoint(trainer.global_step)

    return Following()
