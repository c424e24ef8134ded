"""Every control changes what it claims to, and nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from lottery.core import Mask
from lottery.data import Dataset
from lottery.experiments import ExperimentConfig
from lottery.experiments.execute import initialized
from lottery.rng import Streams
from lottery.testing import tiny_dataset
from lottery.testing.samples import random_sparse_mask
from lottery.tickets import ControlsConfig, PruneConfig, Ticket, continued, random_mask, reinit

CONFIG = ExperimentConfig(name="test", model="mlp-40-20")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return tiny_dataset()


@pytest.fixture(scope="module")
def ticket(data: Dataset) -> Ticket:
    model = initialized(CONFIG, data, Streams(0, 0), "init")
    return Ticket(
        mask=random_sparse_mask(lambda: model, 0.4),
        weights={name: value.clone() for name, value in model.state_dict().items()},
        iteration=7,
        provenance={"replicate": 0},
    )


def weights_of(ticket: Ticket) -> dict[str, torch.Tensor]:
    return {name: ticket.weights[name] for name in ticket.mask}


def unbroken(ticket: Ticket, control: Ticket) -> None:
    """What no control may touch."""
    assert control.iteration == ticket.iteration
    assert control.provenance == ticket.provenance
    assert control.mask.layers == ticket.mask.layers
    assert set(control.weights) == set(ticket.weights)


def test_reinit_draws_every_weight_anew_and_keeps_the_mask(data: Dataset, ticket: Ticket) -> None:
    before = {name: value.clone() for name, value in ticket.weights.items()}
    models = [initialized(CONFIG, data, Streams(0, 0), f"reinit-{n}", 1) for n in (1, 2, 3)]

    controls = [reinit(ticket, model.requires_grad_) for model in models]

    everything = [ticket, *controls]
    for number, control in enumerate(controls, start=1):
        unbroken(ticket, control)
        assert control.mask == ticket.mask
        for name, weight in weights_of(control).items():
            for other in everything[:number]:
                assert not (weight == other.weights[name]).any()
    assert all(torch.equal(ticket.weights[name], before[name]) for name in before)


def test_reinit_draws_from_the_distribution_of_the_initialization(
    data: Dataset, ticket: Ticket
) -> None:
    control = reinit(ticket, lambda: initialized(CONFIG, data, Streams(0, 0), "reinit-1", 1))

    for name, weight in weights_of(control).items():
        standard = weight.flatten().double().numpy() / math.sqrt(2 / sum(weight.shape))
        assert stats.kstest(standard, "norm").pvalue > 0.01, name
    assert not any(v.any() for n, v in control.weights.items() if n.endswith("bias"))


def test_reinit_owns_its_weights(data: Dataset, ticket: Ticket) -> None:
    model = initialized(CONFIG, data, Streams(0, 0), "reinit-1", 1)
    control = reinit(ticket, lambda: model)
    kept = {name: value.clone() for name, value in control.weights.items()}

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(5.0)

    assert all(torch.equal(control.weights[name], kept[name]) for name in kept)


def test_random_mask_moves_the_mask_and_keeps_counts_and_weights(ticket: Ticket) -> None:
    controls = [random_mask(ticket, Streams(0, 0).generator(f"random-mask-{n}")) for n in (1, 2)]

    for control in controls:
        unbroken(ticket, control)
        assert control.weights is ticket.weights
        for name in ticket.mask:
            assert not torch.equal(control.mask[name], ticket.mask[name]), name
    assert controls[0].mask != controls[1].mask


def test_random_mask_enables_weights_at_their_true_value_and_not_at_zero(ticket: Ticket) -> None:
    control = random_mask(ticket, torch.Generator().manual_seed(0))
    start = control.start()

    for name in ticket.mask:
        kept = control.mask[name]
        enabled = kept & ~ticket.mask[name]
        assert enabled.any()
        assert start[name][enabled].all()
        assert torch.equal(start[name][kept], ticket.weights[name][kept])
        assert not start[name][~kept].any()


def test_random_mask_chooses_every_weight_equally_often() -> None:
    mask = Mask({"w": torch.tensor([[True, False, False], [True, False, False]])})
    one = Ticket(mask=mask, weights={"w": torch.ones(2, 3)})
    generator = torch.Generator().manual_seed(0)

    counts = sum(random_mask(one, generator).mask["w"].flatten().int() for _ in range(1_500))

    assert isinstance(counts, torch.Tensor)
    assert int(counts.sum()) == 3_000
    assert stats.chisquare(counts.numpy()).pvalue > 0.01


def test_random_mask_comes_from_its_generator_alone(ticket: Ticket) -> None:
    backwards = Ticket(
        mask=Mask({name: ticket.mask[name] for name in reversed(list(ticket.mask))}),
        weights=ticket.weights,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = random_mask(ticket, torch.Generator().manual_seed(5)).mask
        assert torch.equal(before, torch.get_rng_state())

    assert random_mask(backwards, torch.Generator().manual_seed(5)).mask == first
    assert random_mask(ticket, torch.Generator().manual_seed(6)).mask != first


def test_continued_keeps_the_mask_and_takes_the_trained_weights(ticket: Ticket) -> None:
    trained = {name: value + 0.01 for name, value in ticket.weights.items()}

    control = continued(ticket, trained)

    unbroken(ticket, control)
    assert control.mask == ticket.mask
    assert all(torch.equal(control.weights[name], trained[name]) for name in trained)
    assert not any((control.weights[n] == ticket.weights[n]).any() for n in ticket.mask)


@pytest.mark.parametrize(
    ("config", "problems"),
    [
        (ControlsConfig(), []),
        (ControlsConfig(reinit=0, random_mask=99, continued=True), []),
        (ControlsConfig(reinit=-1, random_mask=100), ["reinit: must", "random_mask: must"]),
        (PruneConfig(), []),
        (PruneConfig(fractions={"output.*": 0.0}), []),
        (
            PruneConfig(criterion="magnitud", fraction=1.0, fractions={"fc*": 1.0}),
            ["criterion: unknown", "fraction: must", "fractions.'fc*': must"],
        ),
        (PruneConfig(criterion="my_package.module:mine", rounds=2, regrow=True), []),
        (
            PruneConfig(examples=0, batch_size=0, rounds=0),
            ["examples: must", "batch_size: must", "rounds: must"],
        ),
        (PruneConfig(rounds=1001), ["rounds: must"]),
        (PruneConfig(regrow=True), ["regrow: weights come back"]),
        (PruneConfig(fraction=0.0), ["fraction: must"]),
        (PruneConfig(fraction=math.nan), ["fraction: must"]),
    ],
)
def test_configs_list_every_problem(
    config: ControlsConfig | PruneConfig, problems: list[str]
) -> None:
    found = config.problems()

    assert len(found) == len(problems)
    for sentence, start in zip(found, problems, strict=True):
        assert sentence.startswith(start)
