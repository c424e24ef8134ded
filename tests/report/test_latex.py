"""The LaTeX table: the numbers of the run, each cell where it belongs."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import pytest
from tiny import tiny

from lottery.experiments import Run, RunOptions, open_run, run_experiment
from lottery.methods import ControlsConfig
from lottery.report import latex_table
from lottery.report.latex import escape
from lottery.store import JobKey


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    options = RunOptions(out=tmp_path_factory.mktemp("runs"), jobs=1, device="cpu")
    config = tiny(levels=1, controls=ControlsConfig(reinit=2, random_mask=1))
    return open_run(run_experiment(config, options).run)


def test_cells_are_means_and_deviations_over_replicates(run: Run) -> None:
    lines = latex_table(run).splitlines()
    assert lines[3:7] == [
        r"\begin{tabular}{rccc}",
        r"\toprule",
        r"Density & Tickets & Reinitialized & Random mask \\",
        r"\midrule",
    ]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]

    def accuracy(replicate: int, branch: str, level: int) -> float:
        found = run.results[JobKey(replicate, branch, level)].score_at_early_stop
        assert found is not None
        return 100 * found

    def cell(*branches: str, level: int) -> list[float]:
        values = [
            statistics.fmean(accuracy(replicate, branch, level) for branch in branches)
            for replicate in (0, 1)
        ]
        return [statistics.mean(values), statistics.stdev(values)]

    def numbers(text: str) -> list[float]:
        found = re.fullmatch(r"\$([\d.]+) \\pm ([\d.]+)\$", text)
        assert found
        return [float(number) for number in found.groups()]

    dense, pruned = (line.removesuffix(r" \\").split(" & ") for line in lines[7:-2])
    assert (dense[0], dense[2:]) == (r"100\%", ["--", "--"])
    assert numbers(dense[1]) == pytest.approx(cell("main", level=0), abs=0.0051)
    assert re.fullmatch(r"[\d.]+\\%", pruned[0])
    branches = (("main",), ("reinit-1", "reinit-2"), ("random-mask-1",))
    for shown, of in zip(pruned[1:], branches, strict=True):
        assert numbers(shown) == pytest.approx(cell(*of, level=1), abs=0.0051)


def test_a_cell_with_fewer_replicates_says_so_and_one_has_no_deviation(run: Run) -> None:
    results = {key: r for key, r in run.results.items() if key != JobKey(1, "random-mask-1", 1)}
    fewer = Run(store=run.store, config=run.config, experiment=run.experiment, results=results)
    last = latex_table(fewer).splitlines()[-3]
    assert re.search(r"& \$[\d.]+\$ \(1\) \\\\$", last)


def test_nothing_of_a_name_is_a_command() -> None:
    assert escape("a_b\n\\input{x} 5% ~ ^ # $ &") == (
        r"a\_b \textbackslash{}input\{x\} 5\% \textasciitilde{} \textasciicircum{} \# \$ \&"
    )


def test_a_run_that_has_nothing_yet_gives_an_empty_table(run: Run, tmp_path: Path) -> None:
    empty = Run(store=run.store, config=run.config, experiment=run.experiment, results={})
    assert r"\begin{tabular}" in latex_table(empty)
