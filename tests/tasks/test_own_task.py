"""A loop of the user's own as a task: tickets in, trainings out."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from own_loops import (
    INPUTS,
    LOSS,
    TARGETS,
    dense,
    equal,
    evaluate,
    levels_of,
    loss_of,
    make_model,
    own_task,
    same_result,
    train,
    train_once,
)
from torch import Tensor, nn

from lottery.core import Mask
from lottery.errors import MaskError, Preempted, UsageError
from lottery.rng import Streams
from lottery.tasks.protocol import TrainingRequest, TrainingVariant
from lottery.tasks.session import LoopSession
from lottery.tickets import PruneConfig, Ticket
from lottery.training import CurvePoint, Length, MaskUpdatesConfig, NullMonitor, Observer


def test_levels_keep_their_masks_and_start_weights() -> None:
    starts: list[dict[str, Tensor]] = []

    def watched(model: nn.Module) -> None:
        starts.append({name: value.clone() for name, value in model.state_dict().items()})
        train(model)

    levels = levels_of(own_task(train=watched), 3)
    assert [ticket.mask.kept for ticket, _ in levels] == [128, 64, 32, 16]
    for (ticket, trained), start in zip(levels, starts, strict=True):
        assert equal(start, ticket.start())
        assert trained.status == "done"
        assert trained.scores == {"accuracy": pytest.approx(evaluate_state(trained.final))}
        for name, kept in ticket.mask.items():
            assert not trained.final[name][~kept].any()
            assert not torch.equal(trained.final[name], start[name])


def evaluate_state(state: Any) -> float:
    model = make_model()
    model.load_state_dict(dict(state))
    return evaluate(model)


def test_the_same_work_gives_the_same_bytes_whatever_was_drawn_before() -> None:
    first = train_once(own_task())
    torch.rand(5)
    np.random.rand(3)
    assert same_result(first, train_once(own_task()))
    assert not equal(first.final, train_once(own_task(), replicate=1).final)


def test_global_generators_are_put_back() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    train_once(own_task())
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()  # type: ignore[index]


def test_a_score_at_the_end_is_a_test_point_at_the_last_step() -> None:
    result = train_once(own_task(evaluate=lambda model: {"accuracy": 0.5, "F1": 0.25}))
    assert result.curve == (CurvePoint(30, "test", {"accuracy": 0.5, "F1": 0.25}),)
    assert (result.early_stop_iteration, result.early_stop, result.engine) == (None, {}, "own")


@pytest.mark.parametrize(
    ("returned", "scores"),
    [
        (0.75, {"accuracy": 0.75}),
        (torch.tensor(0.5), {"accuracy": 0.5}),
        (np.float32(0.5), {"accuracy": 0.5}),
        (np.array([0.5]), {"accuracy": 0.5}),
        ({"accuracy": 0.5, "other": 3}, {"accuracy": 0.5, "other": 3.0}),
        (
            [{"step": 10, "loss": 1.0}, {"step": 30, "split": "test", "accuracy": 0.5}],
            {"accuracy": 0.5},
        ),
        ([CurvePoint(30, "test", {"accuracy": 0.25})], {"accuracy": 0.25}),
    ],
)
def test_train_may_return_the_score(returned: Any, scores: dict[str, float]) -> None:
    def trains(model: nn.Module) -> Any:
        train(model)
        return returned

    assert train_once(own_task(train=trains, evaluate=None)).scores == scores


def test_curves_that_train_returns_are_recorded() -> None:
    def trains(model: nn.Module) -> Any:
        train(model)
        return [
            {"step": 10, "loss": 0.5},
            {"step": 10, "split": "test", "accuracy": 0.75},
            {"step": 20, "loss": 0.9},
            {"step": 20, "split": "test", "accuracy": 0.5},
        ]

    result = train_once(own_task(train=trains))
    assert [(p.iteration, p.split) for p in result.curve] == [
        (10, "validation"),
        (10, "test"),
        (20, "validation"),
        (20, "test"),
        (30, "test"),
    ]
    assert result.early_stop_iteration == 10
    assert result.early_stop == {}


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"step": -1, "loss": 0.5}, "step: expected a whole number of optimizer steps, 0 or more"),
        ({"step": 1.5, "loss": 0.5}, "expected a whole number of optimizer steps as 'step'"),
        ({"step": "last", "loss": 0.5}, "expected a whole number of optimizer steps as 'step'"),
        ({"step": 1}, "step 1: expected a number by its name"),
        (CurvePoint(30, "test", {"accuracy": 97.0}), "accuracy: expected a number from 0 to 1"),
    ],
)
def test_curves_that_could_not_be_read_back_are_refused(point: Any, message: str) -> None:
    def trains(model: nn.Module) -> Any:
        train(model)
        return [point]

    with pytest.raises(UsageError, match=message):
        train_once(own_task(train=trains))


def test_what_train_returns_besides_is_not_looked_at_where_evaluate_judges() -> None:
    def trains(model: nn.Module) -> Any:
        train(model)
        return object()

    assert 0 < train_once(own_task(train=trains)).scores["accuracy"] <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluate": None}, "train gave no accuracy, and there is no evaluate"),
        ({"evaluate": lambda model: "good"}, "evaluate: expected a number, or a dict of numbers"),
        ({"evaluate": lambda model: None}, "evaluate: expected a number, or a dict of numbers"),
        ({"evaluate": lambda model: {"acc": 1.0}}, "expected a dict with 'accuracy', got acc; say"),
        ({"evaluate": lambda model: 97.5}, "a number from 0 to 1, got 97.5 .a share, not a perc"),
        ({"make_model": lambda: 3}, "make_model: expected a function that gives a torch.nn.Module"),
        ({"make_model": torch.nn.Linear(6, 2)}, "make_model: expected a function, got Linear"),
        ({"train": lambda: None}, "expected a function train.model. or train.model, session."),
        ({"train": lambda session: None}, "train.model, session., got one of .session."),
        ({"train": lambda a, b, c: None}, "got one of .a, b, c.; give other arguments defaults"),
        ({"train": None}, "train: expected a function, got NoneType"),
        ({"steps": 0}, "steps: expected a whole number, 1 or more"),
        (
            {"evaluate": lambda model: dict.fromkeys(["accuracy", *map(str, range(48))], 0.5)},
            "evaluate: expected at most 48 different names of numbers, got 49",
        ),
        ({"steps": 31}, "steps: expected the loop to end at step 31, and it ended at 30"),
    ],
)
def test_mistakes_are_told_in_words(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train_once(own_task(**changes))


@pytest.mark.parametrize(
    ("train", "gets_session"),
    [
        (lambda model: None, False),
        (lambda model, epochs=3: None, False),
        (lambda *models: None, False),
        (lambda model, session: None, True),
        (lambda model, s: None, True),
        (lambda model, *, session: None, True),
        (lambda model, epochs=3, *, session=None: None, True),
    ],
)
def test_a_session_is_passed_where_it_is_wanted(train: Any, gets_session: bool) -> None:
    from lottery.tasks.loops import wants_session

    assert wants_session(train) == gets_session


def test_a_keyword_session_is_passed_by_name() -> None:
    def trains(model: nn.Module, epochs: int = 3, *, session: LoopSession | None = None) -> None:
        assert isinstance(session, LoopSession)
        assert epochs == 3
        train(model)

    train_once(own_task(train=trains))


def test_an_exception_goes_through_and_says_which_training_it_was() -> None:
    def trains(model: nn.Module) -> None:
        raise KeyError("of mine")

    task = own_task(train=trains)
    ticket = dense(task, 3)
    about: dict[str, str | int] = {"branch": "reinit-1", "level": 2}
    ticket = Ticket(mask=ticket.mask, weights=ticket.weights, provenance=about)
    with pytest.raises(KeyError, match="of mine") as caught:
        train_once(task, ticket, replicate=3)
    (note,) = caught.value.__notes__
    assert note == (
        "lottery: in the training of replicate 3, reinit-1, level 2, 100.0% of weights kept"
    )


# Divergence


@pytest.mark.parametrize(
    ("bad", "said"),
    [(math.nan, "nan"), (math.inf, "inf"), (-(10**400), "-inf")],
    ids=["nan", "inf", "huge"],
)
def test_a_score_that_is_not_finite_is_divergence(bad: float, said: str) -> None:
    result = train_once(own_task(evaluate=lambda model: bad))
    assert (result.status, result.final, result.scores) == ("diverged", {}, {})
    assert result.reason == f"evaluate: accuracy was {said}"


def test_a_logged_value_that_is_not_finite_ends_the_training() -> None:
    after: list[int] = []

    def trains(model: nn.Module, session: LoopSession) -> None:
        train(model)
        session.log(30, loss=0.5)
        session.log(30, loss=math.nan)
        after.append(1)

    result = train_once(own_task(train=trains))
    assert (result.status, result.reason) == ("diverged", "session.log: loss was nan")
    assert [point.values for point in result.curve] == [{"loss": 0.5}]
    assert not after


def test_a_floating_point_error_of_the_loop_is_divergence() -> None:
    def trains(model: nn.Module) -> None:
        raise FloatingPointError("loss exploded")

    assert train_once(own_task(train=trains)).reason == "loss exploded"


def test_weights_that_are_not_finite_are_divergence() -> None:
    def trains(model: nn.Module) -> None:
        train(model)
        with torch.no_grad():
            next(model.parameters()).fill_(math.nan)

    # Whatever is evaluated: a network of NaN gives a class, too.
    result = train_once(own_task(train=trains))
    assert (result.status, result.reason) == ("diverged", "0.weight was not finite at the end")


# Curves and looks


def log_train(model: nn.Module, session: LoopSession) -> None:
    """Losses that fall, and rise again at the end, but those of training."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(1, 31):
        F.cross_entropy(model(INPUTS[:40]), TARGETS[:40]).backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            # A loss as loops have it, which still has a gradient.
            now = torch.tensor(abs(20 - step) + 1.0, requires_grad=True)
            session.log(step // 10, loss=now)
            session.log(step // 10, split="training", loss=100.0 - step)


def test_early_stop_has_the_state_and_the_score_of_the_best_validation_loss() -> None:
    result = train_once(own_task(train=log_train))
    assert result.early_stop_iteration == 20
    assert not equal(result.early_stop, result.final)
    at_best = {p.split: p.values for p in result.curve if p.iteration == 20}
    assert at_best["validation"] == {"loss": 1.0}
    assert at_best["test"] == {"accuracy": evaluate_state(result.early_stop)}
    assert result.scores == {"accuracy": evaluate_state(result.final)}
    # Points stand at optimizer steps, though the loop counts something else.
    assert [p.iteration for p in result.curve if p.split == "training"] == [10, 20, 30]


def test_what_is_measured_is_heard_of_when_it_is() -> None:
    heard: list[CurvePoint] = []
    result = train_once(own_task(train=log_train), on_evaluation=heard.extend)
    # The best state is judged last.
    assert sorted(heard, key=lambda p: p.iteration)[-1] == result.curve[-1]
    assert {(p.iteration, p.split) for p in heard} == {(p.iteration, p.split) for p in result.curve}


def test_without_a_loss_the_best_score_is_early_stop() -> None:
    def trains(model: nn.Module, session: LoopSession) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for value in (2.0, 1.0, 1.0, 3.0):
            F.cross_entropy(model(INPUTS), TARGETS).backward()
            optimizer.step()
            session.log(perplexity=value)

    score = type(LOSS)(name="perplexity", higher=False)
    result = train_once(own_task(train=trains, score=score, evaluate=lambda model: loss_of(model)))
    assert result.early_stop_iteration == 2


def test_curves_can_be_logged_in_several_calls_for_one_point() -> None:
    def trains(model: nn.Module, session: LoopSession) -> None:
        train(model)
        session.log(30, loss=0.5)
        session.log(30, accuracy=0.25)

    (first, _) = train_once(own_task(train=trains)).curve
    assert first == CurvePoint(30, "validation", {"loss": 0.5, "accuracy": 0.25})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.log(1, split="dev", loss=1.0), "split: expected one of training, validation"),
        (lambda s: s.log(1), "expected a number by its name"),
        (
            lambda s: [s.log(1, **{f"x{number}": 1.0}) for number in range(49)],
            "expected at most 48 different names of numbers, got 49",
        ),
        (lambda s: s.log(1, loss="low"), "expected a number as 'loss', got str"),
        (lambda s: s.log(1, loss=torch.ones(2)), "expected a number as 'loss', got Tensor"),
    ],
)
def test_what_cannot_be_logged_is_told(call: Any, message: str) -> None:
    def trains(model: nn.Module, session: LoopSession) -> None:
        call(session)

    with pytest.raises(UsageError, match=message):
        train_once(own_task(train=trains))


