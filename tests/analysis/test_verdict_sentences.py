"""The paragraph says what the numbers say, and no more than the tests do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.analysis import Verdict, verdict_text
from lottery.analysis.controls import CONTROLS
from lottery.analysis.verdict_sentences import updates_caveat
from lottery.methods import CONTROL_KINDS
from lottery.store.jobs import JobKey, JobResult
from lottery.tickets import RewindMethod
from lottery.training import MaskUpdateMethod, PrunedValues

Job = Callable[..., JobResult]
Simulated = Callable[..., list[JobResult]]
Judged = Callable[..., Verdict]

WINS = (0.004, -3000.0)
FAILS = (-0.02, 3000.0)


def one_pair(job: Job, judged: Judged, *reinit: JobResult, ticket: JobResult) -> Verdict:
    return judged([job(0, "main", 0, 0.9760, 9800), ticket, *reinit])


def test_the_numbers_have_their_units(job: Job, judged: Judged) -> None:
    verdict = one_pair(
        job,
        judged,
        job(0, "reinit-1", 9, 0.9733, 12_900),
        ticket=job(0, "main", 9, 0.9795, 4200),
    )
    text = verdict.paragraph
    assert "keeps 13.4% of the weights (level 9)" in text
    assert "97.95%, 0.35 percentage points above the dense network's (n = 1)" in text
    assert "lowest after 0.43 times the dense network's iterations" in text
    assert (
        "With new random weights the same mask is 0.27 percentage points below the dense network "
        "in accuracy, and its validation loss is lowest after 1.32 times" in text
    )


def test_one_replicate_says_so_and_confirms_nothing(job: Job, judged: Judged) -> None:
    verdict = one_pair(
        job, judged, job(0, "reinit-1", 1, 0.5, 9000), ticket=job(0, "main", 1, 0.98, 500)
    )
    assert verdict.paragraph.startswith("Not tested: one replicate is no test.")
    found = re.search(r"nothing is tested; run it with --replicates (\d+)\.", verdict.paragraph)
    assert found is not None
    assert int(found[1]) >= 3
    assert "the tests confirm" not in verdict.paragraph
    assert "interval" not in verdict.paragraph


def test_two_replicates_are_told_that_they_are_too_few(
    simulated: Simulated, judged: Judged
) -> None:
    verdict = judged(simulated(1, replicates=2, levels=12, ticket=WINS, reinit=FAILS))
    assert verdict.headline == "open"
    assert "With 2 replicates and 12 levels nothing can be confirmed" in verdict.paragraph


def test_a_confirmed_run_says_what_is_confirmed(simulated: Simulated, judged: Judged) -> None:
    verdict = judged(simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS))
    assert verdict.paragraph.startswith(
        "Confirmed: with a margin of 0.2 percentage points this run supports the lottery ticket "
        "hypothesis."
    )
    assert (
        "matches, that it is no later, and that its reinitialized copy fails" in verdict.paragraph
    )
    assert "The same is confirmed at levels 1 and 2." in verdict.paragraph
    assert "the tests confirm that it fails (by not matching, or by being later)" in (
        verdict.paragraph
    )
    assert "95% interval" in verdict.paragraph
    assert verdict.caveats == ()


def test_an_indicated_run_says_how_often_chance_alone_is(
    simulated: Simulated, judged: Judged
) -> None:
    """At four replicates these effects are too small to be confirmed, and large enough to show."""
    found = [
        judged(simulated(seed, replicates=3, levels=3, ticket=(0.001, -600.0), reinit=FAILS))
        for seed in range(12)
    ]
    indicated = [verdict for verdict in found if verdict.headline == "indicated"]
    assert indicated
    for verdict in indicated:
        assert verdict.paragraph.startswith("Indicated, not confirmed: with a margin of 0.2")
        assert "supports" not in verdict.paragraph
        assert verdict.confirmed_levels == ()


def test_confirmed_at_another_level_than_the_smallest_winner(
    simulated: Simulated, judged: Judged
) -> None:
    """At level 1 the reinitialized copies win as well; at level 2 they fail."""
    failing = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    winning = simulated(2, replicates=5, levels=2, ticket=WINS, reinit=WINS)
    mixed = [r for r in failing if r.level != 1 or r.branch == "main"]
    mixed += [r for r in winning if r.level == 1 and r.branch != "main"]
    verdict = judged(mixed)
    assert (verdict.headline, verdict.confirmed_levels) == ("confirmed", (2,))
    assert "The same is confirmed" not in verdict.paragraph
    copies = verdict.levels[1].groups["reinit"].tests
    assert (copies["fails"].outcome, copies["wins"].outcome) == ("against", "confirmed")


def test_no_winner_says_what_is_missing(simulated: Simulated, judged: Judged) -> None:
    late = judged(simulated(1, replicates=3, levels=2, ticket=(0.004, 3000.0), reinit=FAILS))
    assert "(level 2), but none wins on the means; that it wins was tested and refuted" in (
        late.paragraph
    )
    stop = late.levels[2].groups["main"].against_dense["early_stop"].estimate
    assert stop is not None
    assert f"lowest after {stop.mean:.2f} times the dense network's" in late.paragraph
    poor = judged(simulated(1, replicates=3, levels=2, ticket=FAILS, reinit=FAILS))
    assert "At no level is accuracy on the means, with no ticket lost, within 0.2" in (
        poor.paragraph
    )
    assert "2.00 percentage points below" in poor.paragraph or "points below" in poor.paragraph


def test_caveats_name_what_is_weak(simulated: Simulated, judged: Judged) -> None:
    results = simulated(4, replicates=4, levels=3, ticket=(0.003, -3000.0), reinit=FAILS)
    planned = [*(r.key for r in results), JobKey(4, "main", 0)]
    weak = [
        replace(r, status="diverged")
        if r.key in (JobKey(0, "main", 3), JobKey(1, "main", 0))
        else r
        for r in results
    ]
    verdict = judged(weak, planned=planned)
    text = "\n".join(verdict.caveats)
    assert "28 of 29 jobs have ended" in verdict.paragraph
    assert "Lost among tickets and controls: 1 diverged" in verdict.paragraph
    assert "Lost among dense networks: 1 diverged" in verdict.paragraph
    assert "1 at level 3. A level that lost one is not called winning" in text
    assert "compared to dense in all 5 replicates; the fewest are 4" in text


def test_gaps_and_unfinished_learning_are_named(job: Job, judged: Judged) -> None:
    verdict = judged(
        [
            job(0, "main", 0, 0.98, 1000, iterations=1000),
            job(0, "main", 1, 0.90, 500),
            job(0, "main", 2, 0.98, 1000, iterations=1000),
            job(0, "reinit-1", 2, status="diverged"),
        ]
    )
    text = "\n".join(verdict.caveats)
    assert "validation loss of the dense network was lowest at the very end" in text
    assert "validation loss of the ticket at level 2 was lowest at the very end" in text
    assert "came to no result (1 of 1 training lost: 1 diverged)" in verdict.paragraph


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("set", "Masks change while tickets train (method.update = 'set')"),
        ("rigl", "what does well is not the mask that a ticket begins with."),
        ("gradual", "every training begins dense, densities are those at its end"),
    ],
)
def test_masks_that_change_in_training_are_named(
    simulated: Simulated, judged: Judged, method: MaskUpdateMethod, said: str
) -> None:
    results = simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS)
    verdict = judged(results, mask_updates=method)
    (caveat,) = verdict.caveats
    assert said in caveat
    assert verdict.mask_updates == method
    assert judged(results).caveats == ()


@pytest.mark.parametrize("method", ["learning-rate", "fine-tune"])
def test_tickets_that_keep_trained_weights_test_no_hypothesis(
    simulated: Simulated, judged: Judged, method: RewindMethod
) -> None:
    """With numbers that would confirm it, were they of tickets that start anew."""
    results = simulated(1, replicates=8, levels=3, ticket=WINS, reinit=FAILS)
    assert judged(results).headline == "confirmed"
    verdict = judged(results, rewind=method)
    assert verdict.headline == "not tested"
    assert verdict.paragraph.startswith(
        f"Not tested: its tickets keep trained weights (method.rewind.kind = '{method}')"
    )
    assert verdict.confirmed_levels == ()
    assert [answer.outcome for answer in verdict.answers[1:]] == ["untested"] * 2
    for level in verdict.levels[1:]:
        tests = level.groups["main"].tests
        assert {tests[name].outcome for name in ("no_later", "wins", "hypothesis")} <= {
            "open",
            "untested",
        }
        assert "early_stop" not in level.groups["main"].against_dense
        assert not level.wins_on_means
    assert "early stops do not say how fast" in " ".join(verdict.caveats)
    for word in ("winning", "times", "own initialization", "sooner", "supports"):
        assert word not in verdict.paragraph


def test_of_trained_weights_matching_is_tested_all_the_same(
    simulated: Simulated, judged: Judged
) -> None:
    results = simulated(1, replicates=8, levels=3, ticket=WINS, reinit=FAILS)
    rewound, tuned = judged(results), judged(results, rewind="fine-tune")
    for one, other in zip(rewound.levels[1:], tuned.levels[1:], strict=True):
        assert one.groups["main"].tests["matches"] == other.groups["main"].tests["matches"]
    assert (
        "The smallest ticket that the tests confirm to match keeps 51.2% of the weights (level 3)."
    ) in tuned.paragraph
    assert "With new random weights the same mask is " in tuned.paragraph
    assert "the tests confirm that it fails to match" in tuned.paragraph
    (row,) = [line for line in verdict_text(tuned).splitlines() if line.startswith("  > 3")]
    assert row.split()[3] == "confirmed"
    assert "Matches?" in verdict_text(tuned)
    assert "Wins" not in verdict_text(tuned)


def test_of_trained_weights_no_match_is_said(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=3, levels=2, ticket=FAILS, reinit=FAILS)
    text = judged(results, rewind="learning-rate").paragraph
    assert "At no level is accuracy on the means, with no ticket lost, within 0.2" in text


def test_where_tickets_are_rewound_to_is_said(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    later = [replace(r, start_iteration=500 if r.level else 0) for r in results]
    (caveat,) = judged(later).caveats
    assert caveat.startswith("Tickets are rewound to iteration 500, and not to the initialization")
    assert judged(later).headline == "confirmed"
    assert judged(results).caveats == ()


@pytest.mark.parametrize("held", ["frozen", "mixed"])
def test_pruned_weights_that_are_not_zero_are_named(
    simulated: Simulated, judged: Judged, held: PrunedValues
) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    (caveat,) = judged(results, pruned_values=held).caveats
    assert f"Pruned weights are held, not zero (method.pruned = '{held}')" in caveat


def test_masks_that_never_settled_are_counted(simulated: Simulated, judged: Judged) -> None:
    """Of tickets alone, though their controls have the same masks; settled ones do not count."""
    ends = {
        (0, 1): "never settled, drawn at the last look",
        (2, 1): "never settled",
        (1, 3): "settled",
    }
    results = [
        replace(r, provenance={"drawn": f"{ends.get((r.replicate, r.level), 'settled')}: the last"})
        for r in simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS)
    ]
    verdict = judged(results)
    assert [level.tickets_unsettled for level in verdict.levels] == [0, 2, 0, 0]
    (caveat,) = verdict.caveats
    assert caveat.startswith("Early-Bird masks that never settled")
    assert caveat.endswith("no early ones: 2 at level 1.")


def test_tickets_that_train_on_from_masks_that_never_settled_do_not_win(
    simulated: Simulated, judged: Judged
) -> None:
    """Of level 1 one is late, of level 2 none; the numbers alone would have both win."""
    results = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    late = {(3, 1)}
    results = [
        replace(
            r,
            start_iteration=100 * r.level if r.branch != "main" or r.level else 0,
            provenance={"drawn": f"{'never ' * ((r.replicate, r.level) in late)}settled: the last"},
        )
        for r in results
    ]
    rewound, drawn = judged(results), judged(results, rewind="drawn")
    assert [level.wins_on_means for level in rewound.levels] == [False, True, True]
    assert [level.wins_on_means for level in drawn.levels] == [False, False, True]
    assert [level.tickets_late for level in rewound.levels] == [0, 0, 0]
    assert [level.tickets_late for level in drawn.levels] == [0, 1, 0]
    assert [level.start_iteration for level in drawn.levels] == [0, 100, 200]
    one, other = (verdict.levels[1].groups["main"].tests for verdict in (rewound, drawn))
    assert other["matches"].outcome == "confirmed"
    assert (one["wins"].outcome, other["wins"].outcome) == ("confirmed", "open")
    assert drawn.headline == "confirmed"
    assert any("until iteration 100 to 200, means by level" in said for said in drawn.caveats)
    assert any("1 at level 1. A level with one is not called" in said for said in drawn.caveats)
    alone = judged([r for r in results if r.level < 2], rewind="drawn")
    assert alone.headline == "open", "four of five were drawn early, and none wins"
    assert "but none wins on the means" in alone.paragraph


def test_where_no_mask_settled_nothing_is_decided(simulated: Simulated, judged: Judged) -> None:
    never = {"drawn": "never settled, drawn at the last look"}
    results = [
        replace(result, provenance=never)
        for result in simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    ]
    verdict = judged(results, rewind="drawn")
    assert verdict.headline == "not tested"
    assert "no mask settled, so that every ticket was the dense" in verdict.paragraph
    assert judged(results).headline == "confirmed"


status = st.sampled_from(["done", "done", "done", "diverged", "collapsed"])
place = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["main", "main", "reinit-1", "random-mask-1"]),
    st.integers(0, 3),
)
measured = st.tuples(st.integers(0, 10_000), st.integers(0, 5), status)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(place, measured, max_size=24))
def test_any_mixture_of_results_gets_an_honest_verdict(
    job: Job, judged: Judged, found: dict[tuple[int, str, int], tuple[int, int, str]]
) -> None:
    verdict = judged(
        [
            job(*where, accuracy / 10_000, 100 * step, status=status)
            for where, (accuracy, step, status) in found.items()
        ]
    )
    assert verdict.paragraph.endswith(".")
    for text in (verdict.paragraph, *verdict.caveats, verdict_text(verdict)):
        assert "nan" not in text
        assert "None" not in text
        assert " ." not in text
        assert "  " not in text or text == verdict_text(verdict)
        assert "inf" not in text.split()
    assert all(caveat.endswith(".") for caveat in verdict.caveats)
    assert len(verdict.answers) == 3
    confirmed = {
        level.level
        for level in verdict.levels
        if "main" in level.groups
        and (test := level.groups["main"].tests.get("hypothesis"))
        and test.outcome == "confirmed"
    }
    assert confirmed == set(verdict.confirmed_levels)
    assert (verdict.headline == "confirmed") == bool(confirmed)
    for level in verdict.levels[1:] if confirmed else ():
        if level.level in confirmed:
            assert level.groups["main"].tests["wins"].outcome == "confirmed"
            assert level.groups["reinit"].tests["fails"].outcome == "confirmed"
    if verdict.level_picked == "confirmed":
        assert verdict.level in confirmed


def test_every_control_has_a_sentence_at_the_level_spoken_of(
    simulated: Simulated, judged: Judged
) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    control = [r for r in results if r.branch != "main"]
    for kind in CONTROL_KINDS[1:]:
        verdict = judged([*results, *(replace(r, branch=f"{kind}-1") for r in control)])
        found = verdict.levels[2].groups[kind].against_dense["accuracy"].estimate
        assert found is not None
        said = f"{CONTROLS[kind].sentence} is {abs(100 * found.mean):.2f} percentage points below"
        assert verdict.paragraph.count(said) == 1


def test_counted_nouns_agree(simulated: Simulated, judged: Judged) -> None:
    verdict = judged(simulated(1, replicates=3, levels=1, ticket=(0.0, 0.0), reinit=(0.0, 0.0)))
    assert "1 levels" not in verdict.paragraph
    assert "flatters" not in verdict.paragraph


@pytest.mark.parametrize(
    ("method", "word"), [("none", ""), ("gradual", "pruned while"), ("rigl", "Masks change")]
)
def test_masks_that_change_are_explained_in_one_place(method: MaskUpdateMethod, word: str) -> None:
    assert word in updates_caveat(method)
    assert bool(updates_caveat(method)) == bool(word)


def test_what_is_short_of_the_whole_is_said(simulated: Simulated, judged: Judged) -> None:
    same = judged(simulated(1, replicates=5, levels=2, ticket=WINS, reinit=(-0.002, 0.0)))
    assert same.headline in ("open", "indicated")
    assert "it is not that their reinitialized copies fail" in same.paragraph
    none = judged(simulated(1, replicates=3, levels=2, ticket=(0.0, 0.0), reinit=FAILS))
    assert none.headline in ("open", "indicated")
    assert "at no level is it confirmed that the ticket wins" in none.paragraph
