"""Sentences about the tables of the analysis ``masks``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Final

from lottery.inside.measurement import Cell, Table

WHOLE: Final = "whole"
"""In the column ``layer``: all layers together."""


def sentences(tables: Mapping[str, Table]) -> Iterator[str]:
    """What the tables show, mostly at the sparsest level."""
    whole = {
        name: [row for row in tables[name].records() if row["layer"] == WHOLE]
        for name in ("between", "within", "layers")
    }
    yield from _between_sentences(whole["between"])
    if layers := whole["layers"]:
        level = max(_number(row["level"]) for row in layers)
        yield from _layer_sentences(level, [row for row in layers if row["level"] == level])
        units = [row for row in tables["units"].records() if row["level"] == level]
        yield from _unit_sentences(level, units)
    yield from _settling_sentences(tables["settling"])


def _between_sentences(rows: Sequence[Mapping[str, Cell]]) -> Iterator[str]:
    pruned = [row for row in rows if row["level"]]
    if not pruned:
        return
    last = pruned[-1]
    known = [_number(row["z"]) for row in pruned if row["z"] is not None]
    pairs = "one pair" if last["pairs"] == 1 else f"mean of {last['pairs']} pairs"
    z = "" if last["z"] is None else f" (z = {_number(last['z']):+.3g})"
    yield (
        f"Level {last['level']}: two replicates' tickets have {_percent(last['overlap'])} of their "
        f"weights in common, {pairs}; by chance {_percent(last['chance'])}{z}"
        f", with as many weights for each input {_percent(last['chance_by_input'])}."
    )
    if known:
        above = sum(z > 3 for z in known)
        yield (
            f"Replicates have more in common than chance (z above 3) at {above} of {len(known)} "
            "levels."
        )


def _layer_sentences(level: float, rows: Sequence[Mapping[str, Cell]]) -> Iterator[str]:
    if any(row["effective"] is None for row in rows):
        return
    density, effective = (
        fmean(_number(r[k]) for r in rows) for k in ("density", "effective_density")
    )
    dead, units = (fmean(_number(r[k]) for r in rows) for k in ("dead_units", "units"))
    yield (
        f"Level {level:g}: {_percent(density)} of the weights are kept, and {_percent(effective)} "
        f"lie on a path of kept ones from input to output; {dead:.3g} of {units:,.0f} units are "
        f"dead, mean of {len(rows)} replicates."
    )


def _unit_sentences(level: float, rows: Sequence[Mapping[str, Cell]]) -> Iterator[str]:
    ratios: dict[tuple[Cell, Cell], list[float]] = {}
    for row in rows:
        if chance := row["chance_variance"]:
            ratio = _number(row["variance"]) / _number(chance)
            ratios.setdefault((row["layer"], row["side"]), []).append(ratio)
    if ratios:
        (layer, side), most = max(ratios.items(), key=lambda item: fmean(item[1]))
        yield (
            f"Level {level:g}: kept weights are least even over the {side} of {layer}: their "
            f"variance is {fmean(most):.3g} times that of chance."
        )


def _settling_sentences(table: Table) -> Iterator[str]:
    rows = list(table.records())
    compared = [row for row in rows if row["overlap"] is not None and row["chance"] is not None]
    if compared:
        level, moment = compared[-1]["level"], compared[-1]["moment"]
        last = [row for row in compared if (row["level"], row["moment"]) == (level, moment)]
        overlap, chance = (
            fmean(_number(row[name]) for row in last) for name in ("overlap", "chance")
        )
        yield (
            f"Level {level}: {_percent(overlap)} of its weights were in the mask of the {moment} "
            f"already ({_percent(chance)} by chance)."
        )
    elif rows:
        settled = sum(row["moment"] == "settled" for row in rows)
        yield f"{settled} of {len(rows)} drawn masks had settled."
    else:
        yield table.note


def _number(value: Cell) -> float:
    assert isinstance(value, int | float), "a column of numbers"
    return value


def _percent(share: Cell) -> str:
    return "-" if share is None else f"{100 * _number(share):.3g}%"
