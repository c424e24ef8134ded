"""The functions of a task of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lottery.score import ACCURACY, Score
from lottery.tasks.protocol import Plain


@dataclass(frozen=True, kw_only=True)
class OwnCode:
    """The functions of a task, and what is to be known of them.

    Args:
        make_model: gives a new network each time, its weights drawn from the global generators.
        train: ``train(model)`` or ``train(model, session)``: trains the network in place with
            optimizers of torch. It returns nothing, the score, or curves (see `read_returned`).
        evaluate: ``evaluate(model)`` gives the score, or a dict of numbers with the score among
            them. None: ``train`` returns it.
        score: what is judged by.
        fingerprint: plain JSON values that identify what functions cannot tell of themselves, such
            as a version of the data; a table's ``make_model``, ``train`` and ``evaluate`` stand
            for these functions, which are then not looked at.
        reinitialize: draws new weights in a network, in place; for controls that need them where
            ``make_model`` loads its weights.
        batches: for criteria that look at data; see `take_batches`.
        loss: (model, batch) -> the mean loss of its examples; see `probe_from_batches`.
        steps: how many optimizer steps the loop makes, if it always makes as many.
        starts_at_step: whether the loop begins at ``session.start_step``.
        example: what a network is called with, for granularities other than single weights.
        also: patterns of parameters that masks cover in addition, see `lottery.core.set_coverage`.
        leave_out: patterns of those that they do not.
    """

    make_model: Callable[[], nn.Module]
    train: Callable[..., Any]
    evaluate: Callable[[nn.Module], Any] | None = None
    score: Score = ACCURACY
    fingerprint: Plain = None
    reinitialize: Callable[[nn.Module], Any] | None = None
    batches: Any = None
    loss: Callable[[nn.Module, Any], Tensor] | None = None
    steps: int | None = None
    starts_at_step: bool = False
    example: Tensor | None = None
    also: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()

    @property
    def functions(self) -> tuple[Any, ...]:
        """All that another process would have to be sent."""
        return (self.make_model, self.train, self.evaluate, self.reinitialize, self.loss)
