"""Tickets trained on another task: what they start from, what is shared, what goes on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_run import SmallRun
from tiny import contents

from lottery.analysis import judge_transfer
from lottery.core import Mask
from lottery.data import DataConfig
from lottery.data.idx import header_of
from lottery.errors import MaskError, StoreError, UsageError
from lottery.experiments import (
    ExperimentConfig,
    RunOptions,
    RunSummary,
    Transfer,
    bind,
    open_run,
    prepare_transfer,
    run_experiment,
    verify_run,
)
from lottery.experiments.transfer import pruned_to
from lottery.methods import ControlsConfig
from lottery.store import JobKey, Store
from lottery.tickets import PruneConfig, Ticket, level_densities


def options(out: Path) -> RunOptions:
    return RunOptions(out=out, jobs=1, device="cpu", engine="torch")


def there(small_run: SmallRun, **changes: object) -> ExperimentConfig:
    """The same network, on half of the labels drawn at random."""
    config = replace(
        small_run.config,
        name="there",
        replicates=2,
        data=replace(small_run.config.data, random_labels=0.5),
        controls=ControlsConfig(reinit=1, random_mask=1, continued=True),
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def prepared(config: ExperimentConfig, tickets: list[Ticket], out: Path) -> Transfer:
    return prepare_transfer(bind(config, options(out)), tickets, out)


def trained(config: ExperimentConfig, out: Path) -> RunSummary:
    summary = run_experiment(config, options(out))
    assert not summary.failed
    return summary


@pytest.fixture
def ticket(small_run: SmallRun) -> Ticket:
    return open_run(small_run.path).ticket(1)


def test_a_given_ticket_is_trained_there_and_compared(
    small_run: SmallRun, ticket: Ticket, tmp_path: Path
) -> None:
    transfer = prepared(there(small_run), [ticket], tmp_path)
    assert transfer.new_layers == ()
    assert not transfer.given.controls.continued
    given = trained(transfer.given, tmp_path)
    store = Store(given.run)
    for replicate in (0, 1):
        dense, main = (store.ticket(JobKey(replicate, "main", level)) for level in (0, 1))
        assert main.mask == ticket.mask
        assert main.iteration == 0
        for name, kept in ticket.mask.items():
            assert torch.equal(main.weights[name][kept], ticket.weights[name][kept])
            assert torch.equal(main.weights[name][~kept], dense.weights[name][~kept])
        shuffled = store.ticket(JobKey(replicate, "random-mask-1", 1))
        assert shuffled.mask.layers == ticket.mask.layers
        assert shuffled.mask != ticket.mask

    assert transfer.found is not None
    found = trained(transfer.found, tmp_path)
    runs = open_run(given.run), open_run(found.run)
    for replicate in (0, 1):
        key = JobKey(replicate, "main", 0)
        assert runs[0].store.contents_hash(key) == runs[1].store.contents_hash(key)
    last = runs[1].results[JobKey(0, "main", transfer.found.levels)]
    assert last.density == pytest.approx(ticket.mask.density, rel=0.05)
    verdict = judge_transfer(*runs, source="One ticket")
    assert [one.n + one.missing for one in verdict.comparisons] == [2, 2, 2, 2]
    assert (verdict.tickets, verdict.dense_missing.guessing) == (1, 2)


def test_the_same_again_trains_nothing_and_more_tickets_what_is_new(
    small_run: SmallRun, ticket: Ticket, tmp_path: Path
) -> None:
    one = trained(prepared(there(small_run, replicates=1), [ticket], tmp_path).given, tmp_path)
    before = contents(one.run)
    again = trained(prepared(there(small_run, replicates=1), [ticket], tmp_path).given, tmp_path)
    assert again.run == one.run
    assert contents(one.run) == before
    other = replace(ticket, mask=Mask({**ticket.mask, "fc1.weight": ~ticket.mask["fc1.weight"]}))
    more = trained(prepared(there(small_run), [ticket, other], tmp_path).given, tmp_path)
    stores = Store(one.run), Store(more.run)
    for branch, level in (("main", 0), ("main", 1), ("reinit-1", 1)):
        key = JobKey(0, branch, level)
        # Seconds and all: it was taken from there.
        assert stores[0].result(key) == stores[1].result(key)
    assert stores[1].ticket(JobKey(1, "main", 1)).mask == other.mask


def test_a_ticket_file_serves_as_well_as_the_run_s(
    small_run: SmallRun, ticket: Ticket, tmp_path: Path
) -> None:
    ticket.save(tmp_path / "t")
    config = there(small_run)
    given = prepared(config, [ticket], tmp_path).given
    assert given == prepared(config, [Ticket.load(tmp_path / "t")], tmp_path).given


def test_other_classes_get_a_new_head(small_run: SmallRun, ticket: Ticket, tmp_path: Path) -> None:
    for part, count in (("train", 90), ("t10k", 30)):
        labels = np.arange(count) % 3
        images = np.random.default_rng(0).integers(0, 256, (count, 4, 4))
        for what, values in (("images-idx3", images), ("labels-idx1", labels)):
            content = header_of(values.shape) + values.astype(np.uint8).tobytes()
            (tmp_path / f"{part}-{what}-ubyte").write_bytes(content)
    config = there(small_run, data=DataConfig(name=f"idx:{tmp_path}", validation=20), replicates=1)
    transfer = prepared(config, [ticket], tmp_path)
    assert set(transfer.new_layers) == {"output.weight", "output.bias"}
    made = Store(trained(transfer.given, tmp_path).run).ticket(JobKey(0, "main", 1))
    assert made.mask["output.weight"].shape == (3, 4)
    assert made.mask["output.weight"].all()
    assert torch.equal(made.mask["fc1.weight"], ticket.mask["fc1.weight"])


def test_what_cannot_be_is_told_before_anything_is_trained(
    small_run: SmallRun, ticket: Ticket, tmp_path: Path
) -> None:
    with pytest.raises(MaskError, match="the ticket does not fit the network"):
        prepared(there(small_run, model="mlp-5"), [ticket], tmp_path)
    with pytest.raises(UsageError, match="levels: expected 1 or more, to find tickets there"):
        prepared(there(small_run, levels=0), [ticket], tmp_path)
    with pytest.raises(UsageError, match="expected 2 or more, one for each ticket, got 1"):
        prepared(there(small_run, replicates=1), [ticket, ticket], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_given_ticket_that_is_gone_is_missed(
    small_run: SmallRun, ticket: Ticket, tmp_path: Path
) -> None:
    transfer = prepared(there(small_run, replicates=1), [ticket], tmp_path)
    next(tmp_path.glob("*/given/*")).unlink()
    with pytest.raises(StoreError, match="No such file"):
        run_experiment(transfer.given, options(tmp_path))


WEIGHTS = {"a": (300, 784), "b": (100, 300), "output": (10, 100)}


@pytest.mark.parametrize(
    ("prune", "levels", "density", "found"),
    [
        (PruneConfig(), 12, 0.8**5, 5),
        (PruneConfig(), 12, 0.7, 2),
        (PruneConfig(fractions={"output": 0.1}), 12, 0.3, 5),
        (PruneConfig(scope="global", schedule="linear", final_density=0.1), 3, 0.25, 3),
        (PruneConfig(scope="global", schedule="listed", densities=(0.5, 0.2, 0.1)), 3, 0.15, 3),
        (PruneConfig(scope="global", schedule="one-shot", densities=(0.5, 0.2)), 2, 0.5, 1),
    ],
)
def test_pruning_comes_to_the_density_of_the_given_ticket(
    prune: PruneConfig, levels: int, density: float, found: int
) -> None:
    dense = Mask({name: torch.ones(shape, dtype=torch.bool) for name, shape in WEIGHTS.items()})
    other, number = pruned_to(prune, levels, density, dense, None)
    assert number == found
    assert not other.problems()
    assert level_densities(other, dense, number)[-1] == pytest.approx(density, rel=0.02)


def test_a_density_that_cannot_be_had_says_so() -> None:
    dense = Mask({"a": torch.ones(10, 10) > 0, "b": torch.ones(10, 10) > 0})
    with pytest.raises(UsageError, match="cannot be had there"):
        pruned_to(PruneConfig(fractions={"a": 0}), 3, 0.2, dense, None)


@pytest.fixture(scope="module")
def transferred(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was given a ticket."""
    out = tmp_path_factory.mktemp("transferred")
    config = there(small_run, replicates=1, controls=ControlsConfig(reinit=0))
    given = prepared(config, [open_run(small_run.path).ticket(1)], out).given
    return trained(given, out).run


