"""An analysis is one record; what it found is kept beside the run, and read while it holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from lottery.errors import StoreError, UsageError
from lottery.experiments import Run
from lottery.experiments.workers import one_thread
from lottery.inside.measurement import Measurement, read_measurement
from lottery.inside.subject import Subject, subject
from lottery.store import JobKey, LookKey
from lottery.store.jobs import DENSE_WHOLE, REORDERED

STOPPED: Final = (
    "Dense networks were trained only until masks had settled (method.stop), so that nothing is "
    "compared with them."
)


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """An instrument: what it is called, and what it does.

    Args:
        name: as in ``lottery analyse NAME RUN``.
        sentence: what it tells, for lists.
        measure: looks at a subject with its own keyword settings, all plain JSON.
        read: whether it only reads a run's files, so that a report may make it by itself.
        compares: whether it compares with dense networks, and so leaves out those that were not
            trained to their end.
        reorders: whether it looks at copies trained with another data order.
    """

    name: str
    sentence: str
    measure: Callable[..., Measurement]
    read: bool = True
    compares: bool = False
    reorders: bool = False


def analyse(
    run: Run,
    analysis: Analysis,
    *,
    levels: Collection[int] | None = None,
    replicates: Collection[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    again: bool = False,
    **how: Any,
) -> Measurement:
    """Look at a run with an analysis, or read what it found where nothing has changed since.

    Args:
        run: finished or not.
        analysis: one of `ANALYSES`.
        levels: None for all that are there.
        replicates: None for all that are there.
        settings: the analysis' own.
        again: whether what is kept is not read.
        **how: ``options``, ``task``, ``progress`` and ``code`` of a `Subject`.

    Raises:
        UsageError: a level, replicate or setting that there is not; or no training of these has
            ended well.
        StoreError: a file of the run is damaged.
    """
    stopped = analysis.compares and run.facts.dense_kind == DENSE_WHOLE
    looked_at = subject(run, levels, replicates, dense=not stopped, **how)
    asked = {
        "levels": list(looked_at.levels),
        "replicates": list(looked_at.replicates),
        **(settings or {}),
    }
    kept = None if again else kept_measurement(run, analysis)
    if kept is not None and kept.settings == asked:
        return kept
    _check_any_ended(looked_at)
    with one_thread():  # On more, what is added up depends on how many cores there are.
        measured = analysis.measure(looked_at, **(settings or {}))
    whole = replace(
        measured,
        analysis=analysis.name,
        settings=asked,
        made_from=_contents(run),
        found=(*([STOPPED] if stopped else []), *measured.found),
    )
    # What cannot be kept, of a run that cannot be written to, is found anew the next time.
    with suppress(StoreError):
        run.store.write_measurement(analysis.name, _finite(whole.to_json()))
    return whole


def _check_any_ended(subject: Subject) -> None:
    if not any(
        key.level in subject.levels and key.replicate in subject.replicates
        for key, result in subject.run.results.items()
        if result.status == "done"
    ):
        levels, replicates = (
            f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
            for what, numbers in (("level", subject.levels), ("replicate", subject.replicates))
        )
        raise UsageError(
            f"no training of {subject.run.name} has ended well ({levels}; {replicates}), so there "
            "is nothing to look at"
        )


def kept_measurement(run: Run, analysis: Analysis) -> Measurement | None:
    """What an analysis found before, if the run is still the same.

    What is damaged, or somebody else's, counts as none: it is made again. Any other job counts, as
    an analysis may say what there is not; a copy in another order only where these are looked at.
    """
    try:
        content = run.store.read_measurement(analysis.name)
        if content is None:
            return None
        kept = read_measurement(content, source=analysis.name)
        then, now = (_seen(analysis, jobs) for jobs in (kept.made_from, _contents(run)))
    except StoreError:
        return None
    return kept if then == now and kept.analysis == analysis.name else None


def _seen(analysis: Analysis, jobs: Mapping[str, str]) -> dict[str, str]:
    """Jobs without the copies in another order, where these are nothing to an analysis."""
    return {
        job: sha256
        for job, sha256 in jobs.items()
        if analysis.reorders or f", {REORDERED}-" not in job
    }


def _contents(run: Run) -> dict[str, str]:
    """Every job that has ended, and what was kept on the way -> SHA-256 of its contents."""
    jobs: list[JobKey | LookKey] = list(run.results)
    jobs += [look for n in range(run.config.replicates) for look in run.store.looks(n)]
    return {str(key): run.store.contents_hash(key) for key in jobs}


def _finite(value: Any) -> Any:
    """Plain JSON without numbers that are none, of which JSON has no word."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list) else value
