"""One training: the same in whatever form its layers are, and on from any checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from lottery.blas import one_blas_thread
from lottery.core import Mask
from lottery.data import Dataset, Split
from lottery.errors import UsageError
from lottery.testing.expect import expect_close, expect_same_result, same_bytes
from lottery.testing.plain import plain_training
from lottery.testing.running import Recorder, in_precision
from lottery.testing.samples import OPTIMIZERS, mlp_job, tiny_config, tiny_dataset
from lottery.training import Checkpoint, Length, TrainingJob, TrainingResult
from lottery.training.engines.sparse_cpu import SparseCpuEngine
from lottery.training.engines.sparse_cpu import training as module
from lottery.training.engines.sparse_cpu.dropout import apply_dropout, stream_key
from lottery.training.engines.sparse_cpu.inputs import make_inputs
from lottery.training.engines.sparse_cpu.layers import BACKGROUND, DENSE, SPARSE
from lottery.training.engines.sparse_cpu.training import Training

Forms = tuple[int, ...]

DROPOUT = 0.4

# Of the first layer, of a hidden one and of the last.
ALL_FORMS: list[Forms] = list(
    product((DENSE, SPARSE, BACKGROUND), (DENSE, SPARSE), (DENSE, SPARSE))
)
SOME_FORMS: list[Forms] = [
    (DENSE, DENSE, DENSE),
    (SPARSE, SPARSE, SPARSE),
    (BACKGROUND, SPARSE, DENSE),
]
every_form = pytest.mark.parametrize("forms", SOME_FORMS, ids=["dense", "sparse", "background"])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As in training."""
    with one_blas_thread():
        yield


def images(train: int = 27) -> Dataset:
    """A few values, and most of them background."""
    data = tiny_dataset(train=train, input_shape=(1, 10, 50))
    generator = torch.Generator().manual_seed(0)

    def image_like(split: Split) -> Split:
        background = torch.rand(split.inputs.shape, generator=generator) < 0.8
        inputs = (split.inputs * 8).round() / 8
        return Split(torch.where(background, -2.0, inputs), split.targets)

    return replace(
        data,
        train=image_like(data.train),
        validation=image_like(data.validation),
        test=image_like(data.test),
    )


def job(
    optimizer: str = "Adam",
    *,
    density: float = 0.3,
    dropout: float = 0.0,
    train: int = 27,
    batch_size: int = 8,
) -> TrainingJob:
    """Of a network wider than a panel and a tile, in double precision."""
    config = tiny_config(OPTIMIZERS[optimizer], base=0.01, batch_size=batch_size)
    data = images(train)
    # Where there is no background, its form would read beyond an array's end.
    assert len(make_inputs(data, torch.float64)["train"].starts)
    made = mlp_job((70, 20), config, dropout=dropout, density=density, data=data)
    return in_precision(replace(made, snapshots_at=(0, 1, 7, 12)), torch.float64)


def train(
    job: TrainingJob, forms: Sequence[int], checkpoints: list[Checkpoint], *, steps_at_once: int = 1
) -> TrainingResult:
    """Train in given forms, with a checkpoint after every so many steps."""
    training = Training(job, forms=list(forms))
    training.begin()
    checkpoints.append(training.checkpoint())
    while not training.progress.over:
        training.advance(steps_at_once)
        checkpoints.append(training.checkpoint())
    return training.result("sparse_cpu")


def expect_plain(job: TrainingJob, forms: Sequence[int]) -> None:
    expected = plain_training(job).snapshots
    result = train(job, forms, [])
    for at, state in result.snapshots.items():
        expect_close(state, expected[at], 1e-10, f"forms {forms}, iteration {at}")


