"""Tickets of models trained by a ``Trainer`` of the package transformers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from lottery.errors import UsageError
from lottery.integrations.extra import import_extra
from lottery.integrations.frameworks import seed_all, select_metrics
from lottery.tasks.global_random import random_state, set_random_state
from lottery.tasks.session import LoopSession

_PREFIXES = ("eval_",)


def trainer_task(make_trainer: Callable[[], Any], test_dataset: Any = None) -> dict[str, Any]:
    """Arguments of `lottery.find_tickets` for a ``transformers.Trainer``.

    Seeds are those of the replicate, whatever the Trainer's arguments say. Each evaluation is a
    point of the curve. An interrupted training is resumed at the last epoch that it began, unless
    ``load_best_model_at_end`` is set. Each training has a temporary ``output_dir``.

    Args:
        make_trainer: returns a new ``Trainer`` with a new model each time.
        test_dataset: the data that networks are evaluated on at the end; None: the Trainer's
            ``eval_dataset``.

    Returns:
        ``make_model``, ``train`` and ``evaluate``. Metrics have their names in the Trainer, without
        ``eval_``. A Trainer without metrics has its loss: ``score="loss"``.

    Example:
        ``run = lottery.find_tickets(**trainer_task(make_trainer), levels=5)``
    """
    return {
        "make_model": partial(_make_model, make_trainer),
        "train": partial(_train, make_trainer),
        "evaluate": partial(_evaluate, make_trainer, test_dataset),
    }


def _make_model(make_trainer: Callable[[], Any]) -> nn.Module:
    seed = torch.initial_seed() % 2**32
    trainer = make_trainer()
    if trainer.model_init is not None:
        # The Trainer has seeded before it called it.
        seed_all(seed)
        trainer.model = trainer.call_model_init()
    model: nn.Module = trainer.model
    return model


def _trainer(make_trainer: Callable[[], Any], model: nn.Module) -> Any:
    """A new Trainer that trains this very model."""
    trainer = make_trainer()
    if trainer.optimizer is not None:
        raise UsageError(
            "make_trainer: the Trainer was given an optimizer, of the weights of another model; "
            "leave optimizers= out, and use optimizer_cls_and_kwargs= or the arguments' optim="
        )
    trainer.model_init = None
    trainer.model = trainer.model_wrapped = model
    if trainer.place_model_on_device:
        trainer._move_model_to_device(model, trainer.args.device)
    return trainer


def _train(make_trainer: Callable[[], Any], model: nn.Module, session: LoopSession) -> None:
    trainer, seed = _trainer(make_trainer, model), session.seed("trainer")
    with TemporaryDirectory(prefix="lottery-") as folder:
        # A copy, since a script may give the same arguments to every Trainer.
        trainer.args = copy(trainer.args)
        trainer.args.seed = trainer.args.data_seed = seed
        trainer.args.output_dir = folder
        trainer.accelerator.dataloader_config.data_seed = seed
        seed_all(seed)
        state = _TrainerState(trainer)
        if not trainer.args.load_best_model_at_end:
            trainer.args.save_strategy = "no"
            session.resume(state)
        trainer.add_callback(_following(session, state))
        trainer.train(resume_from_checkpoint=state.write(Path(folder)))


def _evaluate(
    make_trainer: Callable[[], Any], test_dataset: Any, model: nn.Module
) -> dict[str, float]:
    metrics = _trainer(make_trainer, model).evaluate(test_dataset)
    return select_metrics(metrics, _PREFIXES)


class _TrainerState:
    """What changes in a Trainer while it trains, its model excepted.

    The Trainer's own checkpoints are pickles; so this is one of theirs with the numbers that say
    where it was, and the rest is loaded when the training begins.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._loaded: dict[str, Any] = {}
        self._random: Mapping[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        if self._trainer.optimizer is None:
            return {}
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {**parts, "progress": json.dumps(asdict(self._trainer.state))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._loaded = state

    def _parts(self) -> dict[str, Any]:
        trainer = self._trainer
        parts = {
            "optimizer": trainer.optimizer,
            "lr_scheduler": trainer.lr_scheduler,
            "scaler": trainer.accelerator.scaler,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def write(self, folder: Path) -> str | None:
        """A checkpoint for the Trainer to go on from; None without one."""
        if not self._loaded:
            return None
        self._random = random_state()
        where = folder / "start"
        self._trainer.save_model(str(where))
        (where / "trainer_state.json").write_text(self._loaded["progress"], encoding="utf-8")
        return str(where)

    def restore(self) -> None:
        """Load what the Trainer has made by now."""
        if self._loaded:
            for name, part in self._parts().items():
                part.load_state_dict(self._loaded[name])
        self._loaded = {}

    def restore_random(self) -> None:
        """Put the global generators back, before the data's order is drawn."""
        if self._random:
            set_random_state(self._random)
        self._random = {}


def _following(session: LoopSession, trainer: _TrainerState) -> Any:
    """A callback that logs a Trainer's curves and keeps its checkpoints."""
    transformers = import_extra("transformers", extra="transformers", what="trainer_task")

    class Following(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            trainer.restore()

        def on_epoch_begin(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
            trainer.restore_random()
            if state.global_step and not args.load_best_model_at_end:
                session.checkpoint(state.global_step)

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" in logs:
                session.log(split="training", loss=logs["loss"])

        def on_evaluate(self, *_: Any, metrics: dict[str, float], **__: Any) -> None:
            session.log(**select_metrics(metrics, _PREFIXES))

    return Following()
