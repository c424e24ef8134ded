"""The subject of an analysis: some levels and replicates of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from lottery.core import Mask
from lottery.data import DATASET_KINDS
from lottery.errors import UsageError
from lottery.experiments import Experiment, ExperimentConfig, Run, RunOptions, bind
from lottery.models.outside import LIBRARIES
from lottery.store import MAIN, JobKey, LookKey
from lottery.store.jobs import REORDERED, SEARCH
from lottery.store.store import Moment
from lottery.tasks.protocol import Task
from lottery.tickets import EarlyBirdMask, Ticket
from lottery.training import State

Progress = Callable[[str], None]
"""Called, a few times a second at most, with a few words on what is being done."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Some levels and replicates of a run, and its task where an analysis needs it.

    Args:
        run: on disk or in memory.
        levels: which levels, rising.
        replicates: which replicates, rising.
        options: where the data are and on which device to compute, for analyses that compute.
        task: what was trained, where it is code of the user's own.
        progress: called with how far an analysis is.
        code: whether code that the run's config names may run.
        dense: whether trainings of level 0 count; else they are treated as absent.
    """

    run: Run
    levels: tuple[int, ...]
    replicates: tuple[int, ...]
    options: RunOptions = field(default_factory=RunOptions)
    task: Task | None = None
    progress: Progress = lambda _: None
    code: bool = False
    dense: bool = True

    def trainings(self, branch: str = MAIN) -> Iterator[JobKey]:
        """The trainings of a branch that ended well, level by level."""
        for level in self.levels:
            for replicate in self.replicates:
                if self.ended(key := JobKey(replicate, branch, level)):
                    yield key

    def with_controls(self, level: int) -> Iterator[JobKey]:
        """The tickets and controls of a level that ended well.

        Trainings that only searched a ticket's mask, and copies with another data order, are left
        out: they are no controls.
        """
        compared = {
            key.branch
            for key in self.run.results
            if key.level == level and key.kind not in (SEARCH, REORDERED)
        }
        for replicate in self.replicates:
            for branch in sorted(compared):
                if self.ended(key := JobKey(replicate, branch, level)):
                    yield key

    def ended(self, key: JobKey) -> bool:
        """Whether a training has ended well, and is not left out by ``dense``."""
        if not key.level and not self.dense:
            return False
        return key in self.run.results and self.run.results[key].status == "done"

    def ticket(self, key: JobKey) -> Ticket:
        """The ticket that a training started from."""
        return self.run.store.ticket(key)

    def mask(self, key: JobKey) -> Mask:
        """The mask at the end of a training: its ticket's, unless training changed it."""
        return self.run.store.final_mask(key)

    def weights(self, key: JobKey, moment: Moment = "end") -> State:
        """The ``state_dict`` at the end of a training; at early stop it is empty if not kept."""
        return self.run.store.weights(key, moment)

    def look(self, key: LookKey) -> State | EarlyBirdMask:
        """A state, or a mask, that was kept of a dense network while it trained."""
        return self.run.store.look(key)

    @cached_property
    def experiment(self) -> Experiment:
        """The run's experiment with its task, data loaded.

        Raises:
            UsageError: the task is code of the user's own, which was not given.
            DataError: the data are missing or damaged.
        """
        config = self.run.config
        if self.task is not None:
            return Experiment(config, self.task)
        if not isinstance(config, ExperimentConfig):
            raise UsageError(
                f"{self.run.name} is of a loop of your own, which this analysis runs; call it from "
                "the script that has its functions, with task="
            )
        check_trusted(self.run, config, code=self.code)
        self.progress("loading data")
        return bind(config, self.options, progress=False)


def check_trusted(run: Run, config: ExperimentConfig, *, code: bool) -> None:
    """Check that code which a run's config names may run, if it names any.

    Raises:
        UsageError: it does, and ``code`` is false.
    """
    if (named := _named_code(config)) and not code:
        raise UsageError(
            f"{run.name} names code ({', '.join(named)}), which this analysis would run; "
            "if you trust it, say --run-code, or code=True from Python"
        )


def _named_code(config: ExperimentConfig) -> list[str]:
    """The code outside of this library that a config names and that building its task runs."""
    kinds = tuple(kind for kind in DATASET_KINDS if kind != "few:")
    data = config.data.name.removeprefix("few:")
    return [
        name
        for name, known in (
            (config.model, tuple(f"{library}:" for library in LIBRARIES)),
            (data, kinds),
            (config.prune.criterion, ()),
        )
        if ":" in name and not name.startswith(known)
    ]


def subject(
    run: Run, levels: Collection[int] | None, replicates: Collection[int] | None, **how: object
) -> Subject:
    """A subject with these levels and replicates of a run; None for all that are there.

    Raises:
        UsageError: a level or replicate is asked for that the run does not have.
    """
    there = {key for key in run.results if key.branch == MAIN}
    made = Subject(
        run=run,
        levels=_chosen("level", levels, {key.level for key in there}),
        replicates=_chosen("replicate", replicates, {key.replicate for key in there}),
    )
    return replace(made, **how)  # type: ignore[arg-type]


def _chosen(what: str, asked: Collection[int] | None, there: set[int]) -> tuple[int, ...]:
    missing = sorted(set(asked or ()) - there)
    if missing or not there:
        raise UsageError(
            f"{what}: expected some of {', '.join(map(str, sorted(there))) or 'none, yet'}, got "
            f"{', '.join(map(str, missing)) or 'all'}"
        )
    return tuple(sorted(there if asked is None else set(asked)))