def test_snapshots_and_watches_see_the_state_after_the_step_and_change_nothing() -> None:
    states: list[dict[str, Tensor]] = []

    def trains(model: nn.Module) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(5):
            states.append({n: v.clone() for n, v in model.state_dict().items()})
            F.cross_entropy(model(INPUTS), TARGETS).backward()
            optimizer.step()
            optimizer.zero_grad()

    def note(iteration: int, state: Any, notes: Any) -> Any:
        return {**notes, str(iteration): state["0.bias"]}

    plain = train_once(own_task(train=trains))
    states.clear()
    looked = train_once(
        own_task(train=trains), snapshots_at=(0, 2, 5), observer=Observer(at=(2, 3), note=note)
    )
    assert equal(plain.final, looked.final)
    assert equal(looked.snapshots[0], states[0])
    assert equal(looked.snapshots[2], states[2])
    assert equal(looked.snapshots[5], looked.final)
    assert {n: v.tolist() for n, v in looked.notes.items()} == {
        str(at): states[at]["0.bias"].tolist() for at in (2, 3)
    }


def test_a_snapshot_beyond_the_end_is_told() -> None:
    with pytest.raises(UsageError, match="state of step 31 is wanted, and the loop ended after 30"):
        train_once(own_task(), snapshots_at=(31,))


