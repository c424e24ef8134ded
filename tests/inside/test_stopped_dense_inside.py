"""Dense networks that were trained only until masks had settled are no dense networks to compare
with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_run import SmallRun

from lottery.errors import UsageError
from lottery.experiments import ConnectivityConfig, Run, open_run
from lottery.inside import ANALYSES, analyse
from lottery.inside.analysis import STOPPED, kept_measurement
from lottery.inside.reordered import missing_copies
from lottery.methods import ControlsConfig, EarlyBird
from lottery.report.weights import weight_counts
from lottery.tickets import PruneConfig
from lottery.training import Length

COMPARE = {
    "shifts": {"examples": 4},
    "weights": {},
    "cka": {"examples": 8},
    "pools": {"candidates": 1},
    "connectivity": {"points": 3},
    "masks": {},
    "alignment": {"examples": 40, "points": 3},
    "curvature": {"examples": 20, "eigenvalues": 1},
}


@pytest.fixture(scope="module")
def stopped(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = replace(
        small_run.config,
        replicates=2,
        levels=2,
        method=EarlyBird(every=Length(amount=2), window=2, distance=0.9, stop=True),
        prune=PruneConfig(fraction=0.5),
        controls=ControlsConfig(reinit=0),
        connectivity=ConnectivityConfig(at={"0": (1,)}),
    )
    return open_run(replace(small_run, config=config).again(tmp_path_factory.mktemp("stopped")).run)


@pytest.mark.parametrize("name", COMPARE)
def test_they_are_left_out_and_why_is_said(stopped: Run, name: str) -> None:
    found = analyse(stopped, ANALYSES[name], settings=COMPARE[name])
    assert found.found[0] == STOPPED
    said = " ".join(found.found[1:])
    assert "than the dense network" not in said
    assert "In the dense network" not in said
    assert analyse(stopped, ANALYSES[name], settings=COMPARE[name]) == found


def test_tables_are_of_tickets_alone(stopped: Run) -> None:
    lines = analyse(stopped, ANALYSES["connectivity"], settings={"points": 3})
    assert lines["stability"].column("level") == [1]
    assert lines["levels"].column("level") == [1]
    assert not lines["initializations"].rows
    means = analyse(stopped, ANALYSES["shifts"], settings={"examples": 4})["means"]
    assert set(means.column("lost_more")) == {None}


def test_whether_tickets_match_is_not_known(stopped: Run) -> None:
    lines = analyse(stopped, ANALYSES["connectivity"], settings={"points": 3})
    assert lines["levels"].column("matches") == [None]
    assert "Whether sparser levels match the dense network is not known." in lines.found


def test_no_copies_of_them_are_trained(stopped: Run) -> None:
    with pytest.raises(UsageError, match=r"connectivity: at\.5: with method\.stop"):
        missing_copies(stopped, [5], None)
    assert missing_copies(stopped, [0], [1]) is None


def test_masks_alignment_and_curvature_are_of_tickets_alone(stopped: Run) -> None:
    names = ("masks", "alignment", "curvature")
    found = {name: analyse(stopped, ANALYSES[name], settings=COMPARE[name]) for name in names}
    of_dense = [
        (name, table.name)
        for name in names
        for table in found[name].tables
        if 0 in table.column("level")
    ]
    assert not of_dense
    # Masks are matched by dense networks as far as these were trained, as the control is.
    assert found["alignment"]["overlap"].column("level") == [1, 2]
    assert "where dense networks end" not in " ".join(found["curvature"].found)


@pytest.mark.parametrize("name", ["masks", "alignment", "curvature"])
def test_of_them_alone_nothing_is_found(stopped: Run, name: str) -> None:
    found = analyse(stopped, ANALYSES[name], levels=[0], settings=COMPARE[name])
    assert found.found[0] == STOPPED
    assert not any(table.rows for table in found.tables)


def test_what_was_kept_of_them_is_not_shown(stopped: Run) -> None:
    found = analyse(stopped, ANALYSES["masks"])
    kept = found.to_json()
    stopped.store.write_measurement("masks", kept | {"found": kept["found"][1:]})
    assert kept_measurement(stopped, ANALYSES["masks"]) is None
    assert analyse(stopped, ANALYSES["masks"]) == found


def test_the_report_has_no_weights_of_them(stopped: Run) -> None:
    tickets = [key for key in stopped.results if key.level == 1]
    assert tickets
    assert weight_counts(stopped, tickets, ["fc1.weight"]) == {}
