"""One training of weights in progress, under a mask that is held or changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from lottery.core import Mask
from lottery.holding import hold
from lottery.training.engines.torch_engine.averaging import MeasuredModel
from lottery.training.engines.torch_engine.compiling import compiled_forward
from lottery.training.engines.torch_engine.dynamic_mask import DynamicMask
from lottery.training.engines.torch_engine.in_progress import TrainingInProgress
from lottery.training.engines.torch_engine.network import state_of
from lottery.training.interface import State, TrainingJob
from lottery.training.normalization import recalibrate_batch_norm
from lottery.training.progress import below


class Training(TrainingInProgress):
    """One training of weights in progress.

    Args:
        job: what to train.
        device: where.
    """

    def __init__(self, job: TrainingJob, device: torch.device) -> None:
        super().__init__(job, device)
        self.hold = hold(self.model, self.optimizer, job.mask, values=job.pruned)
        self.measured = MeasuredModel(self.model, job.config)
        self.measured_model = self.measured.model
        self.dynamic = DynamicMask(self.progress, self.model, self.hold, self.measured)
        self.forward: Callable[[Tensor], Tensor] = (
            compiled_forward(self.model) if job.config.compile else self.model
        )

    def _make_learned(self) -> nn.Module:
        return self.model

    def _outputs(self, inputs: Tensor) -> Tensor:
        if self.dynamic.replaces_step:
            self.hold.record_gradients()
        return self.forward(inputs)

    def _update(self) -> None:
        if self.dynamic.replaces_step:
            self._update_mask()
        else:
            super()._update()
        self.measured.follow()

    def _update_mask(self) -> None:
        """The mask by these gradients, of pruned weights as well; nothing else moves."""
        self.dynamic.unmask_gradients()
        # No step with these gradients, which serve something else; the scale follows them.
        self.scaler.unscale_(self.optimizer)
        self.scaler.update()
        self.dynamic.update()
        self.optimizer.zero_grad(set_to_none=True)

    def _after_steps(self) -> None:
        if self.dynamic.follows_step:
            self.dynamic.update()
        super()._after_steps()

    def _refresh(self) -> None:
        self.measured.refresh()
        examples = self.job.config.recalibrate_batch_norm
        if examples and self.progress.at_an_end:
            with self.autocast:
                recalibrate_batch_norm(self.measured_model, self._examples(examples))

    def _examples(self, number: int) -> Iterator[Tensor]:
        """Batches of about ``number`` training inputs, whole ones; always the same."""
        there = len(self.data.train)
        size = min(self.job.config.batch_size, number, there)
        generator = self.job.streams.generator("recalibration")
        chosen = torch.randperm(there, generator=generator)[: min(number, there) // size * size]
        for batch in chosen.to(self.device).split(size):
            yield self.laid_out(self.data.batch("train", batch, self.dtype)[0])

    def _state(self) -> State:
        return state_of(self.model)

    def _measured_state(self) -> State:
        return state_of(self.measured_model)

    def _mask(self) -> Mask | None:
        return self.dynamic.mask if self.dynamic.active else None

    def _own_tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        groups: dict[str, Mapping[str, Tensor]] = {}
        if self.dynamic.active:
            groups["mask"] = self.dynamic.mask
        if self.measured.is_copy:
            groups["measured"] = self._measured_state()
        return groups

    def _restore_own(self, tensors: Mapping[str, Tensor]) -> None:
        if self.dynamic.active:
            self.dynamic.restore(below("mask/", tensors))
        if self.measured.is_copy:
            self.measured_model.load_state_dict(below("measured/", tensors))