def test_the_length_is_not_known_unless_it_is_given() -> None:
    assert own_task().steps() is None
    steps = own_task(steps=30).steps()
    assert steps is not None
    assert steps.total == 30
    assert train_once(own_task(steps=30)).status == "done"


# Starting late


def test_a_loop_that_starts_over_goes_on_counting_from_where_it_was_rewound_to() -> None:
    task = own_task(train=log_train)
    assert task.starts_over
    ticket = dense(task)
    late = Ticket(mask=ticket.mask, weights=ticket.weights, iteration=7)
    result = train_once(task, late, snapshots_at=(7, 17))
    assert [p.iteration for p in result.curve if p.split == "training"] == [17, 27, 37]
    assert [*result.snapshots] == [7, 17]
    assert equal(result.snapshots[7], late.start())


def test_a_loop_that_starts_at_a_step_gives_what_the_rest_of_a_training_gives() -> None:
    def trains(model: nn.Module, session: LoopSession) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model.eval()
        for step in range(session.start_step, 20):
            F.cross_entropy(model(INPUTS[step : step + 50]), TARGETS[step : step + 50]).backward()
            optimizer.step()
            optimizer.zero_grad()

    task = own_task(train=trains, starts_at_step=True, steps=20)
    whole = train_once(task, snapshots_at=(8,))
    late = Ticket(mask=dense(task).mask, weights=whole.snapshots[8], iteration=8)
    assert equal(train_once(task, late).final, whole.final)


