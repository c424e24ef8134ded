"""The states, masks and tickets of one replicate: read from the store, or computed."""

from __future__ import annotations

import time
from functools import cached_property

from lottery.core import Mask, prunable_weights
from lottery.errors import StoreError
from lottery.experiments.experiment import Experiment
from lottery.store import MAIN, JobKey, LookKey, Store
from lottery.store.jobs import SEARCH
from lottery.tickets import EarlyBirdMask, Ticket
from lottery.training import State


class Replicate:
    """The states, masks and tickets of a replicate, from its finished jobs.

    A ticket is a pure function of the jobs it is made from. If its own training has not ended, it
    is made here, so that a control does not wait for that training.

    Args:
        experiment: the experiment.
        store: holds its finished jobs.
        number: the replicate's number, from 0.
    """

    def __init__(self, experiment: Experiment, store: Store, number: int) -> None:
        self._experiment, self._store, self.number = experiment, store, number
        self.streams = experiment.context.streams(number)
        self._tickets: dict[int, Ticket] = {}
        self.seconds: dict[int, float] = {}
        """Level -> what making its ticket here took, without the levels that it took in turn."""

    def other(self, number: int) -> Replicate:
        """Another replicate of the same experiment."""
        return Replicate(self._experiment, self._store, number)

    @cached_property
    def _dense(self) -> Ticket:
        key = JobKey(self.number, MAIN, 0)
        if self._store.is_finished(key):
            return self._fitting(self._store.ticket(key))
        model = self._experiment.task.initial(self.streams, "init")
        # In the order that files have their tensors in.
        weights = {name: value.clone() for name, value in sorted(model.state_dict().items())}
        dense = Mask.dense(dict(sorted(prunable_weights(model).items())))
        return Ticket(mask=dense, weights=weights)

    @property
    def initial(self) -> State:
        """The dense network's state at initialization."""
        return self._dense.weights

    def ticket(self, level: int) -> Ticket:
        """The ticket of a level; 0 is the dense network."""
        if not level:
            return self._dense
        if level not in self._tickets:
            self._tickets[level] = self._ticket(level)
        return self._tickets[level]

    def _ticket(self, level: int) -> Ticket:
        key = JobKey(self.number, MAIN, level)
        if self._store.is_finished(key):
            return self._fitting(self._store.ticket(key))
        began, others = time.perf_counter(), sum(self.seconds.values())
        ticket = self._experiment.method.ticket(level, self._experiment.context, self)
        others = sum(self.seconds.values()) - others
        self.seconds[level] = time.perf_counter() - began - others
        return ticket

    def trained(self, level: int) -> State:
        """The state that a level's training ended with."""
        return self.trained_weights(JobKey(self.number, MAIN, level))

    def trained_weights(self, key: JobKey) -> State:
        """The state that a job's training ended with."""
        return self._store.weights(key)

    def given(self, name: str) -> Ticket:
        """A ticket that the run was given, by its SHA-256."""
        return self._store.given(name)

    def found(self, level: int) -> Mask:
        """The mask that the search for a level's mask ended with."""
        return self._store.final_mask(JobKey(self.number, f"{SEARCH}-1", level))

    def state(self, iteration: int) -> State:
        """The dense network's state at an iteration of its training; 0 is its initialization."""
        if not iteration:
            return self.initial
        found = self._store.look(LookKey(self.number, "state", iteration))
        assert not isinstance(found, EarlyBirdMask), "unpacked by its key's kind"
        return self._fitting(Ticket(mask=self._dense.mask, weights=found)).weights

    def drawn(self, level: int) -> EarlyBirdMask:
        """The Early-Bird mask of a level, drawn while the dense network trained."""
        key = LookKey(self.number, "drawn", level)
        found = self._store.look(key)
        assert isinstance(found, EarlyBirdMask), "unpacked by its key's kind"
        if found.state is not None:
            self._fitting(Ticket(mask=found.mask, weights=found.state))
        elif self._experiment.method.rewinding == "drawn":
            raise StoreError(f"{self._store.directory(key)} holds no state to train on from")
        return found

    def _fitting(self, ticket: Ticket) -> Ticket:
        ticket.check_fits(self._experiment.task.make_model())
        return ticket
