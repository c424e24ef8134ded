"""Sharpness where it is known: quadratics, whole Hessians, and a run on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from command import Cli
from probes import classes, context_of, draw, network, some_mask
from small_run import SmallRun
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from lottery.core import Mask, Probe, ScoreContext
from lottery.errors import UsageError
from lottery.experiments import open_run
from lottery.inside import ANALYSES, analyse
from lottery.inside.curvature import gradient_norm, loss_of, top_eigenvalues
from lottery.methods import ControlsConfig
from lottery.store import MAIN


def quadratic(spectrum: Tensor, mask: Tensor) -> tuple[ScoreContext, Tensor]:
    """Half the mean square of a linear network's outputs, and its Hessian of this spectrum."""
    size = len(spectrum)
    random = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(size, size, generator=random, dtype=torch.float64))
    inputs = (size * spectrum).sqrt()[:, None] * turn.T
    model = nn.Linear(size, 1, bias=False).double()
    context = ScoreContext(
        weights={"weight": model.weight.detach()},
        initial={},
        mask=Mask({"weight": mask[None]}),
        generator=random,
        probe=Probe(
            model=model,
            batches=[(part, part[:, 0]) for part in inputs.split(37)],
            loss=lambda outputs, _: outputs.square().mean() / 2,
        ),
    )
    return context, turn @ spectrum.diag() @ turn.T


@pytest.mark.parametrize("size", [12, 150])
def test_a_quadratic_has_the_eigenvalues_it_was_made_with(size: int) -> None:
    """A small one through its whole Hessian, a larger one through Lanczos iterations."""
    spectrum = torch.cat([torch.tensor([9.0, 4.0, 2.0]), torch.rand(size - 3)]).double()
    context, hessian = quadratic(spectrum, torch.ones(size, dtype=torch.bool))

    assert top_eigenvalues(context, 3) == pytest.approx([9, 4, 2], rel=2e-3)

    weight = context.weights["weight"][0]
    assert gradient_norm(context) == pytest.approx(float((hessian @ weight).norm()))
    assert loss_of(context) == pytest.approx(float(weight @ hessian @ weight / 2))


def test_pruned_weights_are_no_directions() -> None:
    spectrum = torch.linspace(0.01, 3, 150, dtype=torch.float64)
    kept = torch.arange(150) % 2 == 0
    context, hessian = quadratic(spectrum, kept)

    expected = torch.linalg.eigvalsh(hessian[kept][:, kept]).flip(0)[:2]

    assert top_eigenvalues(context, 2) == pytest.approx(expected.tolist(), rel=2e-3)


def test_a_network_has_those_of_its_whole_hessian() -> None:
    dense = context_of(network(9, 12, 4), draw(40, 9), classes(40, 4), sizes=[25, 15])
    context = replace(dense, mask=some_mask(dense.weights))
    assert context.probe is not None
    model, batches = context.probe.model, context.probe.batches
    masked = context.mask.apply(context.weights)

    def loss(values: Tensor) -> Tensor:
        parts = values.split([weight.numel() for weight in masked.values()])
        weights = {n: p.view(masked[n].shape) for n, p in zip(masked, parts, strict=True)}
        outputs = functional_call(model, weights, (torch.cat([x for x, _ in batches]),))
        return nn.functional.cross_entropy(outputs, torch.cat([y for _, y in batches]))

    flat = torch.cat([weight.flatten() for weight in masked.values()])
    kept = torch.cat([layer.flatten() for layer in context.mask.values()])
    hessian = jacrev(jacrev(loss))(flat).detach()[kept][:, kept]

    expected = torch.linalg.eigvalsh(hessian).flip(0)[:4]
    assert top_eigenvalues(context, 4) == pytest.approx(expected.tolist(), rel=2e-3, abs=1e-9)


def test_a_run_is_looked_at_where_it_starts_and_ends(
    cli: Cli, small_run: SmallRun, tmp_path: Path
) -> None:
    path = small_run.copied(tmp_path)
    code, text, _ = cli("analyse", "curvature", "small", "--out", tmp_path, "--examples", "40")
    assert code == 0
    assert "largest eigenvalue of the Hessian is" in text
    found = analyse(
        open_run(path), ANALYSES["curvature"], settings={"examples": 40, "eigenvalues": 3}
    )
    rows = [(row["level"], row["branch"]) for row in found["sharpness"].records()]
    assert rows == [(0, "main"), (1, "main"), (1, "random-mask"), (1, "reinit")]
    assert all(float(str(value)) > 0 for value in found["sharpness"].column("eigenvalue_1"))
    moments = {row["when"] for row in found["gradients"].records()}
    assert {"start", "end"} <= moments


def test_of_masks_that_were_learned_the_end_is_known_alone(
    small_run: SmallRun, tmp_path: Path
) -> None:
    config = replace(small_run.config, controls=ControlsConfig(reinit=0, supermask=1))
    run = open_run(replace(small_run, config=config).again(tmp_path).run)
    found = analyse(run, ANALYSES["curvature"], settings={"examples": 40, "eigenvalues": 1})
    moments = {(row["branch"], row["when"]) for row in found["gradients"].records()}
    assert {when for branch, when in moments if branch == "supermask"} == {"start", "end"}
    assert (MAIN, "early stop") in moments


def test_settings_that_mean_nothing_are_refused(small_run: SmallRun) -> None:
    with pytest.raises(UsageError, match="1 to 100 eigenvalues, got 10 and 0"):
        analyse(
            open_run(small_run.path),
            ANALYSES["curvature"],
            settings={"examples": 10, "eigenvalues": 0},
        )
