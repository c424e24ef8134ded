"""The paragraph says what the numbers say, and no more than the tests do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.analysis import Verdict, verdict_text
from lottery.store.jobs import CONTROL_KINDS, JobKey, JobResult
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
    assert "97.95%, the dense network's 97.60%: 0.35 percentage points higher" in text
    assert "after 4,200 iterations, the dense network's after 9,800: 2.3 times as fast" in text
    assert "accuracy is 0.62 percentage points lower" in text
    assert "early stop comes 8,700 iterations later" in text


def test_one_replicate_says_so_and_confirms_nothing(job: Job, judged: Judged) -> None:
    verdict = one_pair(
        job, judged, job(0, "reinit-1", 1, 0.5, 9000), ticket=job(0, "main", 1, 0.98, 500)
    )
    assert "as far as one replicate can show" in verdict.paragraph
    found = re.search(r"nothing here can be tested; .* --replicates (\d+)\.", verdict.paragraph)
    assert found is not None
    assert int(found[1]) >= 2
    assert "confirm" not in verdict.paragraph


def test_two_replicates_are_told_that_they_are_too_few(
    simulated: Simulated, judged: Judged
) -> None:
    verdict = judged(simulated(1, replicates=2, levels=12, ticket=WINS, reinit=FAILS))
    assert verdict.hypothesis == "observed"
    assert "54 times its own standard deviation" in verdict.paragraph


def test_a_supported_run_says_what_is_confirmed(simulated: Simulated, judged: Judged) -> None:
    verdict = judged(simulated(1, replicates=5, levels=3, ticket=WINS, reinit=FAILS))
    assert verdict.paragraph.startswith("This run supports the lottery ticket hypothesis.")
    assert "and the tests confirm that it wins" in verdict.paragraph
    assert "confirm that it is both less accurate and later" in verdict.paragraph
    assert "95% interval" in verdict.paragraph
    assert verdict.caveats == ()


@pytest.mark.parametrize(
    ("reinit", "words"), [((-0.02, -3000.0), "less accurate;"), ((0.004, 3000.0), "later;")]
)
def test_only_the_confirmed_way_of_failing_is_named(
    simulated: Simulated, judged: Judged, reinit: tuple[float, float], words: str
) -> None:
    verdict = judged(simulated(1, replicates=5, levels=2, ticket=WINS, reinit=reinit))
    assert f"the tests confirm that it is {words[:-1]}." in verdict.paragraph


def test_support_at_another_level_is_named(simulated: Simulated, judged: Judged) -> None:
    """At level 2 the reinitialized copies win as well; at level 1 they fail."""
    failing = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    winning = simulated(2, replicates=5, levels=2, ticket=WINS, reinit=WINS)
    mixed = [r for r in failing if r.level < 2 or r.branch == "main"]
    mixed += [r for r in winning if r.level == 2 and r.branch != "main"]
    verdict = judged(mixed)
    assert verdict.hypothesis == "supported"
    assert verdict.smallest_winning_level == 2
    assert "does worse is confirmed at level 1." in verdict.paragraph
    assert "its own initialization is not needed" in verdict.paragraph.replace(
        "the ticket's", "its"
    )


def test_no_winner_says_what_is_missing(simulated: Simulated, judged: Judged) -> None:
    late = judged(simulated(1, replicates=3, levels=2, ticket=(0.004, 3000.0), reinit=FAILS))
    assert "no level is winning" in late.paragraph
    assert late.levels[2].no_later is not None
    later = f"{late.levels[2].no_later.difference.mean:,.0f} iterations later"
    assert f"(level 2), but its early stop comes {later}" in late.paragraph
    poor = judged(simulated(1, replicates=3, levels=2, ticket=FAILS, reinit=FAILS))
    assert "At no level is accuracy within 0.2 percentage points" in poor.paragraph


def test_every_undecided_run_says_why(simulated: Simulated, judged: Judged, job: Job) -> None:
    results = simulated(1, replicates=3, levels=2, ticket=WINS, reinit=FAILS)
    poor = simulated(1, replicates=3, levels=2, ticket=FAILS, reinit=FAILS)
    diverged = [replace(r, status="diverged") if r.level == 0 else r for r in results]
    apart = [job(0, "main", 0), job(1, "main", 1)]
    cases = {
        "no results yet": judged([]),
        "no dense network has come to its end": judged(diverged),
        "only the dense network.": judged([r for r in results if r.level == 0]),
        "no replicate has both": judged(apart),
        "not complete": judged(poor[:-1], planned=[r.key for r in poor]),
        "no reinitialization control": judged([r for r in results if r.branch == "main"]),
        "no reinitialized copy came to its end": judged(
            [replace(r, status="diverged") if r.branch != "main" else r for r in results]
        ),
    }
    for words, verdict in cases.items():
        assert verdict.hypothesis == "undecided"
        assert words in verdict.paragraph


def test_caveats_name_what_is_weak(simulated: Simulated, judged: Judged) -> None:
    results = simulated(4, replicates=3, levels=3, ticket=(0.003, -3000.0), reinit=FAILS)
    planned = [*(r.key for r in results), JobKey(3, "main", 0)]
    weak = [
        replace(r, status="diverged")
        if r.key in (JobKey(0, "main", 3), JobKey(1, "main", 0))
        else r
        for r in results
    ]
    text = "\n".join(judged(weak, planned=planned).caveats)
    assert "21 of 22 jobs have ended" in text
    assert "2 jobs diverged: counted, but part of no mean" in text
    assert "1 at level 3. A level that lost one is not called winning" in text
    assert "compared to dense in all 4 replicates; the fewest are 2" in text
    assert "as the smallest that wins on the means" in text


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
    assert "Level 1, with more weights than level 2, is not winning" in text
    assert "validation loss of the dense network was lowest at the very end" in text
    assert "validation loss of the smallest ticket was lowest at the very end" in text
    assert "none of its reinitialized copies came to its end" in text


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("set", "Masks change while tickets train (training.mask_updates.method = 'set')"),
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
    assert judged(results).hypothesis == "supported"
    verdict = judged(results, rewind=method)
    assert verdict.hypothesis == "undecided"
    assert verdict.paragraph.startswith(
        "This run does not test the lottery ticket hypothesis: its tickets keep trained weights "
        f"(rewind.method = '{method}')"
    )
    assert (verdict.smallest_winning_level, verdict.speedup) == (None, None)
    assert verdict.initialization_matters == "untested"
    for level in verdict.levels[1:]:
        assert (level.wins, level.is_winning, level.no_later) == (False, "untested", None)
        assert level.p_hypothesis_holm is None
        assert level.groups["reinit"].learns_later is None
    assert "early stops do not say how fast" in " ".join(verdict.caveats)
    for word in ("winning", "times as fast", "own initialization", "early stop comes"):
        assert word not in verdict.paragraph


def test_of_trained_weights_matching_is_tested_all_the_same(
    simulated: Simulated, judged: Judged
) -> None:
    results = simulated(1, replicates=8, levels=3, ticket=WINS, reinit=FAILS)
    rewound, tuned = judged(results), judged(results, rewind="fine-tune")
    for one, other in zip(rewound.levels, tuned.levels, strict=True):
        assert (one.matching, one.is_matching) == (other.matching, other.is_matching)
    assert (
        "The smallest network that matches the dense accuracy on the means keeps 51.2% of the "
        "weights (level 3), and the tests confirm that it does."
    ) in tuned.paragraph
    assert "With new random weights, accuracy is " in tuned.paragraph
    assert "(confirmed)" in tuned.paragraph
    (row,) = [line for line in verdict_text(tuned).splitlines() if line.startswith("    3")]
    assert row.split()[-2:] == ["yes", "yes"]
    assert "Matches" in verdict_text(tuned)
    assert "Wins" not in verdict_text(tuned)


def test_of_trained_weights_no_match_is_said(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=3, levels=2, ticket=FAILS, reinit=FAILS)
    text = judged(results, rewind="learning-rate").paragraph
    assert "At no level is accuracy within 0.2 percentage points of the dense network's." in text


def test_where_tickets_are_rewound_to_is_said(simulated: Simulated, judged: Judged) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    later = [replace(r, start_iteration=500 if r.level else 0) for r in results]
    (caveat,) = judged(later).caveats
    assert caveat.startswith("Tickets are rewound to iteration 500, and not to the initialization")
    assert judged(later).hypothesis == "supported"
    assert judged(results).caveats == ()


@pytest.mark.parametrize("held", ["frozen", "mixed"])
def test_pruned_weights_that_are_not_zero_are_named(
    simulated: Simulated, judged: Judged, held: PrunedValues
) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    (caveat,) = judged(results, pruned_values=held).caveats
    assert f"Pruned weights are held, not zero (training.pruned = '{held}')" in caveat


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
    assert [level.wins for level in rewound.levels] == [False, True, True]
    assert [level.wins for level in drawn.levels] == [False, False, True]
    assert [level.tickets_late for level in rewound.levels] == [0, 0, 0]
    assert [level.tickets_late for level in drawn.levels] == [0, 1, 0]
    assert [level.start_iteration for level in drawn.levels] == [0, 100, 200]
    assert drawn.levels[1].is_matching == "yes"
    assert (rewound.levels[1].is_winning, drawn.levels[1].is_winning) == ("yes", "unsure")
    assert drawn.hypothesis == "supported"
    assert any("until iteration 100 to 200, means by level" in said for said in drawn.caveats)
    assert any("1 at level 1. A level with one is not called" in said for said in drawn.caveats)
    alone = judged([r for r in results if r.level < 2], rewind="drawn")
    assert alone.hypothesis == "not supported", "four of five were drawn early, and none wins"
    assert "but there in 1 replicate the mask never settled" in alone.paragraph


def test_where_no_mask_settled_nothing_is_decided(simulated: Simulated, judged: Judged) -> None:
    never = {"drawn": "never settled, drawn at the last look"}
    results = [
        replace(result, provenance=never)
        for result in simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    ]
    verdict = judged(results, rewind="drawn")
    assert verdict.hypothesis == "undecided"
    assert "hypothesis: no mask settled, so that every ticket was the dense" in verdict.paragraph
    assert judged(results).hypothesis == "supported"


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
    assert "nan" not in verdict.paragraph
    assert "None" not in verdict.paragraph
    assert all(caveat.endswith(".") for caveat in verdict.caveats)
    winning = [level for level in verdict.levels if level.wins]
    smallest = min((level.density for level in winning), default=None)
    assert smallest == (
        None
        if verdict.smallest_winning_level is None
        else next(v.density for v in winning if v.level == verdict.smallest_winning_level)
    )
    for level in verdict.levels:
        assert level.is_winning != "yes" or level.wins
        assert level.is_winning != "no" or not level.wins
        assert level.is_winning in ("untested", "unsure") or level.is_matching != "untested"
    if verdict.hypothesis == "supported":
        assert verdict.initialization_matters == "yes"
        assert verdict.smallest_confirmed_level is not None
    if verdict.hypothesis in ("supported", "observed"):
        assert any(
            level.groups["reinit"].wins is False for level in winning if "reinit" in level.groups
        )


def test_every_other_control_has_a_sentence_at_the_smallest_ticket(
    simulated: Simulated, judged: Judged
) -> None:
    results = simulated(1, replicates=5, levels=2, ticket=WINS, reinit=FAILS)
    control = [r for r in results if r.branch != "main"]
    for kind in CONTROL_KINDS[1:]:
        verdict = judged([*results, *(replace(r, branch=f"{kind}-1") for r in control)])
        ticket = verdict.levels[2].groups[kind].accuracy_below_ticket
        assert ticket is not None
        lower = f"{100 * ticket.difference.mean:.2f} percentage points lower (confirmed)."
        assert verdict.paragraph.count(lower) == 1
