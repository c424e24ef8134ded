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
from lottery.analysis.controls import CONTROLS
from lottery.methods import CONTROL_KINDS
from lottery.store.jobs import JobResult

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


def test_headline_paragraph_answers_and_table_in_this_order(verdict: Verdict) -> None:
    text = verdict_text(verdict)
    words = " ".join(text.split())
    assert text.startswith("Lottery ticket hypothesis: confirmed\n")
    places = [words.index(part) for part in (verdict.paragraph, "Does it match?", "Wins? n")]
    assert places == sorted(places)
    for answer in verdict.answers:
        assert f"{answer.question} {answer.outcome} {answer.value}" in words


def test_the_table_has_the_verdicts_numbers(verdict: Verdict) -> None:
    table = rows(verdict_text(verdict))
    assert [row[0] for row in table] == ["0", "1", "2", ">"]
    assert table[0][1:4] == ["100", "-", "5"]
    assert table[3][1:5] == ["3", "51.2", "confirmed", "5"]
    smallest = verdict.levels[3]
    main, reinit = smallest.groups["main"], smallest.groups["reinit"]
    accuracy, difference = main.accuracy, main.against_dense["accuracy"].estimate
    stop, copy = (
        main.against_dense["early_stop"].estimate,
        reinit.against_dense["accuracy"].estimate,
    )
    assert accuracy is not None
    assert difference is not None
    assert difference.high is not None
    assert stop is not None
    assert copy is not None
    half = float(table[3][8].removeprefix("±"))
    assert table[3][5] == f"{100 * accuracy.mean:.2f}"
    assert table[3][7] == f"{100 * difference.mean:+.2f}"
    assert half == pytest.approx(100 * (difference.high - difference.mean), abs=0.01)
    assert half >= 100 * (difference.high - difference.mean)
    assert table[3][9:] == [f"{stop.mean:.2f}", "-", f"{100 * copy.mean:+.2f}*"]
    text = " ".join(verdict_text(verdict).split())
    assert "* fails, confirmed" in text
    assert "the margin is 0.2 percentage points" in text


def test_lost_trainings_are_seen_in_the_table(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=(0.004, -3000.0), reinit=(-0.02, 3000.0))
    lost = {(1, "main", 2), (2, "reinit-1", 1)}
    verdict = judged(
        [
            replace(r, status="diverged") if (r.replicate, r.branch, r.level) in lost else r
            for r in results
        ]
    )
    _, first, second = rows(verdict_text(verdict))
    assert first[-1] == "(-1)"
    assert "4/5" in second
    assert "its dense network diverged, collapsed or guesses" in " ".join(
        verdict_text(verdict).split()
    )


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
    beside = [kind for kind in controls if kind != "continued"]
    assert all(len(row) >= 9 + len(beside) for row in rows(text))  # no cell is folded
    assert len(rows(text)) == 16
    header = text[text.index("Kept") : text.index("───")]
    assert ("init" in header, "Random" in header) == ("reinit" in beside, "random-mask" in beside)
    assert ("Conti-" in text) == ("continued" in controls)


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
    assert all(len(row) == 6 for row in table)
    for kind in CONTROL_KINDS:
        assert all(word in text for word in CONTROLS[kind].column.split("\n"))
    assert len(rows(text)) == 16


def test_one_replicate_has_no_intervals(simulated: Simulated, judged: Judged) -> None:
    text = verdict_text(judged(simulated(3, replicates=1, levels=2, ticket=(0.004, -3000.0))))
    assert "±" not in text
    assert [row[2] for row in rows(text)[:2]] == ["-", "untested"]


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
    words = " ".join(verdict_text(empty).split())
    assert words == f"Lottery ticket hypothesis: not tested {empty.paragraph}"
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
    group, same = found["levels"][3]["groups"]["main"], verdict.levels[3].groups["main"]
    assert group["tests"]["wins"]["p_adjusted"] == same.tests["wins"].p_adjusted
    assert same.accuracy is not None
    assert group["accuracy"]["values"] == {str(r): v for r, v in same.accuracy.values.items()}
    assert group["against_dense"]["early_stop"]["scale"] == "ratio"
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
        to_json(replace(verdict, margin=math.nan))
