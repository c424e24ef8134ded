"""Jobs and checkpoints on disk."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lottery.core import Mask
from lottery.errors import StoreError
from lottery.store import JobKey, JobResult, Store, commit
from lottery.store.commit import commit_directory
from lottery.store.contents import pack_job
from lottery.store.tensors import pack_tensors
from lottery.tickets import Ticket
from lottery.training import Checkpoint, CurvePoint, TrainingResult

KEY = JobKey(0, "main", 3)
STATE = {"fc.weight": torch.tensor([[1.5, -0.0], [float("inf"), 1e-40]])}
TICKET = Ticket(
    mask=Mask({"fc.weight": torch.tensor([[True, False], [True, True]])}), weights=STATE
)
CURVE = (
    CurvePoint.measured(0, "validation", 2.302585092994046, 0.1),
    CurvePoint.measured(0, "test", 0.1 + 0.2, 1 / 3),
)


def result(key: JobKey = KEY) -> JobResult:
    return JobResult(
        replicate=key.replicate,
        branch=key.branch,
        level=key.level,
        status="done",
        reason="",
        density=0.75,
        weights_kept=3,
        weights_total=4,
        layers={"fc.weight": (3, 4)},
        iterations=10,
        start_iteration=0,
        early_stop_iteration=0,
        validation_loss_at_early_stop=2.302585092994046,
        score_at_early_stop=1 / 3,
        score_final=1 / 3,
        seconds=0.1,
        engine="torch",
    )


TRAINED = TrainingResult(
    status="done",
    curve=CURVE,
    final=STATE,
    early_stop={"fc.weight": torch.zeros(2, 2)},
    early_stop_iteration=0,
    snapshots={5: STATE},
    seconds=0.1,
    engine="torch",
)


def bits(tensor: torch.Tensor) -> list[int]:
    return tensor.contiguous().view(torch.int32).flatten().tolist()


def test_a_job_comes_back_bit_equal(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_job(TICKET, result(), TRAINED)
    assert store.result(KEY) == result()
    assert store.ticket(KEY).mask == TICKET.mask
    assert store.curve(KEY) == list(CURVE)
    for state in (store.weights(KEY), store.ticket(KEY).weights):
        assert bits(state["fc.weight"]) == bits(STATE["fc.weight"])
    assert bits(store.weights(KEY, "early-stop")["fc.weight"]) == [0] * 4


def test_a_mask_that_moved_is_kept_beside_the_weights(tmp_path: Path) -> None:
    store, moved = Store(tmp_path), Mask({"fc.weight": torch.tensor([[False, True], [True, True]])})
    store.write_job(TICKET, result(), replace(TRAINED, mask=moved))
    assert store.ticket(KEY).mask == TICKET.mask
    assert store.final_mask(KEY) == moved
    assert bits(store.weights(KEY)["fc.weight"]) == bits(STATE["fc.weight"])


def test_the_final_mask_of_one_that_stayed_is_the_tickets(tmp_path: Path) -> None:
    store, other = Store(tmp_path), JobKey(0, "main", 4)
    store.write_job(TICKET, result(), TRAINED)
    store.write_job(TICKET, replace(result(other), status="collapsed"), None)
    assert store.final_mask(KEY) == store.final_mask(other) == TICKET.mask


@pytest.mark.parametrize(
    "kept",
    [torch.ones(2, 2), torch.ones(2, 3, dtype=torch.bool)],
    ids=["numbers", "another shape"],
)
def test_a_final_mask_from_anyone_is_checked(tmp_path: Path, kept: torch.Tensor) -> None:
    store = Store(tmp_path)
    from_anyone: Any = {"fc.weight": kept}
    store.write_job(TICKET, result(), replace(TRAINED, mask=from_anyone))
    with pytest.raises(StoreError, match=r"final\.safetensors: .*fc\.weight"):
        store.final_mask(KEY)


@given(
    st.lists(
        st.builds(
            CurvePoint.measured,
            st.integers(0, 10**9),
            st.sampled_from(["validation", "test"]),
            st.floats(0, 1e300),
            st.floats(0, 1),
        )
    )
)
def test_curves_keep_every_bit(
    tmp_path_factory: pytest.TempPathFactory, curve: list[CurvePoint]
) -> None:
    store = Store(tmp_path_factory.mktemp("run"))
    store.write_job(TICKET, result(), replace(TRAINED, curve=tuple(curve)))
    assert store.curve(KEY) == curve


def replaced(store: Store, name: str, content: bytes) -> None:
    """Commit a job anew with one file of other contents, so that its manifest fits."""
    directory = store.directory(KEY)
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    shutil.rmtree(directory)
    del files["manifest.json"]
    commit_directory(directory, {**files, name: content})
    assert commit.problems(directory) == []


@pytest.mark.parametrize(
    "row",
    [
        *(f"0,test,{loss},0.5" for loss in ("nan", "inf", "1e308", "0x1", "1" * 200_000)),
        *(f"0,test,1.0,{accuracy}" for accuracy in ("1.5", "-0.1", "1e308", "nan")),
        *(f"{iteration},test,1.0,0.5" for iteration in ("-1", "1.5", "9" * 400)),
        "0,holdout,1.0,0.5",
        "0,test",
        "0,test,,",
        "0,test,1.0,0.5,0.5",
    ],
)
def test_a_curve_from_anyone_is_checked(tmp_path: Path, row: str) -> None:
    store = Store(tmp_path)
    store.write_job(TICKET, result(), TRAINED)
    replaced(store, "curves.csv", f"iteration,split,loss,accuracy\n{row}\n".encode())
    with pytest.raises(StoreError, match=r"curves\.csv is not a learning curve") as error:
        store.curve(KEY)
    assert len(str(error.value)) < 400
    assert store.problems(KEY) == [str(error.value)]


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("told", "instead"),
    [
        ('"fc.weight": [\n      3', '"fc.weight": [\n      Infinity'),
        ('"provenance": {}', f'"provenance": {DEEP}'),
        ('"provenance": {}', '"provenance": ["drawn"]'),
        ('"provenance": {}', '"provenance": null'),
        ('"provenance": {}', '"provenance": {"drawn": ["never"]}'),
        ('"density": 0.75', f'"density": {10**400}'),
        ('"density": 0.75', '"density": 0.5'),
        ('"score_final": 0.3333333333333333', '"score_final": 1e308'),
        ('"score_final": 0.3333333333333333', '"score_final": null'),
        (
            '"validation_loss_at_early_stop": 2.302585092994046',
            '"validation_loss_at_early_stop": -1e999',
        ),
        ('"seconds": 0.1', '"seconds": -1'),
        ('"iterations": 10', f'"iterations": {2**60}'),
        ('"early_stop_iteration": 0', '"early_stop_iteration": 11'),
        ('"weights_kept": 3', '"weights_kept": 4'),
        ('"fc.weight": [\n      3', '"fc.weight": [\n      5'),
        ('"status": "done"', '"status": ["done"]'),
        ('"level": 3', f'"level": {"9" * 5_000}'),
    ],
)
def test_a_result_from_anyone_is_checked(tmp_path: Path, told: str, instead: str) -> None:
    store = Store(tmp_path)
    store.write_job(TICKET, result(), TRAINED)
    text = result().to_json()
    assert told in text
    replaced(store, "result.json", text.replace(told, instead).encode())
    with pytest.raises(StoreError, match=r"result\.json is not a job's result") as error:
        store.result(KEY)
    field = told.partition(":")[0].strip('"')
    assert "fc.weight" in field or field in str(error.value) or DEEP in instead or "9999" in instead
    assert len(str(error.value)) < 400
    assert store.problems(KEY) == [str(error.value)]


EXPERIMENT = {
    "schema": 2,
    "config": {"name": "a", "training": {"length": 3}},
    "config_sha256": "0123",
    "data": {"sha256": "ab", "classes": 10},
    "environment": {"torch": "2.10", "gpu": None},
    "command": "lottery run \u00e9",
    "begun": "2026-01-01T00:00:00+00:00",
}


def test_no_bit_of_an_experiment_changes_unnoticed(tmp_path: Path) -> None:
    store, source = Store(tmp_path), tmp_path / "experiment.json"
    store.write_experiment(EXPERIMENT)
    content, whole = source.read_bytes(), store.read_experiment()
    assert whole is not None
    assert whole.items() >= EXPERIMENT.items()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        source.write_bytes(flipped)
        try:
            # What lies between values, such as spaces, means nothing.
            assert store.read_experiment() == whole
        except StoreError as error:
            assert str(source) in str(error)
    for end in range(len(content) - 1):
        source.write_bytes(content[:end])
        with pytest.raises(StoreError, match=r"experiment\.json"):
            store.read_experiment()


def test_an_experiment_may_hold_more_but_only_under_its_hash(tmp_path: Path) -> None:
    store, source = Store(tmp_path), tmp_path / "experiment.json"
    store.write_experiment({**EXPERIMENT, "later": [1]})
    assert (store.read_experiment() or {})["later"] == [1]
    source.write_text(json.dumps(EXPERIMENT))
    assert store.read_experiment() == EXPERIMENT
    source.write_text(json.dumps({**EXPERIMENT, "later": [1]}))
    with pytest.raises(StoreError, match="record_sha256: is missing"):
        store.read_experiment()


def test_an_experiment_nested_too_deep_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "experiment.json").write_text(f'{{"config": {DEEP}}}')
    with pytest.raises(StoreError, match=r"cannot read .*experiment\.json"):
        Store(tmp_path).read_experiment()


def test_a_diverged_job_has_a_curve_and_no_weights(tmp_path: Path) -> None:
    store = Store(tmp_path)
    diverged = replace(TRAINED, status="diverged", final={}, early_stop={}, snapshots={})
    store.write_job(TICKET, replace(result(), status="diverged", reason="nan"), diverged)
    assert store.curve(KEY) == list(CURVE)
    with pytest.raises(StoreError, match=r"final\.safetensors"):
        store.weights(KEY)


def test_a_collapsed_job_has_only_its_ticket_and_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_job(TICKET, replace(result(), status="collapsed"), None)
    assert store.curve(KEY) == []
    assert {path.name for path in store.directory(KEY).iterdir()} == {
        "ticket.safetensors",
        "result.json",
        "manifest.json",
    }


def test_damaged_jobs_are_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.is_there(KEY)
    store.write_job(TICKET, result(), TRAINED)
    assert store.examine(KEY) == (result(), [])
    (store.directory(KEY) / "curves.csv").write_text("iteration\n")
    assert store.examine(KEY)[0] is None
    aside = store.set_aside(KEY)
    assert store.corrupt() == [aside]
    assert not store.is_there(KEY)


def test_a_result_under_another_jobs_name_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_job(TICKET, result(), TRAINED)
    other = JobKey(0, "main", 4)
    store.directory(KEY).rename(store.directory(other))
    with pytest.raises(StoreError, match="replicate 0, main, level 3"):
        store.result(other)
    (problem,) = store.problems(other)
    assert "result.json is the result of replicate 0, main, level 3, not" in problem


def test_a_ticket_of_another_job_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made_for: dict[str, str | int] = {"replicate": 0, "branch": "main", "level": 2}
    store.write_job(replace(TICKET, provenance=made_for), result(), TRAINED)
    (problem,) = store.problems(KEY)
    assert "ticket.safetensors is the ticket of replicate 0, branch main, level 2, not" in problem


@pytest.mark.parametrize(
    ("ticket", "trained", "told"),
    [
        (replace(TICKET, iteration=4), TRAINED, r"ticket\.safetensors: iteration: expected 0"),
        (TICKET, None, r"curves\.csv is missing"),
        (TICKET, replace(TRAINED, status="diverged"), r"final\.safetensors is missing"),
        (TICKET, replace(TRAINED, final={"fc.weight": torch.zeros(3)}), r"end/fc\.weight"),
        (TICKET, replace(TRAINED, early_stop={"x": torch.ones(1)}), r"early-stop/fc\.weight"),
        (
            TICKET,
            replace(TRAINED, curve=(CurvePoint.measured(11, "test", 1.0, 0.5),)),
            r"curves\.csv: iteration: expected 0 to 10, got 11",
        ),
        (
            TICKET,
            replace(TRAINED, mask=Mask({"fc.weight": torch.ones(2, 2) > 0})),
            r"result\.json: layers: expected what the mask keeps",
        ),
        (
            Ticket(mask=Mask({"other": torch.ones(4) > 0}), weights={"other": torch.ones(4)}),
            TRAINED,
            r"mask is not of the layers in result\.json",
        ),
    ],
)
def test_files_that_do_not_belong_together_are_found(
    tmp_path: Path, ticket: Ticket, trained: TrainingResult | None, told: str
) -> None:
    store = Store(tmp_path)
    store.write_job(ticket, result(), trained)
    found, problems = store.examine(KEY)
    assert found is None
    (problem,) = problems
    assert re.search(told, problem)


def test_what_dense_networks_once_kept_beside_their_files_is_checked(tmp_path: Path) -> None:
    store, other = Store(tmp_path), {"other.weight": torch.zeros(2, 2)}
    files = pack_job(TICKET, result(), TRAINED)
    files["rewind.safetensors"] = pack_tensors(other, {})
    commit_directory(store.directory(KEY), files)
    (problem,) = store.problems(KEY)
    assert re.search(r"rewind\.safetensors: fc\.weight", problem)


@pytest.mark.parametrize("place", ["replicate-0", "replicate-0/level-03"])
@pytest.mark.parametrize("what", ["itself", "elsewhere", "nowhere", "file", "pipe"])
def test_what_is_no_directory_of_the_run_is_said_and_never_followed(
    tmp_path: Path, place: str, what: str
) -> None:
    store, way = Store(tmp_path / "run"), tmp_path / "run" / place
    Store(tmp_path / "other").write_job(TICKET, result(), TRAINED)
    elsewhere = tmp_path / "other" / place
    before = sorted(path.name for path in elsewhere.rglob("*"))
    way.parent.mkdir(parents=True)
    match what:
        case "file":
            way.touch()
        case "pipe":
            os.mkfifo(way)
        case _:
            targets = {"itself": way, "elsewhere": elsewhere, "nowhere": tmp_path / "none"}
            way.symlink_to(targets[what])
    assert store.is_there(KEY)
    assert store.is_finished(KEY)
    (problem,) = store.problems(KEY)
    assert str(way) in problem
    assert ("is a link; links in a run are not followed" in problem) == (
        what not in ("file", "pipe")
    )
    for reading in (store.result, store.ticket, store.weights, store.curve):
        with pytest.raises(StoreError, match=place):
            reading(KEY)
    with pytest.raises(StoreError, match=place):
        store.write_job(TICKET, result(), TRAINED)
    with pytest.raises(StoreError, match=place):
        store.write_checkpoint(KEY, checkpoint(5))
    assert store.set_aside(KEY) == way.with_name(f".corrupt-{way.name}-1")
    store.write_job(TICKET, result(), TRAINED)
    assert store.problems(KEY) == []
    assert sorted(path.name for path in elsewhere.rglob("*")) == before


def test_result_json_is_strict(tmp_path: Path) -> None:
    text = result().to_json()
    assert JobResult.from_json(text, source=tmp_path) == result()
    for damaged in (
        "{}",
        "[]",
        "null",
        text.replace('"done"', '"finished"'),
        text.replace('"main"', '"../../elsewhere"'),
        text.replace('"density"', '"sparsity"'),
        text.replace('"density": 0.75', '"density": "0.75"'),
        text.replace('"density": 0.75', '"density": NaN'),
        text.replace('"level": 3', '"level": -3'),
        text.replace('"level": 3', '"level": true'),
        text.replace('"level": 3', '"level": 3.0'),
        text.replace('"engine": "torch"', '"engine": null'),
    ):
        with pytest.raises(StoreError):
            JobResult.from_json(damaged, source=tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        replace(result(), density=math.nan).to_json()


# Checkpoints


def checkpoint(iteration: int) -> Checkpoint:
    return Checkpoint(
        iteration=iteration,
        tensors={"model/w": torch.full((3,), float(iteration)), "random": torch.get_rng_state()},
        values={"curve": [[0, "test", 0.1 + 0.2, 1 / 3]], "seconds": 1e-3},
    )


def test_the_newest_checkpoint_comes_back_and_the_job_ends_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.read_checkpoint(KEY) is None
    for iteration in (5, 20, 100_000):
        store.write_checkpoint(KEY, checkpoint(iteration))
    back = store.read_checkpoint(KEY)
    assert back is not None
    assert back.iteration == 100_000
    assert back.values == checkpoint(1).values
    torch.testing.assert_close(dict(back.tensors), dict(checkpoint(100_000).tensors))
    assert len(list(store.directory(KEY).parent.iterdir())) == 1
    store.write_job(TICKET, result(), TRAINED)
    assert [p.name for p in store.directory(KEY).parent.iterdir()] == ["level-03"]


def test_what_killed_processes_left_goes_with_the_end_of_the_job(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parent = store.directory(KEY).parent
    for name in (".tmp-level-03-abc", ".tmp-.checkpoint-level-03-000000000045-xyz"):
        (parent / name).mkdir(parents=True)
    (parent / ".tmp-level-04-abc").mkdir()
    store.write_job(TICKET, result(), TRAINED)
    assert {path.name for path in parent.iterdir()} == {"level-03", ".tmp-level-04-abc"}


def test_a_broken_checkpoint_gives_way_to_an_older_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_checkpoint(KEY, checkpoint(5))
    (older,) = store.directory(KEY).parent.iterdir()
    kept = {path.name: path.read_bytes() for path in older.iterdir()}
    store.write_checkpoint(KEY, checkpoint(9))
    (newer,) = store.directory(KEY).parent.iterdir()
    older.mkdir()
    for name, content in kept.items():
        (older / name).write_bytes(content)
    (newer / "state.safetensors").write_bytes(b"torn")
    back = store.read_checkpoint(KEY)
    assert back is not None
    assert back.iteration == 5
    assert len(store.corrupt()) == 1


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"iteration": "5", "values": {}},
        {"iteration": True, "values": {}},
        {"iteration": -5, "values": {}},
        {"iteration": 5, "values": []},
    ],
)
def test_a_checkpoint_from_anyone_is_checked(tmp_path: Path, values: dict[str, Any]) -> None:
    store = Store(tmp_path)
    store.write_checkpoint(KEY, checkpoint(5))
    (directory,) = store.directory(KEY).parent.iterdir()
    shutil.rmtree(directory)
    commit_directory(directory, {"state.safetensors": pack_tensors({}, values)})
    assert store.read_checkpoint(KEY) is None
    assert [path.name for path in store.corrupt()] == [f".corrupt-{directory.name}-1"]


def test_a_checkpoint_copied_to_another_job_is_set_aside(tmp_path: Path) -> None:
    store, other = Store(tmp_path), JobKey(0, "main", 4)
    store.write_checkpoint(KEY, checkpoint(5))
    (directory,) = store.directory(KEY).parent.iterdir()
    shutil.copytree(directory, directory.with_name(directory.name.replace("level-03", "level-04")))
    assert store.read_checkpoint(other) is None
    assert len(store.corrupt()) == 1
    assert store.read_checkpoint(KEY) is not None


def test_checkpoints_of_one_job_are_not_those_of_another(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_checkpoint(KEY, checkpoint(5))
    for other in (JobKey(1, "main", 3), JobKey(0, "main", 4), JobKey(0, "reinit-1", 3)):
        assert store.read_checkpoint(other) is None


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (JobKey(0, "main", 3), "replicate-0/level-03"),
        (JobKey(2, "reinit-1", 12), "replicate-2/reinit-1/level-12"),
        (JobKey(0, "random-mask-10", 3), "replicate-0/random-mask-10/level-03"),
    ],
)
def test_where_jobs_lie(key: JobKey, path: str) -> None:
    assert key.path == Path(path)
    assert key.kind in ("main", "reinit", "random-mask")
