"""A comparison in words and on a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from methods_samples import compared, criterion, method_run, results_of, sample

from lottery.analysis import RunComparison, comparison_text, formatting
from lottery.store.jobs import JobKey


def two(
    *,
    replicates: int = 5,
    worse: float = 0.004,
    noise: float = 0.001,
    seeds: tuple[int, int] = (0, 0),
) -> RunComparison:
    runs = (("good", "magnitude", 0.0, seeds[0]), ("bad", "random", worse, seeds[1]))
    return compared(
        *(
            method_run(
                results_of(replicates=replicates, worse=cost, noise=noise),
                config=criterion(which, name=name, seed=seed),
            )
            for name, which, cost, seed in runs
        )
    )


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_paragraph_says_who_is_behind_where_and_by_how_much() -> None:
    found = two()
    told = found.paragraph
    cells = [row.cells[1] for row in found.rows[1:]]
    sizes = [100 * -cell.against_first["accuracy"].mean for cell in cells if cell]
    assert (
        "bad is confirmed to be less accurate than good at 50%, 25%, 12.5% and 6.25% density, by "
        f"{min(sizes):.2f} to {max(sizes):.2f} percentage points." in told
    )
    assert "paired by replicate" in told
    assert "corrected (Holm) for 4 comparisons" in told
    assert "more accurate" not in told


def test_turned_around_it_is_ahead() -> None:
    found = two()
    turned = compared(
        *(
            method_run(results_of(worse=cost), config=criterion(which, name=name))
            for name, which, cost in (("bad", "random", 0.004), ("good", "magnitude", 0.0))
        )
    )
    assert "good is confirmed to be more accurate than bad" in turned.paragraph
    for one, other in zip(found.rows, turned.rows, strict=True):
        left = one.cells[1]
        right = other.cells[1]
        assert left is not None
        assert right is not None
        for measure, made in left.against_first.items():
            mirrored = right.against_first[measure]
            ratio = made.contrast.scale == "ratio"
            expected = 1 / mirrored.mean if ratio else -mirrored.mean
            assert made.mean == pytest.approx(expected)
            if not ratio:  # the step of a ratio's grid is a share of the first run's time
                assert made.p_adjusted == mirrored.p_adjusted


def test_each_density_has_a_sentence_with_its_interval() -> None:
    found = two()
    assert len(found.findings) == 5
    assert found.findings[0] == "At 100%: bad has the same dense trainings."
    cell = found.rows[2].cells[1]
    assert cell is not None
    made = cell.against_first["accuracy"]
    assert made.contrast.estimate is not None
    interval = formatting.interval_in_points(made.contrast.estimate)
    assert found.findings[2] == (
        f"At 25%: bad {-100 * made.mean:.2f} percentage points lower (95% interval {interval}, "
        "confirmed)."
    )


def test_with_one_replicate_nothing_is_claimed() -> None:
    found = two(replicates=1)
    told = found.paragraph
    assert "confirmed" not in told
    assert "Nothing can be tested between bad and good: it takes two replicates" in told
    assert "accurate" not in told
    assert "smallest" not in told
    assert "needs two replicates of each run or more" in told
    assert all("confirmed" not in finding for finding in found.findings)
    assert "n = 1, untested" in found.findings[1]
    assert "±" not in comparison_text(found).partition("Mean,")[0]


def test_few_replicates_are_said_to_show_little() -> None:
    told = two(replicates=2, worse=0.0001).paragraph
    assert "With 2 replicates only large differences can be confirmed" in told
    assert "not confirmed does not mean equal" in told


def test_no_difference_is_not_called_equal() -> None:
    told = two(worse=0.0, noise=0.001).paragraph
    assert "confirm no difference between bad and good at any of 4 densities" in told


def test_unpaired_runs_are_tested_after_welch_and_it_is_said() -> None:
    told = two(seeds=(0, 1)).paragraph
    assert "Tests are Welch's" in told


def test_runs_without_a_common_density_are_not_compared() -> None:
    left, right = results_of(levels=2), results_of(levels=2)
    found = compared(
        method_run([r for r in left if r.level == 1], config=criterion("magnitude", name="a")),
        method_run([r for r in right if r.level == 2], config=criterion("random", name="b")),
    )
    assert "b and a have no density (within 2%) at which both have results." in found.paragraph
    assert found.findings == (
        "a cannot be compared with another run at 50%.",
        "b cannot be compared with a at 25%.",
    )


def test_of_an_unfinished_run_it_is_said_first_why_nothing_is_compared() -> None:
    left, right = results_of(levels=2), results_of(levels=2)
    begun = [r for r in right if r.level <= 1]
    found = compared(
        method_run(left, config=criterion("magnitude", name="a")),
        method_run(begun, config=criterion("random", name="b"), planned=[r.key for r in right]),
    )
    ended = f"b is not complete: {len(begun)} of {len(right)} trainings have ended."
    assert found.paragraph.startswith(ended)
    assert found.findings[-1] == (
        "Since b is not complete, a cannot be compared with another run at 25%."
    )


def test_dense_networks_alone_are_no_comparison() -> None:
    found = compared(
        method_run(results_of(levels=0), config=criterion("magnitude", name="a")),
        method_run(results_of(levels=0), config=criterion("random", name="b")),
    )
    assert "only the same dense trainings in common" in found.paragraph


def test_a_run_without_a_ticket_so_far_is_said_to_have_none() -> None:
    begun = method_run(
        results_of(levels=0),
        config=criterion("random", name="b"),
        planned=[result.key for result in results_of(levels=2)],
    )
    whole = method_run(results_of(levels=2), config=criterion("magnitude", name="a"))
    for found in (compared(whole, begun), compared(begun, whole)):
        assert "b has no trained ticket yet" in found.paragraph
        assert "There is no pruned density that all runs have" in found.paragraph


def test_smallest_densities_are_compared_where_all_runs_have_them() -> None:
    """A run with more levels is not ahead for that: its sparser levels have no counterpart."""
    long, short = results_of(levels=4, noise=0.0), results_of(levels=2, noise=0.0)
    found = compared(
        method_run(long, config=criterion("magnitude", name="a")),
        method_run(short, config=criterion("random", name="b")),
    )
    assert "Of the 2 pruned densities that all runs have" in found.paragraph
    assert "a 25%, confirmed; b 25%, confirmed." in found.paragraph
    assert "6.25%" not in found.paragraph


# On a terminal


def rows(text: str, title: str) -> list[list[str]]:
    lines = text.split(title)[1].splitlines()
    rule = next(number for number, line in enumerate(lines) if "───" in line)
    return [line.split() for line in lines[rule + 1 : lines.index("", rule)]]


def test_words_come_first_and_a_table_for_each_measure_follows() -> None:
    found = two()
    text = comparison_text(found)
    assert words(text).startswith(found.paragraph)
    table = rows(text, "Test accuracy at early stop, %")
    assert [row[0] for row in table] == ["100", "50", "25", "12.5", "6.25"]
    first, second = (found.rows[2].cells[place] for place in (0, 1))
    for cell, shown, mark in ((first, table[2][1:4], "*"), (second, table[2][4:7], "<")):
        assert cell is not None
        estimate = cell.group.accuracy
        assert estimate is not None
        half = formatting.half_width(estimate, scale=100, digits=2)
        assert shown == [f"{100 * estimate.mean:.2f}", half, f"(5){mark}"]
    assert len(rows(text, "Early-stop iteration")) == 5
    assert len(rows(text, "Test accuracy at the end, %")) == 5


def test_what_failed_is_in_its_cell() -> None:
    found = compared(
        method_run(results_of(), config=criterion("magnitude", name="a")),
        method_run(
            results_of(failed=[JobKey(0, "main", 0), JobKey(1, "main", 2)]),
            config=criterion("random", name="b"),
        ),
    )
    table = rows(comparison_text(found), "Test accuracy at early stop, %")
    assert "(4+1" in table[0]
    # Without a dense network a replicate has nothing to compare, and is left out everywhere.
    assert "(4)" in " ".join(table[1])
    assert "(3+1" in table[2]


def test_a_long_setting_is_broken_at_its_dots() -> None:
    found = two()
    one = replace(found.settings[0], key="prune.fractions.output.block.weight")
    text = comparison_text(replace(found, settings=(one,)))
    lines = [line.split()[0] for line in text.splitlines() if line.strip()]
    at = lines.index("prune.fractions.output.")
    assert lines[at + 1] == "block.weight"


@pytest.mark.parametrize("methods", [2, 3, 4, 6])
def test_it_fits_80_columns_and_every_run_has_its_column(methods: int) -> None:
    runs = [
        method_run(
            results_of(worse=0.001 * i),
            config=criterion("magnitude", name=f"a-rather-long-name-of-a-run-{i}"),
            run=f"a-rather-long-name-of-a-run-{i}-12345678",
        )
        for i in range(methods)
    ]
    text = comparison_text(compared(*runs))
    assert all(len(line) <= 80 for line in text.splitlines())
    shown = text.split("Test accuracy at early stop, %")[1].split("Test accuracy at the end")[0]
    for row in compared(*runs).rows:
        for cell in row.cells:
            assert cell is not None
            assert cell.group.accuracy is not None
            assert f"{100 * cell.group.accuracy.mean:.2f} ±" in shown
    wide = comparison_text(compared(*runs), width=200)
    assert all(len(line) <= 200 for line in wide.splitlines())
    shown = wide.split("Test accuracy at early stop, %")[1].split("Test accuracy at the end")[0]
    assert shown.count("Density %") == 1, "one table has room for all"


def test_names_are_text_and_no_markup() -> None:
    text = comparison_text(sample(name="[bold]x[/bold] [link=http://x]y"))
    assert "[bold]x[/bold]" in words(text)


def test_settings_that_differ_are_listed() -> None:
    text = comparison_text(two())
    assert rows(f"{text}\n\n", "Settings in which they differ") == [
        ["prune.criterion", "magnitude", "random"]
    ]
    same = comparison_text(
        compared(*(replace(method_run(results_of()), starts={}) for _ in range(2)))
    )
    assert "Settings in which they differ" not in same


def test_caveats_and_warnings_are_printed() -> None:
    found = compared(
        method_run(results_of(), config=criterion("magnitude", model="mlp-30")),
        method_run(results_of(), config=criterion("magnitude", model="mlp-40")),
    )
    text = words(comparison_text(found))
    assert "Not comparable without care - The models are not the same" in text
    assert "Keep in mind" in text
