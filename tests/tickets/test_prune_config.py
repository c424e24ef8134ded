"""Which combinations of scope, schedule and exceptions mean something."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lottery.core import CRITERIA, Mask
from lottery.errors import UsageError
from lottery.methods import RewindConfig
from lottery.tickets import PruneConfig, criterion_problems, level_densities
from lottery.tickets.counts import kept_at_level
from lottery.training import Length

LISTED = {"schedule": "listed", "densities": (0.5, 0.2, 0.05)}
LINEAR = {"schedule": "linear", "final_density": 0.1}


@pytest.mark.parametrize("scope", ["global", "lamp", "uniform", "erk"])
@pytest.mark.parametrize(
    "schedule",
    [{}, {"schedule": "one-shot"}, LISTED, LINEAR, {**LISTED, "schedule": "one-shot"}],
    ids=["geometric", "one-shot", "listed", "linear", "one-shot-listed"],
)
def test_scopes_and_schedules_combine(scope: str, schedule: dict[str, object]) -> None:
    exempt = {"output.*": 0.0}
    config = PruneConfig(scope=scope, fractions=exempt, **schedule)  # type: ignore[arg-type]
    assert config.problems() == []


@pytest.mark.parametrize("name", [*CRITERIA, "my_package.criteria:mine"])
def test_scores_that_may_be_negative_or_infinite_are_not_rescaled(name: str) -> None:
    """What is not one of ours is not imported to know; it is taken to be right."""
    found = [
        problem
        for problem in PruneConfig(criterion=name, scope="lamp").problems()
        if not problem.startswith("granularity: ")  # of those with one score per unit
    ]
    if name not in CRITERIA or CRITERIA[name].rescalable:
        assert found == []
        return
    (problem,) = found
    assert problem.startswith("scope: 'lamp' squares scores, so they must be finite and 0 or more")
    assert f"those of the criterion '{name}' need not be" in problem
    assert PruneConfig(criterion=name, scope="global", granularity="filter").problems() == []


PER_UNIT = {name for name, entry in CRITERIA.items() if entry.per_unit}
WHOLE_UNITS = ("filter", "channel", "neuron", "layer", "residual-block")


@pytest.mark.parametrize("name", [*CRITERIA, "my_package.criteria:mine"])
@pytest.mark.parametrize("granularity", ["weight", "kernel", "block-2x2", "2:4", *WHOLE_UNITS])
def test_what_has_one_score_per_output_is_not_cut_up(name: str, granularity: str) -> None:
    of_runs = {"schedule": "one-shot"} if granularity == "2:4" else {"scope": "global"}
    found = PruneConfig(
        criterion=name,
        granularity=granularity,
        **of_runs,  # type: ignore[arg-type]
    ).problems()
    if name not in PER_UNIT or granularity in WHOLE_UNITS:
        assert found == []
        return
    assert found == [
        f"granularity: the criterion '{name}' gives all weights of an output the same score, so "
        "which of them go would be their order alone; use 'filter', 'neuron' or 'channel', got "
        f"'{granularity}'"
    ]


@pytest.mark.parametrize("name", [*CRITERIA, "my_package.criteria:mine"])
def test_of_ours_all_can_score_what_is_to_come_back(name: str) -> None:
    assert PruneConfig(criterion=name, granularity="filter", rounds=3, regrow=True).problems() == []


def test_only_what_has_a_score_can_come_back() -> None:
    prune = PruneConfig(criterion="my_package.criteria:mine", rounds=3, regrow=True)
    entry = replace(CRITERIA["snip"], scores_pruned=False)
    assert criterion_problems(prune, entry) == [
        "regrow: the criterion 'my_package.criteria:mine' scores survivors alone, so nothing says "
        "which pruned weights are to come back; use false, or another criterion such as 'snip'"
    ]


@pytest.mark.parametrize("name", [*CRITERIA, "my_package.criteria:mine"])
def test_batch_statistics_are_a_choice_with_snip_alone(name: str) -> None:
    found = PruneConfig(criterion=name, granularity="filter", batch_statistics=True).problems()
    if name in ("snip", "my_package.criteria:mine"):
        assert found == []
    else:
        assert found == [
            f"batch_statistics: this is for the criterion 'snip'; the mode of '{name}' is given, "
            "so use false"
        ]


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({**LISTED}, "scope: within a 'layer' each layer loses a fraction of its own, but the"),
        ({**LINEAR}, "scope: within a 'layer'"),
        ({"schedule": "one-shot", "densities": (0.5,)}, "scope: within a 'layer'"),
        (
            {"scope": "erk", "fractions": {"fc*": 0.1}},
            "fractions.'fc*': scope 'erk' says how dense",
        ),
        (
            {"scope": "global", **LINEAR, "fractions": {"fc*": 0.1}},
            "fractions.'fc*': the linear schedule says how dense the network is",
        ),
        ({"scope": "global", "schedule": "linear"}, "final_density: the linear schedule needs one"),
        ({"scope": "global", "schedule": "linear", "final_density": 1.0}, "final_density: the"),
        ({"final_density": 0.1}, "final_density: the geometric schedule has none"),
        ({"scope": "global", "schedule": "listed"}, "densities: the listed schedule needs"),
        ({"scope": "global", "densities": (0.5,)}, "densities: the geometric schedule makes its"),
        (
            {"scope": "global", "schedule": "listed", "densities": (1.0, 0.5)},
            "densities: each must",
        ),
        (
            {"scope": "global", "schedule": "listed", "densities": (0.5, 0.5)},
            "densities: each must",
        ),
        (
            {"scope": "global", "schedule": "listed", "densities": (0.5, 0.0)},
            "densities: each must",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_reason(
    values: dict[str, object], start: str
) -> None:
    found = PruneConfig(**values).problems()  # type: ignore[arg-type]
    assert any(problem.startswith(start) for problem in found), found


@pytest.mark.parametrize(
    ("config", "starts"),
    [
        (RewindConfig(kind="learning-rate", to=Length(amount=9)), []),
        (RewindConfig(kind="fine-tune", length=Length(amount=9)), []),
        (RewindConfig(kind="fine-tune"), ["length.amount: fine-tuning needs 1 or more"]),
        (
            RewindConfig(kind="fine-tune", length=Length(amount=9), to=Length(amount=9)),
            ["to: fine-tuning goes back to nothing"],
        ),
        (
            RewindConfig(length=Length(amount=9)),
            ["length: training runs from method.rewind.to to its end"],
        ),
    ],
)
def test_rewinding_says_all_it_needs_and_no_more(config: RewindConfig, starts: list[str]) -> None:
    found = config.problems()
    assert len(found) == len(starts)
    assert all(problem.startswith(s) for problem, s in zip(found, starts, strict=True))


def test_levels_beyond_the_schedule_are_refused() -> None:
    listed = PruneConfig(scope="global", schedule="listed", densities=(0.5,))
    with pytest.raises(UsageError, match="lists 1 levels: nothing for level 2"):
        kept_at_level(listed, 2, 100)
    linear = PruneConfig(scope="global", schedule="linear", final_density=0.1)
    for levels in (None, 1):
        with pytest.raises(UsageError, match=f"number of levels, 2 or more, got {levels}"):
            kept_at_level(linear, 2, 100, levels)


def test_densities_are_planned_for_every_schedule() -> None:
    totals = Mask.dense({"a": torch.ones(150), "b": torch.ones(50)})
    listed = PruneConfig(scope="uniform", schedule="listed", densities=(0.5, 0.333))
    assert level_densities(listed, totals, 2) == [1.0, 0.5, 67 / 200]
    linear = PruneConfig(scope="erk", schedule="linear", final_density=0.25)
    assert level_densities(linear, totals, 3) == [1.0, 0.75, 0.5, 0.25]
    assert level_densities(PruneConfig(fraction=0.5), totals, 2) == [1.0, 0.5, 50 / 200]
    with pytest.raises(UsageError, match="as many as are exempt"):
        level_densities(
            PruneConfig(scope="global", schedule="listed", densities=(0.1,), fractions={"b": 0.0}),
            totals,
            1,
        )
