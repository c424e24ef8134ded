"""Analyses: one record each; results are kept beside the run, and read while they are up to
date."""

from __future__ import annotations

import hashlib
import inspect
import json
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
from lottery.tasks.protocol import Task

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
        judges: whether it uses the verdict's margin or confidence.
    """

    name: str
    sentence: str
    measure: Callable[..., Measurement]
    read: bool = True
    reorders: bool = False
    judges: bool = False


def analyse(
    run: Run,
    analysis: Analysis,
    *,
    levels: Collection[int] | None = None,
    replicates: Collection[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    again: bool = False,
    task: Task | None = None,
    **how: Any,
) -> Measurement:
    """Analyse a run, or read the result of before where nothing has changed since.

    Results of other levels, replicates or settings are kept beside each other. The first place,
    which is what a report draws, has the newest of those that cover the most.

    Args:
        run: finished or not.
        analysis: one of `ANALYSES`.
        levels: which levels; None for all that are there.
        replicates: which replicates; None for all that are there.
        settings: the analysis' own settings, plain JSON values.
        again: whether to compute it again even if there is a result that is up to date.
        task: what was trained, where it is code of the user's own.
        **how: ``options``, ``progress`` and ``code`` of a `Subject`.

    Raises:
        UsageError: there is no such level, replicate or setting, or none of these trainings has
            ended well.
        StoreError: a file of the run is damaged.
    """
    stopped = run.facts.dense_kind == DENSE_WHOLE
    looked_at = subject(run, levels, replicates, dense=not stopped, task=task, **how)
    settings = dict(settings or {})
    asked = {
        "levels": list(looked_at.levels),
        "replicates": list(looked_at.replicates),
        **_all_settings(analysis, settings),
    }
    first = kept_measurement(run, analysis, task=task)
    if not again:
        aside = kept_measurement(run, analysis, task=task, aside=asked)
        for kept in (first, aside):
            if kept is not None and kept.settings == asked:
                return kept
    _check_any_ended(looked_at)
    with one_thread():  # On more, what is added up depends on how many cores there are.
        measured = analysis.measure(looked_at, **settings)
    whole = replace(
        measured,
        analysis=analysis.name,
        settings=asked,
        made_from=_contents(run, analysis, task),
        found=(*([STOPPED] if stopped else []), *measured.found),
    )
    # What cannot be kept, of a run that cannot be written to, is found anew the next time.
    with suppress(StoreError):
        _keep(run, whole, first)
    return whole


def _keep(run: Run, found: Measurement, first: Measurement | None) -> None:
    """Keep a result: in the first place if it covers what is there, which then goes beside it."""
    if first is not None and first.settings != found.settings:
        covers = all(
            {*found.settings[of]} >= {*first.settings[of]} for of in ("levels", "replicates")
        )
        beside = first if covers else found
        run.store.write_measurement(
            _aside(beside.analysis, beside.settings), _finite(beside.to_json())
        )
        if not covers:
            return
    run.store.write_measurement(found.analysis, _finite(found.to_json()))


def _aside(name: str, settings: Mapping[str, Any]) -> str:
    """What a result is kept as that is not in the first place."""
    return f"{name}-{_short_hash(settings)}"


def _short_hash(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _all_settings(analysis: Analysis, given: Mapping[str, Any]) -> dict[str, Any]:
    """An analysis' own settings with their defaults, as they are read back: JSON has no tuples."""
    _, *known = inspect.signature(analysis.measure).parameters.values()
    found = {one.name: given.get(one.name, one.default) for one in known}
    for name in given:
        if name not in found:
            unknown = unknown_name("setting", name, found or ["none"])
            raise UsageError(f"{analysis.name}: {unknown}")
    return {name: list(one) if isinstance(one, tuple) else one for name, one in found.items()}


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


def kept_measurement(
    run: Run,
    analysis: Analysis,
    *,
    task: Task | None = None,
    aside: Mapping[str, Any] | None = None,
) -> Measurement | None:
    """The kept result of an analysis, if the run is still the same; else None.

    A damaged result, or one of another run, counts as none, and is made again. The run counts as
    changed by any further job, since an analysis may also say what there is not; by a copy in
    another order, or by the verdict's settings, only where these are looked at.

    Args:
        run: finished or not.
        analysis: one of `ANALYSES`.
        task: code of the user's own that the result has to be of; None: whatever it was.
        aside: the settings of a result that is not in the first place; None for the first place.
    """
    name = analysis.name if aside is None else _aside(analysis.name, aside)
    try:
        content = run.store.read_measurement(name)
        if content is None:
            return None
        kept = read_measurement(content, source=name)
        made = (kept.made_from, _contents(run, analysis, task))
        then, now = (_seen(analysis, one, by_task=task is not None) for one in made)
    except StoreError:
        return None
    # Once, some analyses looked at dense networks that were stopped early.
    leaves_out = run.facts.dense_kind != DENSE_WHOLE or STOPPED in kept.found
    return kept if then == now and kept.analysis == analysis.name and leaves_out else None


def _seen(analysis: Analysis, made_from: Mapping[str, str], *, by_task: bool) -> dict[str, str]:
    """What a result was made from, without what is nothing to an analysis or was not asked for."""
    return {
        name: of
        for name, of in made_from.items()
        if (analysis.reorders or f", {REORDERED}-" not in name) and (by_task or name != "task")
    }


def _contents(run: Run, analysis: Analysis, task: Task | None) -> dict[str, str]:
    """Every job that has ended, and what was kept on the way -> SHA-256 of its contents.

    With the verdict's settings where an analysis uses them, and the fingerprint of own code.
    """
    jobs: list[JobKey | LookKey] = list(run.results)
    jobs += [look for n in range(run.config.replicates) for look in run.store.looks(n)]
    found = {str(key): run.store.contents_hash(key) for key in jobs}
    if analysis.judges:
        judged = run.config.verdict
        found["verdict"] = f"margin {judged.margin}, confidence {judged.confidence}"
    if task is not None:
        found["task"] = _short_hash(task.fingerprint())
    return found


def _finite(value: Any) -> Any:
    """Plain JSON without numbers that are none, of which JSON has no word."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list) else value