@pytest.mark.parametrize("dropout", [0.0, DROPOUT])
def test_forms_change_nothing_but_rounding(dropout: float) -> None:
    """With dropout too: what is dropped does not depend on them."""
    made = job(dropout=dropout)
    expected = train(made, ALL_FORMS[0], [])
    for forms in ALL_FORMS[1:]:
        got = train(made, forms, [])
        for at, state in expected.snapshots.items():
            expect_close(got.snapshots[at], state, 1e-10, f"forms {forms}, iteration {at}")
        for point, other in zip(got.curve, expected.curve, strict=True):
            assert point.loss == pytest.approx(other.loss, rel=1e-10)
            assert point.accuracy == other.accuracy


def kept_units(job: TrainingJob, iteration: int, layer: int, units: int, examples: int) -> Tensor:
    """Which of a layer's outputs a step keeps, ``[examples, units]``."""
    key: Any = np.uint64(stream_key(job.streams.seed_of("dropout"), iteration, layer))
    blocks = []
    for block in range(-(-examples // 64)):
        blocks.append(np.ones((units, 64)))
        apply_dropout(key, DROPOUT, block, blocks[-1])
    return torch.from_numpy(np.concatenate(blocks, axis=1).T[:examples] > 0)


def plain_training_with_dropout(job: TrainingJob, steps: int) -> dict[str, Tensor]:
    """Gradient descent on a dense network, with the units that the engine drops."""
    state = {name: value.clone().requires_grad_() for name, value in job.start.items()}
    split, size = job.data.train, job.config.batch_size
    order = torch.randperm(len(split), generator=job.streams.generator("order", 0))
    for iteration in range(steps):
        chosen = order[iteration * size :][:size]
        x = split.inputs[chosen].double().flatten(1)
        for number, name in enumerate(("fc1", "fc2")):
            x = torch.relu(linear(x, state[f"{name}.weight"], state[f"{name}.bias"]))
            kept = kept_units(job, iteration, number, x.shape[1], len(x))
            x = torch.where(kept, x / (1 - DROPOUT), 0.0)
        outputs = linear(x, state["output.weight"], state["output.bias"])
        loss = cross_entropy(outputs, split.targets[chosen])
        grad_outputs = torch.autograd.grad(loss, list(state.values()))
        with torch.no_grad():
            for value, slope in zip(state.values(), grad_outputs, strict=True):
                value -= job.config.learning_rate.base * slope
    return {name: value.detach() for name, value in state.items()}


@every_form
def test_steps_with_dropout_are_those_of_what_is_left(forms: Forms) -> None:
    """Forward and backward leave out the same units: of each step, layer and block its own."""
    made = job("SGD", density=1.0, dropout=DROPOUT, train=300, batch_size=100)
    made = replace(made, config=replace(made.config, length=Length(amount=3)), snapshots_at=())
    expected = plain_training_with_dropout(made, 3)

    for steps_at_once in (1, 3):
        got = train(made, forms, [], steps_at_once=steps_at_once)
        expect_close(got.final, expected, 1e-10, f"{steps_at_once} steps at once")


@every_form
@pytest.mark.parametrize(
    ("examples", "batch_size"), [(27, 8), (129, 64), (130, 100), (65, 64), (200, 128), (9, 1)]
)
def test_last_batches_are_as_small_as_they_are(
    forms: Forms, examples: int, batch_size: int
) -> None:
    expect_plain(job("SGD with momentum", train=examples, batch_size=batch_size), forms)


def cut(mask: Mask, what: str) -> Mask:
    """Without some or all of the weights of a layer."""
    kept: dict[str, Tensor] = dict(mask)
    if what.startswith("nothing"):
        kept[f"{what.split()[-1]}.weight"][:] = False
    elif what == "inputs that feed nothing":
        kept["fc1.weight"][:, 100:200] = False
    elif what == "the first and the last units without inputs":
        kept["fc1.weight"][[0, 1, 68, 69]] = False
        kept["fc2.weight"][[0, 18, 19]] = False
        kept["output.weight"][[0, 2]] = False
    elif what == "the first and the last units without outputs":
        kept["fc2.weight"][:, [0, 1, 68, 69]] = False
        kept["output.weight"][:, [0, 18, 19]] = False
    return Mask(kept)


@every_form
@pytest.mark.parametrize(
    "what",
    [
        "nothing left of fc1",
        "nothing left of fc2",
        "nothing left of output",
        "inputs that feed nothing",
        "the first and the last units without inputs",
        "the first and the last units without outputs",
    ],
)
def test_layers_of_which_little_is_left(forms: Forms, what: str) -> None:
    for made in (job("Adam"), job("SGD with weight decay", density=1.0)):
        expect_plain(replace(made, mask=cut(made.mask, what)), forms)


@every_form
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_a_pruned_weight_never_moves(forms: Forms, optimizer: str) -> None:
    """Nor does anything that the optimizer keeps of it; a zero, and not a negative one."""
    checkpoints: list[Checkpoint] = []
    made = job(optimizer)
    train(made, forms, checkpoints)

    for checkpoint in checkpoints:
        for what in ("parameters", "first", "second"):
            for name, kept in made.mask.items():
                pruned = checkpoint.tensors[f"{what}/{name}"][~kept]
                assert same_bytes(pruned, torch.zeros_like(pruned))
    moved = checkpoints[-1].tensors["parameters/fc2.weight"]
    assert (moved != made.start["fc2.weight"])[made.mask["fc2.weight"]].any()


def always(*forms: int) -> Callable[..., int]:
    """In the place of the choice: these forms, layer after layer."""
    chosen = iter(forms * 100)
    return lambda *arguments, **options: next(chosen)


@pytest.mark.parametrize("before", SOME_FORMS, ids=["dense", "sparse", "background"])
def test_a_checkpoint_goes_on_in_its_own_forms(
    before: Forms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that would choose others, the rest of the training must have the same bytes."""
    made, engine = job(dropout=0.2), SparseCpuEngine()
    monkeypatch.setattr(module, "fastest_form", always(*before))
    recorder = Recorder()
    (expected,) = engine.train([made], [recorder])
    assert all(kept.values["forms"] == list(before) for kept in recorder.kept)

    for after in SOME_FORMS:
        monkeypatch.setattr(module, "fastest_form", always(*after))
        resumed = Recorder(recorder.kept[4])
        (got,) = engine.train([made], [resumed])
        expect_same_result(got, expected, f"from {before}, where {after} would be chosen")
        assert resumed.kept[-1].values["forms"] == list(before)


def test_the_choice_is_by_layer_and_by_what_is_known_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Mapping[str, object]] = []

    def choose(costs: object, kept: object, **known: object) -> int:
        asked.append(known)
        return DENSE

    monkeypatch.setattr(module, "fastest_form", choose)
    made = job(train=9, batch_size=60)
    Training(made)

    differing = (made.data.train.inputs != -2.0).double().sum() / 9
    assert asked == [
        {"entries": pytest.approx(float(differing)), "batch_size": 9},
        {"entries": None, "batch_size": 9},
        {"entries": None, "batch_size": 9},
    ]
    # Without a background there is nothing to start from.
    asked.clear()
    Training(replace(made, data=tiny_dataset(input_shape=(1, 10, 50))))
    assert asked[0]["entries"] is None


def test_data_are_shared_by_trainings() -> None:
    made = job()
    one, other = Training(made), Training(replace(made, mask=cut(made.mask, "nothing of fc2")))

    for name, inputs in one.inputs.items():
        assert other.inputs[name] is inputs


@pytest.mark.parametrize("forms", [(DENSE, DENSE, BACKGROUND), (9, DENSE, DENSE)])
def test_forms_that_no_layer_has_are_refused(forms: Forms) -> None:
    """Such as in a checkpoint that someone has changed: compiled code checks no bounds."""
    with pytest.raises(UsageError, match="do not fit these data"):
        Training(job(), forms=list(forms))


def test_only_compressed_data_have_a_background() -> None:
    data = tiny_dataset(input_shape=(1, 10, 50))
    assert not len(make_inputs(data, torch.float64)["train"].starts)
    with pytest.raises(UsageError, match="do not fit these data"):
        Training(replace(job(), data=data), forms=[BACKGROUND, DENSE, DENSE])
