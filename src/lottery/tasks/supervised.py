"""The built-in task: a network by name that an engine trains to classify a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from typing_extensions import override

from lottery.core import (
    Group,
    Mask,
    OutsideMask,
    Probe,
    Units,
    multiplications,
    outside_mask,
    prunable_weights,
    signal_passes,
    weight_uses,
)
from lottery.data import Dataset, steps_per_epoch
from lottery.models import INITIALIZATIONS
from lottery.models.learned import LearnedInitialization
from lottery.rng import Streams
from lottery.score import ACCURACY
from lottery.tasks.network import left_out, make_network, traced_units
from lottery.tasks.protocol import Steps, Task, TrainingRequest, TrainingVariant
from lottery.tasks.schedule import MOST_STRETCH, fine_tuning, stretch_training
from lottery.tickets import PruneConfig, groups_from_dense, make_probe
from lottery.training import (
    Engine,
    LearnedMasksConfig,
    MaskUpdatesConfig,
    Monitor,
    PrunedValues,
    State,
    TrainingConfig,
    TrainingJob,
    TrainingResult,
    make_engine,
    refused_engines,
    score_training_config,
)


class MethodSettings(Protocol):
    """The settings of a method that `Supervised` reads."""

    @property
    def pruned(self) -> PrunedValues:
        """What pruned weights are held at."""

    @property
    def updates(self) -> MaskUpdatesConfig:
        """How masks change in training."""


class Settings(Protocol):
    """The parts of an experiment's config that `Supervised` reads."""

    @property
    def model(self) -> str:
        """A network's name."""

    @property
    def initialization(self) -> str:
        """The distribution that initial weights are drawn from, by name."""

    @property
    def prune(self) -> PruneConfig:
        """What masks cover."""

    @property
    def training(self) -> TrainingConfig:
        """How it is trained."""

    @property
    def masks(self) -> LearnedMasksConfig:
        """How the controls that train a mask instead of weights train it."""

    @property
    def method(self) -> MethodSettings:
        """How tickets are made, which decides what an engine must be able to do."""


