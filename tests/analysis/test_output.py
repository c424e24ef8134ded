"""The verdict as text and as JSON."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from rich.console import Console

from lottery.analysis import Verdict, to_json, verdict_table, verdict_text, verdict_view
from lottery.store.jobs import CONTROL_KINDS, JobResult

Simulated = Callable[..., list[JobResult]]
Judged = Callable[..., Verdict]


@pytest.fixture(name="verdict")
def supported(simulated: Simulated, judged: Judged) -> Verdict:
    return judged(
        simulated(1, replicates=5, levels=3, ticket=(0.004, -3000.0), reinit=(-0.02, 3000.0))
    )


def rows(text: str) -> list[list[str]]:
    """The table's rows, as words."""
    lines = text.splitlines()
    rule = next(number for number, line in enumerate(lines) if "───" in line)
    return [line.split() for line in lines[rule + 1 : lines.index("", rule)]]


def test_the_paragraph_comes_first_and_the_table_follows(verdict: Verdict) -> None:
    text = verdict_text(verdict)
    assert " ".join(text.split()).startswith(verdict.paragraph)
    table = rows(text)
    assert [row[0] for row in table] == ["0", "1", "2", ">"]
    assert [row[-2:] for row in table] == [
        ["-", "-"],
        ["yes", "yes"],
        ["yes", "yes"],
        ["yes", "yes"],
    ]
    dense, smallest = verdict.levels[0].groups["main"], verdict.levels[3]
    assert dense.accuracy_at_early_stop is not None
    mean = dense.accuracy_at_early_stop.mean
    high = dense.accuracy_at_early_stop.high
    assert high is not None
    assert table[0][1:5] == ["100", "5", f"{100 * mean:.2f}", f"±{100 * (high - mean):.2f}"]
    assert smallest.matching is not None
    assert f"{100 * smallest.matching.difference.mean:+.2f}" in table[3]
    reinit = smallest.groups["reinit"].accuracy_at_early_stop
    assert reinit is not None
    assert f"{100 * reinit.mean:.2f}*" in table[3]
    assert "* lower than the ticket's accuracy, confirmed." in text


@pytest.mark.parametrize("controls", [(), ("reinit",), ("reinit", "random-mask", "continued")])
def test_it_fits_80_columns_and_has_the_columns_it_needs(
    simulated: Simulated, judged: Judged, controls: tuple[str, ...]
) -> None:
    results = simulated(2, replicates=3, levels=15, ticket=(0.004, -3000.0), reinit=(-0.02, 0.0))
    found = [r for r in results if r.branch == "main"]
    for kind in controls:
        found += [replace(r, branch=f"{kind}-1") for r in results if r.branch != "main"]
    text = verdict_text(judged(found))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert all(len(row) >= 9 + len(controls) for row in rows(text))  # no cell is folded
    assert len(rows(text)) == 16
    header = text[text.index("Kept") : text.index("───")]
    assert ("init" in header, "Random" in header, "Conti-" in header) == tuple(
        kind in controls for kind in ("reinit", "random-mask", "continued")
    )


def test_controls_that_do_not_fit_beside_have_a_table_of_their_own(
    simulated: Simulated, judged: Judged
) -> None:
    results = simulated(2, replicates=3, levels=15, ticket=(0.004, -3000.0), reinit=(-0.02, 0.0))
    found = [r for r in results if r.branch == "main"]
    for kind in CONTROL_KINDS:
        found += [replace(r, branch=f"{kind}-1") for r in results if r.branch != "main"]
    text = verdict_text(judged(found))
    assert all(len(line) <= 80 for line in text.splitlines())
    second = text[text.index("other controls") :]
    table = rows(second)
    assert [row[0] for row in table] == [str(level) for level in range(1, 16)]
    assert all(len(row) == len(CONTROL_KINDS) - 2 for row in table)
    assert len(rows(text)) == 16


def test_one_replicate_has_no_intervals(simulated: Simulated, judged: Judged) -> None:
    text = verdict_text(judged(simulated(3, replicates=1, levels=2, ticket=(0.004, -3000.0))))
    assert "±" not in text
    assert [row[-2:] for row in rows(text)] == [["-", "-"], ["yes", "-"], ["yes", "-"]]


def test_nothing_is_said_by_colour_alone(verdict: Verdict) -> None:
    out = io.StringIO()
    Console(file=out, width=80, color_system="truecolor", force_terminal=True).print(
        verdict_view(verdict)
    )
    bare = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert bare != out.getvalue()
    assert [line.rstrip() for line in bare.splitlines()] == verdict_text(verdict).splitlines()


def test_an_empty_verdict_is_one_sentence(judged: Judged) -> None:
    empty = judged([])
    assert " ".join(verdict_text(empty).split()) == empty.paragraph
    assert verdict_table(empty).row_count == 0


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def test_json_goes_round(verdict: Verdict) -> None:
    found = to_json(verdict)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) == {"schema_version", *(field.name for field in fields(Verdict))}
    assert found["levels"][3]["matching"]["p_holm"] == verdict.levels[3].matching.p_holm  # type: ignore[union-attr]
    values = found["levels"][1]["groups"]["main"]["accuracy_at_early_stop"]["values"]
    estimate = verdict.levels[1].groups["main"].accuracy_at_early_stop
    assert estimate is not None
    assert values == {str(replicate): value for replicate, value in estimate.values.items()}
    assert all(isinstance(leaf, str | int | float | bool | None) for leaf in leaves(found))


def test_json_keys_do_not_depend_on_what_is_known(
    simulated: Simulated, judged: Judged, verdict: Verdict
) -> None:
    bare = to_json(judged(simulated(1, replicates=1, levels=1)))
    full = to_json(verdict)
    assert bare.keys() == full.keys()
    assert bare["levels"][1].keys() == full["levels"][1].keys()
    assert (
        bare["levels"][1]["groups"]["main"].keys() == full["levels"][1]["groups"]["reinit"].keys()
    )


def test_json_refuses_what_is_not_finite(verdict: Verdict) -> None:
    with pytest.raises(ValueError, match="finite"):
        to_json(replace(verdict, speedup=math.nan))
