"""Reading a run back from disk."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lottery.core import OutsideMask
from lottery.errors import StoreError, UsageError, printable, unknown_name
from lottery.experiments.config import OWN_TITLE, ExperimentConfig, OwnConfig, PlanConfig
from lottery.experiments.lengths import last_iteration
from lottery.experiments.loading import load_recorded_config
from lottery.experiments.plan import plan
from lottery.experiments.record import read_record
from lottery.experiments.task_facts import TaskFacts, task_facts, task_score
from lottery.methods import Given
from lottery.store import JobKey, JobResult, LookKey, MemoryStore, Store
from lottery.store.contents import RESULT
from lottery.store.files import names_in
from lottery.store.jobs import REORDERED
from lottery.store.store import EXPERIMENT, GIVEN

if TYPE_CHECKING:
    from pandas import DataFrame

    from lottery.analysis import Verdict
    from lottery.inside import Measurement
    from lottery.report import RunFigure
    from lottery.tickets import Ticket


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run on disk, finished or not.

    Args:
        store: reads its files.
        config: the experiment.
        experiment: the contents of ``experiment.json``.
        results: every job that has ended so far -> its result.
        outside_mask: the network's matrices that masks do not cover, in the network's order; empty
            also for old runs, which did not record it.
    """

    store: Store
    config: PlanConfig
    experiment: Mapping[str, Any]
    results: Mapping[JobKey, JobResult]
    outside_mask: tuple[OutsideMask, ...] = ()

    @property
    def name(self) -> str:
        """The name of its directory."""
        return os.path.basename(os.path.abspath(self.store.path))

    @property
    def label(self) -> str:
        """What it is called: the experiment's name, or that of the directory of an untitled own
        loop."""
        untitled = isinstance(self.config, OwnConfig) and self.config.name == OWN_TITLE
        on_disk = not isinstance(self.store, MemoryStore)
        return self.name if untitled and on_disk else self.config.name

    def __repr__(self) -> str:
        # Of all results a notebook would show thousands of lines.
        done = f"{len(self.results):,} of {len(plan(self.config)):,} trainings"
        judged = self.__dict__.get("verdict")
        verdict = f", verdict: {judged.headline}" if judged else ""
        return printable(f"<Run {self.label}: {done}{verdict}, {self.store.path}>")

    @property
    def judged(self) -> Mapping[JobKey, JobResult]:
        """The results that the verdict uses: all but those with other data orders."""
        return {key: one for key, one in self.results.items() if key.kind != REORDERED}

    @property
    def facts(self) -> TaskFacts:
        """What was trained, and how it was measured."""
        return task_facts(self.config, self.experiment)

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict on the run; see `lottery.judge_run`."""
        from lottery.analysis import judge_run

        return judge_run(self)

    def report(self, path: str | Path) -> Path:
        """Write the run's report, an HTML page; see `lottery.write_report`."""
        from lottery.report import write_report

        return write_report(self, Path(path))

    def ticket(self, level: int | None = None, replicate: int | None = None) -> Ticket:
        """A ticket with its provenance; see `lottery.analysis.run_ticket`."""
        from lottery.analysis import run_ticket

        return run_ticket(self, level, replicate)

    # A run is read here and looked at by packages above this one, which are imported when asked.

    def frame(self) -> DataFrame:
        """A DataFrame with one row for each job that has ended; see `lottery.report.run_frame`."""
        from lottery.report import run_frame

        return run_frame(self)

    def curves(self) -> DataFrame:
        """A DataFrame with one row for each evaluation; see `lottery.report.run_curves`."""
        from lottery.report import run_curves

        return run_curves(self)

    def analyse(self, name: str, **options: Any) -> Measurement:
        """Look inside its tickets; see `lottery.inside.analyse`.

        Args:
            name: the analysis, see `lottery.inside.ANALYSES`.
            **options: levels, replicates, settings and so on.
        """
        from lottery.inside import ANALYSES, analyse

        if name not in ANALYSES:
            raise UsageError(unknown_name("analysis", name, ANALYSES))
        return analyse(self, ANALYSES[name], **options)

    def figures(self) -> dict[str, RunFigure]:
        """Name -> figure of the report; a notebook displays each."""
        from lottery.report import run_figures

        return run_figures(self)