class Supervised(Task):
    """A network, its dataset and its training.

    Args:
        settings: the experiment's config.
        data: the dataset, on the CPU.
        engine: an engine's name, or ``auto`` for the fastest one that can train each job.
        device: the device to train on; None: the CPU.
        learned: the learned initialization, if the settings name a file of one.
    """

    score = ACCURACY
    exclusive = False

    def __init__(
        self,
        settings: Settings,
        data: Dataset,
        *,
        engine: str = "auto",
        device: torch.device | None = None,
        learned: LearnedInitialization | None = None,
    ) -> None:
        self.learned = learned
        self.settings, self.data = settings, data
        self._engine, self._device = engine, device or torch.device("cpu")
        self._placed = self.data_on_device(data)
        self._engines: dict[bool, Engine] = {}

    # What it is

    @override
    def origin(self) -> Mapping[str, Any]:
        return {
            "model": self.settings.model,
            "initialization": self.learned.sha256 if self.learned else self.settings.initialization,
            "data": self._fingerprint,
            "augmentation": asdict(self.data.augmentation),
            "loss": self.settings.training.loss,
            "covered": sorted(prunable_weights(self.make_model())),
        }

    @override
    def fingerprint(self) -> Mapping[str, Any]:
        return {
            "model": self.settings.model,
            "data": self._fingerprint,
            "augmentation": asdict(self.data.augmentation),
            "training": asdict(self.settings.training),
        }

    @override
    def about(self) -> Mapping[str, str]:
        return {"model": self.settings.model}

    @cached_property
    def _fingerprint(self) -> str:
        return self.data.fingerprint()

    @override
    def steps(self) -> Steps:
        training = self.settings.training
        epoch = steps_per_epoch(len(self.data.train), training.batch_size)
        return Steps(total=training.length.iterations(epoch), per_epoch=epoch)

    @override
    def make_model(self) -> nn.Module:
        settings, data = self.settings, self.data
        return make_network(settings.model, data.input_shape, data.classes, settings.prune)

    @override
    def initial(self, streams: Streams, *purpose: str | int) -> nn.Module:
        model = self.make_model()
        draw = self.learned or INITIALIZATIONS[self.settings.initialization]
        draw(model, streams.generator(*purpose))
        return model

    # What masks are of

    @override
    def units(self, prune: PruneConfig) -> Units | None:
        return self._traced(prune)[0]

    def left_out(self, prune: PruneConfig) -> dict[str, str]:
        """Prunable layers that have no units of their own: parameter name -> why not."""
        return left_out(prune, self.make_model(), *self._traced(prune))

    def _traced(self, prune: PruneConfig) -> tuple[Units | None, Mapping[str, str]]:
        return traced_units(prune, self.settings.model, self.data.input_shape, self.data.classes)

    def coverage(self) -> tuple[int, tuple[OutsideMask, ...]]:
        """The number of weights that masks cover, and the matrices that they do not cover."""
        model = self.make_model()
        covered = sum(weight.numel() for weight in prunable_weights(model).values())
        return covered, outside_mask(model)

    @override
    def passes(self, mask: Mask, pruned: Mapping[str, Tensor] | None) -> bool:
        held = pruned or {}
        carrying = {n: kept | (held[n] != 0) if held else kept for n, kept in mask.items()}
        return signal_passes(self.make_model(), Mask(carrying), self.data.input_shape)

    @override
    def probe(
        self,
        prune: PruneConfig,
        level: int,
        mask: Mask,
        *,
        trained: State,
        streams: Streams,
        pruned: Mapping[str, Tensor] | None = None,
    ) -> Probe:
        return make_probe(
            prune,
            level,
            mask,
            model=self.make_model(),
            trained=trained,
            data=self._placed,
            loss=self.settings.training.loss,
            streams=streams,
            pruned=pruned,
        )

    # Training

    def engine(self, variant: TrainingVariant) -> Engine:
        """The engine that trains this variant: the one named, or the fastest that can.

        Raises:
            UsageError: no engine can, or the one named cannot.
        """
        learns_mask = variant.mask_learning is not None
        if learns_mask not in self._engines:
            self._engines[learns_mask] = make_engine(
                self._engine,
                self._device,
                model=self.make_model(),
                config=self.settings.training,
                needs=[*self._needs(), *(["learns_masks"] if learns_mask else [])],
            )
        return self._engines[learns_mask]

    def passed_over(self) -> dict[str, str]:
        """Engines faster than the one ``auto`` takes for the dense network -> why not them."""
        if self._engine != "auto":
            return {}
        return refused_engines(
            self._device, self.make_model(), self.settings.training, needs=self._needs()
        )

    def _needs(self) -> list[str]:
        """What an engine must be able to do, the same one for all jobs."""
        needs = {
            "augments": self.data.augmentation.active,
            "holds_values": self.settings.method.pruned != "zero",
            "updates_masks": self.settings.method.updates.active,
        }
        return [name for name, needed in needs.items() if needed]

    @override
    def engine_name(self, variant: TrainingVariant) -> str:
        return self.engine(variant).name

    @override
    def refusal(self, variant: TrainingVariant) -> str | None:
        return None

    def training(self, variant: TrainingVariant, mask: Mask) -> TrainingConfig:
        """The training config of a ticket with this mask."""
        training = self.settings.training
        if variant.same_multiplications:
            uses = weight_uses(self.make_model(), self.data.input_shape)
            dense = multiplications({n: total for n, (_, total) in mask.layers.items()}, uses)
            sparse = multiplications({n: kept for n, (kept, _) in mask.layers.items()}, uses)
            factor = min(MOST_STRETCH, dense / sparse) if sparse else MOST_STRETCH
            return stretch_training(training, factor, self.steps().per_epoch)
        if variant.mask_learning is not None:
            return score_training_config(
                training, self.settings.masks.of(variant.mask_learning.method)
            )
        if variant.fine_tune is not None:
            return fine_tuning(training, variant.fine_tune, self.steps().per_epoch)
        return training

    @override
    def last_iteration(self, variant: TrainingVariant, mask: Mask) -> int | None:
        if variant.until_drawn:
            return None
        return self.training(variant, mask).length.iterations(self.steps().per_epoch)

    def data_on_device(self, data: Dataset) -> Dataset:
        """The dataset on the device that engines train on."""
        return data.to(self._device)

    def job(self, request: TrainingRequest) -> TrainingJob:
        """A training in the form that engines take."""
        ticket, gradual = request.ticket, request.variant.gradual
        to_remove: tuple[Group, ...] = ()
        if gradual is not None:
            levels = gradual.levels
            to_remove = groups_from_dense(gradual.prune, gradual.level, ticket.mask, levels=levels)
        return TrainingJob(
            make_model=self.make_model,
            mask=ticket.mask,
            start=ticket.weights,
            start_iteration=ticket.iteration,
            data=self._placed,
            config=self.training(request.variant, ticket.mask),
            streams=request.streams,
            snapshots_at=request.snapshots_at,
            pruned=ticket.pruned,
            updates=request.variant.updates,
            to_remove=to_remove,
            mask_learning=request.variant.mask_learning,
            observer=request.observer,
            on_evaluation=request.on_evaluation,
            reordered_from=request.variant.reordered,
        )

    @override
    def group_size(self, variant: TrainingVariant) -> int:
        # Each mask then has a length of its own.
        return 1 if variant.same_multiplications else self.engine(variant).group_size

    @override
    def train(
        self, requests: Sequence[TrainingRequest], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        engine = self.engine(requests[0].variant)
        return engine.train([self.job(request) for request in requests], monitors)
