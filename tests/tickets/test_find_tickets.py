"""The method against the same method written out, and against pruning in one go."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from lottery.core import Mask, Scope, planned_densities
from lottery.core.schedule import Schedule
from lottery.errors import MaskError
from lottery.rng import Streams
from lottery.testing import tiny_job
from lottery.tickets import Level, PruneConfig, Ticket, find_tickets, prune_mask
from lottery.training import CurvePoint, State, TrainingJob, TrainingResult
from lottery.training.engines.torch_engine import TorchEngine
from lottery.training.interface import NullMonitor

STREAMS = Streams(0, 0)


def dense_ticket() -> Ticket:
    job = tiny_job(density=1.0)
    return Ticket(mask=job.mask, weights=job.start, provenance={"seed": 0})


def pretended(ticket: Ticket) -> TrainingResult:
    """A training that is over at once: noise that depends on the mask, pruned weights zero."""
    start = ticket.mask.apply(ticket.weights)
    seed = int.from_bytes(hashlib.sha256(str(ticket.mask.layers).encode()).digest()[:4], "big")
    generator = torch.Generator().manual_seed(seed)
    moved = {n: v + 0.1 * torch.randn(v.shape, generator=generator) for n, v in start.items()}
    return result(ticket.mask.apply(moved))


def result(final: State, status: str = "done") -> TrainingResult:
    return TrainingResult(
        status="done" if status == "done" else "diverged",
        curve=(
            CurvePoint.measured(0, "validation", 1.0, 0.5),
            CurvePoint.measured(0, "test", 1.0, 0.5),
        ),
        final=final,
        early_stop=final,
        early_stop_iteration=0,
        snapshots={},
        seconds=0.0,
        engine="pretended",
    )


def levels_of(config: PruneConfig, levels: int, dense: Ticket) -> list[Level]:
    return list(
        find_tickets(
            dense=dense,
            train=pretended,
            prune=lambda level, mask, trained: prune_mask(
                config, level, mask, trained=trained, initial=dense.weights, streams=STREAMS
            ),
            rewind=lambda mask, first: replace(dense, mask=mask),
            levels=levels,
            schedule=config.schedule,
        )
    )


Weight = tuple[float, str, int]


def alive(mask: Mask, trained: State, names: tuple[str, ...]) -> list[Weight]:
    """The survivors of some layers, the ones to keep longest first."""
    return sorted(
        (-abs(float(value)), name, i)
        for name in names
        for i, value in enumerate(trained[name].flatten())
        if mask[name].flatten()[i]
    )


def kept_only(mask: Mask, survivors: set[tuple[str, int]]) -> Mask:
    def flags(name: str) -> Tensor:
        count = mask[name].numel()
        return torch.tensor([(name, i) in survivors for i in range(count)]).view(mask[name].shape)

    return Mask({name: flags(name) for name in mask})


def competing(config: PruneConfig, mask: Mask) -> list[tuple[tuple[str, ...], float]]:
    """Which layers compete, and what share of their weights goes, for the configs used here."""
    if config.scope == "global":
        return [(tuple(mask), config.fraction)]
    return [
        ((n,), config.fractions.get("output.*", 0.0) if n == "output.weight" else 0.2) for n in mask
    ]


def written_out(config: PruneConfig, levels: int, dense: Ticket) -> list[Mask]:
    """Iterative magnitude pruning as a loop over sorted lists."""
    mask, masks = dense.mask, [dense.mask]
    first = trained = pretended(dense).final
    for _ in range(levels):
        deciding = trained if config.schedule == "geometric" else first
        survivors: set[tuple[str, int]] = set()
        for names, share in competing(config, mask):
            ranked = alive(mask, deciding, names)
            survivors |= {(n, i) for _, n, i in ranked[: len(ranked) - round(share * len(ranked))]}
        mask = kept_only(mask, survivors)
        masks.append(mask)
        trained = pretended(replace(dense, mask=mask)).final
    return masks


@pytest.mark.parametrize("schedule", ["geometric", "one-shot"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_masks_are_those_of_the_loop_written_out(scope: Scope, schedule: Schedule) -> None:
    special = {"output.*": 0.1} if scope == "layer" else {}
    config = PruneConfig(scope=scope, schedule=schedule, fraction=0.2, fractions=special)
    dense = dense_ticket()

    levels = levels_of(config, 6, dense)

    assert [level.ticket.mask for level in levels] == written_out(config, 6, dense)
    assert [level.number for level in levels] == list(range(7))
    totals = {name: total for name, (_, total) in dense.mask.layers.items()}
    planned = planned_densities(totals, 6, scope=scope, fraction=0.2, fractions=special)
    assert [level.ticket.mask.density for level in levels] == planned


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_one_shot_is_the_dense_network_pruned_in_one_go(scope: Scope) -> None:
    config = PruneConfig(scope=scope, schedule="one-shot", fraction=0.3)
    dense = dense_ticket()
    trained = pretended(dense).final

    for level in levels_of(config, 5, dense):
        mask = level.ticket.mask
        survivors: set[tuple[str, int]] = set()
        for names in [tuple(mask)] if scope == "global" else [(name,) for name in mask]:
            count = sum(mask.layers[name][0] for name in names)
            survivors |= {(n, i) for _, n, i in alive(dense.mask, trained, names)[:count]}
        assert mask == kept_only(dense.mask, survivors)


def test_the_schedules_agree_on_densities_and_not_on_masks() -> None:
    dense = dense_ticket()

    iterative = levels_of(PruneConfig(schedule="geometric"), 4, dense)
    one_shot = levels_of(PruneConfig(schedule="one-shot"), 4, dense)

    for a, b in zip(iterative, one_shot, strict=True):
        assert a.ticket.mask.layers == b.ticket.mask.layers
    assert iterative[1].ticket.mask == one_shot[1].ticket.mask
    assert iterative[4].ticket.mask != one_shot[4].ticket.mask


def test_masks_shrink_and_weights_rewind_bit_by_bit() -> None:
    dense = dense_ticket()

    levels = levels_of(PruneConfig(fraction=0.4), 5, dense)

    for before, after in pairwise(levels):
        assert after.ticket.mask.is_subset(before.ticket.mask)
        assert after.ticket.mask != before.ticket.mask
        start = after.ticket.start()
        for name, weight in dense.weights.items():
            kept = after.ticket.mask[name] if name in after.ticket.mask else torch.ones_like(weight)
            assert torch.equal(start[name], weight * kept)


def test_random_pruning_draws_anew_at_every_level() -> None:
    dense = dense_ticket()
    config = PruneConfig(criterion="random", fraction=0.5)

    def pruned(level: int, replicate: int = 0) -> Mask:
        return prune_mask(
            config,
            level,
            dense.mask,
            trained=dense.weights,
            initial=dense.weights,
            streams=Streams(0, replicate),
        )

    assert pruned(1) == pruned(1)
    assert pruned(1) != pruned(2)
    assert pruned(1) != pruned(1, replicate=1)


def test_an_emptied_layer_ends_it_before_training() -> None:
    dense, trained = dense_ticket(), 0

    def train(ticket: Ticket) -> TrainingResult:
        nonlocal trained
        trained += 1
        return pretended(ticket)

    def prune(level: int, mask: Mask, state: State) -> Mask:
        emptied = {"output.weight", "fc2.weight"}
        return Mask({n: torch.zeros_like(k) if n in emptied else k for n, k in mask.items()})

    levels = find_tickets(
        dense=dense,
        train=train,
        prune=prune,
        rewind=lambda mask, first: replace(dense, mask=mask),
        levels=3,
    )

    assert next(levels).number == 0
    with pytest.raises(MaskError, match=r"keeps no weight of fc2\.weight, output\.weight"):
        next(levels)
    assert trained == 1


def test_who_knows_the_network_says_whether_a_signal_passes() -> None:
    """An empty layer is no end where something leads around it, and a cut one without is."""
    dense = dense_ticket()

    def prune(level: int, mask: Mask, state: State) -> Mask:
        return Mask({n: k & (n != "fc2.weight") for n, k in mask.items()})

    levels = find_tickets(
        dense=dense,
        train=pretended,
        prune=prune,
        rewind=lambda mask, first: replace(dense, mask=mask),
        levels=2,
        passes=lambda mask: bool(mask.empty_layers),
    )
    assert [level.number for level in levels] == [0, 1, 2]

    cut = find_tickets(
        dense=dense,
        train=pretended,
        prune=lambda level, mask, state: mask,
        rewind=lambda mask, first: dense,
        levels=1,
        passes=lambda mask: False,
    )
    assert next(cut).number == 0
    with pytest.raises(MaskError, match="no signal can pass the mask of level 1"):
        next(cut)


@pytest.mark.parametrize("schedule", ["geometric", "one-shot"])
def test_a_mask_that_moved_in_training_is_what_is_pruned(schedule: Schedule) -> None:
    """One-shot prunes the dense network every time."""
    dense, seen = dense_ticket(), list[Mask]()

    def moved(mask: Mask) -> Mask:
        return Mask({name: kept.roll(1, dims=0) for name, kept in mask.items()})

    def train(ticket: Ticket) -> TrainingResult:
        return replace(pretended(ticket), mask=moved(ticket.mask))

    def prune(level: int, mask: Mask, state: State) -> Mask:
        seen.append(mask)
        return Mask({name: kept.tril() for name, kept in mask.items()})

    levels = list(
        find_tickets(
            dense=dense,
            train=train,
            prune=prune,
            rewind=lambda mask, first: replace(dense, mask=mask),
            levels=2,
            schedule=schedule,
        )
    )

    ticket = levels[1].ticket.mask
    assert moved(ticket) != ticket
    assert seen == [moved(dense.mask), moved(ticket if schedule == "geometric" else dense.mask)]


@pytest.mark.parametrize(
    ("schedule", "diverged", "last"),
    [("geometric", 0, 0), ("geometric", 2, 2), ("one-shot", 0, 0), ("one-shot", 2, 5)],
)
def test_a_diverged_training_is_the_last_that_is_pruned(
    schedule: Schedule, diverged: int, last: int
) -> None:
    """One-shot prunes the dense network alone."""
    dense, config = dense_ticket(), PruneConfig(schedule=schedule)
    number = -1

    def train(ticket: Ticket) -> TrainingResult:
        nonlocal number
        number += 1
        return result({}, "diverged") if number == diverged else pretended(ticket)

    levels = list(
        find_tickets(
            dense=dense,
            train=train,
            prune=lambda level, mask, state: prune_mask(
                config, level, mask, trained=state, initial=dense.weights, streams=STREAMS
            ),
            rewind=lambda mask, first: replace(dense, mask=mask),
            levels=5,
            schedule=schedule,
        )
    )

    assert [level.number for level in levels] == list(range(last + 1))
    assert [n for n, level in enumerate(levels) if level.trained.status == "diverged"] == [diverged]


def test_levels_come_as_soon_as_they_are_trained() -> None:
    dense, trained = dense_ticket(), []

    def train(ticket: Ticket) -> TrainingResult:
        trained.append(ticket.mask.kept)
        return pretended(ticket)

    levels = find_tickets(
        dense=dense,
        train=train,
        prune=lambda level, mask, state: mask,
        rewind=lambda mask, first: replace(dense, mask=mask),
        levels=2,
    )

    for count in (1, 2, 3):
        next(levels)
        assert len(trained) == count
    assert next(levels, None) is None


def test_with_a_real_engine_and_rewinding_to_an_iteration() -> None:
    job = tiny_job(density=1.0, snapshots_at=(3,))
    dense = Ticket(mask=job.mask, weights=job.start)
    jobs: list[TrainingJob] = []

    def train(ticket: Ticket) -> TrainingResult:
        jobs.append(
            replace(job, mask=ticket.mask, start=ticket.weights, start_iteration=ticket.iteration)
        )
        return TorchEngine().train([jobs[-1]], [NullMonitor()])[0]

    levels = list(
        find_tickets(
            dense=dense,
            train=train,
            prune=lambda level, mask, state: prune_mask(
                PruneConfig(fraction=0.5),
                level,
                mask,
                trained=state,
                initial=job.start,
                streams=STREAMS,
            ),
            rewind=lambda mask, first: Ticket(mask=mask, weights=first.snapshots[3], iteration=3),
            levels=2,
        )
    )

    for level in levels[1:]:
        assert level.trained.curve[0].iteration == 3
        mask = level.ticket.mask
        for name in mask:
            rewound = levels[0].trained.snapshots[3][name]
            assert torch.equal(level.ticket.start()[name], rewound * mask[name])
            assert not level.trained.final[name][~mask[name]].any()


def test_the_method_can_be_read_in_one_sitting() -> None:
    assert len(inspect.getsource(find_tickets).splitlines()) < 60
