"""How far trainings are that have begun."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tiny import tiny

from lottery.experiments import unfinished_trainings
from lottery.methods import ControlsConfig, Iterative, RewindConfig
from lottery.store import JobKey, Store
from lottery.training import Checkpoint, Length

TICKET, FLOPS = JobKey(0, "main", 1), JobKey(0, "scratch-flops-1", 1)


def keep(store: Store, key: JobKey, iteration: int) -> None:
    store.write_checkpoint(key, Checkpoint(iteration=iteration, tensors={}, values={}))


def test_begun_trainings_say_their_iteration_of_how_many(tmp_path: Path) -> None:
    config, store = tiny(controls=ControlsConfig(scratch_flops=1)), Store(tmp_path)
    assert unfinished_trainings(store, config, 4500) == []
    for iteration in (7, 12):
        keep(store, TICKET, iteration)
    keep(store, FLOPS, 3)
    keep(store, JobKey(9, "main", 0), 3)  # of no plan
    assert [str(one) for one in unfinished_trainings(store, config, 4500)] == [
        "replicate 0, main, level 1: iteration 12 of 30",
        "replicate 0, scratch-flops-1, level 1: iteration 3 of at most 60",
    ]


def test_epochs_are_counted_by_the_examples_and_fine_tuning_goes_beyond(tmp_path: Path) -> None:
    plain, store = tiny(), Store(tmp_path)
    training = replace(plain.training, length=Length(amount=2, unit="epochs"))
    rewind = RewindConfig(kind="fine-tune", length=Length(amount=1, unit="epochs"))
    tuned = Iterative(rewind=rewind)
    keep(store, TICKET, 160)
    for changed, last in ({"training": training}, 150), ({"method": tuned}, 30 + 75):
        assert [
            one.last for one in unfinished_trainings(store, replace(plain, **changed), 4500)
        ] == [last]


def test_what_was_not_committed_is_no_checkpoint(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, TICKET, 12)
    beside = store.directory(TICKET).parent
    (beside / ".checkpoint-level-01-000000000099").mkdir()
    (beside / ".checkpoint-level-01-none").mkdir()
    assert store.checkpoint_iteration(TICKET) == 12
