"""The conformance suites catch what they are for: each broken thing fails a check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from lottery.core import Mask
from lottery.data import Split
from lottery.errors import Preempted
from lottery.rng import Streams
from lottery.testing import ENGINE_CHECKS, ENGINE_CHECKS_ANY_MODEL
from lottery.training import (
    Checkpoint,
    CurvePoint,
    Length,
    Monitor,
    NullMonitor,
    State,
    TrainingJob,
    TrainingResult,
)
from lottery.training.engines.torch_engine import TorchEngine

CHECKS = {check.__name__: check for check in ENGINE_CHECKS + ENGINE_CHECKS_ANY_MODEL}


class Broken(TorchEngine):
    """The torch engine with one thing broken on the way in or out."""

    name = "torch"

    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        return [self.one(job, monitor) for job, monitor in zip(jobs, monitors, strict=True)]

    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return self.sound(job, monitor)

    def sound(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return TorchEngine().train([job], [monitor])[0]


class ForgetsTheMask(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return self.sound(replace(job, mask=Mask.dense(job.mask)), monitor)


class MasksOnlyTheEnd(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        free = self.sound(replace(job, mask=Mask.dense(job.mask)), monitor)
        if free.status == "diverged":
            return free
        return replace(
            free,
            final=job.mask.apply(free.final),
            early_stop=job.mask.apply(free.early_stop),
            snapshots={at: job.mask.apply(state) for at, state in free.snapshots.items()},
        )


class ChangesTheStart(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        for name, kept in job.mask.items():
            job.start[name].mul_(kept)
        return self.sound(job, monitor)


class GivesTheStartBack(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        result = self.sound(job, monitor)
        return replace(result, snapshots=dict.fromkeys(result.snapshots, job.start))


class NudgesTheStart(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        start = {n: v * (1 + 1e-7) if v.is_floating_point() else v for n, v in job.start.items()}
        return self.sound(replace(job, start=start), monitor)


class DropsTheLastBatch(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        train, size = job.data.train, job.config.batch_size
        whole = max(1, len(train) // size) * size
        shorter = Split(train.inputs[:whole], train.targets[:whole])
        return self.sound(replace(job, data=replace(job.data, train=shorter)), monitor)


class UsesTheGlobalGenerator(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        streams = Streams(int(torch.randint(0, 1_000_000, ())), 0)
        return self.sound(replace(job, streams=streams), monitor)


class IgnoresItsStreams(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return self.sound(replace(job, streams=Streams(0, 0)), monitor)


class SharesTheFirstJobsStreams(Broken):
    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        shared = [replace(job, streams=jobs[0].streams) for job in jobs]
        return super().train(shared, monitors)


class GroupsInAnyOrder(Broken):
    def train(
        self, jobs: Sequence[TrainingJob], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        return super().train(jobs, monitors)[::-1]


class TakesNoJobs(Broken):
    group_size = 0


class Wrapped:
    """A monitor that passes on what the broken engine lets through."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor, self.steps_at_once = monitor, monitor.steps_at_once

    def restore(self) -> Checkpoint | None:
        return self.monitor.restore()

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        self.monitor.step(iteration, checkpoint)


class NeverRestores(Wrapped):
    def restore(self) -> Checkpoint | None:
        return None


class LosesSome(Wrapped):
    """Forgets part of what a checkpoint holds."""

    part = ""

    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        def less() -> Checkpoint:
            whole = checkpoint()
            kept = {
                name: torch.zeros_like(value) if name.startswith(self.part) else value
                for name, value in whole.tensors.items()
            }
            return replace(whole, tensors=kept)

        self.monitor.step(iteration, less)


class LosesTheOptimizer(LosesSome):
    part = "optimizer/"


class LosesEarlyStop(LosesSome):
    part = "kept/early-stop"


class LosesTheCurve(Wrapped):
    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        def less() -> Checkpoint:
            whole = checkpoint()
            return replace(whole, values={**whole.values, "curve": whole.values["curve"][-2:]})

        self.monitor.step(iteration, less)


class SwallowsPreemption(Wrapped):
    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        try:
            self.monitor.step(iteration, checkpoint)
        except Preempted:
            self.monitor = NullMonitor()


class SkipsSteps(Wrapped):
    def step(self, iteration: int, checkpoint: Callable[[], Checkpoint]) -> None:
        if iteration % 2 == 0:
            self.monitor.step(iteration, checkpoint)


def watching(wrap: Callable[[Monitor], Monitor]) -> type[Broken]:
    """An engine that wraps every monitor."""

    class Watching(Broken):
        def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
            return self.sound(job, wrap(monitor))

    return Watching


