"""How well a ticket's mask trains on another initialization: as it is, and aligned to it.

"Sparse Training from Random Initialization" (arXiv:2505.05143) asks whether a mask that is permuted
to fit another initialization trains there as well as where it was found.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from lottery.inside.measurement import Measurement, Table
from lottery.inside.spread import half_interval, spread
from lottery.inside.subject import Subject
from lottery.score import Score
from lottery.store import MAIN, JobKey
from lottery.store.jobs import DENSE_REWOUND


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference between the scores of two kinds of training, paired by replicate.

    Args:
        level: the level of both; dense networks are compared at every level.
        branch: the kind whose score it is.
        against: the kind whose score is subtracted.
        n: how many replicates have both.
        mean: mean difference, in the score's unit.
        half: half the t-interval of the mean; None for a single replicate.
    """

    level: int
    branch: str
    against: str
    n: int
    mean: float
    half: float | None

    @property
    def low(self) -> float | None:
        """The lower end of the interval."""
        return None if self.half is None else self.mean - self.half

    @property
    def high(self) -> float | None:
        """Its upper end."""
        return None if self.half is None else self.mean + self.half

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies above or below 0; else 0."""
        shown = self.half is not None and abs(self.mean) > self.half
        return (self.mean > 0) - (self.mean < 0) if shown else 0


Scores = Mapping[tuple[str, int], Mapping[int, float]]
"""(kind, level) -> replicate -> its score, several of a kind averaged."""

_DENSE: Final = "dense"
_TICKET: Final = "ticket"
_NAMES: Final = {
    _DENSE: "the dense network",
    _TICKET: "the ticket",
    "aligned": "the aligned mask",
    "moved": "the mask as it is",
    "reinit": "the ticket's own mask with new random weights",
}
_CONTRASTS: Final = (
    ("aligned", _TICKET),
    ("aligned", "moved"),
    ("aligned", "reinit"),
    ("moved", "reinit"),
    ("aligned", _DENSE),
    ("moved", _TICKET),
    ("moved", _DENSE),
    ("reinit", _TICKET),
    ("reinit", _DENSE),
    (_TICKET, _DENSE),
)
_MAIN_CONTRASTS: Final = 5
"""How many of these are put into sentences."""


def moved_masks(subject: Subject) -> Measurement:
    """Compare the scores of moved and aligned masks with the ticket's, paired by replicate.

    Args:
        subject: of a run with the controls ``moved`` or ``aligned``; for any other run the result
            only says how to add them.
    """
    scores = _scores(subject)
    if not {kind for kind, _ in scores} & {"moved", "aligned"}:
        return Measurement(
            analysis="alignment",
            found=(
                "No mask was trained on another initialization; controls.moved = 1 and "
                "controls.aligned = 1 add these trainings to the run.",
            ),
        )
    run = subject.run
    confidence = run.config.verdict.confidence
    densities = {
        level: statistics.fmean(run.results[key].density for key in keys)
        for level in dict.fromkeys((0, *subject.levels))
        if (keys := [*filter(subject.ended, (JobKey(n, MAIN, level) for n in subject.replicates))])
    }
    differences = [
        one for level in densities if level for one in _differences(level, scores, confidence)
    ]
    return Measurement(
        analysis="alignment",
        found=tuple(_sentences(differences, run.facts.score, confidence)),
        tables=(
            Table(
                name="scores",
                title=f"Masks on another initialization: test {run.facts.score.name}",
                note="Mean and standard deviation over replicates.",
                columns=("level", "density", "branch", "n", "score", "spread"),
                rows=tuple(
                    (level, densities[level], kind, len(of), statistics.fmean(of), spread(of))
                    for level in densities
                    for kind in _NAMES
                    for of in [[*scores.get((kind, level), {}).values()]]
                    if of
                ),
            ),
            Table(
                name="transfer",
                title="Masks on another initialization: differences",
                note=f"Paired by replicate, with {confidence:.0%} t-intervals of each level by "
                "itself. They take replicates as independent, though a moved mask is that of the "
                "replicate before. Level by level, not corrected for their number.",
                columns=("level", "density", "branch", "against", "n", "difference", "low", "high"),
                rows=tuple(
                    (d.level, densities[d.level], d.branch, d.against, d.n, d.mean, d.low, d.high)
                    for d in differences
                ),
            ),
        ),
    )


def _scores(subject: Subject) -> Scores:
    found: dict[tuple[str, int], dict[int, float]] = {}
    for kind in _NAMES:
        for level in (0,) if kind == _DENSE else filter(None, subject.levels):
            for number in subject.replicates:
                scores = [
                    score
                    for key in _trainings(subject, kind, number, level)
                    if subject.ended(key) and (score := subject.run.results[key].score) is not None
                ]
                if scores:
                    found.setdefault((kind, level), {})[number] = statistics.fmean(scores)
    return found


def _trainings(subject: Subject, kind: str, number: int, level: int) -> Iterator[JobKey]:
    """The trainings of a kind in a replicate; all of a control's."""
    results = subject.run.results
    if kind == _DENSE:
        again = JobKey(number, f"{DENSE_REWOUND}-1", 0)
        # What tickets are compared with: trained as they are.
        yield again if again in results else JobKey(number, MAIN, 0)
    elif kind == _TICKET:
        yield JobKey(number, MAIN, level)
    else:
        for one in count(1):
            key = JobKey(number, f"{kind}-{one}", level)
            # Of one that is not there yet, it is noted that it was looked for.
            if not subject.ended(key) and key not in results:
                return
            yield key


def _differences(level: int, scores: Scores, confidence: float) -> Iterator[Difference]:
    for one, other in _CONTRASTS:
        ours = scores.get((one, level), {})
        theirs = scores.get((other, 0 if other == _DENSE else level), {})
        values = [ours[number] - theirs[number] for number in ours if number in theirs]
        if values:
            yield Difference(
                level=level,
                branch=one,
                against=other,
                n=len(values),
                mean=statistics.fmean(values),
                half=half_interval(values, confidence=confidence),
            )


def _sentences(differences: Sequence[Difference], score: Score, confidence: float) -> Iterator[str]:
    scale, unit = (100, " points") if score.unit == "%" else (1, "")
    for one, other in _CONTRASTS[:_MAIN_CONTRASTS]:
        of = [found for found in differences if (found.branch, found.against) == (one, other)]
        if not of:
            continue
        signs = [score.oriented(found.sign) for found in of]
        better, worse, last = signs.count(1), signs.count(-1), of[-1]
        levels = f"{len(of)} levels" if len(of) > 1 else "1 level"
        interval = "no interval"
        if last.low is not None and last.high is not None:
            interval = f"{scale * last.low:+.4g} to {scale * last.high:+.4g}"
        yield (
            f"{_NAMES[one].capitalize()} does better than {_NAMES[other]} at {better} of {levels}, "
            f"worse at {worse}, and neither is shown at {len(of) - better - worse} "
            f"({confidence:.0%} intervals of each level by itself); at level {last.level} the "
            f"difference is {scale * last.mean:+.4g}{unit} ({interval}, n = {last.n})."
        )
