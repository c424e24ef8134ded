"""Tickets of an skorch net, and a ticket in its fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from own_loops import INPUTS, TARGETS, Kept, own_task, same_result, train_once
from torch import nn

import lottery
from lottery.errors import MaskError, Preempted
from lottery.integrations.skorch import skorch_task, ticket_callback

skorch = pytest.importorskip("skorch", reason="skorch is not installed")

DATA = (INPUTS.numpy(), TARGETS.numpy())


class Net(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Dropout(0.2))
        self.last = nn.Linear(width, 2)

    def forward(self, x: torch.Tensor) -> Any:
        return self.last(self.net(x))


def make_net(**settings: Any) -> Any:
    """As scripts do it, seed and settings of the module included."""
    torch.manual_seed(0)
    schedule = skorch.callbacks.LRScheduler("ExponentialLR", gamma=0.8)
    everything = {
        "max_epochs": 4,
        "optimizer": torch.optim.AdamW,
        "criterion": nn.CrossEntropyLoss,
        "lr": 0.03,
        "batch_size": 20,
        "iterator_train__shuffle": True,
        "module__width": 16,
        "verbose": 0,
        "callbacks": [("schedule", schedule)],
    }
    return skorch.NeuralNetClassifier(Net, **{**everything, **settings})


def test_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> Any:
        task = skorch_task(make_net, DATA, DATA)
        return lottery.find_tickets(**task, levels=1, replicates=2, out=tmp_path, verbose=False)

    found = run()
    assert "accuracy" in found.verdict.paragraph
    monkeypatch.setattr(skorch.NeuralNetClassifier, "fit_loop", None)
    assert run().verdict.paragraph == found.verdict.paragraph


def test_a_training_goes_on_to_the_same_bytes() -> None:
    """After every epoch; with dropout, a schedule, early stopping and shuffled data."""

    def make_patient_net() -> Any:
        stopping = skorch.callbacks.EarlyStopping(patience=4, threshold=0.5)
        return make_net(max_epochs=9, callbacks=[*make_net().callbacks, ("stopping", stopping)])

    task = own_task(**skorch_task(make_patient_net, DATA, DATA))
    whole = train_once(task, monitor=(monitor := Kept()))
    assert 2 <= monitor.calls < 8
    for stop_after in range(1, monitor.calls + 1):
        stopped = Kept(stop_after=stop_after)
        with pytest.raises(Preempted):
            train_once(task, monitor=stopped)
        again = train_once(task, monitor=(rest := Kept(newest=stopped.newest)))
        assert rest.calls == monitor.calls - stop_after
        assert same_result(whole, again), f"stopped after epoch {stop_after}"


def test_the_curve_and_the_seeds() -> None:
    def curve(replicate: int) -> Any:
        task = own_task(**skorch_task(make_net, DATA, DATA))
        return train_once(task, replicate=replicate).curve

    found = {(p.iteration, p.split): sorted(p.values) for p in curve(0)}
    assert found[5, "training"] == ["loss"]
    assert found[20, "validation"] == ["accuracy", "loss"]
    assert found[20, "test"] == ["accuracy"]
    assert curve(0) == curve(0) != curve(1)


def test_a_ticket_in_fit() -> None:
    """Also in a copy that scikit-learn makes for a search."""
    clone = pytest.importorskip("sklearn.base", reason="scikit-learn is not installed").clone
    start = Net(16)
    mask = lottery.prune(start, fraction=0.5)
    callback = ticket_callback(mask, start.state_dict())
    net = clone(make_net(callbacks=[("ticket", callback)])).fit(*DATA)
    kept = {name: weight != 0 for name, weight in net.module_.state_dict().items() if name in mask}
    assert all(torch.equal(kept[name], mask[name]) for name in mask)
    torch.optim.SGD(net.module_.parameters(), lr=1.0).step()
    assert torch.equal(net.module_.last.weight != 0, mask["last.weight"])
    with pytest.raises(MaskError):
        make_net(callbacks=[ticket_callback({"other": torch.ones(1)})]).fit(*DATA)


def test_who_interrupts_a_training_means_the_run() -> None:
    """Though skorch takes it for an early stop."""

    class Interrupted(Net):
        def forward(self, x: torch.Tensor) -> Any:
            if self.training:
                raise KeyboardInterrupt
            return super().forward(x)

    def make_interrupted() -> Any:
        return make_net().set_params(module=Interrupted)

    with pytest.raises(KeyboardInterrupt):
        train_once(own_task(**skorch_task(make_interrupted, DATA, DATA)))
