"""One pruning after another, by every scope and schedule."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from lottery.core import Mask, lamp_scores
from lottery.rng import Streams
from lottery.testing import tiny_job
from lottery.tickets import PruneConfig, level_densities, prune_mask

STREAMS = Streams(0, 0)
SCHEDULES: dict[str, dict[str, object]] = {
    "geometric": {"fraction": 0.4},
    "linear": {"schedule": "linear", "final_density": 0.1},
    "listed": {"schedule": "listed", "densities": (0.6, 0.3, 0.1)},
}


def masks(config: PruneConfig, levels: int = 3) -> list[Mask]:
    job = tiny_job(density=1.0)
    found = [job.mask]
    for level in range(1, levels + 1):
        generator = torch.Generator().manual_seed(level)
        trained = {
            n: job.start[n] + 0.1 * torch.randn(job.start[n].shape, generator=generator)
            for n in job.mask
        }
        found.append(
            prune_mask(
                config,
                level,
                found[-1],
                trained=found[-1].apply(trained),
                initial=job.start,
                streams=STREAMS,
                levels=levels,
            )
        )
    return found


@pytest.mark.parametrize("scope", ["global", "lamp", "uniform", "erk"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("exempt", [{}, {"output.*": 0.0}])
def test_every_level_is_exactly_what_was_planned(
    scope: str, schedule: str, exempt: dict[str, float]
) -> None:
    config = PruneConfig(scope=scope, fractions=exempt, **SCHEDULES[schedule])  # type: ignore[arg-type]
    assert config.problems() == []
    found = masks(config)
    totals = {name: total for name, (_, total) in found[0].layers.items()}

    assert [mask.density for mask in found] == level_densities(config, found[0], 3)
    assert all(after.is_subset(before) for before, after in pairwise(found))
    if schedule != "geometric":
        whole = sum(totals.values())
        densities = (0.7, 0.4, 0.1) if schedule == "linear" else (0.6, 0.3, 0.1)
        assert all(abs(m.kept - d * whole) <= 1 for m, d in zip(found[1:], densities, strict=True))
        assert found[-1].kept == round(0.1 * whole)
    if exempt:
        kept, total = found[-1].layers["output.weight"]
        assert kept == total


def test_the_linear_schedule_needs_to_know_its_end() -> None:
    job = tiny_job(density=1.0)
    config = PruneConfig(scope="global", schedule="linear", final_density=0.1)
    with pytest.raises(Exception, match="needs the number of levels"):
        prune_mask(config, 1, job.mask, trained=job.start, initial=job.start, streams=STREAMS)


def test_lamp_selects_by_rescaled_scores() -> None:
    job = tiny_job(density=1.0)
    config = PruneConfig(scope="lamp", schedule="listed", densities=(0.2,))
    mask = prune_mask(
        config, 1, job.mask, trained=job.start, initial=job.start, streams=STREAMS, levels=1
    )

    scores = lamp_scores({n: job.start[n].abs() for n in job.mask}, job.mask)
    kept = torch.cat([scores[name][mask[name]] for name in mask])
    gone = torch.cat([scores[name][~mask[name]] for name in mask])
    assert kept.min() >= gone.max()
    plain = PruneConfig(scope="global", schedule="listed", densities=(0.2,))
    other = prune_mask(
        plain, 1, job.mask, trained=job.start, initial=job.start, streams=STREAMS, levels=1
    )
    assert other != mask


def test_uniform_keeps_the_largest_of_each_layer() -> None:
    config = PruneConfig(scope="uniform", schedule="listed", densities=(0.25,))
    job = tiny_job(density=1.0)
    mask = prune_mask(
        config, 1, job.mask, trained=job.start, initial=job.start, streams=STREAMS, levels=1
    )
    for name in mask:
        magnitude = job.start[name].abs()
        assert magnitude[mask[name]].min() >= magnitude[~mask[name]].max()
        kept, total = mask.layers[name]
        assert abs(kept - 0.25 * total) < 1
