"""When masks are drawn, against a plain list of all of them."""

from __future__ import annotations

import pytest
import torch

from lottery.core import Mask
from lottery.errors import StoreError
from lottery.testing.running import round_trip
from lottery.tickets import EarlyBirdConfig, check_iterations, drawn_mask, watch_masks
from lottery.training import Checkpoint, Length, Notes, State

EVERY_TWO = EarlyBirdConfig(every=Length(amount=2), window=3, distance=0.1)


def state(number: int) -> State:
    return {"fc.weight": torch.full((10,), float(number)), "norm.batches": torch.tensor(number)}


def mask(pruned: int) -> Mask:
    kept = torch.ones(10, dtype=torch.bool)
    kept[:pruned] = False
    return Mask({"fc.weight": kept})


def watched(
    levels: list[list[int]], *, through_files: bool = False, trains_on: bool = False
) -> Notes:
    """Look at the k-th state, whose level l has as many weights pruned as levels[l][k] says."""
    number = len(levels[0])
    observer = watch_masks(
        EVERY_TWO,
        lambda found: [mask(level[int(found["fc.weight"][0])]) for level in levels],
        total=2 * number + 1,
        steps_per_epoch=5,
        trains_on=trains_on,
    )
    assert observer.at == tuple(range(2, 2 * number + 1, 2))
    notes: Notes = {}
    for number, iteration in enumerate(observer.at):
        before = dict(notes)
        after = observer.note(iteration, state(number), notes)
        assert notes.keys() == before.keys(), "notes were changed in place"
        notes = after
        if through_files:
            kept = Checkpoint(iteration=iteration, tensors=notes)
            notes = round_trip(kept).tensors
    return notes


@pytest.mark.parametrize("through_files", [False, True])
def test_a_mask_is_drawn_when_it_is_like_those_before_it(through_files: bool) -> None:
    # The newest lies within 0.1 of the two before it for the first time at the fifth look.
    notes = watched(
        [[2, 4, 6, 6, 5, 9, 9, 9], [1, 1, 1, 9, 1, 9, 1, 9]], through_files=through_files
    )

    first, second = (drawn_mask(EVERY_TWO, level, notes) for level in (1, 2))

    assert (first.mask, first.iteration, first.settled) == (mask(5), 10, True)
    assert first.spread == pytest.approx(0.1)
    assert (second.mask, second.iteration, second.settled) == (mask(1), 6, True)
    assert second.spread == 0.0
    assert "settled: it differs from the 2 masks before it in at most 0.1" in first.describe(
        EVERY_TWO
    )


def test_a_mask_that_never_settles_is_drawn_at_the_end_and_says_so() -> None:
    never = drawn_mask(EVERY_TWO, 1, watched([[0, 2, 4, 6]]))

    assert (never.mask, never.iteration, never.settled) == (mask(6), 8, False)
    assert never.describe(EVERY_TWO) == (
        "never settled, drawn at the last look: it differs from the 2 masks before it in "
        "at most 0.4 of the weights, more than 0.1"
    )


@pytest.mark.parametrize("through_files", [False, True])
def test_the_state_of_each_draw_is_noted_once(through_files: bool) -> None:
    # Levels 1 and 3 are drawn at the fifth look, level 2 at the third, level 4 at the last.
    levels = [
        [2, 4, 6, 6, 5, 9, 9, 9],
        [1, 1, 1, 9, 1, 9, 1, 9],
        [0, 9, 3, 3, 3, 3, 3, 3],
        [0, 9, 0, 9, 0, 9, 0, 9],
    ]
    plain = watched(levels, through_files=through_files)
    notes = watched(levels, through_files=through_files, trains_on=True)

    masks = {name: value for name, value in notes.items() if "state/" not in name}
    torch.testing.assert_close(masks, dict(plain), rtol=0, atol=0)
    places = {name.split("/")[1] for name in notes if name.startswith("state/")}
    assert places == {f"{at:012d}" for at in (6, 10, 16)}
    for level, look in ((1, 4), (2, 2), (3, 4), (4, 7)):
        early = drawn_mask(EVERY_TWO, level, notes)
        assert early.iteration == 2 * look + 2
        found = early.state
        assert found is not None
        assert found.keys() == state(look).keys()
        for name, value in state(look).items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=0)
        assert drawn_mask(EVERY_TWO, level, plain).state is None


def test_no_state_is_noted_before_a_mask_has_settled() -> None:
    observer = watch_masks(
        EVERY_TWO,
        lambda found: [mask(int(found["fc.weight"][0]))],
        total=100,
        steps_per_epoch=5,
        trains_on=True,
    )
    notes: Notes = {}
    for number in range(8):
        notes = observer.note(2 * number + 2, state(number), notes)
        assert not [name for name in notes if name.startswith("state/")]


def test_the_last_look_of_tickets_that_train_on_comes_before_the_end() -> None:
    for total, last in ((10, (10, 8)), (11, (10, 10)), (1, (None, None))):
        for trains_on, at in zip((False, True), last, strict=True):
            found = check_iterations(EVERY_TWO, total=total, steps_per_epoch=5, trains_on=trains_on)
            assert found == (tuple(range(2, at + 1, 2)) if at else ())


def test_no_more_masks_are_kept_than_are_compared() -> None:
    notes = watched([[0, 2, 4, 6], [0, 0, 0, 0]])
    assert len(notes) == 2 * 2
    observer = watch_masks(EVERY_TWO, lambda _: [mask(0)], total=100, steps_per_epoch=5)
    one = observer.note(2, state(0), {})
    assert len(observer.note(4, state(0), one)) == 2


def test_weights_that_are_no_numbers_are_not_looked_at() -> None:
    observer = watch_masks(EVERY_TWO, lambda _: [mask(0)], total=100, steps_per_epoch=5)
    one = observer.note(2, state(0), {})
    assert observer.note(4, {"fc.weight": torch.full((10,), torch.nan)}, one) is one


def test_notes_without_the_level_are_refused() -> None:
    notes = watched([[0, 0, 0, 0]])
    for wrong in ({}, {k: v for k, v in notes.items() if "spread" not in k}):
        with pytest.raises(StoreError, match="no mask for level 1"):
            drawn_mask(EVERY_TWO, 1, wrong)
