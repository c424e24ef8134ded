"""Networks and replicates of the user's own are checked to be what they claim."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from own_loops import dense, equal, make_model, own_task, train, train_once
from torch import nn

from lottery.errors import UsageError
from lottery.rng import Streams
from lottery.tasks.initial import same_weights
from lottery.tasks.session import LoopSession

LOADED = make_model().state_dict()


def pretrained() -> nn.Module:
    model = make_model()
    model.load_state_dict(LOADED)
    return model


def with_new_head() -> nn.Module:
    model = pretrained()
    model[3] = nn.Linear(16, 2)  # type: ignore[operator]
    return model


def with_zeros() -> nn.Module:
    model = make_model()
    nn.init.zeros_(model[3].weight)  # type: ignore[index]
    return model


def reinitialize(model: nn.Module) -> None:
    for layer in model:  # type: ignore[attr-defined]
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()


def test_weights_are_drawn_from_the_stream_of_the_replicate() -> None:
    task = own_task()
    first = task.initial(Streams(0, 0), "init").state_dict()
    assert equal(first, task.initial(Streams(0, 0), "init").state_dict())
    for other in (task.initial(Streams(0, 1), "init"), task.initial(Streams(0, 0), "reinit-1", 1)):
        assert not equal(first, other.state_dict())
    task.check(replicates=3, drawing=["reinit"])


@pytest.mark.parametrize(
    ("make", "experiment", "what"),
    [
        (pretrained, {"replicates": 3}, "all 3 replicates would start from the same weights"),
        (pretrained, {"drawing": ["reinit"]}, "reinit would start from the ticket's own weights"),
        # Half of what is "reinitialized" would be the ticket's.
        (with_new_head, {"drawing": ["reinit"]}, r"\(0.weight\), so that reinit would start from"),
    ],
)
def test_loaded_weights_are_noticed(make: Any, experiment: Any, what: str) -> None:
    with pytest.raises(UsageError, match=f"make_model gives the same initial weights .*{what}"):
        own_task(make_model=make).check(**experiment)
    own_task(make_model=make, reinitialize=reinitialize).check(**experiment)


@pytest.mark.parametrize(
    ("make", "experiment"),
    [
        (pretrained, {"replicates": 1}),
        (with_new_head, {"replicates": 3}),
        # Zeros are how it is initialized.
        (with_zeros, {"replicates": 3, "drawing": ["reinit"]}),
    ],
)
def test_loaded_weights_that_nobody_minds_are_let_through(make: Any, experiment: Any) -> None:
    own_task(make_model=make).check(**experiment)


def test_reinitialize_draws_for_controls_and_leaves_replicates_as_they_are_loaded() -> None:
    task = own_task(make_model=pretrained, reinitialize=reinitialize)
    assert equal(task.initial(Streams(0, 1), "init").state_dict(), LOADED)
    drawn = task.initial(Streams(0, 1), "reinit-1", 2).state_dict()
    assert not equal(drawn, LOADED)
    assert equal(drawn, task.initial(Streams(0, 1), "reinit-1", 2).state_dict())


def test_networks_of_different_layers_have_nothing_in_common() -> None:
    deeper = nn.Sequential(*make_model().children(), nn.Linear(2, 2))
    assert same_weights(deeper, make_model()) == ()


def test_a_network_that_seeds_itself_is_noticed() -> None:
    def seeds() -> nn.Module:
        torch.manual_seed(0)
        return make_model()

    with pytest.raises(UsageError, match="if it seeds itself, leave that out"):
        own_task(make_model=seeds).check(replicates=2)


def test_one_network_for_all_trainings_is_noticed() -> None:
    model = make_model()
    with pytest.raises(UsageError, match="in the same memory every time"):
        own_task(make_model=lambda: model).check()
    with pytest.raises(UsageError, match="in the same memory every time"):
        own_task(make_model=lambda: nn.Sequential(model, nn.Linear(2, 2))).check()
    own_task(make_model=lambda: copy.deepcopy(model)).check()


def test_a_score_is_read_before_anything_is_trained() -> None:
    with pytest.raises(UsageError, match="expected a dict with 'accuracy', got acc"):
        own_task(evaluate=lambda model: {"acc": 1.0}).check()
    own_task(evaluate=lambda model: float("nan")).check()

    def breaks(model: nn.Module) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        own_task(evaluate=breaks).check()
    assert "before any training" in caught.value.__notes__[0]


def test_a_network_with_nothing_to_prune_is_told() -> None:
    with pytest.raises(UsageError, match="made by make_model' has nothing to prune"):
        own_task(make_model=lambda: nn.Embedding(3, 4)).check()


def test_a_script_that_seeds_itself_is_refused_at_its_second_replicate() -> None:
    def seeds(model: nn.Module) -> None:
        torch.manual_seed(0)
        reinitialize(model)
        train(model)

    task = own_task(train=seeds)
    train_once(task)
    with pytest.raises(UsageError, match=r"replicates 0 and 1 ended with the same weights, .*seed"):
        train_once(task, replicate=1)
    # The same replicate again, as after an interruption, is no second one.
    assert train_once(task).status == "done"


def test_a_replicate_of_an_earlier_run_counts() -> None:
    task, later = own_task(make_model=pretrained), own_task(make_model=pretrained)
    later.check_other_replicates(5, train_once(task).final)
    with pytest.raises(UsageError, match="replicates 5 and 0"):
        later.check_other_replicates(0, train_once(task).final)


def test_the_sessions_seeds_make_replicates_differ_and_controls_not() -> None:
    seeds: list[int] = []

    def trains(model: nn.Module, session: LoopSession) -> None:
        seeds.append(session.seed("order", 1))
        torch.manual_seed(session.seed())
        train(model)

    task = own_task(train=trains)
    for replicate in (0, 0, 1):
        train_once(task, dense(task, replicate), replicate=replicate)
    assert seeds[0] == seeds[1] != seeds[2]
    assert all(0 <= seed < 2**32 for seed in seeds)
