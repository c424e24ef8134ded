"""The verdict on a terminal: the paragraph first, then a table of the levels.

Nothing is said by colour alone, and everything fits 80 columns.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lottery.analysis import phrases
from lottery.analysis.lookup import matches, pruned, tests_hypothesis
from lottery.analysis.types import Estimate, LevelVerdict, Verdict
from lottery.store.jobs import CONTROL_KINDS, MAIN

WIDTH = 80
_NONE = "-"
_CONTROLS = (
    ("reinit", "Re-\ninit"),
    ("random-mask", "Random\nmask"),
    ("continued", "Conti-\nnued"),
)
_MORE_CONTROLS = (
    ("shuffled-global", "Shuffled\nglobally"),
    ("signs-random-magnitudes", "Signs,\nrandom"),
    ("signs-constant", "Signs,\nconstant"),
    ("random-signs", "Random\nsigns"),
    ("scratch-epochs", "Scratch,\nepochs"),
    ("scratch-flops", "Scratch,\nFLOPs"),
    ("edge-popup", "Edge-\npopup"),
    ("supermask", "Super-\nmask"),
)


def verdict_text(verdict: Verdict, *, width: int = WIDTH) -> str:
    """The verdict as plain text, without colours.

    Args:
        verdict: what to print.
        width: columns of the terminal, 60 or more.
    """
    return printed(verdict_view(verdict), width=width)


def verdict_view(verdict: Verdict) -> RenderableType:
    """The paragraph, the table, what its signs mean, and the caveats."""
    parts: list[RenderableType] = [Text(verdict.paragraph)]
    if verdict.levels:
        parts += [Text(), verdict_table(verdict)]
        if _controls(verdict, _MORE_CONTROLS):
            parts += [
                Text(),
                Text("Test accuracy of the other controls, %"),
                _more_controls(verdict),
            ]
        parts += [Text(), *(Text(note) for note in _notes(verdict))]
    if verdict.caveats:
        parts += [Text(), Text("Keep in mind", style="bold"), listed(verdict.caveats, "-")]
    return Group(*parts)


def verdict_table(verdict: Verdict) -> Table:
    """One row a level; columns for the controls that there are."""
    controls = _controls(verdict, _CONTROLS)
    gap = 1 if len(controls) < len(_CONTROLS) else 0
    table = bare_table(gap)
    titles = ["Level", "Kept\n%", "n", "Test acc.\n%", "vs\ndense", "Early stop\niteration"]
    for title in titles + [title for _, title in controls]:
        table.add_column(title, justify="right")
    table.add_column("Wins" if tests_hypothesis(verdict) else "Matches")
    table.add_column("Tested")
    for level in verdict.levels:
        smallest = level.level == verdict.smallest_winning_level
        cells = [f"> {level.level}" if smallest else f"{level.level}", *_measured(level)]
        cells += [_control(level, kind) for kind, _ in controls]
        answers = _answers(level, winning=tests_hypothesis(verdict))
        table.add_row(*cells, *answers, style="bold" if smallest else "")
    return table


def _more_controls(verdict: Verdict) -> Table:
    """One row a pruned level; columns for the controls that the first table has no room for."""
    controls = _controls(verdict, _MORE_CONTROLS)
    table = bare_table(1)
    for title in ["Level", *(title for _, title in controls)]:
        table.add_column(title, justify="right")
    for level in pruned(verdict):
        cells = [_control(level, kind) for kind, _ in controls]
        table.add_row(f"{level.level}", *cells)
    return table


def _controls(verdict: Verdict, known: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    kinds = {kind for level in verdict.levels for kind in level.groups}
    return [(kind, title) for kind, title in known if kind in kinds]


def _measured(level: LevelVerdict) -> list[str]:
    kept = phrases.percent(level.density).removesuffix("%")
    group = level.groups.get(MAIN)
    if group is None:
        return [kept, "0", _NONE, _NONE, _NONE]
    return [
        kept,
        f"{group.n}",
        _with_half_width(group.accuracy_at_early_stop, 100, ".2f"),
        _NONE if level.matching is None else f"{100 * level.matching.difference.mean:+.2f}",
        _with_half_width(group.early_stop_iteration, 1, ",.0f"),
    ]


def _with_half_width(estimate: Estimate | None, scale: float, style: str) -> str:
    if estimate is None:
        return _NONE
    text = f"{scale * estimate.mean:{style}}"
    if estimate.high is None:
        return text
    return f"{text} ±{scale * (estimate.high - estimate.mean):{style}}"


def _control(level: LevelVerdict, kind: str) -> str:
    group = level.groups.get(kind)
    if group is None or group.accuracy_at_early_stop is None:
        return _NONE
    lower = group.accuracy_below_ticket
    mark = "*" if lower is not None and lower.confirmed else " "
    return f"{100 * group.accuracy_at_early_stop.mean:.2f}{mark}"


def _answers(level: LevelVerdict, *, winning: bool) -> tuple[str, str]:
    if level.level == 0:
        return _NONE, _NONE
    known = level.matching is not None or level.tickets_lost > 0
    holds = level.wins if winning else matches(level)
    tested = level.is_winning if winning else level.is_matching
    return (
        ("yes" if holds else "no") if known else _NONE,
        _NONE if tested == "untested" else tested,
    )


def _notes(verdict: Verdict) -> list[str]:
    notes = [
        "Accuracy and iteration at early stop, where the validation loss is lowest. "
        "vs dense: in percentage points, each replicate against its own dense network.",
    ]
    if any(group.n > 1 for level in verdict.levels for group in level.groups.values()):
        notes.append(
            f"±: half the {100 * verdict.confidence:g}% t-interval of the mean over n replicates."
        )
    column = "Wins" if tests_hypothesis(verdict) else "Matches the dense accuracy"
    notes.append(
        f"{column}: on the means. Tested: yes or no where tests corrected for all levels confirm "
        f"it, unsure where they confirm neither, {_NONE} where there is nothing to test."
    )
    if verdict.smallest_winning_level is not None:
        notes.append("> the smallest winning ticket, on the means.")
    if any("*" in _control(level, kind) for level in verdict.levels for kind in CONTROL_KINDS):
        notes.append("* lower than the ticket's accuracy, confirmed.")
    return notes


def printed(view: RenderableType, *, width: int) -> str:
    """What would be printed, as plain text without colours or spaces at the ends of lines."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False).print(view)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n") + "\n"


def bare_table(gap: int) -> Table:
    """A table without lines but the one under its head, ``gap`` columns between its own."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))


def listed(items: Sequence[str], mark: str) -> RenderableType:
    """Sentences one below the other, each with a mark before it."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    for item in items:
        grid.add_row(mark, Text(item))
    return grid
