"""A run's scores as a LaTeX table."""

from __future__ import annotations

import statistics
from typing import Final

from lottery.analysis import formatting, judge_run
from lottery.analysis.controls import CONTROLS
from lottery.analysis.score_format import ScoreFormat, at_moment
from lottery.analysis.types import Group
from lottery.experiments import Run
from lottery.methods import CONTROL_KINDS
from lottery.store import MAIN

_SPECIAL: Final = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def latex_table(run: Run) -> str:
    """The score of a run by density and kind of training, as a LaTeX table for booktabs.

    The score is the one that networks are judged by, at early stop or, without a curve, at the end
    of training; fractions are in percent. A cell is the mean and the standard deviation over
    replicates (n - 1); several controls of one replicate are averaged first, and trainings that
    diverged, collapsed or guess are left out.

    Returns:
        A ``tabular``, headed by a comment that says what it shows.
    """
    verdict = judge_run(run)
    score = ScoreFormat(verdict.score)
    unit = "in percent" if score.percent else f"in {score.unit}" if score.unit else "as it is"
    there = {kind for level in verdict.levels for kind in level.groups}
    kinds = [kind for kind in (MAIN, *CONTROL_KINDS) if kind in there]
    rows = [
        [
            escape(formatting.percent(level.density)),
            *(_cell(score, level.groups.get(kind), verdict.replicates) for kind in kinds),
        ]
        for level in verdict.levels
    ]
    head = ["Density", *(escape(CONTROLS[kind].label) for kind in kinds)]
    return "\n".join(
        [
            f"% {escape(f'{run.name}: test {score.name} {at_moment(verdict.timed)} {unit}')},",
            f"% mean and standard deviation over {verdict.replicates} replicates, (n) where fewer",
            r"% Needs \usepackage{booktabs}",
            rf"\begin{{tabular}}{{r{'c' * len(kinds)}}}",
            r"\toprule",
            _line(head),
            r"\midrule",
            *map(_line, rows),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def escape(text: str) -> str:
    r"""A text of one line that LaTeX prints as it is.

    >>> print(escape("50% of lenet_300 & \\input{x}"))
    50\% of lenet\_300 \& \textbackslash{}input\{x\}
    """
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _line(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _cell(score: ScoreFormat, group: Group | None, replicates: int) -> str:
    if group is None or group.accuracy is None:
        return "--"
    values = list(group.accuracy.values.values())
    text = score.value(statistics.fmean(values))
    if len(values) > 1:
        text += rf" \pm {score.value(statistics.stdev(values))}"
    return f"${text}$" + f" ({len(values)})" * (len(values) < replicates)
