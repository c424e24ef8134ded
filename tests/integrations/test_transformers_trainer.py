"""Tickets of a Hugging Face Trainer: a small BERT with loaded weights, rewound to these.

As in "The Lottery Ticket Hypothesis for Pre-trained BERT" (arXiv:2007.12223), section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from own_loops import Kept, own_task, same_result, train_once
from small_bert import Sentences, accuracy, pretrained
from torch import Tensor

import lottery
from lottery.errors import Preempted, UsageError
from lottery.integrations.transformers import trainer_task
from lottery.rng import Streams
from lottery.store import JobKey

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

TRAIN, VALIDATION, TEST = Sentences(64, 1), Sentences(32, 2), Sentences(48, 3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrained(tmp_path_factory.mktemp("bert"))


def maker(
    weights: Path, rows: Any = TRAIN, *, model_init: bool = False, **changes: Any
) -> Callable[[], Any]:
    """The function that a script has, which says nothing of lottery."""

    def bert() -> Any:
        return transformers.BertForSequenceClassification.from_pretrained(weights)

    settings = {"num_train_epochs": 3, "seed": 5, **changes}
    args = transformers.TrainingArguments(
        str(weights / "out"),
        per_device_train_batch_size=16,
        learning_rate=1e-3,
        eval_strategy="epoch",
        logging_steps=2,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **settings,
    )

    def make_trainer() -> Any:
        trainer = transformers.Trainer(
            None if model_init else bert(),
            args,
            model_init=bert if model_init else None,
            train_dataset=rows,
            eval_dataset=VALIDATION,
            compute_metrics=accuracy,
        )
        trainer.remove_callback(transformers.PrinterCallback)
        return trainer

    return make_trainer


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Without a report of each loading that the classifier is new."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    yield
    transformers.logging.enable_progress_bar()
    transformers.logging.set_verbosity(before)


def test_pretrained_bert_with_its_controls(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_trainer = maker(weights)

    def run() -> Any:
        return lottery.find_tickets(
            **trainer_task(make_trainer, TEST),
            levels=1,
            replicates=2,
            fraction=0.4,
            controls={"reinit": 1, "random_mask": 1},
            reinitialize=True,
            out=tmp_path,
            verbose=False,
        )

    found = run()
    main, reinit = JobKey(1, "main", 1), JobKey(1, "reinit-1", 1)
    assert {key.kind for key in found.results} == {"main", "reinit", "random-mask"}
    loaded = transformers.BertModel.from_pretrained(weights).state_dict()
    query = "encoder.layer.1.attention.self.query.weight"
    ticket = found.store.ticket(main)
    kept, rewound = ticket.mask[f"bert.{query}"], ticket.weights[f"bert.{query}"]
    assert torch.equal(rewound[kept], loaded[query][kept])
    drawn = found.store.ticket(reinit).weights[f"bert.{query}"]
    assert not torch.isin(drawn[kept], loaded[query]).any()
    assert not found.store.weights(main)[f"bert.{query}"][~kept].any()
    assert "accuracy" in found.verdict.paragraph
    # The same call finds everything there.
    monkeypatch.setattr(transformers.Trainer, "train", None)
    assert run().verdict.paragraph == found.verdict.paragraph


def test_seeds_are_those_of_the_replicate(weights: Path) -> None:
    """Whatever the arguments say; the same at every level."""

    def order(replicate: int) -> list[int]:
        seen: list[int] = []

        class Watched(Sentences):
            def __getitem__(self, index: int) -> dict[str, Tensor]:
                seen.append(index)
                return super().__getitem__(index)

        train = trainer_task(maker(weights, Watched(64, 1), data_seed=7))
        train_once(own_task(**train), replicate=replicate)
        return seen

    assert order(0) == order(0) != order(1)


def test_a_training_goes_on_to_the_same_bytes(weights: Path) -> None:
    """At the last epoch that it began."""
    task = own_task(**trainer_task(maker(weights)))
    whole = train_once(task, monitor=(monitor := Kept()))
    assert monitor.calls == 2
    for stop_after in (1, 2):
        stopped = Kept(stop_after=stop_after)
        with pytest.raises(Preempted):
            train_once(task, monitor=stopped)
        again = train_once(task, monitor=(monitor := Kept(newest=stopped.newest)))
        assert monitor.calls == 3 - stop_after  # again where it goes on
        assert same_result(whole, again)


def test_the_curve_is_the_trainers(weights: Path) -> None:
    result = train_once(own_task(**trainer_task(maker(weights))), monitor=Kept())
    found = {(p.iteration, p.split): sorted(p.values) for p in result.curve}
    both = ["accuracy", "loss"]
    assert [at for at, split in found if split == "validation"] == [4, 8, 12]
    assert found[4, "validation"] == found[12, "test"] == both
    assert found[2, "training"] == ["loss"]


def test_a_model_that_the_trainer_makes(weights: Path) -> None:
    """With model_init, which the Trainer calls with a seed of its own."""
    functions = trainer_task(maker(weights, model_init=True))
    task = own_task(**functions)
    task.check(replicates=2)
    one, other = (task.initial(Streams(0, number), "init").state_dict() for number in (0, 1))
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])
    assert train_once(task).status == "done"


def test_an_optimizer_of_other_weights_is_refused(weights: Path) -> None:
    def make_trainer() -> Any:
        trainer = maker(weights)()
        trainer.create_optimizer()
        return trainer

    with pytest.raises(UsageError, match="leave optimizers= out"):
        train_once(own_task(**trainer_task(make_trainer)))
