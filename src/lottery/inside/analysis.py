"""Analyses: one record each; results are kept beside the run, and read while they are up to
date."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from lottery.errors import StoreError, UsageError, unknown_name
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
    """One kind of analysis.

    Args:
        name: as in ``lottery analyse NAME RUN``.
        sentence: what it finds out, for lists.
        measure: takes a `Subject` and its own keyword settings, all plain JSON values.
        read: whether it only reads a run's files, so that a report may make it by itself.
        reorders: whether it looks at copies trained with another data order.
    """

    name: str
    sentence: str
    measure: Callable[..., Measurement]
    read: bool = True
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
    """Analyse a run, or read the result of before where nothing has changed since.

    Args:
        run: finished or not.
        analysis: one of `ANALYSES`.
        levels: which levels; None for all that are there.
        replicates: which replicates; None for all that are there.
        settings: the analysis' own settings, plain JSON values.
        again: whether to compute it again even if there is a result that is up to date.
        **how: ``options``, ``task``, ``progress`` and ``code`` of a `Subject`.

    Raises:
        UsageError: there is no such level, replicate or setting, or none of these trainings has
            ended well.
        StoreError: a file of the run is damaged.
    """
    stopped = run.facts.dense_kind == DENSE_WHOLE
    looked_at = subject(run, levels, replicates, dense=not stopped, **how)
    settings = dict(settings or {})
    _check_settings(analysis, settings)
    asked: dict[str, Any] = {
        "levels": list(looked_at.levels),
        "replicates": list(looked_at.replicates),
        # As they are read back: JSON has no tuples.
        **{name: list(one) if isinstance(one, tuple) else one for name, one in settings.items()},
    }
    kept = None if again else kept_measurement(run, analysis)
    if kept is not None and kept.settings == asked:
        return kept
    _check_any_ended(looked_at)
    with one_thread():  # On more, what is added up depends on how many cores there are.
        measured = analysis.measure(looked_at, **settings)
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


def _check_settings(analysis: Analysis, settings: Collection[str]) -> None:
    _, *known = inspect.signature(analysis.measure).parameters
    for name in settings:
        if name not in known:
            raise UsageError(f"{analysis.name}: {unknown_name('setting', name, known or ['none'])}")


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
    """The kept result of an analysis, if the run is still the same; else None.

    A damaged result, or one of another run, counts as none, and is made again. The run counts as
    changed by any further job, since an analysis may also say what there is not; by a copy in
    another order only where these are looked at.
    """
    try:
        content = run.store.read_measurement(analysis.name)
        if content is None:
            return None
        kept = read_measurement(content, source=analysis.name)
        then, now = (_seen(analysis, jobs) for jobs in (kept.made_from, _contents(run)))
    except StoreError:
        return None
    # Once, some analyses looked at dense networks that were stopped early.
    leaves_out = run.facts.dense_kind != DENSE_WHOLE or STOPPED in kept.found
    return kept if then == now and kept.analysis == analysis.name and leaves_out else None


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
