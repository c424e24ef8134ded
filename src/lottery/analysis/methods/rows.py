"""The rows of a comparison: what each method measured at each density."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lottery.analysis.methods.align import align
from lottery.analysis.methods.types import Cell, MethodRun, Row
from lottery.analysis.types import LevelVerdict
from lottery.store.jobs import MAIN, JobResult


def untested_rows(runs: Sequence[MethodRun], tolerance: float) -> list[Row]:
    """Every density at which a method's main line has a result, without any test."""
    levels = [
        {level.level: level for level in run.verdict.levels if MAIN in level.groups} for run in runs
    ]
    densities = [{number: found.density for number, found in of.items()} for of in levels]
    rows = []
    for places in align(densities, tolerance):
        cells = [
            None if number is None else _cell(of[number], run.results)
            for number, of, run in zip(places, levels, runs, strict=True)
        ]
        there = [cell.density for cell in cells if cell]
        rows.append(Row(density=math.fsum(there) / len(there), cells=tuple(cells), best={}))
    return rows


def _cell(level: LevelVerdict, results: Sequence[JobResult]) -> Cell:
    group = level.groups[MAIN]
    seconds = [
        job.seconds
        for job in results
        if (job.branch, job.level, job.status) == (MAIN, level.level, "done")
    ]
    return Cell(
        level=level.level,
        density=level.density,
        n=group.n,
        diverged=group.diverged,
        collapsed=group.collapsed,
        tickets_lost=level.tickets_lost,
        accuracy_at_early_stop=group.accuracy_at_early_stop,
        accuracy_final=group.accuracy_final,
        early_stop_iteration=group.early_stop_iteration,
        seconds=math.fsum(seconds) / len(seconds) if seconds else None,
        against_first={},
    )