def find_run(name: str | Path, out: Path) -> Path:
    """The directory of a run.

    Args:
        name: the path of the run, the name of its directory or experiment, or the beginning of
            one of these names.
        out: the directory that runs live in.

    Raises:
        UsageError: there is no such run, or several; lists the runs there are.
    """
    for path in (Path(name), out / name):
        if os.path.lexists(path / EXPERIMENT):
            return path
    runs = list_runs(out)
    names = {path: _experiment_name(path) for path in runs}
    # A name without its hash; 'demo-smoke-...' begins like 'demo', but is another.
    whole = re.compile(f"{re.escape(str(name))}-[0-9a-f]{{8}}")
    near = (
        [path for path in runs if whole.fullmatch(path.name)]
        or [path for path in runs if names[path] == str(name)]
        or [path for path in runs if path.name.startswith(str(name))]
        or [path for path in runs if names[path].startswith(str(name))]
    )
    if len(near) == 1:
        return near[0]
    if near:
        listed = ", ".join(
            path.name if path.name.startswith(str(name)) else f"{path.name} ({names[path]})"
            for path in near
        )
        raise UsageError(
            f"'{name}' may be any of {len(near)} runs in {out}: {listed}. Give the name of one "
            f"directory; lottery list runs --out {out} says what tells them apart"
        )
    if _is_there(Path(name)):
        raise UsageError(f"'{name}' is there, but it is no run: it has no {EXPERIMENT}")
    meant = get_close_matches(str(name), [path.name for path in runs], n=1, cutoff=0.5)
    hint = f"; did you mean '{meant[0]}'?" if meant else ""
    there = ", ".join(path.name for path in runs) or "none"
    raise UsageError(f"no run '{name}' in {out}{hint}; the runs there are: {there}")


def _is_there(path: Path) -> bool:
    """Whether a path exists; a name that is too long for one does not."""
    try:
        return path.exists()
    except OSError:
        return False


def _experiment_name(run: Path) -> str:
    """The experiment's name; empty where the run does not say it."""
    try:
        name = (Store(run).read_experiment() or {})["config"]["name"]
    except (StoreError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) else ""


def list_runs(out: Path) -> list[Path]:
    """The run directories under ``out``, by name."""
    return sorted(path for path in out.glob("*") if os.path.lexists(path / EXPERIMENT))


def open_run(name: str | Path, out: str | Path = "runs") -> Run:
    """Read a run; its files are checked against their manifests as they are read.

    Args:
        name: its directory, or a name as `find_run` takes it.
        out: the directory that runs live in, where a name is looked for.

    Raises:
        UsageError: there is no such run, or several; lists the runs there are.
        StoreError: a file is damaged, or its contents cannot come from this run.
    """
    return read_run(Store(find_run(name, Path(out))))


def read_run(store: Store) -> Run:
    """The run in a store, as `open_run` reads it."""
    config, experiment = read_config(store)
    examples = experiment["data"].get("training_examples")
    results = {key: store.result(key) for key in plan(config) if store.is_finished(key)}
    for key, result in results.items():
        _check_fits(result, config, examples, store.directory(key) / RESULT)
    return Run(
        store=store,
        config=config,
        experiment=experiment,
        results=results,
        outside_mask=tuple(OutsideMask(**one) for one in experiment.get("outside_mask", ())),
    )


def read_config(store: Store) -> tuple[PlanConfig, dict[str, Any]]:
    """A run's config, and the contents of its ``experiment.json``.

    Raises:
        StoreError: it is missing or damaged, or the config is not what its hash says.
    """
    try:
        experiment = read_record(store)
    except StoreError as error:
        raise StoreError(
            f"{error}. The run's own command sets it aside and makes it anew"
        ) from error
    if experiment is None:
        raise StoreError(f"{store.path} holds no run: there is no {EXPERIMENT}")
    return load_recorded_config(
        experiment["config"], source=str(store.path / EXPERIMENT)
    ), experiment


