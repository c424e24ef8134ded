"""Every control changes what it claims to, and nothing else."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch
from bound import initialized
from scipy import stats

from lottery.core import Mask, make_units
from lottery.data import Dataset
from lottery.experiments import ExperimentConfig
from lottery.methods import CONTROL_KINDS, ControlsConfig
from lottery.rng import Streams
from lottery.testing import tiny_dataset
from lottery.testing.samples import random_sparse_mask
from lottery.tickets import (
    PruneConfig,
    Ticket,
    continued,
    random_mask,
    random_signs,
    reinit,
    reinit_with_signs,
    scratch,
    shuffled_global,
    signs_constant,
    signs_random_magnitudes,
)

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


def test_reinit_draws_every_weight_anew_and_resumes(data: Dataset, ticket: Ticket) -> None:
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


def sorted_magnitudes(weight: torch.Tensor) -> torch.Tensor:
    return weight.abs().flatten().sort().values


def same_sign(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.signbit(), b.signbit())


def rest_is_same(ticket: Ticket, control: Ticket) -> None:
    assert control.mask == ticket.mask
    assert control.iteration == ticket.iteration
    assert set(control.weights) == set(ticket.weights)
    for name in set(ticket.weights) - set(ticket.mask):
        assert torch.equal(control.weights[name], ticket.weights[name])


def test_shuffled_global_keeps_the_count_in_all_and_moves_it_between_layers(
    ticket: Ticket,
) -> None:
    sparse = dict(ticket.mask)
    sparse["fc1.weight"] = torch.zeros_like(sparse["fc1.weight"])
    sparse["fc1.weight"].view(-1)[::10] = True
    uneven = replace(ticket, mask=Mask(sparse))

    control = shuffled_global(uneven, torch.Generator().manual_seed(0))

    assert control.mask.kept == uneven.mask.kept
    assert control.mask.layers != uneven.mask.layers
    assert control.weights is uneven.weights
    assert (control.iteration, control.provenance) == (uneven.iteration, uneven.provenance)
    for left, total in control.mask.layers.values():
        deviation = math.sqrt(total * uneven.mask.density * (1 - uneven.mask.density))
        assert abs(left - uneven.mask.density * total) < 5 * deviation
    start = control.start()
    for name, kept in control.mask.items():
        enabled = kept & ~uneven.mask[name]
        assert enabled.any()
        assert torch.equal(start[name][enabled], ticket.weights[name][enabled])


def test_shuffled_global_chooses_every_weight_of_every_layer_equally_often() -> None:
    mask = Mask({"a": torch.tensor([True, True]), "b": torch.tensor([[False], [False], [False]])})
    one = Ticket(mask=mask, weights={"a": torch.ones(2), "b": torch.ones(3, 1)})
    generator = torch.Generator().manual_seed(0)

    def drawn() -> torch.Tensor:
        found = shuffled_global(one, generator).mask
        return torch.cat([found["a"], found["b"].flatten()]).int()

    counts = torch.stack([drawn() for _ in range(1_500)]).sum(dim=0)
    assert int(counts.sum()) == 3_000
    assert stats.chisquare(counts.numpy()).pvalue > 0.01


def test_shuffled_global_leaves_exempt_layers_as_they_are() -> None:
    mask = Mask(
        {
            "a": torch.tensor([True, False] * 20),
            "b": torch.tensor([[True, False]] * 20),
            "output": torch.ones(30, dtype=torch.bool),
        }
    )
    one = Ticket(mask=mask, weights={name: torch.ones(kept.shape) for name, kept in mask.items()})
    generator = torch.Generator().manual_seed(0)

    found = [shuffled_global(one, generator, exempt=["output"]).mask for _ in range(3)]

    for other in found:
        assert other["output"].all()
        assert other.kept == mask.kept
        assert other != mask
    assert len({other.layers["a"] for other in found}) > 1
    assert shuffled_global(one, generator, exempt=["a", "b", "output"]).mask == mask


def test_shuffled_global_moves_whole_units_and_spares_exempt_homes() -> None:
    shapes = {"a": (8, 3), "b": (6, 8), "c": (5, 6)}
    units = make_units("neuron", shapes)
    assert units is not None
    rows = {name: torch.arange(shape[0]) % 2 == 0 for name, shape in shapes.items()}
    rows["c"][:] = True
    mask = Mask({n: rows[n][:, None].expand(shape) for n, shape in shapes.items()})
    one = Ticket(mask=mask, weights={name: torch.ones(shape) for name, shape in shapes.items()})
    generator = torch.Generator().manual_seed(0)

    found = [shuffled_global(one, generator, units, ["c"]).mask for _ in range(6)]

    for other in found:
        assert other["c"].all()
        alive = {name: other[name].any(1) for name in other}
        assert all(torch.equal(other[n].all(1), alive[n]) for n in other)
        assert sum(int(a.sum()) for a in alive.values()) == 4 + 3 + 5
    assert len({other.layers["a"] for other in found}) > 1


def test_random_mask_of_units_keeps_every_count_and_the_weights() -> None:
    shapes = {"a": (8, 3), "b": (6, 8)}
    units = make_units("neuron", shapes)
    rows = {name: torch.arange(shape[0]) % 2 == 0 for name, shape in shapes.items()}
    mask = Mask({n: rows[n][:, None].expand(shape) for n, shape in shapes.items()})
    one = Ticket(mask=mask, weights={name: torch.ones(shape) for name, shape in shapes.items()})

    control = random_mask(one, torch.Generator().manual_seed(0), units)

    assert control.mask != mask
    unbroken(one, control)
    assert control.weights is one.weights
    assert all(torch.equal(k.any(1), k.all(1)) for k in control.mask.values())


def test_signs_stay_and_magnitudes_are_drawn_from_the_initialization(
    data: Dataset, ticket: Ticket
) -> None:
    control = signs_random_magnitudes(
        ticket, lambda: initialized(CONFIG, data, Streams(0, 0), "signs", 1)
    )

    rest_is_same(ticket, control)
    for name, weight in weights_of(control).items():
        assert same_sign(weight, ticket.weights[name])
        assert not (weight.abs() == ticket.weights[name].abs()).any()
        standard = weight.abs().flatten().double().numpy() / math.sqrt(2 / sum(weight.shape))
        assert stats.kstest(standard, "halfnorm").pvalue > 0.01, name


def test_signs_of_another_state_are_all_that_a_new_initialization_takes_over(
    data: Dataset, ticket: Ticket
) -> None:
    fresh = initialized(CONFIG, data, Streams(0, 0), "signs", 1)
    trained = {name: -value + 0.01 for name, value in ticket.weights.items()}

    control = reinit_with_signs(ticket, trained, lambda: fresh)

    assert control.mask == ticket.mask
    for name, value in fresh.state_dict().items():
        assert torch.equal(control.weights[name].abs(), value.abs()), name
        expected = trained if name in ticket.mask else fresh.state_dict()
        assert torch.equal(control.weights[name].signbit(), expected[name].signbit()), name


def test_one_magnitude_in_each_layer_is_the_deviation_of_its_initial_weights(
    ticket: Ticket,
) -> None:
    rewound = replace(ticket, weights={n: 3 * v + 0.01 for n, v in ticket.weights.items()})

    control = signs_constant(rewound, ticket.weights)

    rest_is_same(rewound, control)
    for name, weight in weights_of(control).items():
        initial = ticket.weights[name].flatten().double()
        deviation = math.sqrt(float(((initial - initial.mean()) ** 2).mean()))
        assert same_sign(weight, rewound.weights[name])
        assert len(weight.abs().unique()) == 1
        assert float(weight.abs()[0, 0]) == pytest.approx(deviation, rel=1e-6)


def test_random_signs_keep_every_magnitude_in_its_place(ticket: Ticket) -> None:
    control = random_signs(ticket, torch.Generator().manual_seed(0))

    rest_is_same(ticket, control)
    for name, weight in weights_of(control).items():
        assert torch.equal(weight.abs(), ticket.weights[name].abs())
        positive = int((~weight.signbit()).sum())
        assert stats.binomtest(positive, weight.numel()).pvalue > 0.01
        agree = int((weight.signbit() == ticket.weights[name].signbit()).sum())
        assert stats.binomtest(agree, weight.numel()).pvalue > 0.01
    other = random_signs(ticket, torch.Generator().manual_seed(1))
    assert not same_sign(other.weights["fc1.weight"], control.weights["fc1.weight"])


def test_scratch_is_a_new_initialization_from_the_very_beginning(
    data: Dataset, ticket: Ticket
) -> None:
    def initialize() -> torch.nn.Module:
        return initialized(CONFIG, data, Streams(0, 0), "scratch-epochs-1", 1)

    control = scratch(ticket, initialize)

    assert control.iteration == 0
    assert control.mask == ticket.mask
    again = reinit(ticket, initialize)
    assert again.iteration == ticket.iteration
    assert all(torch.equal(control.weights[n], again.weights[n]) for n in again.weights)


def test_held_weights_follow_the_weights_that_replace_them(data: Dataset, ticket: Ticket) -> None:
    held = {n: w.masked_fill(w > 0, 0.0) for n, w in weights_of(ticket).items()}
    held_ticket = replace(ticket, pruned=held)

    def initialize() -> torch.nn.Module:
        return initialized(CONFIG, data, Streams(0, 0), "reinit-1", 1)

    generator = torch.Generator().manual_seed(0)
    changed = [
        reinit(held_ticket, initialize),
        signs_constant(held_ticket, ticket.weights),
        random_signs(held_ticket, generator),
    ]
    for control in changed:
        assert control.pruned is not None
        for name, value in control.pruned.items():
            zero = held[name] == 0
            assert torch.equal(value == 0, zero)
            assert torch.equal(value[~zero], control.weights[name][~zero])
    for control in (random_mask(held_ticket, generator), shuffled_global(held_ticket, generator)):
        assert control.pruned is held
    assert continued(held_ticket, ticket.weights).pruned is held


def test_every_kind_of_control_has_its_number_in_the_config() -> None:
    numbers = {field.name.replace("_", "-") for field in fields(ControlsConfig)}
    assert numbers == set(CONTROL_KINDS)
    assert ControlsConfig(scratch_flops=100, random_signs=-1).problems() == [
        "random_signs: must be between 0 and 99, got -1",
        "scratch_flops: must be between 0 and 99, got 100",
    ]
