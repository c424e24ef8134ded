"""Loss and error of any weights, as trainings measure them."""

from __future__ import annotations

from dataclasses import replace

import own_loops
import pytest
import torch
from small_run import SmallRun
from tiny import NormalizedConvolutions, tiny

from lottery.data import load_dataset
from lottery.errors import UsageError
from lottery.experiments import open_run
from lottery.inside import Subject
from lottery.inside.evaluation import Evaluation
from lottery.store import MAIN, JobKey
from lottery.tasks.supervised import Supervised
from lottery.training import recalibrate_batch_norm


def test_it_measures_what_a_training_measured(small_run: SmallRun) -> None:
    run = open_run(small_run.path)
    task = Subject(run=run, levels=(0,), replicates=(0,)).experiment.task
    measure = Evaluation(task=task)
    for key in (JobKey(0, MAIN, 0), JobKey(0, MAIN, 1)):
        point = run.store.curve(key)[-1]
        found = measure(run.store.weights(key), "test")
        assert found.loss == pytest.approx(point.loss, rel=1e-6)
        assert found.error == pytest.approx(1 - point.values["accuracy"])
    some = Evaluation(task=task, examples=30)
    weights = run.store.weights(JobKey(0, MAIN, 0))
    assert some(weights, "train") == some(weights, "train") != measure(weights, "train")
    assert some(weights, "train").error * 30 == pytest.approx(
        round(some(weights, "train").error * 30)
    )


def test_batch_norm_is_recalibrated_where_that_is_asked() -> None:
    config = replace(tiny(), model="tiny:NormalizedConvolutions")
    data = load_dataset(config.data, data_dir=None, progress=False)
    task = Supervised(config, data)
    torch.manual_seed(0)
    network = NormalizedConvolutions(data.input_shape, data.classes)
    state = network.state_dict()
    as_it_is, fitted = Evaluation(task=task), Evaluation(task=task, recalibrate=len(data.train))
    before = {name: value.clone() for name, value in state.items()}
    assert as_it_is(state) != fitted(state) == fitted(state)
    assert all(torch.equal(value, before[name]) for name, value in state.items())
    recalibrate_batch_norm(network, [data.batch("train", slice(None))[0]])
    whole, batches = as_it_is(network.state_dict()).loss, fitted(state).loss
    assert whole is not None
    assert batches == pytest.approx(whole, rel=0.05), "of batches of another size"


def test_a_loop_of_ones_own_is_asked_through_its_evaluate() -> None:
    task = own_loops.own_task()
    measure, state = Evaluation(task=task), own_loops.dense(task).weights
    network = own_loops.make_model()
    network.load_state_dict(dict(state))
    assert measure.parts == ("test",)
    assert measure(state).error == pytest.approx(1 - own_loops.evaluate(network))
    assert measure(state).loss is None
    by_loss = own_loops.own_task(
        evaluate=lambda model: {"loss": own_loops.loss_of(model)}, score=own_loops.LOSS
    )
    found = Evaluation(task=by_loss)(state)
    assert found.loss == found.error == pytest.approx(float(own_loops.loss_of(network)))


def test_what_cannot_be_measured_is_told() -> None:
    with pytest.raises(UsageError, match="pass evaluate="):
        Evaluation(task=own_loops.own_task(evaluate=None))
    with pytest.raises(UsageError, match="expected 0 with a loop of your own"):
        Evaluation(task=own_loops.own_task(), recalibrate=100)
