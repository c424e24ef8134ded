"""The tested comparisons as three forest plots: score, time, and tickets against their copies."""

from __future__ import annotations

from lottery.analysis.controls import CONTROLS
from lottery.analysis.score_format import ScoreFormat, at_moment
from lottery.analysis.types import Contrast, LevelVerdict, Measure, Verdict
from lottery.methods import CONTROL_KINDS
from lottery.report.figure import Figure, Plot, figure_text
from lottery.report.forest import Forest, Line, forest
from lottery.store.jobs import MAIN


def _against_dense(measure: Measure, name: str, symbol: str, test: str) -> Line:
    def of(level: LevelVerdict) -> Contrast | None:
        group = level.groups.get(MAIN) if level.level else None
        return group.against_dense.get(measure) if group else None

    return Line(
        kind=MAIN,
        name=name,
        symbol=symbol,
        of=of,
        test=lambda level: (test, level.groups[MAIN]) if of(level) else None,
    )


def _against_copy(kind: str) -> Line:
    def of(level: LevelVerdict) -> Contrast | None:
        group = level.groups.get(kind) if level.level else None
        return group.against_ticket.get("accuracy") if group else None

    return Line(
        kind=kind,
        name=CONTROLS[kind].label,
        symbol=CONTROLS[kind].symbol,
        of=of,
        test=lambda level: ("fails", level.groups[kind]) if of(level) else None,
    )


def accuracy_forest(verdict: Verdict) -> Plot | None:
    """Ticket minus dense network in the test score."""
    score = ScoreFormat(verdict.score)
    name = f"{figure_text(score.title)} {at_moment(verdict.timed)}"
    plan = Forest(
        title=_difference(score, "dense"),
        scale="difference",
        lines=[_against_dense("accuracy", name, "circle", "matches")],
        zone=(-(verdict.margin or 0.0), 0.0),
        sides=("worse", "better"),
        score=score,
    )
    return forest(verdict, plan)


def speed_forest(verdict: Verdict) -> Plot | None:
    """Ticket over dense network in times."""
    score = ScoreFormat(verdict.score)
    lines = [
        _against_dense("early_stop", "Early stop", "circle", "no_later"),
        _against_dense(
            "time_to_dense",
            f"Time to dense {figure_text(score.name)}",
            "diamond",
            "sooner_to_dense",
        ),
    ]
    found = [c for level in verdict.levels if (c := lines[0].of(level))]
    plan = Forest(
        title="Ticket over dense, iterations",
        scale="ratio",
        lines=lines,
        zone=(1.0, 1.0 + max([0.0, *(contrast.resolution for contrast in found)])),
        sides=("sooner", "later"),
        score=score,
    )
    return forest(verdict, plan)


def copies_forest(verdict: Verdict) -> Plot | None:
    """Ticket minus its controls in the test score."""
    score, margin = ScoreFormat(verdict.score), verdict.margin or 0.0
    kinds = [k for k in CONTROL_KINDS if any(k in level.groups for level in verdict.levels)]
    plan = Forest(
        title=_difference(score, "its copy"),
        scale="difference",
        lines=[_against_copy(kind) for kind in kinds],
        zone=(-margin, margin),
        sides=("worse", "better"),
        score=score,
    )
    return forest(verdict, plan)


def _difference(score: ScoreFormat, other: str) -> str:
    """The ticket minus another, or the other way round, in which score and unit."""
    taken = score.difference("ticket", other).capitalize()
    unit = f" in {figure_text(score.points)}" if score.points else ""
    return f"{taken}, {figure_text(score.name)}{unit}"


_MARKS = (
    "At the right, what the test says, with its p-value after correction over levels: ✓ confirmed, "
    "✕ its opposite is confirmed, ~ neither, · not tested."
)
FORESTS = (
    Figure(
        name="tested-accuracy",
        section="What was tested",
        title="Does it match?",
        caption=(
            "One small mark a replicate, its ticket against its own dense network; the large mark "
            "is their mean with its {{ interval }} interval. {% if v.margin is not none %}Shaded: "
            "the margin of {{ s.margin(v.margin) }}, which still matches. {% endif %}"
            f"{_MARKS}"
        ),
        draw=lambda data: accuracy_forest(data.verdict),
    ),
    Figure(
        name="tested-speed",
        section="What was tested",
        title="Is it sooner?",
        caption=(
            "Iteration of {{ 'lowest' if v.stops_by_loss else 'best' }} validation {{ 'loss' if "
            "v.stops_by_loss else s.name }}, ticket over dense; means are geometric. Shaded: one "
            "evaluation interval, which still counts as no later. {% if at_end %}Hollow marks are "
            "bounds, since one of the two trainings has its lowest loss at its end, and means with "
            "bounds in them. {% endif %}Diamonds: the iteration where test {{ s.name }} first "
            "reaches what dense has at early stop, less the margin. At the right, the test that "
            "the early stop is no later."
        ),
        draw=lambda data: speed_forest(data.verdict),
    ),
    Figure(
        name="tested-copies",
        section="What was tested",
        title="Does it need its initialization?",
        caption=(
            "The ticket against copies of it in which one thing is changed, by replicate. Shaded: "
            "differences within the margin. The test at the right is another: whether the first "
            "kind fails against the dense network, by not matching it or by being later."
        ),
        draw=lambda data: copies_forest(data.verdict),
    ),
)
