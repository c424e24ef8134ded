"""The verdict on a terminal: the paragraph first, then the answers and a table of the levels.

Nothing is said by colour alone, and everything fits 80 columns.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lottery.analysis import formatting
from lottery.analysis.controls import CONTROLS
from lottery.analysis.formatting import NONE
from lottery.analysis.lookup import pruned, tests_hypothesis
from lottery.analysis.score_format import ScoreFormat
from lottery.analysis.types import Contrast, LevelVerdict, Outcome, Verdict
from lottery.analysis.verdict_sentences import notes
from lottery.methods import CONTROL_KINDS
from lottery.store.jobs import MAIN

WIDTH = 80
_BESIDE: Final = ("reinit", "random-mask")
"""Controls that the first table has room for."""
_IN_A_ROW: Final = 5
"""Controls that a further table has room for, with what they lost."""


def verdict_text(verdict: Verdict, *, width: int = WIDTH) -> str:
    """The verdict as plain text, without colours.

    Args:
        verdict: what to print.
        width: columns of the terminal, 60 or more.
    """
    return plain_text(verdict_view(verdict), width=width)


def verdict_view(verdict: Verdict) -> RenderableType:
    """Headline, paragraph, answers, table, what its signs mean, and the caveats."""
    score = ScoreFormat(verdict.score)
    parts: list[RenderableType] = [
        Text(f"Lottery ticket hypothesis: {verdict.headline}", style="bold"),
        Text(),
        Text(verdict.paragraph),
    ]
    if pruned(verdict):
        parts += [Text(), _answers(verdict)]
    if verdict.levels:
        parts += [Text(), verdict_table(verdict)]
        others = _controls(verdict, beside=False)
        if others:
            unit = "percentage points" if score.percent else score.unit
            title = f"The other controls: test {score.name} against dense{unit and f', {unit}'}"
            parts += [Text(), Text(title)]
        for first in range(0, len(others), _IN_A_ROW):
            parts += [Text(), _more_controls(verdict, others[first : first + _IN_A_ROW])]
        parts += [Text(), *(Text(note) for note in notes(verdict))]
    if verdict.caveats:
        parts += [Text(), Text("Keep in mind", style="bold"), bullet_list(verdict.caveats, "-")]
    return Group(*parts)


def _answers(verdict: Verdict) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for answer in verdict.answers:
        question = Text(answer.question)
        interval = f" ({answer.interval})" if answer.interval and answer.value != NONE else ""
        table.add_row(question, Text(answer.outcome), Text(f"{answer.value}{interval}"))
    return table


def verdict_table(verdict: Verdict) -> Table:
    """One row a level; columns for the controls that there is room for."""
    controls = _controls(verdict, beside=True)
    table = bare_table(1)
    wins = "Wins?" if tests_hypothesis(verdict) else "Matches?"
    table.add_column("Level", justify="right")
    table.add_column("Kept\n%", justify="right")
    table.add_column(wins)
    score = ScoreFormat(verdict.score)
    titles = ["n", f"Test {score.short}\n{score.unit}", f"vs dense\n{score.points}"]
    titles += ["Early\nstop", f"To\n{score.short}"]
    for title in titles + [CONTROLS[kind].column for kind in controls]:
        table.add_column(title, justify="right")
    for level in verdict.levels:
        mark = level.level == verdict.level
        cells = [f"> {level.level}" if mark else f"{level.level}", *_measured(verdict, level)]
        cells += [_control(score, level, kind) for kind in controls]
        table.add_row(*cells, style="bold" if mark else "")
    return table


def _more_controls(verdict: Verdict, controls: Sequence[str]) -> Table:
    """One row a pruned level; columns for controls that the first table has no room for."""
    table = bare_table(1)
    for title in ["Level", *(CONTROLS[kind].column for kind in controls)]:
        table.add_column(title, justify="right")
    score = ScoreFormat(verdict.score)
    for level in pruned(verdict):
        table.add_row(f"{level.level}", *(_control(score, level, kind) for kind in controls))
    return table


def _controls(verdict: Verdict, *, beside: bool) -> list[str]:
    kinds = {kind for level in verdict.levels for kind in level.groups}
    return [k for k in CONTROL_KINDS if k in kinds and (k in _BESIDE) == beside]


def _measured(verdict: Verdict, level: LevelVerdict) -> list[str]:
    kept = formatting.percent(level.density).removesuffix("%")
    group = level.groups.get(MAIN)
    if group is None:
        return [kept, NONE, "0", *[NONE] * 4]
    claim = "wins" if tests_hypothesis(verdict) else "matches"
    test = group.tests.get(claim)
    outcome: Outcome | str = NONE if level.level == 0 else test.outcome if test else "untested"
    score, accuracy, contrasts = ScoreFormat(verdict.score), group.accuracy, group.against_dense
    never_made = level.tickets_lost - group.missing.diverged - group.missing.collapsed
    n, every = group.n, group.trainings + never_made
    written = NONE
    if accuracy is not None:
        written = score.mean(accuracy)
    return [
        kept,
        outcome,
        f"{n}/{every}" if every > n else f"{n}",
        written,
        _difference(score, contrasts.get("accuracy")),
        _ratio(contrasts.get("early_stop")),
        _ratio(contrasts.get("time_to_dense")),
    ]


def _difference(score: ScoreFormat, contrast: Contrast | None) -> str:
    if contrast is None or contrast.estimate is None:
        return NONE
    half = score.half_width(contrast.estimate)
    return f"{score.signed(contrast.estimate.mean)} {half}".rstrip()


def _ratio(contrast: Contrast | None) -> str:
    if contrast is None or contrast.estimate is None:
        return NONE
    signs = (("at least ", ">"), ("at most ", "<"), ("roughly ", "?"))
    written = formatting.mean_ratio(contrast.estimate)
    for words, sign in signs:
        written = written.replace(words, sign)
    return written


def _control(score: ScoreFormat, level: LevelVerdict, kind: str) -> str:
    group = level.groups.get(kind)
    if group is None:
        return NONE
    found = group.against_dense.get("accuracy")
    missing = group.missing.total
    if found is None or found.estimate is None:
        return f"lost {missing}" if missing else NONE
    fails = group.tests.get("fails")
    mark = "*" if fails is not None and fails.outcome == "confirmed" else " "
    value = score.signed(found.estimate.mean)
    return f"{value}{mark}{f' (-{missing})' if missing else ''}"


def plain_text(view: RenderableType, *, width: int) -> str:
    """What would be printed, as plain text without colours or spaces at the ends of lines."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False).print(view)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n") + "\n"


def bare_table(gap: int) -> Table:
    """A table without lines but the one under its head, ``gap`` columns between its own."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))


def bullet_list(items: Sequence[str], mark: str) -> RenderableType:
    """Sentences one below the other, each with a mark before it."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    for item in items:
        grid.add_row(mark, Text(item))
    return grid