class CallsDivergedDone(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        result = self.sound(job, monitor)
        if result.status == "done":
            return result
        curve = (CurvePoint.measured(job.start_iteration, "validation", 1.0, 0.5), *result.curve)
        return replace(
            result,
            status="done",
            reason="",
            curve=curve,
            final=job.start,
            early_stop=job.start,
            early_stop_iteration=job.start_iteration,
        )


class StopsAtTheEnd(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        result = self.sound(job, monitor)
        if result.status == "diverged":
            return result
        return replace(
            result, early_stop=result.final, early_stop_iteration=result.curve[-1].iteration
        )


class KeepsTheWrongEarlyStop(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        result = self.sound(job, monitor)
        copies: State = {name: value.clone() for name, value in result.final.items()}
        return replace(result, early_stop=copies)


class LeavesTheEndOut(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        result = self.sound(job, monitor)
        return replace(result, curve=result.curve[:-2])


class TestBeforeValidation(Broken):
    __test__ = False

    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        result = self.sound(job, monitor)
        turned = sorted(result.curve, key=lambda point: (point.iteration, point.split))
        return replace(result, curve=tuple(turned))


class MeasuresTraining(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return self.sound(replace(job, data=replace(job.data, test=job.data.train)), monitor)


class RestartsTheSchedule(Broken):
    """Starts the learning rate and the data order over when rewound to an iteration."""

    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        k = job.start_iteration
        shorter = replace(job.config, length=Length(amount=12 - k)) if k else job.config
        result = self.sound(replace(job, start_iteration=0, config=shorter), monitor)
        return replace(
            result, curve=tuple(replace(p, iteration=p.iteration + k) for p in result.curve)
        )


class TrainsInSinglePrecision(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        start = {n: v.float() if v.is_floating_point() else v for n, v in job.start.items()}
        result = self.sound(replace(job, start=start), monitor)

        def widened(state: State) -> State:
            return {name: value.to(job.start[name].dtype) for name, value in state.items()}

        return replace(
            result,
            final=widened(result.final),
            early_stop=widened(result.early_stop),
            snapshots={at: widened(state) for at, state in result.snapshots.items()},
        )


class ForgetsWeightDecay(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        optimizer = replace(job.config.optimizer, weight_decay=0.0)
        return self.sound(replace(job, config=replace(job.config, optimizer=optimizer)), monitor)


class ForgetsNesterov(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        optimizer = replace(job.config.optimizer, nesterov=False)
        return self.sound(replace(job, config=replace(job.config, optimizer=optimizer)), monitor)


class IgnoresDropout(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        def make_model() -> torch.nn.Module:
            model = job.make_model()
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            return model

        return self.sound(replace(job, make_model=make_model), monitor)


class LeavesHooks(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        def make_model() -> torch.nn.Module:
            model = job.make_model()
            for module in list(model.modules()):
                module.register_forward_pre_hook(lambda module, inputs: None)
            return model

        return self.sound(replace(job, make_model=make_model), monitor)


class ForgetsWhatIsHeld(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        return self.sound(replace(job, pruned=None), monitor)


class HoldsOnlyTheEnd(Broken):
    def one(self, job: TrainingJob, monitor: Monitor) -> TrainingResult:
        result = self.sound(replace(job, pruned=None), monitor)

        def held(state: State) -> State:
            pruned = job.pruned or {}
            found = {n: torch.where(job.mask[n], state[n], v) for n, v in pruned.items()}
            return {**state, **{n: v.to(state[n].dtype) for n, v in found.items()}}

        snapshots = {at: held(state) for at, state in result.snapshots.items()}
        final, early = held(result.final), held(result.early_stop)
        return replace(result, snapshots=snapshots, final=final, early_stop=early)


class RefusesAndTrainsAllTheSame(Broken):
    holds_values = False


CAUGHT_BY: list[tuple[type[Broken], str]] = [
    (ForgetsTheMask, "check_optimizers_resume"),
    (ForgetsTheMask, "check_optimizers"),
    (MasksOnlyTheEnd, "check_optimizers_resume"),
    (ChangesTheStart, "check_optimizers_resume"),
    (GivesTheStartBack, "check_optimizers"),
    (NudgesTheStart, "check_optimizers"),
    (DropsTheLastBatch, "check_schedules"),
    (UsesTheGlobalGenerator, "check_global_randomness"),
    (UsesTheGlobalGenerator, "check_optimizers_resume"),
    (IgnoresItsStreams, "check_optimizers"),
    (SharesTheFirstJobsStreams, "check_groups"),
    (GroupsInAnyOrder, "check_groups"),
    (TakesNoJobs, "check_groups"),
    (watching(NeverRestores), "check_optimizers_resume"),
    (watching(LosesTheOptimizer), "check_optimizers_resume"),
    (watching(LosesEarlyStop), "check_interrupted_resume"),
    (watching(LosesTheCurve), "check_optimizers_resume"),
    (watching(SwallowsPreemption), "check_preemption"),
    (watching(SkipsSteps), "check_optimizers_resume"),
    (CallsDivergedDone, "check_divergence"),
    (CallsDivergedDone, "check_divergence_spares_the_group"),
    (StopsAtTheEnd, "check_schedules"),
    (KeepsTheWrongEarlyStop, "check_schedules"),
    (LeavesTheEndOut, "check_schedules"),
    (TestBeforeValidation, "check_schedules"),
    (MeasuresTraining, "check_optimizers"),
    (RestartsTheSchedule, "check_schedules"),
    (TrainsInSinglePrecision, "check_optimizers"),
    (TrainsInSinglePrecision, "check_optimizers"),
    (ForgetsWeightDecay, "check_optimizers"),
    (ForgetsNesterov, "check_optimizers"),
    (IgnoresDropout, "check_dropout_has_its_stream"),
    (LeavesHooks, "check_networks_stay_ordinary"),
    (ForgetsWhatIsHeld, "check_held_weights_resume"),
    (ForgetsWhatIsHeld, "check_held_weights"),
    (HoldsOnlyTheEnd, "check_held_weights_resume"),
    (HoldsOnlyTheEnd, "check_held_weights"),
    (RefusesAndTrainsAllTheSame, "check_held_weights_resume"),
]


@pytest.mark.parametrize(
    ("broken", "check"), CAUGHT_BY, ids=[f"{check}-{n}" for n, (_, check) in enumerate(CAUGHT_BY)]
)
def test_a_broken_engine_is_caught(broken: type[Broken], check: str) -> None:
    with pytest.raises(AssertionError) as caught:
        CHECKS[check](broken())

    assert len(str(caught.value)) > 20, "a failure should say what is wrong"


@pytest.mark.parametrize("check", sorted({check for _, check in CAUGHT_BY}))
def test_the_wrapper_itself_breaks_nothing(check: str) -> None:
    CHECKS[check](Broken())
