"""The lines that tell how a run goes on."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn
from tiny import tiny

from lottery.cli.pace import Pace
from lottery.cli.progress import _Bars, _Lines, describe_left_out
from lottery.store import JobKey
from lottery.tickets import PruneConfig

OUTPUTS, MIXED = "its outputs are the network's", "LayerNorm [mixes] channels"


def test_layers_of_one_reason_are_named_together_and_only_a_few_of_them() -> None:
    reasons = {f"blocks.{n}.fc.weight": MIXED for n in range(12)} | {"output.weight": OUTPUTS}
    assert describe_left_out("channel", 1_024, reasons) == (
        "granularity 'channel': densities are shares of 1,024 units; left out: blocks.0.fc.weight, "
        "blocks.1.fc.weight, blocks.2.fc.weight and 9 more (LayerNorm [mixes] channels); "
        "output.weight (its outputs are the network's)"
    )
    three = describe_left_out("channel", 2, dict.fromkeys(["a", "b", "c"], OUTPUTS))
    assert three.endswith("left out: a, b, c (its outputs are the network's)")


def test_what_is_left_out_is_one_line() -> None:
    written = io.StringIO()
    config = tiny(prune=PruneConfig(granularity="channel", scope="global"))
    lines = _Lines(config, Console(file=written, width=40))
    lines.left_out(7, {"fc.weight": MIXED, "output.weight": OUTPUTS})
    assert written.getvalue() == (
        "granularity 'channel': densities are shares of 7 units; left out: fc.weight (LayerNorm "
        "[mixes] channels); output.weight (its outputs are the network's)\n"
    )


# How long it will still take

DENSE, TICKET, CONTROL = JobKey(0, "main", 0), JobKey(0, "main", 1), JobKey(0, "reinit-1", 1)


def test_time_left_goes_by_the_iterations_made_since_the_start() -> None:
    # The dense network goes on from a checkpoint at 400.
    pace = Pace({DENSE: (400, 1000), TICKET: (0, 1000), CONTROL: (0, 1000)}, now=10.0)
    assert pace.seconds_left(now=11.0) is None
    pace.update(DENSE, 500)
    assert pace.iterations() == (100, 2600)
    assert pace.seconds_left(now=20.0) == pytest.approx(10 * 2500 / 100)
    pace.ended(DENSE)
    pace.update(CONTROL, 200)
    pace.update(TICKET, 100)
    assert list(pace.running().items()) == [(TICKET, (100, 1000)), (CONTROL, (200, 1000))]
    assert pace.iterations() == (900, 2600)
    # A job may end sooner than planned, and one that cannot be run has nothing left.
    pace.ended(TICKET)
    pace.ended(CONTROL)
    assert pace.seconds_left(now=99.0) == 0.0


def test_a_run_without_a_terminal_says_now_and_then_how_far_it_is(tmp_path: Path) -> None:
    now, written = [0.0], io.StringIO()
    lines = _Lines(tiny(), Console(file=written, width=40), clock=lambda: now[0])
    lines.started(tmp_path, planned=3, finished=1, workers=2)
    lines.to_train({TICKET: (0, 1000), CONTROL: (0, 1000)})
    begun = len(written.getvalue())
    for second in range(1, 70):
        now[0] = float(second)
        lines.progressed(TICKET, 10 * second)
        lines.progressed(CONTROL, 5 * second)
    assert written.getvalue()[begun:] == (
        "[1/3] about 2 min left; replicate 0, main, level 1 at 300 of 1,000; "
        "replicate 0, reinit-1, level 1 at 145 of 1,000\n"
        "[1/3] about 74 s left; replicate 0, main, level 1 at 600 of 1,000; "
        "replicate 0, reinit-1, level 1 at 295 of 1,000\n"
    )


@pytest.mark.parametrize("columns", [40, 100])
def test_bars_show_the_whole_and_each_running_job(tmp_path: Path, columns: int) -> None:
    console = Console(file=io.StringIO(), width=columns, force_terminal=True)
    with Progress(TextColumn("{task.description}"), console=console) as progress:
        bars = _Bars(tiny(), console, progress)
        bars.started(tmp_path, planned=3, finished=1, workers=2)
        bars.to_train({TICKET: (0, 1000), CONTROL: (0, 1000)})
        bars.progressed(TICKET, 300)
        bars.progressed(CONTROL, 100)
        shown = [(task.description, task.completed, task.total) for task in progress.tasks]
        assert shown == [
            ("1 of 3 trainings", 400, 2000),
            (str(TICKET), 300, 1000),
            (str(CONTROL), 100, 1000),
        ]
        assert progress.tasks[1].fields["note"] == "300/1,000"
        assert progress.tasks[0].fields["note"].endswith(" left")
        bars.skipped(TICKET, "why not")
        assert [task.description for task in progress.tasks] == ["2 of 3 trainings", str(CONTROL)]
