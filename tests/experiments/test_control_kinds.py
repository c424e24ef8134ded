"""Every kind of control, from its config to its files and the verdict."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import contents, tiny

from lottery.analysis import judge_run, verdict_text
from lottery.analysis.controls import CONTROLS, DENSE
from lottery.core import Mask
from lottery.errors import ConfigError
from lottery.experiments import (
    ExperimentConfig,
    RunOptions,
    RunSummary,
    load_config,
    open_run,
    plan,
    run_experiment,
    smoke,
    to_plain,
    verify_run,
)
from lottery.experiments.plan import needs
from lottery.methods import CONTROL_KINDS, ControlsConfig, Iterative, RewindConfig
from lottery.report import write_report
from lottery.store import MAIN, JobKey, Store
from lottery.tickets import PruneConfig
from lottery.training import LearnedMasksConfig, Length, MaskTrainingConfig

EVERY = ControlsConfig(
    reinit=1,
    random_mask=1,
    continued=True,
    shuffled_global=1,
    signs_random_magnitudes=1,
    signs_constant=True,
    random_signs=1,
    trained_signs=1,
    initial_signs=1,
    scratch_epochs=1,
    scratch_flops=1,
    edge_popup=1,
    supermask=1,
    moved=1,
    aligned=1,
)
LEARNED = ("edge-popup", "supermask")
MOVED = ("moved", "aligned")
OTHER_MASK = ("random-mask", "shuffled-global", *MOVED)


def every_control(**changes: Any) -> ExperimentConfig:
    """Two replicates, rewound to iteration 6 of 30, with a control of every kind."""
    values = {
        "replicates": 2,
        "controls": EVERY,
        "method": Iterative(rewind=RewindConfig(to=Length(amount=6))),
    }
    return tiny(**(values | changes))


def go(config: ExperimentConfig, out: Path) -> RunSummary:
    return run_experiment(config, RunOptions(out=out, jobs=1, device="cpu", engine="torch"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    return go(every_control(), tmp_path_factory.mktemp("runs"))


def test_every_kind_is_planned_trained_and_whole(run: RunSummary) -> None:
    kinds = {key.kind for key in run.results}
    assert kinds == {MAIN, *CONTROL_KINDS}
    assert run.failed == 0
    looks = [look for number in (0, 1) for look in Store(run.run).looks(number)]
    assert verify_run(run.run) == {key: [] for key in [*plan(every_control()), *looks]}
    assert open_run(run.run).results == run.results


@pytest.mark.parametrize("level", [1, 2])
def test_each_breaks_what_it_claims_and_nothing_else(run: RunSummary, level: int) -> None:
    store = Store(run.run)
    initial = store.ticket(JobKey(0, MAIN, 0)).weights
    ticket = store.ticket(JobKey(0, MAIN, level))
    found = {kind: store.ticket(JobKey(0, f"{kind}-1", level)) for kind in CONTROL_KINDS}
    prunable = list(ticket.mask)

    for kind in LEARNED:
        learned = found.pop(kind)
        assert (learned.iteration, learned.mask, learned.pruned) == (0, ticket.mask, None)
        assert all(torch.equal(learned.weights[n], initial[n]) for n in initial)

    for kind, control in found.items():
        assert control.iteration == (0 if kind.startswith("scratch") else 6)
        assert (control.mask == ticket.mask) == (kind not in OTHER_MASK)
        same = all(torch.equal(control.weights[n], ticket.weights[n]) for n in ticket.weights)
        assert same == (kind in OTHER_MASK)
        assert control.pruned is None

    assert found["random-mask"].mask.layers == ticket.mask.layers
    assert found["shuffled-global"].mask.kept == ticket.mask.kept
    assert found["shuffled-global"].mask.layers != ticket.mask.layers
    for name in prunable:
        own = ticket.weights[name]
        for kind in ("signs-random-magnitudes", "signs-constant"):
            weight = found[kind].weights[name]
            assert torch.equal(weight.signbit(), own.signbit())
            assert not torch.equal(weight.abs(), own.abs())
        deviation = initial[name].double().std(correction=0)
        constant = found["signs-constant"].weights[name].abs()
        torch.testing.assert_close(
            constant.double(), deviation.expand_as(constant), rtol=1e-6, atol=0
        )
        signs = found["random-signs"].weights[name]
        assert torch.equal(signs.abs(), own.abs())
        assert not torch.equal(signs.signbit(), own.signbit())
    for kind in ("signs-random-magnitudes", "signs-constant", "random-signs"):
        for name in set(ticket.weights) - set(prunable):
            assert torch.equal(found[kind].weights[name], ticket.weights[name])
    trained = store.weights(JobKey(0, MAIN, level - 1))
    for kind, state in (("trained-signs", trained), ("initial-signs", initial)):
        for name in prunable:
            weight = found[kind].weights[name]
            assert torch.equal(weight.signbit(), state[name].signbit())
            assert not torch.equal(weight.signbit(), found["reinit"].weights[name].signbit())
    fresh = ("reinit", "scratch-epochs", "scratch-flops", "trained-signs", "initial-signs")
    drawn = [found[kind].weights["fc1.weight"].abs() for kind in fresh]
    drawn.append(initial["fc1.weight"].abs())
    assert len({float(weight[0, 0]) for weight in drawn}) == len(drawn)


def test_scratch_trains_from_the_beginning_and_to_its_own_end(run: RunSummary) -> None:
    store = Store(run.run)
    for level in (1, 2):
        layers = run.results[JobKey(0, MAIN, level)].layers
        ratio = sum(t for _, t in layers.values()) / sum(k for k, _ in layers.values())
        lengths = {"scratch-epochs": 30, "scratch-flops": round(30 * min(2.0, ratio))}
        for kind in CONTROL_KINDS:
            key = JobKey(0, f"{kind}-1", level)
            result, curve = run.results[key], store.curve(key)
            assert result.iterations == lengths.get(kind, 30) == curve[-1].iteration
            start = 0 if kind in lengths or kind in LEARNED else 6
            assert result.start_iteration == start == curve[0].iteration


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("kind", LEARNED)
def test_a_learned_mask_is_kept_over_weights_that_never_moved(
    run: RunSummary, kind: str, level: int
) -> None:
    store, key = Store(run.run), JobKey(0, f"{kind}-1", level)
    initial, ticket = store.ticket(JobKey(0, MAIN, 0)).weights, store.ticket(key).mask
    mask, result = store.final_mask(key), run.results[key]

    end = store.weights(key)
    assert set(end) == set(initial), "the mask is not a part of the state"
    for name, value in mask.apply(initial).items():
        assert torch.equal(end[name], value)
    assert (result.density, result.layers) == (mask.density, mask.layers)
    assert mask != ticket
    if kind == "edge-popup":
        assert mask.layers == ticket.layers
    assert store.final_mask(JobKey(0, MAIN, level)) == ticket


def test_signed_constants_are_what_the_papers_take(tmp_path: Path) -> None:
    constant = MaskTrainingConfig(weights="signed-constant")
    config = tiny(
        replicates=1,
        levels=1,
        controls=ControlsConfig(reinit=0, edge_popup=1, supermask=1),
        masks=LearnedMasksConfig(edge_popup=constant, supermask=constant),
    )
    store = Store(go(config, tmp_path).run)
    initial = store.ticket(JobKey(0, MAIN, 0)).weights
    popup = store.ticket(JobKey(0, "edge-popup-1", 1))
    free = store.ticket(JobKey(0, "supermask-1", 1))
    for name, (kept, total) in popup.mask.layers.items():
        fan_in = initial[name].shape[1]
        scaled = initial[name].sign() * (2 / (fan_in * kept / total)) ** 0.5
        torch.testing.assert_close(popup.weights[name], scaled)
        deviation = initial[name].double().std(correction=0)
        torch.testing.assert_close(free.weights[name], (initial[name].sign() * deviation).float())
        end = store.weights(JobKey(0, "edge-popup-1", 1))[name]
        assert end.abs().unique().numel() == 2


def test_verdict_and_report_name_every_kind(run: RunSummary, tmp_path: Path) -> None:
    verdict = judge_run(open_run(run.run))
    for level in verdict.levels[1:]:
        assert set(level.groups) == {MAIN, *CONTROL_KINDS}
        compared = [level.groups[kind].against_ticket["accuracy"] for kind in CONTROL_KINDS]
        assert all(contrast.estimate is not None for contrast in compared)
    text = verdict_text(verdict)
    for kind in CONTROL_KINDS:
        assert all(word in text for word in CONTROLS[kind].column.split("\n"))
    assert all(len(line) <= 80 for line in text.splitlines())
    html = write_report(run.run, tmp_path / "report.html").read_text()
    for kind in CONTROL_KINDS:
        assert CONTROLS[kind].label in html
    assert set(CONTROLS) == {DENSE, MAIN, *CONTROL_KINDS}
    looks = {(CONTROLS[kind].symbol, CONTROLS[kind].dash) for kind in (MAIN, *CONTROL_KINDS)}
    assert len(looks) == 1 + len(CONTROL_KINDS)


def test_a_globally_shuffled_mask_that_empties_a_layer_is_collapsed(tmp_path: Path) -> None:
    """17 of 794 weights, 9 of them in the output layer: shuffled, it often has none."""
    config = tiny(
        replicates=1,
        levels=1,
        prune=PruneConfig(fraction=0.99, fractions={"output.weight": 0.1}),
        controls=ControlsConfig(shuffled_global=3, reinit=0),
        model="mlp-1",
    )
    summary = go(config, tmp_path)
    statuses = {key: result.status for key, result in summary.results.items()}
    assert statuses[JobKey(0, MAIN, 1)] == "done"
    shuffled = [s for key, s in statuses.items() if key.kind == "shuffled-global"]
    assert "collapsed" in shuffled
    bad = next(r for r in summary.results.values() if r.status == "collapsed")
    assert "output.weight" in bad.reason


def test_the_same_bytes_again(run: RunSummary, tmp_path: Path) -> None:
    again = contents(go(every_control(levels=1), tmp_path).run)
    assert again.items() <= contents(run.run).items()


def test_needs_hold_every_file_that_is_read() -> None:
    config = every_control()
    for kind in CONTROL_KINDS:
        replicates = (0, 1) if kind in MOVED else (0,)
        made_from = [JobKey(number, MAIN, level) for number in replicates for level in (0, 1)]
        assert needs(JobKey(0, f"{kind}-1", 2), config) == (*made_from,)


def test_a_smoke_run_has_one_of_each() -> None:
    numbers: dict[str, Any] = {f.name: 3 for f in fields(ControlsConfig)}
    many = ControlsConfig(**numbers | {"continued": True, "signs_constant": True})
    small = smoke(every_control(controls=many))
    assert small.controls == EVERY
    assert load_config(to_plain(small)) == small


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        (
            {"method": Iterative(rewind=RewindConfig())},
            "controls.scratch_epochs: with tickets from the init",
        ),
        (
            {"method": Iterative(rewind=RewindConfig(kind="learning-rate"))},
            "controls.continued: with method.rewind.kind = 'learning-rate' the tickets themselves",
        ),
        (
            {"training": replace(tiny().training, averaging=0.9)},
            "training.averaging: masks are learned without it",
        ),
    ],
)
def test_a_control_that_is_another_one_is_refused(
    tmp_path: Path, changes: dict[str, Any], start: str
) -> None:
    with pytest.raises(ConfigError, match=start):
        go(every_control(**changes), tmp_path)


def masks_of(run: RunSummary, kind: str) -> tuple[Mask, Mask]:
    store = Store(run.run)
    ticket = store.ticket(JobKey(0, MAIN, 1))
    return ticket.mask, store.ticket(JobKey(0, f"{kind}-1", 1)).mask


SHUFFLED = ControlsConfig(reinit=0, random_mask=1, shuffled_global=1)


def structured(prune: PruneConfig, out: Path, **changes: Any) -> RunSummary:
    values = {"replicates": 1, "levels": 1, "controls": SHUFFLED, "model": "mlp-20-10"} | changes
    return go(tiny(prune=prune, **values), out)


def test_shuffled_masks_of_neurons_are_of_neurons(tmp_path: Path) -> None:
    run = structured(PruneConfig(granularity="neuron", criterion="l2", fraction=0.5), tmp_path)
    for kind in ("random-mask", "shuffled-global"):
        ticket, control = masks_of(run, kind)
        assert control != ticket
        assert control["output.weight"].all()
        for name in ("fc1.weight", "fc2.weight"):
            assert torch.equal(control[name].any(1), control[name].all(1))
        rows = [
            int(m[n].any(1).sum()) for m in (ticket, control) for n in ("fc1.weight", "fc2.weight")
        ]
        assert rows[:2] == [10, 5]
        assert sum(rows[2:]) == 15
        if kind == "random-mask":
            assert control.layers == ticket.layers


def test_shuffled_masks_of_runs_are_of_runs(tmp_path: Path) -> None:
    prune = PruneConfig(granularity="2:4", schedule="one-shot", fractions={"output.weight": 0.0})
    controls = ControlsConfig(reinit=0, random_mask=1)
    ticket, control = masks_of(structured(prune, tmp_path, controls=controls), "random-mask")
    assert control != ticket
    assert (control["fc1.weight"].view(20, -1, 4).sum(2) == 2).all()
    assert control["output.weight"].all()


def test_shuffled_masks_leave_exempt_layers_whole(tmp_path: Path) -> None:
    prune = PruneConfig(scope="global", fraction=0.5, fractions={"out*": 0.0})
    run = structured(prune, tmp_path)
    for kind in ("random-mask", "shuffled-global"):
        ticket, control = masks_of(run, kind)
        assert control.kept == ticket.kept
        assert control != ticket
        assert control["output.weight"].all()


@pytest.mark.parametrize(
    ("granularity", "controls", "said"),
    [
        (
            "neuron",
            {"edge_popup": 1},
            "controls.edge_popup: with prune.granularity = 'neuron' sing",
        ),
        ("block-2x2", {"supermask": 1}, "controls.supermask: with prune.granularity = 'block-2x2'"),
        ("2:4", {"shuffled_global": 1}, "controls.shuffled_global: with prune.granularity = '2:4'"),
        ("layer", {"random_mask": 1}, "controls.random_mask: with prune.granularity = 'layer' as"),
        ("residual-block", {"random_mask": 1}, "controls.random_mask: with prune.granularity"),
    ],
)
def test_controls_that_cannot_keep_the_structure_are_refused(
    granularity: str, controls: dict[str, int], said: str
) -> None:
    config = tiny(
        prune=PruneConfig(granularity=granularity),
        controls=ControlsConfig(reinit=1, **controls),
    )
    (problem,) = [p for p in config.problems() if p.startswith("controls.")]
    assert problem.startswith(said)
    assert problem.count("use 0") == 1
    assert not [
        p
        for p in replace(config, controls=ControlsConfig(reinit=1)).problems()
        if p.startswith("controls.")
    ]