def of_another(path: Path) -> None:
    ticket = Ticket.load(path)
    path.unlink()
    replace(ticket, iteration=ticket.iteration + 1).save(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def linked(path: Path) -> None:
    path.symlink_to(path.rename(path.parents[1] / "elsewhere"))


def beside(path: Path) -> None:
    shutil.copy(path, path.with_name("mine.safetensors"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Path.unlink, "No such file"),
        (cut, "file not fully covered"),
        (of_another, "is another ticket than its name says"),
        (linked, "is a link"),
        (beside, "mine.safetensors is no ticket that the config names; move it away"),
    ],
)
def test_verify_reports_what_is_wrong_with_given_tickets(
    transferred: Path, tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    run = Path(shutil.copytree(transferred, tmp_path / "run"))
    assert not any(verify_run(run).values())
    (path,) = (run / "given").iterdir()
    assert verify_run(run)[f"given/{path.name}"] == []
    change(path)
    ((where, [problem]),) = ((key, found) for key, found in verify_run(run).items() if found)
    assert where == f"given/{'mine.safetensors' if change is beside else path.name}"
    assert re.search(said, problem)


def test_a_run_that_was_given_none_has_no_tickets(small_run: SmallRun, tmp_path: Path) -> None:
    run = small_run.copied(tmp_path)
    (run / "given").mkdir()
    assert not any(verify_run(run).values())
    (run / "given" / "a.safetensors").touch()
    assert verify_run(run)["given/a.safetensors"]