def verify_run(
    path: Path, *, progress: Callable[[str], None] = lambda _: None
) -> dict[JobKey | LookKey | str, list[str]]:
    """Check the files of every finished job of a run.

    So are tickets that it was given, and what lies among these; of what analyses keep see
    `lottery.inside.kept_problems`.

    Args:
        path: the run's directory.
        progress: told which job is being checked, one sentence each time.

    Returns:
        Job, look, or the path of a file in the run -> what is wrong, one sentence each; empty if
        nothing is. Jobs that have not ended are left out.

    Raises:
        StoreError: ``experiment.json`` itself is missing or damaged.
    """
    store = Store(path)
    config, experiment = read_config(store)
    examples = experiment["data"].get("training_examples")
    there = [key for key in plan(config) if store.is_there(key)]
    jobs: dict[JobKey | LookKey | str, list[str]] = {}
    for number, key in enumerate(there):
        progress(f"checking training {number + 1:,} of {len(there):,}: {key}")
        jobs[key] = examine_job(store, key, config, examples)[1]
    looks = (look for number in range(config.replicates) for look in store.looks(number))
    jobs |= {look: store.look_problems(look) for look in looks}
    return jobs | _given_problems(store, config)


def _given_problems(store: Store, config: PlanConfig) -> dict[JobKey | LookKey | str, list[str]]:
    """File of a ticket that a run was given -> what is wrong with it; also of what is no such."""
    hashes = config.method.tickets if isinstance(config.method, Given) else ()
    files = {f"{name}.safetensors": name for name in hashes}
    try:
        strangers = [name for name in names_in(store.path / GIVEN) if name not in files]
    except StoreError as error:
        return {GIVEN: [str(error)]}
    found: dict[JobKey | LookKey | str, list[str]] = {
        f"{GIVEN}/{name}": [
            f"{store.path / GIVEN / name} is no ticket that the config names; move it away"
        ]
        for name in strangers
    }
    for file, name in files.items():
        try:
            store.given(name)
            found[f"{GIVEN}/{file}"] = []
        except StoreError as error:
            again = "lottery ticket train puts the ticket there anew"
            found[f"{GIVEN}/{file}"] = [f"{error}; {again}"]
    return found


def examine_job(
    store: Store, key: JobKey, config: PlanConfig, training_examples: int | None
) -> tuple[JobResult | None, list[str]]:
    """A finished job's result, and what is wrong with its files, one sentence each.

    The result is None if anything is wrong; otherwise all parts of the library can rely on it.
    """
    result, found = store.examine(key)
    if result is None:
        return None, found
    directory = store.directory(key)
    try:
        _check_fits(result, config, training_examples, directory / RESULT)
    except StoreError as error:
        return None, [str(error)]
    return result, []


def _check_fits(
    result: JobResult, config: PlanConfig, training_examples: int | None, source: Path
) -> None:
    """Check that a result can be of this experiment.

    Raises:
        StoreError: it is of another one, or longer than any training of this one.
    """
    known = {"seed": config.seed, "model": getattr(config, "model", None)}
    for name, ours in known.items():
        theirs = result.provenance.get(name, ours)
        if theirs != ours:
            raise StoreError(
                f"{source}: provenance.{name}: expected {ours!r} as in {EXPERIMENT}, got {theirs!r}"
            )
    # Of the unit "%" are fractions alone.
    for name in ("score_at_early_stop", "score_final"):
        value = getattr(result, name)
        if task_score(config).unit == "%" and value is not None and not 0 <= value <= 1:
            raise StoreError(f"{source}: {name}: expected a number from 0 to 1, got {value}")
    if training_examples is None or not isinstance(config, ExperimentConfig):
        return
    most = last_iteration(config, training_examples)
    if result.iterations > most:
        raise StoreError(
            f"{source}: iterations: expected {most:,} at most, the run's longest training, got "
            f"{result.iterations:,}"
        )
