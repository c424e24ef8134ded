"""The user's functions that make up a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lottery.score import ACCURACY, Score
from lottery.tasks.protocol import Plain


@dataclass(frozen=True, kw_only=True)
class OwnCode:
    """The user's functions that make up a task, and settings on them.

    Args:
        make_model, train, evaluate, score, reinitialize, steps, starts_at_step: as for
            `lottery.find_tickets`.
        fingerprint: plain JSON values that identify what the code of the functions does not show,
            such as a version of the data. If it is a dict, its entries ``make_model``, ``train``
            and so on replace the fingerprints of these functions.
        batches: for criteria that evaluate the network on data; see `take_batches`.
        loss: (model, batch) -> mean loss of its examples, a scalar; see `probe_from_batches`.
        example: a batch of inputs, for granularities other than single weights.
        also, leave_out: name patterns of parameters that masks cover in addition, and that they do
            not cover; see `lottery.core.set_coverage`.
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
        """The functions, which another process would have to be sent."""
        return (self.make_model, self.train, self.evaluate, self.reinitialize, self.loss)
