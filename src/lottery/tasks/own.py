"""The task made of the user's own code: functions that make, train and evaluate a network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property

from torch import Tensor, nn

from lottery.core import (
    Mask,
    Probe,
    Units,
    check_coverage,
    probe_from_batches,
    prunable_weights,
    set_coverage,
)
from lottery.errors import Preempted, UsageError
from lottery.holding import hold
from lottery.rng import Streams
from lottery.tasks.batches import take_batches
from lottery.tasks.fingerprint import describe, digest, not_covered, read_told, tensor_digest
from lottery.tasks.global_random import seeded
from lottery.tasks.initial import (
    call_make_model,
    check_separate_memory,
    initialization_problem,
    same_weights,
)
from lottery.tasks.loops import call_train, read_returned, read_scores, wants_session
from lottery.tasks.own_code import OwnCode
from lottery.tasks.protocol import Plain, Steps, TrainingRequest, TrainingVariant
from lottery.tasks.recording import Recording
from lottery.tasks.session import LoopSession
from lottery.tickets import PruneConfig, network_units
from lottery.tickets.probe import stream_level
from lottery.training import Monitor, State, TrainingResult, early_stop_by
from lottery.training.engines.torch_engine.network import state_of

_ANY = Streams(0, 0)


class OwnTask:
    """The task of the user's own training loop, known by its functions alone.

    Args:
        code: the functions and settings on them.

    Raises:
        UsageError: one of them is not a function, or takes other arguments; or a setting has a
            wrong value.
    """

    exclusive = True

    def __init__(self, code: OwnCode) -> None:
        for name in ("make_model", "train", "evaluate", "reinitialize", "loss"):
            function = getattr(code, name)
            optional = name not in ("make_model", "train") and function is None
            network = name == "make_model" and isinstance(function, nn.Module)
            if not optional and (network or not callable(function)):
                raise UsageError(f"{name}: expected a function, got {type(function).__name__}")
        wants_session(code.train)
        if code.steps is not None and (type(code.steps) is not int or code.steps < 1):
            raise UsageError(f"steps: expected a whole number, 1 or more, got {code.steps!r}")
        self.code, self.score = code, code.score
        self._fingerprint = read_told(code.fingerprint)
        self._ends: dict[str, int] = {}

    # What it is

    @property
    def starts_over(self) -> bool:
        """Whether every training runs the whole loop, whatever step its ticket is rewound to."""
        return not self.code.starts_at_step

    def origin(self) -> Mapping[str, Plain]:
        """The fingerprints that initial weights and a criterion's batches depend on."""
        names = ("make_model", "reinitialize", "batches", "loss")
        return {name: self._described[name] for name in names} | self._told

    def fingerprint(self) -> Mapping[str, Plain]:
        """The fingerprints that a training and its score depend on."""
        described = {name: self._described[name] for name in ("train", "evaluate")}
        return described | {"starts_at_step": self.code.starts_at_step} | self._told

    @property
    def not_covered(self) -> list[str]:
        """What the functions use that is no part of their fingerprints, in words."""
        found = [f"{name}: {one}" for name, d in self._described.items() for one in not_covered(d)]
        return [] if self._fingerprint is not None else found

    @cached_property
    def _described(self) -> dict[str, Plain]:
        told = self._fingerprint if isinstance(self._fingerprint, Mapping) else {}
        names = ("make_model", "train", "evaluate", "reinitialize", "batches", "loss")
        values = {name: getattr(self.code, name) for name in names}
        return {
            name: told.get(name, None if value is None else describe(value))
            for name, value in values.items()
        }

    @property
    def _told(self) -> dict[str, Plain]:
        return {"fingerprint": self._fingerprint}

    def about(self) -> Mapping[str, str]:
        """Nothing: of own code there is no name for the provenance."""
        return {}

    def engine_name(self, variant: TrainingVariant) -> str:  # noqa: ARG002
        """Always ``own``."""
        return "own"

    def steps(self) -> Steps | None:
        """How long the dense network trains, if ``steps`` of the code says it."""
        total = self.code.steps
        return None if total is None else Steps(total=total, per_epoch=total)

    def last_iteration(self, variant: TrainingVariant, mask: Mask) -> int | None:  # noqa: ARG002
        """The iteration that a training ends at, if ``steps`` says it; else None."""
        return None if self.starts_over else self.code.steps

    def refusal(self, variant: TrainingVariant) -> str | None:
        """Why this variant cannot be trained by own code, in words; None if it can."""
        if replace(variant, reordered=None).is_standard and not variant.reordered:
            return None
        asked = {
            "fine-tuning": variant.fine_tune is not None,
            "training until as many multiplications are made": variant.same_multiplications,
            "gradual pruning": variant.gradual is not None,
            "learning a mask": variant.mask_learning is not None,
            "another data order from an iteration above 0 on": bool(variant.reordered),
        }
        what = next((name for name, wanted in asked.items() if wanted), "a mask that changes")
        return (
            f"{what} needs a training that lottery runs itself: a loop of your own trains from its "
            "beginning to its end, with the mask that it is given"
        )

    # Networks

    def make_model(self) -> nn.Module:
        """A new network; its weights are not those of any replicate."""
        return self._made(_ANY.seed_of("model"))

    def _made(self, seed: int) -> nn.Module:
        model = call_make_model(self.code.make_model, seed)
        set_coverage(model, also=self.code.also, leave_out=self.code.leave_out)
        check_coverage("made by make_model", model)
        return model

    def initial(self, streams: Streams, *purpose: str | int) -> nn.Module:
        """A new network whose weights are drawn from the random stream of this name."""
        seed = streams.seed_of(*purpose)
        model = self._made(seed)
        # A replicate starts from what make_model gives; another draw is what controls ask for.
        if self.code.reinitialize is not None and purpose[0] != "init":
            with seeded(seed):
                self.code.reinitialize(model)
        return model

    def check(self, *, replicates: int = 1, drawing: Iterable[str] = ()) -> None:
        """Check the functions before anything is trained: make two networks, and evaluate one.

        Args:
            replicates: the number of replicates of the experiment.
            drawing: settings of its controls that draw new initial weights.

        Raises:
            UsageError: networks share memory, their initial weights are not random though they
                have to be, or ``evaluate`` returns no score.
        """
        one, other = (self._made(_ANY.seed_of("init", number)) for number in (0, 1))
        check_separate_memory(one, other)
        problem = initialization_problem(
            same_weights(one, other),
            len(prunable_weights(one)),
            replicates=replicates,
            drawing=drawing,
            given=self.code.reinitialize is not None,
        )
        if problem:
            raise UsageError(problem)
        if self.code.evaluate is not None:
            try:
                # Before any training it need not be finite.
                with suppress(FloatingPointError):
                    self.scores(one, _ANY)
            except Exception as error:
                error.add_note("lottery: in evaluate, tried on a network before any training")
                raise

    def units(self, prune: PruneConfig) -> Units | None:
        """The groups of weights that are removed together; None for single weights.

        Raises:
            UsageError: other granularities need an example input, and there is none.
        """
        if prune.granularity == "weight":
            return None
        if self.code.example is None:
            raise UsageError(
                f"prune.granularity: '{prune.granularity}' is found by passing an example through "
                "the network; pass example_input=, a tensor of one batch, or use 'weight'"
            )
        return network_units(prune, self.make_model(), tuple(self.code.example.shape[1:]))

    def passes(self, mask: Mask, pruned: Mapping[str, Tensor] | None) -> bool:  # noqa: ARG002
        """Always True: whether a signal passes is not known for any network."""
        return True

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
        """The network with the weights to score, and the user's batches.

        Raises:
            UsageError: the user gave no batches.
        """
        if self.code.batches is None:
            raise UsageError(
                f"prune.criterion: '{prune.criterion}' looks at data; pass batches=, a list or "
                "DataLoader of them, or use a criterion such as 'magnitude'"
            )
        model = self.make_model()
        model.load_state_dict(mask.apply(trained, pruned))
        with seeded(streams.seed_of("criterion", stream_level(prune, level), "batches")):
            batches = take_batches(self.code.batches, prune.examples)
        probe = probe_from_batches(model, batches, self.code.loss)
        return replace(probe, pruned=pruned, batch_statistics=prune.batch_statistics)

    # Training

    def group_size(self, variant: TrainingVariant) -> int:  # noqa: ARG002
        """One: the user's loop trains one network at a time."""
        return 1

    def train(
        self, requests: Sequence[TrainingRequest], monitors: Sequence[Monitor]
    ) -> list[TrainingResult]:
        """Train one after another."""
        return [self._train(request, one) for request, one in zip(requests, monitors, strict=True)]

    def _train(self, request: TrainingRequest, monitor: Monitor) -> TrainingResult:
        try:
            result = self._trained(request, monitor)
        except Exception as error:
            if not isinstance(error, Preempted):
                error.add_note(f"lottery: {_describe_request(request)}")
            raise
        if (
            result.status == "done"
            and request.variant.is_standard
            and request.ticket.mask.density == 1
        ):
            self.check_other_replicates(request.streams.replicate, result.final)
        return result

    def check_other_replicates(self, replicate: int, final: State) -> None:
        """Check that dense networks of different replicates end with different weights.

        Args:
            replicate: the replicate's number.
            final: the state at the end of its dense training, in this run or an earlier one.

        Raises:
            UsageError: another replicate ended with the same weights, bit by bit.
        """
        end = digest(*(f"{name} {tensor_digest(value)}" for name, value in final.items()))
        other = self._ends.setdefault(end, replicate)
        if other != replicate:
            raise UsageError(
                f"replicates {other} and {replicate} ended with the same weights, to the bit: they "
                "are no repetitions. Where train or make_model seeds a generator with a fixed "
                "number, leave that out, or seed with session.seed() of train(model, session)"
            )

    def _trained(self, request: TrainingRequest, monitor: Monitor) -> TrainingResult:
        ticket = request.ticket
        if problem := self.refusal(request.variant):
            raise UsageError(problem)
        model = self.make_model()
        ticket.check_fits(model)
        model.load_state_dict(dict(ticket.start()))
        recording = Recording(request, model, self.score)
        try:
            scores, end = self._run_loop(request, model, recording, monitor)
        except FloatingPointError as error:
            return recording.result(reason=str(error) or type(error).__name__)
        final = state_of(model)
        bad = [name for name, value in final.items() if not bool(value.isfinite().all())]
        if bad:
            return recording.result(reason=f"{bad[0]} was not finite at the end")
        try:
            scores = scores or self.scores(model, request.streams)
            recording.add(end, "test", scores)
            best = recording.best_iteration
            if self.code.evaluate is not None and best is not None and best != end:
                self._judge_best(model, recording, best, request.streams)
        except FloatingPointError as error:
            return recording.result(reason=str(error))
        stop = early_stop_by(recording.curve, self.score)
        kept = recording.early_stop if stop == recording.best_iteration else {}
        return recording.result(final=final, stop=stop, early_stop=kept, scores=scores)

    def _run_loop(
        self, request: TrainingRequest, model: nn.Module, recording: Recording, monitor: Monitor
    ) -> tuple[dict[str, float], int]:
        """Train; the scores that the loop gave itself, and the iteration at its end."""
        ticket, streams = request.ticket, request.streams
        if request.variant.reordered is not None:
            streams = streams.below("reordered", request.variant.reordered)
        with (
            seeded(streams.seed_of("train", ticket.iteration)),
            hold(model, ticket.mask, at=recording.callbacks(), values=ticket.pruned) as held,
        ):
            session = LoopSession(
                model=model,
                held=held,
                recording=recording,
                monitor=monitor,
                streams=streams,
                iteration=ticket.iteration,
                start_step=0 if self.starts_over else ticket.iteration,
            )
            returned = call_train(self.code.train, model, session)
        self._check_steps(request, recording, session)
        scores = read_returned(
            returned,
            recording,
            self.score.name,
            first=ticket.iteration - session.start_step,
            evaluated=self.code.evaluate is not None,
        )
        return scores, session.step

    def _check_steps(
        self, request: TrainingRequest, recording: Recording, session: LoopSession
    ) -> None:
        """Check that the loop was as long as it was said to be, and as what is wanted of it."""
        first = request.ticket.iteration
        missing = [
            at for at in request.snapshots_at if at >= first and at not in recording.snapshots
        ]
        if missing:
            raise UsageError(
                f"the state of step {missing[0]} is wanted, and the loop ended after "
                f"{session.step - first} optimizer steps; rewind to an earlier one"
            )
        wanted = self.code.steps
        if wanted is None:
            return
        expected = wanted + (first if self.starts_over else 0)
        if session.step != expected:
            late = first and not self.starts_over
            hint = f" when it begins at session.start_step = {first}" if late else ""
            raise UsageError(
                f"steps: expected the loop to end at step {expected}{hint}, and it ended at "
                f"{session.step}; leave steps= out where loops differ in length"
            )

    def _judge_best(
        self, model: nn.Module, recording: Recording, best: int, streams: Streams
    ) -> None:
        """Read the score of the best state too, where the loop did not."""
        there = recording.points.get((best, "test"))
        if there is None or self.score.name not in there.values:
            model.load_state_dict(dict(recording.early_stop))
            recording.add(best, "test", self.scores(model, streams))

    def scores(self, model: nn.Module, streams: Streams) -> dict[str, float]:
        """The scores that ``evaluate`` returns for a network; there must be an ``evaluate``."""
        assert self.code.evaluate is not None, "else train gave it"
        with seeded(streams.seed_of("evaluate")):
            value = self.code.evaluate(model)
        return read_scores(value, self.score.name, "evaluate")


def _describe_request(request: TrainingRequest) -> str:
    """Which training it was, for a note on an error."""
    about = request.ticket.provenance
    branch, level = about.get("branch", ""), about.get("level", "")
    which = f", {branch}, level {level}" if branch else ""
    density = request.ticket.mask.density
    kept = f", {density:.1%} of weights kept" if math.isfinite(density) else ""
    return f"in the training of replicate {request.streams.replicate}{which}{kept}"