def test_a_start_that_is_not_heeded_is_noticed_where_the_length_is_known() -> None:
    task = own_task(starts_at_step=True, steps=30)
    ticket = dense(task)
    late = Ticket(mask=ticket.mask, weights=ticket.weights, iteration=5)
    with pytest.raises(
        UsageError, match=r"step 30 when it begins at session.start_step = 5, and it ended at 35"
    ):
        train_once(task, late)


# Masks that cannot be held, trainings that cannot be asked for


def test_training_a_copy_is_an_error() -> None:
    with pytest.raises(MaskError, match="moved by no optimizer"):
        train_once(own_task(train=lambda model: train(copy.deepcopy(model))))


def test_values_that_pruned_weights_are_held_at_stay() -> None:
    task = own_task()
    ticket = dense(task)
    mask = Mask({name: kept & (torch.rand(kept.shape) > 0.5) for name, kept in ticket.mask.items()})
    pruned = {name: ticket.weights[name] for name in mask}
    final = train_once(task, Ticket(mask=mask, weights=ticket.weights, pruned=pruned)).final
    for name, kept in mask.items():
        assert torch.equal(final[name][~kept], ticket.weights[name][~kept])


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (
            TrainingVariant(fine_tune=Length(amount=3)),
            "fine-tuning needs a training that lottery runs itself",
        ),
        (TrainingVariant(same_multiplications=True), "as many multiplications are made needs"),
        (TrainingVariant(updates=MaskUpdatesConfig(method="set")), "a mask that changes needs"),
    ],
)
def test_what_needs_the_built_in_training_is_refused(
    variant: TrainingVariant, message: str
) -> None:
    task = own_task()
    assert message in (task.refusal(variant) or "")
    with pytest.raises(UsageError, match=message):
        task.train(
            [TrainingRequest(ticket=dense(task), variant=variant, streams=Streams(0, 0))],
            [NullMonitor()],
        )
    assert task.refusal(TrainingVariant()) is None


def test_being_stopped_goes_through_without_a_note() -> None:
    def trains(model: nn.Module) -> None:
        raise Preempted("asked to stop")

    with pytest.raises(Preempted) as caught:
        train_once(own_task(train=trains))
    assert not getattr(caught.value, "__notes__", [])


def test_granularities_need_an_example() -> None:
    with pytest.raises(UsageError, match="pass example_input=, a tensor of one batch, or use"):
        own_task().units(PruneConfig(granularity="neuron"))
    units = own_task(example=INPUTS[:1]).units(PruneConfig(granularity="neuron"))
    assert units is not None
    assert units.count == 16  # never those of the output
    assert own_task().units(PruneConfig()) is None


def test_patterns_add_to_masks_and_leave_out() -> None:
    task = own_task(leave_out=("0.*",))
    assert [*dense(task).mask] == ["3.weight"]
