"""What criteria are given to look at, and prunings by what they see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from lottery.core import CRITERIA, Mask, Probe, ScoreContext, allocate, select
from lottery.errors import MaskError, UsageError
from lottery.rng import Streams
from lottery.testing.samples import (
    TiedModel,
    convolutional,
    initial_state,
    random_sparse_mask,
    tiny_dataset,
    tiny_mlp,
)
from lottery.tickets import PruneConfig, Ticket, make_probe, prune_mask
from lottery.training.loss import batch_loss

DATA = tiny_dataset()
STREAMS = Streams(0, 0)


def probe_of(
    config: PruneConfig,
    level: int = 1,
    *,
    make_model: Callable[[], nn.Module] = tiny_mlp,
    mask: Mask | None = None,
    streams: Streams = STREAMS,
) -> Probe:
    return make_probe(
        config,
        level,
        mask or random_sparse_mask(make_model, 0.5),
        model=make_model(),
        trained=initial_state(make_model),
        data=DATA,
        loss="mse",
        streams=streams,
    )


def examples(probe: Probe) -> list[int]:
    """Which training examples the probe has, in its order."""
    rows = torch.cat([inputs for inputs, _ in probe.batches])
    targets = torch.cat([targets for _, targets in probe.batches])
    found = [
        next(i for i, one in enumerate(DATA.train.inputs) if torch.equal(one, row)) for row in rows
    ]
    assert torch.equal(DATA.train.targets[found], targets)
    return found


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (27, 27, [27]),
        (27, 100, [27]),
        (20, 10, [10, 10]),
        (21, 10, [7, 7, 7]),
        (23, 8, [8, 8, 7]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_batches_are_even_and_hold_each_example_once(
    count: int, batch_size: int, sizes: list[int]
) -> None:
    probe = probe_of(PruneConfig(examples=count, batch_size=batch_size))

    assert [len(targets) for _, targets in probe.batches] == sizes
    assert len(set(examples(probe))) == count


def test_examples_are_drawn_by_replicate_and_level() -> None:
    config = PruneConfig(examples=10)

    drawn = examples(probe_of(config))

    assert drawn == examples(probe_of(config))
    assert drawn != examples(probe_of(config, level=2))
    assert drawn != examples(probe_of(config, streams=Streams(0, 1)))
    assert drawn != list(range(10))


def test_more_examples_than_there_are() -> None:
    config = PruneConfig(criterion="snip", examples=28)

    with pytest.raises(UsageError, match=r"prune\.examples: expected 27 or fewer, .* got 28"):
        probe_of(config)


@pytest.mark.parametrize("make_model", [tiny_mlp, convolutional, TiedModel])
def test_the_model_has_the_deciding_state_under_the_mask(
    make_model: Callable[[], nn.Module],
) -> None:
    mask, state = random_sparse_mask(make_model, 0.5), initial_state(make_model)
    masked = mask.apply(state)

    model = probe_of(PruneConfig(examples=5), make_model=make_model, mask=mask).model

    assert set(model.state_dict()) == set(state)
    for name, value in model.named_parameters():
        assert torch.equal(value, masked[name])
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, state[name])


@pytest.mark.parametrize("make_model", [tiny_mlp, convolutional, TiedModel])
def test_the_model_is_the_one_that_a_ticket_with_held_weights_trains(
    make_model: Callable[[], nn.Module],
) -> None:
    mask, state = random_sparse_mask(make_model, 0.5), initial_state(make_model)
    held = {name: torch.full_like(state[name], 0.25) for name in mask}
    expected = Ticket(mask=mask, weights=state, pruned=held).start()

    probe = make_probe(
        PruneConfig(examples=5),
        1,
        mask,
        model=make_model(),
        trained=state,
        data=DATA,
        loss="mse",
        streams=STREAMS,
        pruned=held,
    )

    assert probe.pruned == held
    for name in mask:
        assert torch.equal(probe.model.get_parameter(name), expected[name])
        assert bool((expected[name][~mask[name]] == 0.25).all())
    with pytest.raises(MaskError, match="is not among the prunable weights"):
        make_probe(
            PruneConfig(examples=5),
            1,
            mask,
            model=make_model(),
            trained=state,
            data=DATA,
            loss="mse",
            streams=STREAMS,
            pruned={},
        )


def test_the_loss_is_the_training_s() -> None:
    outputs, targets = torch.rand(4, 3), torch.tensor([0, 1, 2, 0])

    loss = probe_of(PruneConfig(examples=5)).loss

    assert torch.equal(loss(outputs, targets), batch_loss("mse", outputs, targets))


def pruned(config: PruneConfig, probe: Probe | None, mask: Mask) -> Mask:
    state = initial_state(tiny_mlp)
    return prune_mask(config, 1, mask, trained=state, initial=state, streams=STREAMS, probe=probe)


def test_a_network_of_doubles_is_shown_doubles() -> None:
    def make_model() -> nn.Module:
        return tiny_mlp().double()

    config = PruneConfig(criterion="snip", examples=20)
    mask = random_sparse_mask(make_model, 0.5)
    probe = probe_of(config, make_model=make_model, mask=mask)
    assert {inputs.dtype for inputs, _ in probe.batches} == {torch.float64}
    state = initial_state(make_model)
    prune_mask(config, 1, mask, trained=state, initial=state, streams=STREAMS, probe=probe)


def test_a_pruning_by_examples_is_score_and_select() -> None:
    config = PruneConfig(criterion="taylor", examples=20, batch_size=8, fraction=0.3)
    probe, mask = probe_of(config), random_sparse_mask(tiny_mlp, 0.5)
    weights = {name: initial_state(tiny_mlp)[name] for name in mask}
    context = ScoreContext(
        weights=weights, initial=weights, mask=mask, generator=torch.Generator(), probe=probe
    )
    survivors = {name: kept for name, (kept, _) in mask.layers.items()}
    groups = allocate(survivors, scope="layer", fraction=0.3)

    assert pruned(config, probe, mask) == select(CRITERIA["taylor"].score(context), mask, groups)


def test_without_the_probe_it_needs() -> None:
    with pytest.raises(UsageError, match=r"expected ScoreContext\.probe to be a Probe, got None"):
        pruned(PruneConfig(criterion="snip"), None, random_sparse_mask(tiny_mlp, 1.0))


@pytest.mark.parametrize(
    ("criterion", "regrow"),
    [
        (name, regrow)
        for name in ("snip", "hessian", "synflow", "random")
        for regrow in (False, True)
    ],
)
def test_rounds_end_at_the_same_count_and_see_what_is_left(criterion: str, regrow: bool) -> None:
    mask = random_sparse_mask(tiny_mlp, 0.9)
    config = PruneConfig(criterion=criterion, examples=20, fraction=0.7, scope="global")
    several = replace(config, rounds=5, regrow=regrow)

    once, often = (pruned(c, probe_of(c, mask=mask), mask) for c in (config, several))

    assert once.kept == often.kept == mask.kept - round(0.7 * mask.kept)
    assert often.is_subset(mask)
    assert once != often
    assert often == pruned(several, probe_of(several, mask=mask), mask)


def test_magnitudes_do_not_change_over_the_rounds() -> None:
    mask = random_sparse_mask(tiny_mlp, 0.9)
    config = PruneConfig(fraction=0.7)

    assert pruned(config, None, mask) == pruned(replace(config, rounds=4), None, mask)


def test_what_must_stay_is_not_pruned_by_chance() -> None:
    """No batch norm in sight, so its scales say nothing about any layer."""
    mask = random_sparse_mask(tiny_mlp, 1.0)
    config = PruneConfig(criterion="bn-scale", examples=5)

    with pytest.raises(UsageError, match=r"cannot say what of fc1\.weight, fc2\.weight, output"):
        pruned(config, probe_of(config), mask)


@pytest.mark.parametrize(
    ("scope", "fractions"), [("layer", {"5.weight": 0.0}), ("global", {"5.weight": 0.0})]
)
def test_bn_scale_prunes_where_there_is_batch_norm(scope: str, fractions: dict[str, float]) -> None:
    state = dict(initial_state(convolutional))
    state["1.weight"] = torch.tensor([0.1, -3.0, 0.2, 2.0])
    mask = Mask.dense({name: state[name] for name in ("0.weight", "5.weight")})
    config = PruneConfig(
        criterion="bn-scale",
        scope="layer" if scope == "layer" else "global",
        fraction=0.5,
        fractions=fractions,
        examples=5,
    )
    probe = make_probe(
        config,
        1,
        mask,
        model=convolutional(),
        trained=state,
        data=DATA,
        loss="cross-entropy",
        streams=STREAMS,
    )

    after = prune_mask(config, 1, mask, trained=state, initial=state, streams=STREAMS, probe=probe)

    assert after["0.weight"].flatten(1).all(1).tolist() == [False, True, False, True]
    assert after.layers["0.weight"] == (18, 36)
    assert after["5.weight"].all()


def absolute(context: ScoreContext, *, power: int) -> dict[str, Tensor]:
    return {name: context.weights[name].abs() ** power for name in context.mask}


mine = partial(absolute, power=3)


def test_a_criterion_of_one_s_own_by_its_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("made_up_for_this_test")
    module.mine = mine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_up_for_this_test", module)
    mask = random_sparse_mask(tiny_mlp, 1.0)
    config = PruneConfig(criterion="made_up_for_this_test:mine", examples=5)

    assert config.problems() == []
    assert pruned(config, probe_of(config), mask) == pruned(PruneConfig(), None, mask)
